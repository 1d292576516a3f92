"""Every way in which a release does not get there: refused, failed, given up; and what is remembered of it."""

from datetime import timedelta

import pytest
from tests.core.reconcile.stage import (
    LINE,
    MINUTE,
    POLICY,
    Stage,
    app,
    container,
    image,
    release,
    with_policy,
)

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.events import DaemonStarted, Latched, SoakMarked, WorkerStarted
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.reasons import Refusal
from edgegitops.core.model.release import DriftPolicy, Phase
from edgegitops.core.model.spec import Condition
from edgegitops.core.model.steps import PullImage, StartContainer

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


# --- what is not there, and what is refused


def test_image_that_is_not_available_is_tried_for_ever():
    stage = stage_at()
    stage.engine.unavailable.add(image("app", "2"))
    stage.want(TWO)
    for _ in range(40):
        outlook = stage.play()
        assert outlook.until is not None
        stage.pass_time(outlook.until - stage.clock.now())
    assert (stage.phase, stage.running) == (Phase.PREPARING, {"app:1"})
    assert len([one for one in stage.journal.entries() if getattr(one.event, "step", "") == PullImage.kind]) > 40
    stage.engine.unavailable.clear()
    stage.pass_time(10 * MINUTE)
    stage.start_up()
    assert stage.running == {"app:2"}


def test_hold_of_a_failing_step_is_journalled_once():
    stage = stage_at()
    stage.engine.unavailable.add(image("app", "2"))
    stage.want(TWO)
    for _ in range(5):
        until = stage.play().until
        assert until is not None
        stage.pass_time(until - stage.clock.now())
    assert len([one for one in stage.events if one.kind == "hold-changed"]) == 1


def test_wrong_digest_is_refused_and_changes_nothing():
    stage = stage_at()
    stage.engine.wrong_digest.add(image("app", "2"))
    stage.want(TWO)
    stage.play()
    assert (stage.phase, stage.running, stage.record.serving) == (Phase.REFUSED, {"app:1"}, ONE)
    assert stage.record.latches[TWO.digest].is_refusal
    assert stage.alarms == {"release-failed"}
    stage.pass_time(timedelta(days=9))
    stage.play()
    assert stage.record.hold_reason == "refused-here"


def test_refusal_that_a_node_may_outgrow_is_asked_again_after_an_hour():
    stage = stage_at()
    stage.engine.behaviours[image("app", "2")] = Behaviour(fails_to_create=True)
    stage.want(TWO)
    outlook = stage.play()
    assert outlook.until == stage.clock.now() + 60 * MINUTE
    stage.engine.behaviours.clear()
    stage.pass_time(59 * MINUTE)
    stage.play()
    assert TWO.digest in stage.record.latches
    stage.pass_time(MINUTE)
    stage.start_up()
    assert stage.running == {"app:2"}


def test_repair_that_is_denied_does_not_refuse_the_release_on_its_way():
    stage = stage_at()
    stage.engine.unavailable.add(image("app", "2"))
    stage.want(TWO)
    stage.play()
    stage.engine.behaviours[image("app", "1")] = Behaviour(fails_to_start=True)
    stage.engine.end(stage.part("app", ONE).name, 1)
    for _ in range(4):
        stage.play()
        stage.pass_time(MINUTE)
    assert stage.record.failures[f"start-container {stage.part('app', ONE).name}"].is_final
    assert stage.phase is Phase.PREPARING
    stage.engine.unavailable.clear()
    stage.pass_time(10 * MINUTE)
    stage.start_up()
    assert stage.running == {"app:2"}


def test_image_that_vanished_after_the_pull_is_pulled_once_more():
    stage = Stage(ONE)
    while stage.acts() != ["pull-image app:1", "create-network net"]:
        stage.turn()
    stage.engine.images.clear()
    for _ in range(3):
        stage.play()
        stage.pass_time(MINUTE)
    assert stage.running == {"app:1"}


