"""Law: what is remembered of one deployment is the fold of the events about it; see `fold` for the node as a whole.

Moves are judged by the life cycle table. Lists that grow (ends, re-creations) keep only what a later decision can ask
for.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from edgegitops.core.model import events as e
from edgegitops.core.model.events import Event, Result
from edgegitops.core.model.ledger import (
    ContainerRecord,
    DeploymentRecord,
    Health,
    Latch,
    Start,
    StepFailure,
    Transition,
)
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release, VolumePrune
from edgegitops.core.model.snapshots import Copied
from edgegitops.core.model.steps import StartContainer
from edgegitops.core.reconcile.fold_jobs import job_denied, job_done, job_ended, job_started, schedule_marked
from edgegitops.core.reconcile.lifecycle import BEGUN, OPEN, check_move
from edgegitops.core.reconcile.parts import parts_of

REMEMBERED_FOR = timedelta(minutes=30)
REMEMBERED_TIMES = 16
TELLING = 1024 * 1024
MAY_WRITE = frozenset({StartContainer.kind})  # containers and jobs alike
NOTHING = timedelta()
GOING_BACK = frozenset({"rollback", "return"})

K = TypeVar("K")
V = TypeVar("V")


def including(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    """The same with one entry more, or another."""
    return {**mapping, key: value}


def excluding(mapping: Mapping[K, V], key: K) -> Mapping[K, V]:
    """The same without an entry."""
    return {other: value for other, value in mapping.items() if other != key}


def apply_to_record(  # noqa: PLR0911, PLR0912 - one return an event is the table
    record: DeploymentRecord, event: Event, at: datetime
) -> DeploymentRecord:
    """What is remembered of a deployment after one more event about it."""
    match event:
        case e.TransitionBegan():
            check_move(record.phase, event.transition.phase)
            return replace(
                record,
                failures={},
                transition=event.transition,
                phase=event.transition.phase,
                phase_at=at,
            )
        case e.PhaseMoved():
            return _move(record, event, at)
        case e.ReleaseAdopted():
            kept = _lkg(record.lkg, event.release)
            return replace(record, serving=event.release, phase=Phase.HEALTHY, phase_at=at, lkg=kept)
        case e.ReleaseRestated():
            return _restate(record, event.release)
        case e.IntentRecorded() | e.OutcomeRecorded():
            return _step(record, event, at)
        case e.ContainerEnded():
            return _ended(record, event, at)
        case e.JobStarted():
            return job_started(record, event, at)
        case e.JobEnded():
            return job_ended(record, event, at)
        case e.ScheduleMarked():
            return schedule_marked(record, event)
        case e.HealthChanged():
            known = _container(record, event.container)
            changed = replace(known, health=event.health, health_at=at, health_detail=event.detail)
            soaked = record.soaked_for if event.health is Health.READY else NOTHING
            return replace(record, containers=including(record.containers, event.container, changed), soaked_for=soaked)
        case e.SoakMarked():
            if event.digest != record.soaking:
                return record
            return replace(
                record,
                soaked_for=event.soaked_for,
                waited_for=event.waited_for,
                unanswered_for=event.unanswered_for,
            )
        case e.Latched():
            latch = _latch(record.latches.get(event.digest), event, at)
            return replace(record, latches=including(record.latches, event.digest, latch))
        case e.Unlatched():
            return replace(record, latches=excluding(record.latches, event.digest))
        case e.HoldChanged():
            since = record.hold_since if event.reason == record.hold_reason else at
            return replace(
                record,
                hold_reason=event.reason,
                hold_detail=event.detail,
                hold_until=event.until,
                hold_since=since if event.reason else None,
            )
        case _:
            return record


def _step(record: DeploymentRecord, event: e.IntentRecorded | e.OutcomeRecorded, at: datetime) -> DeploymentRecord:
    return _outcome(record, event, at) if isinstance(event, e.OutcomeRecorded) else _intended(record, event)


def _intended(record: DeploymentRecord, event: e.IntentRecorded) -> DeploymentRecord:
    """What may have been started may have written, whether its outcome is known or not."""
    transition = record.transition
    if event.step not in MAY_WRITE or transition is None or transition.phase not in (Phase.SWITCHING, Phase.PROVING):
        return record
    return replace(record, transition=replace(transition, has_started=True))


def _restate(record: DeploymentRecord, release: Release) -> DeploymentRecord:
    """The same content with another policy, wherever it is kept and may still be steered by it."""
    serving, transition = record.serving, record.transition
    if serving is not None and serving.digest == release.digest:
        record = replace(record, serving=release)
    if transition is None or transition.new is None or transition.new.digest != release.digest:
        return record
    return replace(record, transition=replace(transition, new=release))


def _container(record: DeploymentRecord, name: str) -> ContainerRecord:
    return record.containers.get(name) or ContainerRecord()


def _move(record: DeploymentRecord, event: e.PhaseMoved, at: datetime) -> DeploymentRecord:
    check_move(record.phase, event.new)
    moved = replace(record, failures={}, phase=event.new, phase_at=at)
    transition = record.transition
    if transition is None:
        return moved
    if event.new not in OPEN:
        return _rest(replace(moved, halted=transition.new if event.halts else moved.halted), transition, event.new)
    if event.new in BEGUN:
        moved = replace(moved, halted=None)
    if event.new is Phase.SWITCHING:  # it may have waited for long, and another rule may have let it go on
        transition = replace(transition, cause=event.cause or transition.cause, switched_at=at)
    moved = replace(
        moved, transition=replace(transition, phase=event.new, phase_at=at, done=frozenset(), reason="", detail="")
    )
    is_other_release = event.new in BEGUN and event.new is not Phase.PROVING
    if is_other_release:
        return replace(moved, soaked_for=NOTHING, waited_for=NOTHING, unanswered_for=NOTHING)
    return moved


def _rest(record: DeploymentRecord, transition: Transition, phase: Phase) -> DeploymentRecord:
    """The transition is over; what serves from now on depends on where it ended."""
    match phase:
        case Phase.HEALTHY:
            serving = transition.new
        case Phase.ABSENT:
            serving = None
        case _:
            # Stuck before the revert began (it may not, or must not, begin), or before the data was put back: nothing
            # is known to serve.
            is_back = transition.phase is Phase.REVERTING and not transition.is_data_replaced
            serving = None if phase is Phase.STUCK and not is_back else transition.old
    waited_for = NOTHING if transition.phase in BEGUN else record.waited_for
    rested = replace(record, transition=None, serving=serving, waited_for=waited_for, unanswered_for=NOTHING)
    if phase is Phase.HEALTHY:
        rested = replace(rested, is_installed=True)
    if phase is Phase.ABSENT:
        is_lost = transition.old is not None and transition.old.policy.prune_volumes is VolumePrune.DELETE
        rested = replace(rested, jobs={}, schedules={}, is_installed=record.is_installed and not is_lost)
    if phase is Phase.HEALTHY and serving is not None:
        return _left(replace(rested, lkg=_lkg(record.lkg, serving)), transition)
    return rested


def _left(record: DeploymentRecord, transition: Transition) -> DeploymentRecord:
    """What was left for the release that serves now, since when, and whether for something that people took back."""
    if transition.old is None:
        return record
    left = {transition.old.digest}
    is_badly = transition.cause in GOING_BACK
    return replace(
        record,
        predecessor=transition.old.digest,
        left_at=transition.switched_at or transition.began_at,
        left_badly=record.left_badly | left if is_badly else record.left_badly - left,
    )


def _lkg(known: tuple[Release, ...], newest: Release) -> tuple[Release, ...]:
    others = tuple(one for one in known if one.digest != newest.digest)
    return (newest, *others)[: max(1, newest.policy.keep)]


def _outcome(record: DeploymentRecord, event: e.OutcomeRecorded, at: datetime) -> DeploymentRecord:
    key = f"{event.step} {event.subject}"
    record = _stocked(record, event)
    match event.result:
        case Result.DONE:
            return _done(record, event, at)
        case Result.UNAVAILABLE:
            return _failed(record, key, event, at)
        case Result.DENIED | Result.FAILED:
            transition = record.transition  # before it has begun, steps that are denied may be those of healing
            if transition is not None and transition.phase in BEGUN and not transition.reason:
                transition = replace(transition, reason=event.reason or event.result, detail=event.detail)
            return replace(_failed(job_denied(record, event, at), key, event, at), transition=transition)
        case Result.UNKNOWN:
            return record


def _stocked(record: DeploymentRecord, event: e.OutcomeRecorded) -> DeploymentRecord:
    """What an outcome says of the images and artifacts that were brought here: where that is not certain, they were."""
    is_done = event.result is Result.DONE
    match event.step:
        case "pull-image" if _may_have_brought(event):
            return replace(record, images=record.images | {event.subject})
        case "remove-image" if is_done:
            return replace(record, images=record.images - {event.subject})
        case "pull-artifact":  # a part of it may be there, whatever the outcome
            return replace(record, artifacts=record.artifacts | {digest_of(event.subject)})
        case "remove-artifact" if is_done:
            return replace(record, artifacts=record.artifacts - {event.subject})
        case _:
            return record


def _may_have_brought(event: e.OutcomeRecorded) -> bool:
    """False for an image that was there before, or surely did not come: it is not ours, whoever brings it later."""
    if event.result is Result.UNAVAILABLE:
        return event.reason == HoldReason.ENGINE_UNAVAILABLE  # the engine may have done it all the same
    return event.result is Result.UNKNOWN or (event.result is Result.DONE and event.reason != e.WAS_THERE)


def _failed(record: DeploymentRecord, key: str, event: e.OutcomeRecorded, at: datetime) -> DeploymentRecord:
    before = record.failures.get(key)
    is_final = event.result is not Result.UNAVAILABLE
    failure = StepFailure(before.count + 1 if before else 1, at, event.reason, event.detail, is_final)
    return replace(record, failures=including(record.failures, key, failure))


def _done(record: DeploymentRecord, event: e.OutcomeRecorded, at: datetime) -> DeploymentRecord:
    key = f"{event.step} {event.subject}"
    if key in record.failures:
        record = replace(record, failures=excluding(record.failures, key))
    if record.transition is not None:
        transition = replace(record.transition, done=record.transition.done | {key})
        record = _paced(replace(record, transition=_of_snapshots(transition, event, at)), event.copied)
    record = job_done(record, event, at)
    known = _container(record, event.subject)
    match event.step:
        case "start-container":
            start = Start(at, event.boot_id)
            known = replace(known, start=start, health=Health.UNKNOWN, health_at=at, health_detail="", is_resting=False)
        case "reload-container":  # how it is with them has to be seen anew
            known = replace(known, health=Health.UNKNOWN, health_at=at, health_detail="")
        case "stop-container":
            known = replace(known, start=None, health=Health.UNKNOWN)
        case "create-container":
            known = replace(known, start=None, health=Health.UNKNOWN, is_resting=False)
            if _is_serving(record, event.subject):
                known = replace(known, recreated=_recent((*known.recreated, at), at))
                record = replace(record, soaked_for=NOTHING)
        case "pull-image":
            return replace(record, failures=_after_pull(record.failures))
        case "remove-container":
            # What limits and back-offs are reckoned from outlives a container that is about to be created anew.
            if not _is_serving(record, event.subject):
                return replace(record, containers=excluding(record.containers, event.subject))
            known = replace(known, start=None, health=Health.UNKNOWN)
        case _:
            return record
    return replace(record, containers=including(record.containers, event.subject, known))


def _of_snapshots(transition: Transition, event: e.OutcomeRecorded, at: datetime) -> Transition:
    """What a step that is done means to the copies of volumes."""
    match event.step:
        case "measure-volumes":
            return replace(transition, room=event.room, room_at=at)
        case "prepare-snapshot":
            return replace(transition, prepared=including(transition.prepared, event.subject, at))
        case "take-snapshot":
            return replace(transition, snapshots=transition.snapshots | {event.subject})
        case "restore-snapshot":
            return replace(transition, restored=transition.restored | {event.subject})
        case _:
            return transition


def _paced(record: DeploymentRecord, copied: Copied | None) -> DeploymentRecord:
    """How fast copying goes, where there was enough to copy to tell."""
    if copied is None or copied.size < TELLING or copied.took <= NOTHING:
        return record
    return replace(record, copy_rate=max(1, round(copied.size / copied.took.total_seconds())))


def _is_serving(record: DeploymentRecord, name: str) -> bool:
    """True where a container belongs to what serves and no start has begun: then creating it again is healing."""
    is_starting = record.transition is not None and record.transition.phase in BEGUN
    if record.serving is None or is_starting:
        return False
    return name in parts_of("", record.serving).names()


def _after_pull(failures: Mapping[str, StepFailure]) -> Mapping[str, StepFailure]:
    """An image that was missing is there again: what needed it may be tried, at its own time."""
    return {
        key: replace(failure, reason="", is_final=False) if failure.reason == Refusal.IMAGE_UNKNOWN else failure
        for key, failure in failures.items()
    }


def _ended(record: DeploymentRecord, event: e.ContainerEnded, at: datetime) -> DeploymentRecord:
    """An end in peace is neither counted against the container nor against the release's soak."""
    known = replace(_container(record, event.container), start=None, health=Health.UNKNOWN, is_resting=event.is_resting)
    if event.is_resting:
        return replace(record, containers=including(record.containers, event.container, known))
    ended = replace(known, ends=_recent((*known.ends, at), at))
    return replace(record, containers=including(record.containers, event.container, ended), soaked_for=NOTHING)


def _latch(known: Latch | None, event: e.Latched, at: datetime) -> Latch:
    """What regressed and is left is one failure, told under one sequence, so that one retry forgives it."""
    is_same = known is not None and known.reason == Refusal.REGRESSED and not event.is_refusal
    told_in = known.told_in if known is not None and is_same else 0
    return Latch(event.digest, event.revision, event.reason, at, event.detail, event.is_refusal, told_in)


def _recent(times: tuple[datetime, ...], now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in times if now - at <= REMEMBERED_FOR)[-REMEMBERED_TIMES:]
