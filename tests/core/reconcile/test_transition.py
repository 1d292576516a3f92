"""The road of a release: beside the old, then instead of it, then proven; holds and other wishes on the way."""

import pytest
from tests.core.reconcile.stage import (
    FLEET,
    LINE,
    POLICY,
    SECOND,
    Stage,
    app,
    container,
    release,
    with_policy,
)

from edgegitops.core.model.events import Latched
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.release import Phase
from edgegitops.core.model.spec import Condition, Restart
from edgegitops.core.model.steps import CreateContainer

PAUSED = Hold(HoldReason.PAUSED, "paused")
ONE, TWO, THREE = app("1"), app("2"), app("3")
FILE = "c" * 64


def stage_at(first=ONE) -> Stage:
    stage = Stage()
    stage.converge(first)
    return stage


def failing(stage: Stage) -> Latched:
    """The latch of the release that failed."""
    return next(one for one in stage.events if isinstance(one, Latched))


def at_proving(target=TWO, first=ONE) -> Stage:
    stage = stage_at(first)
    stage.want(target)
    stage.start_up()
    assert stage.phase is Phase.PROVING
    return stage


# --- getting there


def test_first_release_goes_the_whole_road():
    stage = Stage(ONE)
    stage.start_up()
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    road = ["preparing", "ready", "switching", "proving", "healthy"]
    assert (stage.moves, stage.running) == ([Phase(one) for one in road], {"app:1"})


def test_everything_new_is_there_before_anything_stops():
    stage = stage_at()
    stage.want(TWO)
    stage.start_up()
    assert stage.acts() == ["pull-image app:2", "create-container app", "stop-container app", "start-container app"]


def test_files_networks_and_volumes_come_before_containers():
    stage = Stage(release({"app": container("app", volume="data", file=FILE)}))
    stage.contents = frozenset({FILE})
    stage.play()
    assert stage.stored == {FILE}
    assert stage.acts()[:4] == ["pull-image app:1", "create-network net", "create-volume data", "create-container app"]


def test_config_file_that_nobody_knows_is_refused():
    stage = Stage(release({"app": container("app", file=FILE)}))
    stage.play()
    assert (stage.phase, failing(stage).reason, failing(stage).is_refusal) == (Phase.REFUSED, "content-missing", True)


def test_only_containers_whose_digest_changed_are_replaced():
    before = release({"app": container("app", "1"), "db": container("db", "1", volume="data")})
    after = release({"app": container("app", "2"), "db": container("db", "1", volume="data")})
    stage = stage_at(before)
    stage.want(after)
    stage.start_up()
    assert not [one for one in stage.acts() if one.endswith((" db", "db:1"))]
    assert stage.running == {"app:2", "db:1"}


def test_change_of_probes_alone_restarts_nothing():
    stage = stage_at()
    stage.want(release({"app": container("app", "1", stop_timeout=99 * SECOND)}))
    stage.start_up()
    assert stage.moves == [Phase.PREPARING, Phase.READY, Phase.SWITCHING, Phase.PROVING]
    assert stage.acts() == []


def test_containers_start_after_what_they_depend_on_and_stop_before_it():
    chain = {
        "c": container("c", needs={"b": Condition.STARTED}),
        "b": container("b", needs={"a": Condition.STARTED}),
        "a": container("a"),
    }
    stage = stage_at(release(chain))
    stage.want(release({name: container(name, "2", needs=one.care.depends_on) for name, one in chain.items()}))
    stage.start_up()
    assert [one[-1] for one in stage.acts("stop-container")] == ["c", "b", "a"]
    assert [one[-1] for one in stage.acts("start-container")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("condition", "restart", "meet"),
    [
        (Condition.STARTED, Restart.ALWAYS, None),
        (Condition.READY, Restart.ALWAYS, lambda stage: stage.probe(Health.READY, "first")),
        (Condition.COMPLETED, Restart.NEVER, lambda stage: stage.engine.end(stage.part("first").name, 0)),
    ],
)
def test_dependant_waits_until_its_condition_is_met(condition, restart, meet):
    then = container("then", needs={"first": condition})
    stage = Stage(release({"first": container("first", restart=restart), "then": then}))
    stage.play()
    if meet:
        assert stage.running == {"first:1"}
        meet(stage)
        stage.play()
    assert "then:1" in stage.running
    assert stage.phase is Phase.PROVING


