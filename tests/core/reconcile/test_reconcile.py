"""Holds and alarms are told once, cleared when they are over, and never twice in a row."""

from tests.core.reconcile.stage import LINE, MINUTE, POLICY, Stage, alarm_events, app, image, with_policy

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.events import HoldChanged, ReleaseRestated
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase

ONE, TWO = app("1"), app("2")


def healthy(what=ONE) -> Stage:
    stage = Stage()
    stage.converge(what)
    return stage


def holds(stage: Stage) -> list[str]:
    return [one.reason for one in stage.events if isinstance(one, HoldChanged)]


def test_hold_is_told_once_and_its_end_once():
    stage = healthy()
    stage.want(TWO)
    stage.gate = Hold(HoldReason.PAUSED, "later")
    for _ in range(5):
        stage.play()
        stage.pass_time(MINUTE)
    assert holds(stage) == ["paused"]
    stage.want(ONE)
    stage.play()
    assert holds(stage) == ["paused", ""]


def test_hold_with_another_time_alone_is_no_news():
    stage = healthy()
    stage.want(TWO)
    for at in range(3):
        stage.gate = Hold(HoldReason.OPERATOR, "night", stage.clock.now() + at * MINUTE)
        stage.play()
    assert holds(stage) == ["operator"]


def test_hold_with_another_reason_is_news():
    stage = healthy()
    stage.want(TWO)
    for reason in (HoldReason.PAUSED, HoldReason.MAINTENANCE):
        stage.gate = Hold(reason)
        stage.play()
    assert holds(stage) == ["paused", "maintenance"]


def test_hold_that_ends_at_a_time_names_the_next_look():
    stage = healthy()
    stage.want(TWO)
    until = stage.clock.now() + 9 * MINUTE
    stage.gate = Hold(HoldReason.OPERATOR, "night", until)
    assert stage.play().until == until


def test_alarm_of_admission_stands_exactly_as_long_as_the_refusal():
    stage = healthy()
    stage.want(None)
    for stage.refusal in ("no privileged", "no privileged", "no host network", ""):
        if not stage.refusal:
            stage.want(ONE)
        stage.play()
        stage.pass_time(MINUTE)
    assert alarm_events(stage.events) == ["+admission-denied", "+admission-denied", "-admission-denied"]
    assert stage.alarms == set()


def test_alarm_is_not_cleared_while_nobody_knows_what_is_wanted():
    stage = healthy()
    stage.want(None)
    stage.refusal = "no privileged"
    stage.play()
    stage.refusal, stage.is_target_known = "", False
    stage.play()
    assert stage.alarms == {"admission-denied"}


def test_failed_release_is_an_alarm_until_something_healthy_is_what_is_wanted():
    stage = healthy()
    stage.engine.behaviours[image("app", "2")] = Behaviour(fails_to_start=True)
    stage.want(TWO)
    stage.play()
    for _ in range(3):
        stage.pass_time(MINUTE)
        stage.play()
    assert alarm_events(stage.events) == ["+release-failed"]
    stage.converge(app("3"))
    assert stage.alarms == set()


def test_same_content_with_another_policy_is_restated_once_and_moves_nothing():
    stage = healthy()
    restated = with_policy(ONE, soak=POLICY.soak + MINUTE)
    stage.want(restated)
    for _ in range(3):
        stage.play()
    assert stage.events == [ReleaseRestated(LINE, restated)]
    assert (stage.record.serving, stage.acts()) == (restated, [])


def test_same_content_at_another_revision_is_no_news():
    stage = healthy()
    stage.want(type(ONE)(ONE.digest, "another revision", ONE.spec, ONE.version, ONE.policy))
    assert stage.look().work is None


def test_superseded_deployment_is_healthy_again_when_what_serves_is_wanted():
    stage = healthy()
    stage.want(TWO)
    stage.gate = Hold(HoldReason.PAUSED)
    stage.play()
    stage.want(ONE)
    stage.play()
    assert stage.moves == [Phase.SUPERSEDED, Phase.HEALTHY]


def test_superseded_deployment_that_is_not_well_is_not_called_healthy():
    stage = healthy()
    stage.want(TWO)
    stage.gate = Hold(HoldReason.PAUSED)
    stage.play()
    stage.probe(Health.UNREADY, of=ONE)
    stage.want(ONE)
    stage.play()
    assert stage.phase is Phase.SUPERSEDED


def test_second_identical_look_has_nothing_to_tell():
    stage = healthy()
    stage.engine.unavailable.add(image("app", "2"))
    stage.want(TWO)
    stage.play()
    assert stage.look() == stage.look()
    assert stage.look().work is None
