"""What serves is judged by what was observed: regressed, loudly, and over when it has soaked again."""

from tests.core.reconcile.stage import (
    DAWN,
    LINE,
    MINUTE,
    POLICY,
    Stage,
    alarm_events,
    app,
)

from edgegitops.core.model import events as e
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase

ONE = app("1")


def healthy(what=ONE) -> Stage:
    stage = Stage()
    stage.converge(what)
    return stage


def end(stage: Stage, name: str = "app", code: int = 137) -> None:
    stage.engine.end(stage.part(name).name, code)


def crash_three_times(stage: Stage) -> None:
    for _ in range(3):
        end(stage)
        stage.play()
        stage.pass_time(MINUTE)
        stage.play()


def test_three_ends_in_ten_minutes_are_regressed_and_healing_goes_on():
    stage = healthy()
    crash_three_times(stage)
    assert (stage.phase, stage.alarms, stage.running) == (Phase.REGRESSED, {"regressed"}, {"app:1"})
    assert alarm_events(stage.events) == ["+regressed"]


def test_unhealthy_for_longer_than_the_deadline_is_regressed():
    stage = healthy()
    stage.probe(Health.UNREADY)
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert (stage.phase, stage.record.serving) == (Phase.REGRESSED, ONE)


def test_regressed_is_over_once_the_release_has_soaked_and_the_ends_are_forgotten():
    stage = healthy()
    crash_three_times(stage)
    stage.probe(Health.READY)
    stage.observe_for(soaked=POLICY.soak)
    outlook = stage.play()
    assert stage.phase is Phase.REGRESSED
    assert outlook.until == DAWN + 10 * MINUTE
    stage.pass_time(10 * MINUTE)
    stage.play()
    assert (stage.phase, stage.alarms) == (Phase.HEALTHY, set())


def test_regression_while_an_update_waits_is_an_alarm_and_no_move():
    stage = healthy()
    stage.want(app("2"))
    stage.gate = Hold(HoldReason.PAUSED)
    stage.play()
    stage.probe(Health.UNREADY, of=ONE)
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert (stage.phase, stage.alarms) == (Phase.PENDING, {"regressed"})


def test_reverted_release_that_crashes_is_regressed_too():
    stage = healthy()
    stage.want(app("2"))
    stage.start_up()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert stage.phase is Phase.REVERTED
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert (stage.phase, stage.alarms) == (Phase.REGRESSED, {"release-failed", "regressed"})


def unwell(stage: Stage, *, of=ONE) -> None:
    """Not ready for the deadline."""
    stage.probe(Health.UNREADY, of=of)
    stage.observe_for(waited=POLICY.deadline)
    stage.play()


def well(stage: Stage, *, of=ONE) -> None:
    """Healthy for one soak."""
    stage.probe(Health.READY, of=of)
    stage.observe_for(soaked=POLICY.soak)
    stage.play()


def failures(stage: Stage) -> dict[str, str]:
    return {digest: latch.reason for digest, latch in stage.record.latches.items() if not latch.is_refusal}


def test_regression_is_a_failure_that_stays_when_it_is_well_again_and_what_serves_runs_on():
    stage = healthy()
    unwell(stage)
    assert failures(stage) == {ONE.digest: "regressed"}
    assert "unhealthy-too-long" in stage.record.latches[ONE.digest].detail
    well(stage)
    assert (stage.phase, stage.alarms, stage.running) == (Phase.HEALTHY, set(), {"app:1"})
    assert failures(stage) == {ONE.digest: "regressed"}
    assert stage.record.hold_reason == ""
    crash_three_times(stage)
    assert (stage.running, stage.record.serving) == ({"app:1"}, ONE)


def test_regression_while_an_update_waits_is_a_failure_too():
    stage = healthy()
    stage.want(app("2"))
    stage.gate = Hold(HoldReason.PAUSED)
    stage.play()
    unwell(stage)
    assert failures(stage) == {ONE.digest: "regressed"}


def test_second_regression_is_the_same_failure_until_the_first_is_forgiven():
    stage = healthy()
    unwell(stage)
    told = stage.record.latches[ONE.digest]
    well(stage)
    unwell(stage)
    assert stage.record.latches[ONE.digest] == told
    stage.tell(e.Unlatched(LINE, ONE.digest, "a retry"))
    stage.play()
    assert failures(stage) == {}
    well(stage)
    unwell(stage)
    assert failures(stage) == {ONE.digest: "regressed"}


def test_what_regressed_is_not_started_again_once_it_was_left():
    stage = healthy()
    unwell(stage)
    stage.converge(app("2"))
    stage.want(ONE)
    stage.play()
    assert (stage.record.hold_reason, stage.running) == ("latched", {"app:2"})


def test_update_that_fails_goes_back_to_what_regressed_before():
    stage = healthy()
    unwell(stage)
    well(stage)
    stage.want(app("2"))
    stage.start_up()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REVERTED, {"app:1"})


def test_regressed_release_gives_way_to_a_new_one():
    stage = healthy()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    stage.converge(app("2"))
    assert stage.alarms == set()