def test_job_that_failed_fails_its_release():
    job = container("job", restart=Restart.NEVER)
    stage = Stage(release({"job": job}))
    stage.play()
    stage.engine.end(stage.part("job").name, 3)
    stage.play()
    assert (stage.phase, failing(stage).reason) == (Phase.REVERTED, Refusal.ENDED_WHILE_PROVING)


def test_job_that_completed_is_ready_and_takes_nothing_from_the_soak():
    stage = Stage(release({"job": container("job", restart=Restart.NEVER), "app": container("app")}))
    stage.play()
    stage.probe(Health.READY)
    stage.observe_for(soaked=POLICY.soak)
    stage.engine.end(stage.part("job").name, 0)
    stage.play()
    assert stage.phase is Phase.HEALTHY
    assert stage.running == {"app:1"}


def test_healthy_needs_the_whole_soak_and_readiness_now():
    stage = at_proving()
    stage.observe_for(soaked=POLICY.soak - SECOND)
    assert stage.play().work is None
    assert stage.phase is Phase.PROVING
    stage.observe_for(soaked=POLICY.soak)
    stage.probe(Health.UNREADY)
    stage.play()
    assert stage.phase is Phase.PROVING, "an unready container takes the soak back"
    stage.probe(Health.READY)
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    assert stage.phase is Phase.HEALTHY


def test_old_containers_are_kept_until_the_new_release_is_proven():
    stage = at_proving()
    assert stage.present == {"app:1", "app:2"}
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    assert stage.present == {"app:2"}


def test_last_known_good_releases_are_kept_newest_first_as_many_as_the_policy_says():
    keep = [app(one, policy=POLICY) for one in "12345"]
    stage = Stage()
    for one in keep[:2] + keep[:1] + keep[2:]:
        stage.converge(one)
    assert stage.record.lkg == (keep[4], keep[3], keep[2])


# --- waiting, and changing one's mind


def paused_at(at):
    """An update that was paused when it came to a phase."""
    stage = stage_at()
    stage.want(TWO)
    while stage.phase is not at:
        stage.turn()
    stage.gate = PAUSED
    stage.play()
    return stage


@pytest.mark.parametrize("at", [Phase.PENDING, Phase.READY])
def test_closed_gate_holds_where_it_is_asked(at):
    stage = paused_at(at)
    assert (stage.phase, stage.record.hold_reason, stage.running) == (at, "paused", {"app:1"})
    stage.gate = None
    stage.start_up()
    assert (stage.phase, stage.record.hold_reason) == (Phase.PROVING, "")


@pytest.mark.parametrize(("at", "then"), [(Phase.PENDING, Phase.PREPARING), (Phase.READY, Phase.SWITCHING)])
def test_hold_is_over_with_the_move_that_it_held(at, then):
    """Red where only a look that finds nothing to do tells it: a pull may take minutes, and `status` would say that it
    waits.
    """
    stage = paused_at(at)
    assert stage.record.hold_reason == "paused"
    stage.gate = None
    stage.turn()
    assert (stage.phase, stage.record.hold_reason, stage.record.hold_since) == (then, "", None)


def test_closing_gate_does_not_stop_what_has_begun():
    stage = at_proving()
    stage.gate = PAUSED
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    assert stage.phase is Phase.HEALTHY


