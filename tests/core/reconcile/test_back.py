"""A release that was healthy and is not any more: left once, for the newest one that was healthy before it."""

from dataclasses import replace

import pytest
from tests.core.reconcile.stage import LINE, POLICY, Stage, app, with_policy

from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import After, Phase
from edgegitops.core.model.spec import Condition

GOING = replace(POLICY, after=After.REGRESSION)
ONE, TWO, THREE = app("1"), app("2", policy=GOING), app("3", policy=GOING)


def regressed(*before, at=TWO) -> Stage:
    """A stage whose serving release has just been unhealthy for the deadline."""
    stage = Stage()
    for one in (*before, at):
        stage.converge(one)
    stage.probe(Health.UNREADY)
    stage.observe_for(waited=POLICY.deadline)
    return stage


def told(stage: Stage) -> dict[str, str]:
    return {digest: latch.reason for digest, latch in stage.record.latches.items()}


def answer(stage: Stage, of) -> None:
    """The older release is started and found well."""
    for _ in range(10):
        stage.play()
        stage.probe(Health.READY, of=of)
        if stage.phase is Phase.PROVING:
            break
    stage.observe_for(soaked=POLICY.soak)
    stage.play()


def test_regressed_release_is_left_for_the_one_before():
    stage = regressed(ONE)
    answer(stage, ONE)
    assert (stage.phase, stage.record.serving.digest) == (Phase.HEALTHY, ONE.digest)
    assert stage.running == {"app:1"}
    assert stage.record.latches[TWO.digest].reason == "unhealthy-too-long"
    assert stage.record.hold_reason == "latched"
    assert "release-failed" in stage.alarms
    assert stage.moves.count(Phase.SWITCHING) == 1


def test_one_that_says_reported_is_only_reported():
    stage = regressed(ONE, at=app("2"))
    stage.play()
    assert (stage.phase, told(stage)) == (Phase.REGRESSED, {TWO.digest: "regressed"})


def test_way_back_that_fails_ends_at_what_regressed_and_there_is_no_third_move():
    stage = regressed(ONE)
    stage.start_up()
    while stage.phase is not Phase.PROVING:
        stage.turn()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert stage.running == {"app:2"}
    assert set(stage.record.latches) == {ONE.digest, TWO.digest}
    for _ in range(3):
        stage.probe(Health.UNREADY)
        stage.observe_for(waited=POLICY.deadline)
        stage.play()
    assert stage.moves.count(Phase.SWITCHING) == 1
    assert stage.running == {"app:2"}


def test_what_was_left_before_is_not_gone_back_to():
    stage = regressed(ONE, TWO)
    answer(stage, ONE)
    stage.converge(THREE)
    stage.probe(Health.UNREADY)
    stage.observe_for(waited=POLICY.deadline)
    answer(stage, ONE)
    assert stage.record.serving.digest == ONE.digest


@pytest.mark.parametrize(
    "policy", [{"safe": False}, {"automatic": False}, {"depends_on": {"broker": Condition.READY}}], ids=str
)
def test_nobody_goes_back_who_must_not_or_is_not_to_blame(policy):
    stage = regressed(ONE, at=with_policy(TWO, **policy)) if "depends_on" not in policy else regressed(ONE)
    if "depends_on" in policy:
        stage.want(with_policy(TWO, **policy))
    stage.play()
    assert (stage.phase, told(stage)) == (Phase.REGRESSED, {TWO.digest: "regressed"})


def test_another_release_that_is_wanted_goes_before():
    stage = regressed(ONE)
    stage.want(THREE)
    stage.play()
    assert stage.record.transition.new.digest == THREE.digest
    assert told(stage) == {TWO.digest: "regressed"}


def test_new_wish_ends_the_way_back_that_has_not_begun():
    stage = regressed(ONE)
    stage.gate = Hold(HoldReason.OPERATOR, "a person looks")
    stage.play()
    assert (stage.phase, stage.record.transition.is_going_back) == (Phase.PENDING, True)
    stage.want(THREE)
    stage.gate = None
    stage.play()
    assert stage.record.transition.new.digest == THREE.digest


def test_gate_of_releases_does_not_hold_the_way_back():
    stage = regressed(ONE)
    stage.gate = Hold(HoldReason.PAUSED, "paused")
    answer(stage, ONE)
    assert stage.record.serving.digest == ONE.digest
    assert LINE in stage.ledger.deployments
