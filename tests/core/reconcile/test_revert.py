"""Back to the old release: from what is on the node alone, in order, to the end, or stuck and said so."""

import pytest
from tests.core.reconcile.stage import LINE, MINUTE, POLICY, SECOND, Stage, app, container, release

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.release import Phase
from edgegitops.core.model.spec import Condition, Restart
from edgegitops.core.model.steps import PullImage, StoreContent

ONE, TWO = app("1"), app("2")
FILE = "c" * 64


def failing_at_proving(before=ONE, after=TWO) -> Stage:
    """A release that will be found to have failed at the next look."""
    stage = Stage()
    stage.converge(before)
    stage.want(after)
    stage.start_up()
    stage.engine.performed.clear()
    stage.observe_for(waited=POLICY.deadline)
    return stage


def chain(version: str, stop_timeout=30 * SECOND):
    names = {"c": "b", "b": "a", "a": ""}
    return release(
        {
            name: container(name, version, needs={need: Condition.READY} if need else {}, stop_timeout=stop_timeout)
            for name, need in names.items()
        }
    )


def test_revert_is_a_stop_and_a_start_and_no_build():
    stage = failing_at_proving()
    stage.play()
    assert stage.acts() == [
        "stop-container app",
        "start-container app",
        "remove-container app",
    ]
    assert stage.running == {"app:1"}


def test_revert_stops_dependants_first_and_starts_them_last():
    stage = failing_at_proving(chain("1"), chain("2"))
    stage.play()
    assert [one[-1] for one in stage.acts("stop-container")] == ["c", "b", "a"]
    assert [one[-1] for one in stage.acts("start-container")] == ["a", "b", "c"]


def test_revert_gives_the_failed_release_its_own_time_to_stop():
    stage = failing_at_proving(chain("1"), chain("2", stop_timeout=120 * SECOND))
    stage.turn()
    stage.turn()
    assert {one.timeout for one in stage.engine.performed} == {120 * SECOND}


def test_revert_does_not_wait_for_readiness():
    stage = failing_at_proving(chain("1"), chain("2"))
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REVERTED, {"a:1", "b:1", "c:1"})


def test_revert_touches_nothing_that_both_releases_share():
    def pair(version: str):
        return release({"db": container("db", volume="data"), "app": container("app", version)})

    stage = failing_at_proving(pair("1"), pair("2"))
    stage.play()
    assert not [one for one in stage.acts() if one.endswith(" db")]
    assert stage.running == {"db:1", "app:1"}


@pytest.mark.parametrize("knows", [True, False])
def test_revert_needs_neither_git_nor_registry(knows):
    stage = failing_at_proving()
    stage.is_target_known, stage.is_local = knows, not knows
    stage.engine.is_registry_down = True
    stage.engine.remove(stage.part("app", ONE).name)
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REVERTED, {"app:1"})
    assert not [one for one in stage.engine.performed if isinstance(one, PullImage | StoreContent)]


def test_old_container_that_somebody_removed_is_created_again_with_its_surroundings():
    before = release({"app": container("app", "1", volume="data")})
    stage = failing_at_proving(before, TWO)
    for name in (stage.part("app", before).name, f"{LINE}.data"):
        stage.engine.remove(name)
    stage.play()
    kinds = stage.acts("create-network", "create-volume", "create-container", "start-container")
    assert kinds == ["create-volume data", "create-container app", "start-container app"]


def test_revert_whose_image_is_gone_too_is_stuck_and_what_serves_is_kept():
    stage = failing_at_proving()
    stage.engine.remove(stage.part("app", ONE).name)
    stage.engine.images.clear()
    stage.play()
    assert (stage.phase, stage.record.serving) == (Phase.STUCK, ONE)
    assert stage.alarms == {"release-failed", "stuck"}
    assert "app:2" in stage.present, "what failed stays for a person to see"


def test_stuck_revert_is_healed_on_and_is_healthy_once_it_has_soaked_as_wanted():
    stage = failing_at_proving()
    part = stage.part("app", ONE)
    stage.engine.behaviours[part.spec.create.image] = Behaviour(fails_to_start=True)
    stage.play()
    assert stage.phase is Phase.STUCK
    stage.engine.behaviours.clear()
    stage.pass_time(10 * MINUTE)
    stage.play()
    assert stage.running == {"app:1"}
    stage.want(ONE)
    stage.probe(Health.READY)
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    assert (stage.phase, stage.alarms, stage.present) == (Phase.HEALTHY, set(), {"app:1"})


def test_old_name_that_is_somebody_elses_by_now_is_stuck_and_left_alone():
    stage = failing_at_proving()
    name = stage.part("app", ONE).name
    stage.engine.remove(name)
    foreign = stage.add_foreign(name)
    stage.play()
    assert stage.phase is Phase.STUCK
    assert stage.engine.observe().named(name) == foreign


def test_revert_that_cannot_be_done_now_is_tried_for_ever():
    stage = failing_at_proving()
    for _ in range(20):
        stage.engine.fail_next(1)
        stage.play()
        stage.pass_time(10 * MINUTE)
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REVERTED, {"app:1"})


def test_revert_goes_to_its_end_whatever_is_wanted_by_now():
    stage = failing_at_proving()
    stage.turn()
    stage.want(app("3"))
    while stage.phase is Phase.REVERTING:
        stage.turn()
    assert (stage.phase, stage.running) == (Phase.REVERTED, {"app:1"})


def test_reboot_in_a_revert_goes_on_reverting():
    stage = failing_at_proving()
    stage.turn()
    stage.reboot()
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REVERTED, {"app:1"})


def test_finished_job_of_the_old_release_is_not_run_again():
    def pair(version: str):
        return release({"job": container("job", version, restart=Restart.NEVER), "app": container("app", version)})

    stage = Stage(pair("1"))
    stage.play()
    stage.engine.end(stage.part("job").name, 0)
    stage.play()
    stage.converge(pair("1"))
    stage.want(pair("2"))
    stage.start_up()
    stage.engine.performed.clear()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert stage.acts("start-container") == ["start-container app"]
    assert stage.phase is Phase.REVERTED


def test_no_ping_pong_a_failed_release_takes_two_transitions_at_most():
    stage = failing_at_proving()
    for _ in range(30):
        stage.play()
        stage.probe(Health.NOT_LIVE, of=ONE)
        stage.pass_time(MINUTE)
    begun = [one for one in stage.moves if one in (Phase.SWITCHING, Phase.REVERTING)]
    assert begun == [Phase.SWITCHING, Phase.REVERTING]