@pytest.mark.parametrize("kind", ["container", "network", "volume"])
def test_name_that_is_taken_holds_until_it_is_given_free(kind):
    stage = Stage(release({"app": container("app", volume="data")}))
    parts = stage.parts()
    taken = {"container": parts.containers[0].name, "network": parts.networks["net"], "volume": parts.volumes["data"]}
    if kind == "container":
        stage.add_foreign(taken[kind])
    else:
        getattr(stage.engine, f"_{kind}s")[taken[kind]] = {"io.edgegitops.fleet": "urn:fleet:other"}
    stage.play()
    assert (stage.phase, stage.record.hold_reason) == (Phase.PREPARING, "name-taken")
    assert f"{kind} {taken[kind]}" in stage.ledger.alarms[f"name-conflict {LINE}"].detail
    assert stage.present == set()
    stage.engine.remove(taken[kind])
    stage.start_up()
    assert (stage.phase, stage.alarms) == (Phase.PROVING, set())


# --- failing


def crash(stage: Stage) -> None:
    stage.engine.end(stage.part("app").name, 139)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (crash, Refusal.ENDED_WHILE_PROVING),
        (lambda stage: stage.engine.lose(stage.part("app").name), Refusal.ENDED_WHILE_PROVING),
        (lambda stage: stage.engine.remove(stage.part("app").name), Refusal.ENDED_WHILE_PROVING),
        (lambda stage: stage.probe(Health.NOT_LIVE), Refusal.PROBE_FAILED),
        (lambda stage: stage.observe_for(waited=POLICY.deadline), Refusal.DEADLINE_MISSED),
    ],
    ids=["crash", "lost", "removed", "not live", "deadline"],
)
def test_release_that_fails_while_proving_is_latched_and_undone(happens, reason):
    stage = at_proving()
    happens(stage)
    stage.play()
    assert (stage.phase, stage.running, stage.record.serving) == (Phase.REVERTED, {"app:1"}, ONE)
    assert (failing(stage).digest, failing(stage).reason) == (TWO.digest, reason)
    assert stage.alarms == {"release-failed"}
    assert stage.record.hold_reason == "latched"


def test_latch_is_journalled_in_the_same_write_that_begins_the_revert():
    stage = at_proving()
    crash(stage)
    outlook = stage.turn()
    assert outlook.work is not None
    kinds = [one.kind for one in outlook.work.events]
    assert kinds == ["container-ended", "latched", "alarm-raised", "phase-moved"]
    assert stage.phase is Phase.REVERTING


def test_start_that_is_denied_fails_the_release():
    stage = stage_at()
    stage.engine.behaviours[image("app", "2")] = Behaviour(fails_to_start=True)
    stage.want(TWO)
    stage.play()
    assert (stage.phase, failing(stage).reason, stage.running) == (Phase.REVERTED, Refusal.START_FAILED, {"app:1"})


def test_time_that_nobody_observed_never_misses_a_deadline():
    stage = at_proving()
    stage.pass_time(timedelta(days=3))
    assert stage.play().work is None
    assert stage.phase is Phase.PROVING


def test_dependency_that_never_gets_ready_misses_the_deadline():
    needs = {"db": Condition.READY}
    stage = Stage(release({"db": container("db"), "app": container("app", needs=needs)}))
    stage.play()
    assert stage.phase is Phase.SWITCHING
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert failing(stage).reason == Refusal.DEADLINE_MISSED
    assert "app" in failing(stage).detail


def test_first_release_that_fails_leaves_nothing_behind_but_its_latch():
    stage = Stage(ONE)
    stage.start_up()
    crash(stage)
    stage.play()
    assert (stage.phase, stage.record.serving, stage.present) == (Phase.REVERTED, None, set())
    assert ONE.digest in stage.record.latches