@pytest.mark.parametrize(
    ("at", "ends"),
    [(Phase.PENDING, Phase.SUPERSEDED), (Phase.PREPARING, Phase.CANCELLED), (Phase.READY, Phase.SUPERSEDED)],
)
def test_other_wish_before_the_switch_touches_nothing_that_runs(at, ends):
    stage = stage_at()
    stage.want(TWO)
    while stage.phase is not at:
        stage.turn()
    stage.want(ONE)
    stage.turn()
    assert stage.phase is ends
    stage.play()
    assert (stage.record.serving, stage.present, stage.acts("stop-container")) == (ONE, {"app:1"}, [])


def test_other_wish_after_the_switch_waits_for_the_end():
    stage = at_proving()
    stage.want(THREE)
    assert stage.play().work is None
    assert stage.phase is Phase.PROVING
    stage.observe_for(soaked=POLICY.soak)
    stage.start_up()
    assert stage.running == {"app:3"}
    assert [one for one in stage.moves if one is Phase.HEALTHY]


def test_deployment_that_disappears_while_proving_is_proven_first_and_then_removed():
    stage = at_proving()
    stage.want(None)
    stage.play()
    assert stage.running == {"app:2"}
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    assert (stage.phase, stage.present) == (Phase.ABSENT, set())
    assert stage.moves[-3:] == [Phase.HEALTHY, Phase.REMOVING, Phase.ABSENT]


def test_nothing_goes_on_that_has_not_begun_while_nobody_knows_what_is_wanted():
    stage = stage_at()
    stage.want(TWO)
    stage.turn()
    stage.turn()
    stage.is_target_known = False
    stage.play()
    assert (stage.phase, stage.acts()) == (Phase.PREPARING, [])


def test_prepared_container_that_somebody_removed_is_prepared_again():
    stage = stage_at()
    stage.gate = None
    stage.want(TWO)
    while stage.phase is not Phase.READY:
        stage.turn()
    stage.engine.remove(stage.part("app").name)
    stage.start_up()
    assert stage.moves[2:4] == [Phase.CANCELLED, Phase.PREPARING]
    assert stage.running == {"app:2"}


def test_policy_said_anew_steers_a_transition_that_has_not_begun():
    stage = stage_at()
    stage.want(TWO)
    stage.gate = PAUSED
    stage.play()
    stage.want(with_policy(TWO, automatic=False))
    stage.play()
    transition = stage.record.transition
    assert transition is not None
    assert transition.new is not None
    assert not transition.new.policy.automatic
    assert stage.record.serving == ONE


# --- a lost journal


def test_lost_journal_adopts_what_runs_without_a_restart():
    chain = {"db": container("db"), "app": container("app", needs={"db": Condition.READY})}
    stage = stage_at(release(chain))
    stage.lose_journal()
    stage.events.clear()
    stage.start_up()
    assert (stage.phase, stage.acts("stop-container", "create-container", "start-container")) == (Phase.PROVING, [])


def test_lost_journal_does_not_run_a_finished_job_again():
    stage = Stage(release({"job": container("job", restart=Restart.NEVER), "app": container("app")}))
    stage.play()
    stage.engine.end(stage.part("job").name, 0)
    stage.play()
    stage.engine.performed.clear()
    stage.lose_journal()
    stage.start_up()
    assert (stage.phase, stage.acts("start-container")) == (Phase.PROVING, [])


def test_steps_carry_names_labels_and_engine_names():
    stage = Stage(release({"app": container("app", volume="data")}))
    stage.play()
    created = next(one for one in stage.engine.performed if isinstance(one, CreateContainer))
    part = stage.part("app")
    assert (created.subject, created.alias) == (part.name, "app")
    assert created.labels == {
        "io.edgegitops.fleet": FLEET,
        "io.edgegitops.deployment": LINE,
        "io.edgegitops.container": "app",
        "io.edgegitops.digest": part.digest,
    }
    assert created.volumes == {"data": f"{LINE}.data"}
    assert created.networks["net"].startswith(f"{LINE}.net.")
