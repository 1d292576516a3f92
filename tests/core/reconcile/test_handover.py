"""What the resident is told to look after, in every phase."""

import pytest
from tests.core.reconcile.stage import LINE, POLICY, Stage, app, container, release

from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Condition, Restart
from edgegitops.core.reconcile.handover import hand_over

ONE, TWO = app("1"), app("2")


def stage_in(phase: Phase) -> Stage:
    stage = Stage()
    stage.converge(ONE)
    if phase is Phase.REMOVING:
        stage.want(None)
    elif phase is not Phase.HEALTHY:
        stage.want(TWO)
    if phase is Phase.REVERTING:
        stage.start_up()
        stage.observe_for(waited=POLICY.deadline)
    while stage.phase is not phase:
        stage.turn()
    return stage


@pytest.mark.parametrize(
    ("phase", "watched", "is_proving"),
    [
        (Phase.HEALTHY, ONE, False),
        (Phase.PENDING, ONE, False),
        (Phase.PREPARING, ONE, False),
        (Phase.READY, ONE, False),
        (Phase.SWITCHING, TWO, True),
        (Phase.PROVING, TWO, True),
        (Phase.REVERTING, None, False),
        (Phase.REMOVING, None, False),
    ],
)
def test_what_is_watched_is_what_is_proven_or_else_what_serves(phase, watched: Release | None, is_proving):
    stage = stage_in(phase)
    handover = hand_over([stage.scene()])
    assert [soak.release for soak in handover.soaks] == ([watched.digest] if watched else [])
    assert all(soak.is_proving is is_proving for soak in handover.soaks)
    assert all(soak.release == stage.record.soaking for soak in handover.soaks)


def test_running_container_is_watched_as_this_life_of_it():
    stage = stage_in(Phase.HEALTHY)
    stage.probe(Health.READY)
    (watch,) = hand_over([stage.scene()]).watches
    seen = stage.seen("app")
    assert seen is not None
    assert (watch.container, watch.id, watch.started_at) == (seen.name, seen.id, seen.started_at)
    assert (watch.address, watch.health) == (next(iter(seen.addresses.values())), Health.READY)
    assert hand_over([stage.scene()]).expected == {seen.name: seen.mark}
    assert seen.mark.startswith(stage.part("app").digest)


def test_container_that_does_not_run_is_not_probed_but_waited_for():
    stage = stage_in(Phase.HEALTHY)
    stage.engine.end(stage.part("app").name, 1)
    handover = hand_over([stage.scene()])
    assert (handover.watches, handover.expected) == ((), {})
    assert handover.soaks[0].containers == (stage.part("app").name,)


def test_finished_job_is_neither_probed_nor_waited_for():
    stage = Stage(release({"job": container("job", restart=Restart.NEVER), "app": container("app")}))
    stage.play()
    stage.engine.end(stage.part("job").name, 0)
    stage.play()
    handover = hand_over([stage.scene()])
    assert handover.soaks[0].containers == (stage.part("app").name,)


def test_what_dependants_wait_for_is_probed_while_switching():
    needs = {"db": Condition.READY}
    stage = Stage(release({"db": container("db"), "app": container("app", needs=needs)}))
    stage.play()
    handover = hand_over([stage.scene()])
    assert stage.phase is Phase.SWITCHING
    assert [watch.container for watch in handover.watches] == [stage.part("db").name]
    assert len(handover.soaks[0].containers) == 2


@pytest.mark.parametrize(
    ("phase", "held", "is_at_rest", "is_as_wanted"),
    [
        (Phase.HEALTHY, False, True, True),
        (Phase.PENDING, True, True, False),
        (Phase.READY, True, True, False),
        (Phase.PROVING, False, False, False),
        (Phase.REVERTING, False, False, False),
    ],
)
def test_rest_is_where_nothing_is_under_way_and_wanted_is_another_question(phase, held, is_at_rest, is_as_wanted):
    stage = stage_in(phase)
    if held:
        stage.gate = Hold(HoldReason.PAUSED)
        stage.play()
    handover = hand_over([stage.scene()])
    assert (handover.is_at_rest, handover.is_as_wanted) == (is_at_rest, is_as_wanted)


def test_reverted_and_not_admitted_are_at_rest_and_not_as_wanted():
    stage = stage_in(Phase.REVERTING)
    stage.play()
    handover = hand_over([stage.scene()])
    assert (stage.phase, handover.is_at_rest, handover.is_as_wanted) == (Phase.REVERTED, True, False)
    refused = Stage(None)
    refused.refusal = "privileged is not allowed"
    assert not hand_over([refused.scene()]).is_as_wanted
    assert hand_over([]).is_as_wanted


def test_nothing_wanted_and_nothing_there_is_as_wanted():
    stage = stage_in(Phase.HEALTHY)
    stage.want(None)
    stage.play()
    handover = hand_over([stage.scene()])
    assert (handover.is_as_wanted, handover.soaks, handover.watches) == (True, (), ())
    assert LINE in stage.ledger.deployments


def test_time_of_a_release_begins_when_the_old_one_has_stopped():
    stage = Stage()
    stage.converge(ONE)
    stage.want(TWO)
    while stage.phase is not Phase.READY:
        stage.turn()
    outlook = stage.look()
    assert outlook.work is not None
    stage.tell(*outlook.work.events)  # it switches, and the stop that goes with it does not come through
    assert "app:1" in stage.running
    assert hand_over([stage.scene()]).soaks == ()
    stage.play()
    assert [soak.release for soak in hand_over([stage.scene()]).soaks] == [TWO.digest]
