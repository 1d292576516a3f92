"""The memory is the fold of the journal: what each event leaves behind, and what it leaves alone."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.stage import DAWN, LINE, MINUTE, SECOND, app

from edgegitops.core.model import events as e
from edgegitops.core.model.events import Entry, Event, Result
from edgegitops.core.model.ledger import (
    AlarmRecord,
    ContainerRecord,
    DeploymentRecord,
    Health,
    Ledger,
    OpenIntent,
    OperatorHold,
    Start,
    StepFailure,
    Transition,
)
from edgegitops.core.model.release import Phase
from edgegitops.core.model.trust import Floor
from edgegitops.core.reconcile.fold import advance
from edgegitops.core.reconcile.lifecycle import MOVES
from edgegitops.core.reconcile.parts import parts_of
from edgegitops.errors import BrokenInvariantError

ONE, TWO = app("1"), app("2")
NAME = parts_of("", ONE).containers[0].name
FLOOR = Floor("c" * 40, "p" * 64, "t" * 40, 1, DAWN)
BOOT = "boot-1"


def fold(*events: Event, ledger: Ledger | None = None, at=DAWN) -> Ledger:
    known = ledger or Ledger()
    for event in events:
        known = advance(known, Entry(known.seq + 1, at, event, "", ""))
    return known


def of(ledger: Ledger) -> DeploymentRecord:
    return ledger.deployments[LINE]


def transition(phase=Phase.PENDING, old=ONE, new=TWO) -> Transition:
    return Transition("line/1", old, new, phase, DAWN, DAWN)


def record(phase: Phase, **fields: object) -> Ledger:
    """A ledger with one deployment that has an open transition in this phase."""
    open_one = DeploymentRecord(LINE, phase, DAWN, ONE, transition(phase))
    return Ledger(deployments={LINE: replace(open_one, **fields)})  # type: ignore[arg-type]


def resting(phase=Phase.HEALTHY, **fields: object) -> Ledger:
    return record(phase, transition=None, **fields)


def move(old: Phase, new: Phase) -> e.PhaseMoved:
    return e.PhaseMoved(LINE, "line/1", old, new)


def outcome(step: str, result=Result.DONE, subject=NAME, reason="", boot_id="") -> e.OutcomeRecorded:
    return e.OutcomeRecorded("1.0", LINE, step, subject, result, reason, "what it said", boot_id)


# --- the node


def test_every_entry_moves_the_sequence():
    assert fold(e.DaemonStarted(BOOT), e.DaemonStopped(), e.WorkerStarted()).seq == 3


def test_alarm_stands_until_it_is_cleared():
    raised = fold(e.AlarmRaised("stuck", LINE, "why"), e.AlarmRaised("stuck", "other", "why"))
    assert raised.alarms[f"stuck {LINE}"] == AlarmRecord("stuck", LINE, "why", DAWN)
    assert set(fold(e.AlarmCleared("stuck", LINE), ledger=raised).alarms) == {"stuck other"}


def test_operator_hold_stands_until_it_is_released():
    held = fold(e.OperatorHeld(LINE, "night shift", DAWN, stops_healing=True))
    assert held.holds == {LINE: OperatorHold(LINE, "night shift", DAWN, DAWN, stops_healing=True)}
    assert fold(e.OperatorReleased(LINE), ledger=held).holds == {}


def test_moved_floor_forgets_the_refused_tip():
    ledger = fold(e.TipRefused("t" * 40, "b" * 40, "unsigned", "no signature"))
    assert (ledger.refused_tip, ledger.refused_reason) == ("t" * 40, "unsigned")
    after = fold(e.FloorMoved(FLOOR), ledger=ledger)
    assert (after.floor, after.refused_tip) == (FLOOR, "")


def test_operators_word_outlives_a_judgement_that_began_before_it():
    spoken = fold(e.Reanchored("a" * 40, "first"), e.Reanchored("b" * 40, "a slip"))
    assert fold(e.TipRefused("c" * 40, "a" * 40, "x", "", "a" * 40), ledger=spoken).refused_tip == ""
    assert fold(e.FloorMoved(FLOOR, anchor=""), ledger=spoken).anchor == "b" * 40
    assert fold(e.TipRefused("c" * 40, "b" * 40, "x", "", "b" * 40), ledger=spoken).refused_tip == "c" * 40
    assert fold(e.FloorMoved(FLOOR, anchor="b" * 40), ledger=spoken).anchor == ""


def test_accepted_snapshot_is_in_force_and_a_refused_one_changes_nothing_of_it():
    ledger = fold(e.SnapshotAccepted("r1", "t1"), e.SnapshotRefused("r2", 1, ()))
    assert (ledger.snapshot, ledger.snapshot_tree, ledger.invalid_revision) == ("r1", "t1", "r2")
    assert fold(e.SnapshotAccepted("r3", "t3"), ledger=ledger).invalid_revision == ""


def test_intent_is_open_until_its_outcome():
    intent = e.IntentRecorded("1.0", LINE, "start-container", NAME)
    ledger = fold(intent)
    assert ledger.intents == {"1.0": OpenIntent("1.0", LINE, "start-container", NAME, DAWN)}
    assert fold(outcome("start-container"), ledger=ledger).intents == {}


# --- attempts


@pytest.mark.parametrize(
    ("ends", "attempts"),
    [
        ("daemon-started worker-started", 0),
        ("daemon-started worker-started worker-stopped worker-started", 0),
        ("daemon-started worker-started worker-started", 1),
        ("daemon-started worker-started daemon-started worker-started", 1),
        ("daemon-started worker-started daemon-stopped daemon-started worker-started", 0),
        ("daemon-started worker-started worker-stopped daemon-started worker-started", 0),
        ("daemon-started worker-started reboot daemon-started worker-started", 1),
        ("daemon-started worker-started worker-stopped reboot daemon-started worker-started", 1),
        ("daemon-started daemon-stopped reboot daemon-started worker-started", 0),
        ("daemon-started worker-started worker-started worker-started", 2),
    ],
)
@pytest.mark.parametrize("phase", [Phase.SWITCHING, Phase.PROVING])
def test_unclean_end_counts_as_an_attempt_and_a_clean_one_does_not(ends, attempts, phase):
    ledger, boot = record(phase), 1
    plain = {"daemon-stopped": e.DaemonStopped, "worker-started": e.WorkerStarted, "worker-stopped": e.WorkerStopped}
    for word in ends.split():
        boot += word == "reboot"
        if word == "daemon-started":
            ledger = fold(e.DaemonStarted(f"boot-{boot}"), ledger=ledger)
        elif word in plain:
            ledger = fold(plain[word](), ledger=ledger)
    assert of(ledger).transition.attempts == attempts


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.PREPARING, Phase.READY, Phase.REVERTING, Phase.REMOVING])
def test_unclean_end_is_no_attempt_where_nothing_new_was_starting(phase):
    ledger = fold(e.WorkerStarted(), e.WorkerStarted(), ledger=record(phase))
    assert of(ledger).transition.attempts == 0


# --- the road


def test_transition_begins_with_what_is_known_of_what_serves():
    ledger = resting(soaked_for=MINUTE, waited_for=SECOND, failures={"x": StepFailure(3, DAWN)})
    begun = of(fold(e.TransitionBegan(LINE, transition()), ledger=ledger))
    assert (begun.phase, begun.soaking, begun.soaked_for, begun.waited_for) == (
        Phase.PENDING,
        ONE.digest,
        MINUTE,
        SECOND,
    )
    assert begun.failures == {}


@pytest.mark.parametrize(
    ("old", "new", "serving"),
    [
        (Phase.PENDING, Phase.SUPERSEDED, ONE),
        (Phase.PREPARING, Phase.CANCELLED, ONE),
        (Phase.PREPARING, Phase.REFUSED, ONE),
        (Phase.READY, Phase.SUPERSEDED, ONE),
        (Phase.PROVING, Phase.HEALTHY, TWO),
        (Phase.REVERTING, Phase.REVERTED, ONE),
        (Phase.REVERTING, Phase.STUCK, ONE),
        (Phase.SWITCHING, Phase.STUCK, None),
        (Phase.PROVING, Phase.STUCK, None),
        (Phase.REMOVING, Phase.ABSENT, None),
    ],
)
def test_what_serves_after_a_transition_depends_on_where_it_ended(old, new, serving):
    rested = of(fold(move(old, new), ledger=record(old)))
    assert (rested.phase, rested.transition, rested.serving) == (new, None, serving)


@pytest.mark.parametrize(
    ("old", "new", "keeps"),
    [
        (Phase.PENDING, Phase.PREPARING, True),
        (Phase.PREPARING, Phase.READY, True),
        (Phase.PENDING, Phase.SUPERSEDED, True),
        (Phase.READY, Phase.SWITCHING, False),
        (Phase.SWITCHING, Phase.PROVING, True),
        (Phase.PROVING, Phase.REVERTING, False),
        (Phase.PENDING, Phase.REMOVING, False),
    ],
)
def test_observed_time_is_of_one_release(old, new, keeps):
    ledger = fold(move(old, new), ledger=record(old, soaked_for=MINUTE, waited_for=MINUTE))
    assert (of(ledger).soaked_for, of(ledger).waited_for) == ((MINUTE, MINUTE) if keeps else (timedelta(),) * 2)


def test_soak_goes_with_the_release_that_became_healthy():
    healthy = of(fold(move(Phase.PROVING, Phase.HEALTHY), ledger=record(Phase.PROVING, soaked_for=MINUTE)))
    assert (healthy.soaked_for, healthy.soaking, healthy.lkg) == (MINUTE, TWO.digest, (TWO,))


def test_last_known_good_is_named_once_and_newest_first():
    ledger = record(Phase.PROVING, lkg=(ONE, TWO))
    assert of(fold(move(Phase.PROVING, Phase.HEALTHY), ledger=ledger)).lkg == (TWO, ONE)


@given(st.sampled_from(list(Phase)), st.sampled_from(list(Phase)))
def test_fold_never_makes_a_move_that_is_not_in_the_table(old, new):
    ledger = record(old)
    if new in MOVES[old]:
        assert of(fold(move(old, new), ledger=ledger)).phase is new
    else:
        with pytest.raises(BrokenInvariantError):
            fold(move(old, new), ledger=ledger)


def test_move_forgets_failures_and_finished_steps():
    before = replace(transition(Phase.PREPARING), done=frozenset({"pull-image x"}), reason="r", detail="d")
    ledger = record(Phase.PREPARING, transition=before, failures={"x": StepFailure(3, DAWN)})
    after = of(fold(move(Phase.PREPARING, Phase.READY), ledger=ledger))
    assert after.failures == {}
    assert (after.transition.done, after.transition.reason, after.transition.detail) == (frozenset(), "", "")


# --- steps


def test_failures_in_a_row_are_counted_until_the_step_is_done():
    ledger = resting()
    for _ in range(3):
        ledger = fold(outcome("start-container", Result.UNAVAILABLE, reason="disk-full"), ledger=ledger)
    assert of(ledger).failures == {f"start-container {NAME}": StepFailure(3, DAWN, "disk-full", "what it said")}
    assert of(fold(outcome("start-container"), ledger=ledger)).failures == {}


@pytest.mark.parametrize("result", [Result.DENIED, Result.FAILED])
@pytest.mark.parametrize(
    ("phase", "is_told"),
    [(Phase.PREPARING, False), (Phase.READY, False), (Phase.SWITCHING, True), (Phase.REVERTING, True)],
)
def test_denied_step_fails_the_transition_only_once_it_has_begun(result, phase, is_told):
    after = of(fold(outcome("start-container", result, reason="start-failed"), ledger=record(phase)))
    assert after.transition.reason == ("start-failed" if is_told else "")
    assert after.failures[f"start-container {NAME}"].is_final


def test_first_denied_step_is_the_one_that_is_told():
    ledger = fold(
        outcome("start-container", Result.DENIED, reason="port-taken"),
        outcome("start-container", Result.FAILED),
        ledger=record(Phase.SWITCHING),
    )
    assert of(ledger).transition.reason == "port-taken"


def test_unknown_outcome_changes_nothing_but_the_intent():
    ledger = record(Phase.SWITCHING)
    assert of(fold(outcome("start-container", Result.UNKNOWN), ledger=ledger)) == of(ledger)


def test_pull_lets_what_missed_the_image_be_tried_again_at_its_time():
    failures = {"create-container x": StepFailure(2, DAWN, "image-unknown", "", is_final=True)}
    after = of(fold(outcome("pull-image", subject="x@sha256:1"), ledger=resting(failures=failures)))
    assert after.failures == {"create-container x": StepFailure(2, DAWN)}


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (
            outcome("start-container", boot_id=BOOT),
            ContainerRecord(health=Health.READY, ends=(DAWN,), is_resting=True),
            ContainerRecord(Start(DAWN, BOOT), Health.UNKNOWN, DAWN, "", (DAWN,)),
        ),
        (
            outcome("stop-container"),
            ContainerRecord(Start(DAWN, BOOT), Health.READY, ends=(DAWN,)),
            ContainerRecord(ends=(DAWN,)),
        ),
        (
            outcome("create-container"),
            ContainerRecord(Start(DAWN, BOOT), Health.READY, is_resting=True),
            ContainerRecord(recreated=(DAWN,)),
        ),
        (
            outcome("remove-container"),
            ContainerRecord(Start(DAWN, BOOT), Health.READY, recreated=(DAWN,)),
            ContainerRecord(recreated=(DAWN,)),
        ),
    ],
    ids=["start", "stop", "create", "remove"],
)
def test_done_step_of_what_serves_leaves(step, before, after):
    assert of(fold(step, ledger=resting(containers={NAME: before}))).containers == {NAME: after}


def test_removed_container_of_another_release_is_forgotten():
    ledger = resting(serving=TWO, containers={NAME: ContainerRecord(ends=(DAWN,))})
    assert of(fold(outcome("remove-container"), ledger=ledger)).containers == {}


def test_creating_the_new_release_is_not_creating_anew():
    new = parts_of("", TWO).containers[0].name
    ledger = fold(outcome("create-container", subject=new), ledger=record(Phase.PREPARING))
    assert of(ledger).containers[new].recreated == ()


# --- containers


def test_end_is_remembered_and_takes_the_soak_back():
    ledger = resting(containers={NAME: ContainerRecord(Start(DAWN, BOOT), Health.READY)}, soaked_for=MINUTE)
    after = of(fold(e.ContainerEnded(LINE, NAME, DAWN, 1), ledger=ledger))
    assert after.containers[NAME] == ContainerRecord(ends=(DAWN,))
    assert after.soaked_for == timedelta()


def test_end_in_peace_is_counted_against_nobody():
    ledger = resting(containers={NAME: ContainerRecord(Start(DAWN, BOOT), Health.READY)}, soaked_for=MINUTE)
    after = of(fold(e.ContainerEnded(LINE, NAME, DAWN, 0, is_resting=True), ledger=ledger))
    assert after.containers[NAME] == ContainerRecord(is_resting=True)
    assert after.soaked_for == MINUTE


def test_lists_of_ends_stay_short():
    ledger = resting()
    for at in range(100):
        ledger = fold(e.ContainerEnded(LINE, NAME, DAWN), ledger=ledger, at=DAWN + at * SECOND)
    assert len(of(ledger).containers[NAME].ends) == 16
    ledger = fold(e.ContainerEnded(LINE, NAME, DAWN), ledger=ledger, at=DAWN + 60 * MINUTE)
    assert of(ledger).containers[NAME].ends == (DAWN + 60 * MINUTE,)


@pytest.mark.parametrize(
    ("health", "soaked"), [(Health.READY, MINUTE), (Health.UNREADY, None), (Health.NOT_LIVE, None)]
)
def test_health_is_remembered_and_only_readiness_keeps_the_soak(health, soaked):
    after = of(fold(e.HealthChanged(LINE, NAME, health, "why"), ledger=resting(soaked_for=MINUTE)))
    assert after.containers[NAME] == ContainerRecord(None, health, DAWN, "why")
    assert after.soaked_for == (soaked or timedelta())


@pytest.mark.parametrize(
    ("phase", "digest"), [(Phase.PREPARING, ONE.digest), (Phase.SWITCHING, TWO.digest), (Phase.PROVING, TWO.digest)]
)
def test_soak_marks_count_for_the_release_they_name_only(phase, digest):
    other = TWO.digest if digest == ONE.digest else ONE.digest
    ledger = fold(
        e.SoakMarked(LINE, digest, MINUTE, SECOND), e.SoakMarked(LINE, other, 9 * MINUTE), ledger=record(phase)
    )
    assert (of(ledger).soaked_for, of(ledger).waited_for) == (MINUTE, SECOND)


# --- what stays


def test_latch_stands_until_it_is_taken_off():
    latched = fold(e.Latched(LINE, TWO.digest, "r2", "probe-failed", "why"), ledger=resting())
    assert of(latched).latches[TWO.digest].reason == "probe-failed"
    assert of(fold(e.Unlatched(LINE, TWO.digest, "retry"), ledger=latched)).latches == {}


def test_regression_that_is_left_stays_the_failure_that_was_told():
    told = e.ReportMade(4, "p", "i1", {LINE: (TWO.digest,)})
    regressed = fold(e.Latched(LINE, TWO.digest, "r2", "regressed"), told, ledger=resting())
    left = fold(e.Latched(LINE, TWO.digest, "r2", "unhealthy-too-long"), ledger=regressed)
    assert (of(left).latches[TWO.digest].reason, of(left).latches[TWO.digest].told_in) == ("unhealthy-too-long", 4)
    refused = fold(e.Latched(LINE, TWO.digest, "r2", "create-failed", is_refusal=True), ledger=regressed)
    assert of(refused).latches[TWO.digest].told_in == 0
    again = fold(e.Latched(LINE, TWO.digest, "r2", "deadline-missed"), ledger=left)
    assert of(again).latches[TWO.digest].told_in == 0


@pytest.mark.parametrize("phase", [Phase.HEALTHY, Phase.PREPARING])
def test_restated_release_is_restated_wherever_it_is_kept(phase):
    restated = replace(TWO, version="2.0")
    ledger = record(phase) if phase is Phase.PREPARING else resting(serving=TWO)
    after = of(fold(e.ReleaseRestated(LINE, restated), ledger=ledger))
    assert (after.transition.new if after.transition else after.serving) == restated
    assert after.serving == (ONE if phase is Phase.PREPARING else restated)


def test_hold_is_what_was_told_last():
    ledger = fold(e.HoldChanged(LINE, "paused", "why", DAWN))
    assert (of(ledger).hold_reason, of(ledger).hold_detail, of(ledger).hold_until) == ("paused", "why", DAWN)
    assert of(fold(e.HoldChanged(LINE), ledger=ledger)).hold_reason == ""


def test_pruned_journal_means_the_same():
    ledger = record(Phase.PROVING)
    assert replace(fold(e.JournalPruned(7, "d"), ledger=ledger), seq=0) == ledger


def switched(cause: str, *, began: str = "", old=ONE, new=TWO, ledger: Ledger | None = None) -> Ledger:
    """A change that waited for an hour, was let go by a rule of the rollout, and became healthy."""
    way = replace(transition(old=old, new=new), cause=began)
    prepared = fold(e.TransitionBegan(LINE, way), ledger=ledger or resting(serving=old, phase=Phase.HEALTHY))
    moves = [Phase.PENDING, Phase.PREPARING, Phase.READY, Phase.SWITCHING]
    for before, after in pairwise(moves):
        said = cause if after is Phase.SWITCHING else ""
        prepared = fold(e.PhaseMoved(LINE, way.id, before, after, cause=said), ledger=prepared, at=DAWN + 60 * MINUTE)
    done = [(Phase.SWITCHING, Phase.PROVING), (Phase.PROVING, Phase.HEALTHY)]
    events = [e.PhaseMoved(LINE, way.id, before, after) for before, after in done]
    return fold(*events, ledger=prepared, at=DAWN + 70 * MINUTE)


@pytest.mark.parametrize(
    ("began", "cause", "is_badly"),
    [("", "return", True), ("", "rollback", True), ("gate", "return", True), ("", "gate", False), ("return", "", True)],
)
def test_what_people_took_back_is_left_badly_whatever_held_it_when_it_began(began, cause, is_badly):
    found = of(switched(cause, began=began))
    assert (found.predecessor, found.left_at) == (ONE.digest, DAWN + 60 * MINUTE)
    assert found.left_badly == (frozenset({ONE.digest}) if is_badly else frozenset())


def test_what_was_left_badly_and_then_left_well_is_forgiven():
    """It came again through its gates, and went for something newer."""
    back = switched("return", old=TWO, new=ONE)
    assert of(back).left_badly == {TWO.digest}
    again = switched("gate", old=ONE, new=TWO, ledger=back)
    assert of(again).left_badly == {TWO.digest}
    assert of(switched("gate", old=TWO, new=ONE, ledger=again)).left_badly == frozenset()