@pytest.mark.parametrize("phase", [Phase.SWITCHING, Phase.PROVING])
def test_unclean_ends_are_counted_and_the_second_reverts(phase):
    stage = stage_at()
    stage.want(TWO)
    while stage.phase is not phase:
        stage.turn()
    stage.tell(WorkerStarted(), WorkerStarted())
    assert stage.record.transition is not None
    assert stage.record.transition.attempts == 1
    stage.turn()
    assert stage.phase in (Phase.SWITCHING, Phase.PROVING)
    stage.tell(WorkerStarted())
    stage.play()
    assert failing(stage).reason == Refusal.ATTEMPTS_EXHAUSTED
    assert stage.running == {"app:1"}


def test_release_that_takes_the_machine_down_twice_is_reverted():
    stage = at_proving()
    stage.tell(DaemonStarted(stage.clock.boot_id()))
    for _ in range(2):
        stage.reboot()
        stage.tell(DaemonStarted(stage.clock.boot_id()))
    stage.play()
    assert (failing(stage).reason, stage.running) == (Refusal.ATTEMPTS_EXHAUSTED, {"app:1"})


def test_reboot_while_proving_starts_the_release_again_while_attempts_remain():
    stage = at_proving()
    stage.tell(DaemonStarted(stage.clock.boot_id()))
    stage.reboot()
    stage.tell(DaemonStarted(stage.clock.boot_id()))
    stage.play()
    assert (stage.phase, stage.running) == (Phase.PROVING, {"app:2"})


# --- the latch


def test_failed_digest_never_starts_again_by_itself():
    stage = at_proving()
    crash(stage)
    stage.play()
    stage.engine.performed.clear()
    for _ in range(5):
        stage.pass_time(timedelta(days=30))
        stage.reboot()
        stage.play()
    assert stage.acts("create-container") == []
    assert stage.running == {"app:1"}


def test_new_attempt_is_another_digest_and_starts():
    stage = at_proving()
    crash(stage)
    stage.play()
    again = app("2", attempt=2)
    stage.converge(again)
    assert stage.running == {"app:2"}
    assert stage.record.latches.keys() == {TWO.digest}


def test_going_back_to_what_serves_ends_hold_and_alarm():
    stage = at_proving()
    crash(stage)
    stage.play()
    stage.want(ONE)
    stage.play()
    assert stage.record.hold_reason == ""
    stage.probe(Health.READY)
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    assert (stage.phase, stage.alarms) == (Phase.HEALTHY, set())


def test_container_that_a_start_cut_short_has_removed_is_made_anew():
    stage = stage_at()
    stage.want(TWO)
    while stage.phase is not Phase.SWITCHING:
        stage.turn()
    stage.engine.remove(stage.part("app").name)
    stage.start_up()
    assert (stage.phase, stage.running, stage.alarms) == (Phase.PROVING, {"app:2"}, set())


@pytest.mark.parametrize("drift", list(DriftPolicy))
def test_serving_container_that_a_start_has_removed_is_made_anew_whatever_drift_says(drift):
    one = with_policy(ONE, drift=drift)
    stage = stage_at(one)
    name = stage.part("app").name
    stage.engine.behaviours[image("app", "1")] = Behaviour(fails_to_start=True)
    stage.engine.end(name, 1)
    stage.play()
    assert stage.record.failures[f"start-container {name}"].is_final
    stage.engine.remove(name)
    stage.engine.behaviours.clear()
    for _ in range(3):
        stage.pass_time(MINUTE)
        stage.play()
    assert stage.running == {"app:1"}


# --- policies that give reverting up


def test_irreversible_release_is_stopped_and_held():
    stage = at_proving(target=with_policy(TWO, safe=False))
    crash(stage)
    stage.play()
    assert (stage.phase, stage.running, stage.record.serving) == (Phase.STUCK, set(), None)
    assert stage.alarms == {"release-failed", "stuck"}
    assert stage.present == {"app:1", "app:2"}


def test_irreversible_release_is_stopped_in_order_and_for_as_long_as_it_takes():
    needs = {"web": container("web"), "api": container("api", needs={"web": Condition.STARTED})}
    wanted = with_policy(release(needs, version="2"), safe=False)
    stage = at_proving(target=wanted)
    stage.engine.end(stage.part("web").name, 1)
    stage.turn()
    assert stage.phase is Phase.STUCK
    stage.engine.fail_next(1)
    stage.play()
    assert "api:1" in stage.running
    stage.pass_time(MINUTE)
    stage.play()
    assert stage.running == set()
    stage.reboot()
    stage.play()
    assert stage.running == set()


def test_container_of_an_irreversible_release_that_somebody_starts_is_stopped_again():
    stage = at_proving(target=with_policy(TWO, safe=False))
    crash(stage)
    stage.play()
    stage.engine.perform(StartContainer(stage.part("app").name))
    stage.play()
    assert stage.running == set()


def test_release_after_an_irreversible_one_is_not_stopped_with_it():
    stage = at_proving(target=with_policy(TWO, safe=False))
    crash(stage)
    stage.play()
    stage.converge(THREE)
    assert (stage.running, stage.record.halted) == ({"app:3"}, None)


def test_release_without_automatic_rollback_is_left_as_it_is_and_held():
    stage = at_proving(target=with_policy(TWO, automatic=False))
    stage.probe(Health.NOT_LIVE)
    stage.play()
    assert (stage.phase, stage.running) == (Phase.STUCK, {"app:2"})
    assert "rollback.automatic" in stage.ledger.alarms[f"stuck {LINE}"].detail


def test_new_release_after_stuck_takes_over_and_stops_what_was_left():
    stage = at_proving(target=with_policy(TWO, automatic=False))
    stage.probe(Health.NOT_LIVE)
    stage.play()
    stage.converge(THREE)
    assert (stage.running, stage.present, stage.alarms) == ({"app:3"}, {"app:3"}, set())


def test_new_attempt_after_stuck_starts_anew_what_was_not_well():
    stage = at_proving(target=with_policy(TWO, automatic=False))
    stage.probe(Health.NOT_LIVE)
    stage.play()
    stage.engine.performed.clear()
    stage.want(app("2", attempt=2))
    stage.start_up()
    assert stage.acts() == ["stop-container app", "start-container app"]
    assert (stage.phase, stage.running) == (Phase.PROVING, {"app:2"})


def test_deployment_that_is_stuck_can_be_removed():
    stage = at_proving(target=with_policy(TWO, automatic=False))
    stage.probe(Health.NOT_LIVE)
    stage.play()
    stage.want(None)
    stage.play()
    assert (stage.phase, stage.present, stage.alarms) == (Phase.ABSENT, set(), set())


def test_refusal_from_the_future_is_of_a_clock_that_was_set_back_and_is_asked_again_now():
    stage = stage_at()
    stage.engine.behaviours[image("app", "2")] = Behaviour(fails_to_create=True)
    stage.want(TWO)
    stage.clock.step(stage.clock.now() + timedelta(days=3650))
    stage.play()
    stage.clock.step(stage.clock.now() - timedelta(days=3650))
    stage.engine.behaviours.clear()
    stage.start_up()
    assert stage.running == {"app:2"}


def test_probes_that_nobody_can_ask_are_an_alarm_after_the_deadline_and_no_failure():
    stage = stage_at()
    stage.want(TWO)
    stage.start_up()
    stage.tell(SoakMarked(LINE, TWO.digest, timedelta(), timedelta(), POLICY.deadline))
    stage.play()
    assert (stage.phase, stage.alarms) == (Phase.PROVING, {"probes-unanswered"})
    stage.tell(SoakMarked(LINE, TWO.digest, timedelta(), timedelta()))
    stage.play()
    assert stage.alarms == set()
