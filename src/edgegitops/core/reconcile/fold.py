"""Law: the ledger is the fold of the journal: `advance(ledger, entry)` is all there is to remember.

The fold judges phase moves by the life cycle table, and nothing else: deciding was done before the event was
written. Lists that grow (ends, re-creations) keep only what a later decision can ask for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from edgegitops.core.model import events as e
from edgegitops.core.model.events import Entry, Event, Result
from edgegitops.core.model.ledger import (
    AlarmRecord,
    ContainerRecord,
    DeploymentRecord,
    Health,
    KeptTag,
    Latch,
    Ledger,
    OpenIntent,
    OperatorHold,
    Signed,
    Start,
    StepFailure,
    Transition,
)
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import Alarm, HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release, VolumePrune
from edgegitops.core.model.report import ReportedFailure
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


_OF_A_TIP = (Alarm.REVISION_REFUSED, Alarm.HISTORY_DIVERGED)  # over: the remote is back where it was believed


def advance(ledger: Ledger, entry: Entry) -> Ledger:
    """The ledger after one more entry; BrokenInvariantError where a phase move is not in the table."""
    return replace(_apply(ledger, entry.event, entry.at), seq=entry.seq)


def advance_by(ledger: Ledger, events: Sequence[Event], at: datetime) -> Ledger:
    """The ledger after these events of one instant, which are the next ones: as by `advance`, one after the other."""
    for event in events:
        ledger = _apply(ledger, event, at)
    return replace(ledger, seq=ledger.seq + len(events)) if events else ledger


def _apply(ledger: Ledger, event: Event, at: datetime) -> Ledger:  # noqa: PLR0911, PLR0912 - one return an event is the table
    match event:
        case e.DaemonStarted():
            return _daemon_started(ledger, event)
        case e.JournalPruned():
            return ledger
        case e.DaemonStopped():
            return replace(ledger, is_daemon_clean=True, is_worker_clean=True)
        case e.WorkerStarted():
            counted = ledger if ledger.is_worker_clean else _count_attempts(ledger)
            return replace(counted, is_worker_clean=False)
        case e.WorkerStopped():
            return replace(ledger, is_worker_clean=True)
        case e.FloorMoved():
            anchor = "" if _is_under(ledger, event.anchor) else ledger.anchor
            is_put_back = ledger.is_put_back or event.is_put_back
            moved = replace(ledger, floor=event.floor, anchor=anchor, refused_tip="", refused_reason="")
            return replace(moved, signed=_signed(ledger, event, at), is_put_back=is_put_back)
        case e.Reanchored():
            return replace(ledger, anchor=event.commit, refused_tip="", refused_reason="")
        case e.TipRefused():
            if not _is_under(ledger, event.anchor):
                return ledger  # an operator spoke while it was judged; it is judged again
            return replace(ledger, refused_tip=event.tip, refused_reason=event.reason)
        case e.SnapshotAccepted():
            return replace(ledger, snapshot=event.revision, snapshot_tree=event.tree, invalid_revision="")
        case e.SnapshotRefused():
            return replace(ledger, invalid_revision=event.revision)
        case e.AlarmRaised():
            alarm = AlarmRecord(event.code, event.subject, event.detail, at)
            return replace(ledger, alarms=_with(ledger.alarms, f"{event.code} {event.subject}", alarm))
        case e.AlarmCleared():
            cleared = replace(ledger, alarms=_without(ledger.alarms, f"{event.code} {event.subject}"))
            return replace(cleared, refused_tip="", refused_reason="") if event.code in _OF_A_TIP else cleared
        case e.OperatorHeld():
            hold = OperatorHold(event.deployment, event.reason, at, event.until, event.stops_healing)
            return replace(ledger, holds=_with(ledger.holds, event.deployment, hold))
        case e.OperatorReleased():
            return replace(ledger, holds=_without(ledger.holds, event.deployment))
        case e.ReportMade():
            return _reported(ledger, event)
        case e.WordTakenOver():
            return _taken_over(ledger, event, at)
        case e.ControlTagKept():
            kept = KeptTag(event.ref, event.object, event.key)
            return replace(ledger, controls=_with(ledger.controls, event.payload, kept))
        case e.RetryAsked():
            eager = {name: replace(record, failures={}) for name, record in ledger.deployments.items()}
            return replace(ledger, deployments=eager)
        case e.IntentRecorded():
            intent = OpenIntent(event.id, event.deployment, event.step, event.subject, at)
            known = replace(ledger, intents=_with(ledger.intents, event.id, intent))
            return _on_record(known, event.deployment, event, at)
        case e.OutcomeRecorded():
            closed = replace(ledger, intents=_without(ledger.intents, event.id))
            return _on_record(closed, event.deployment, event, at)
        case _:
            return _on_record(ledger, event.deployment, event, at)


def _reported(ledger: Ledger, event: e.ReportMade) -> Ledger:
    """The sequence is used up, and what failed was told in it."""
    records = dict(ledger.deployments)
    for name, digests in event.digests.items():
        record = records.get(name)
        if record is not None:
            told = {
                digest: replace(latch, told_in=event.sequence) if digest in digests else latch
                for digest, latch in record.latches.items()
            }
            records[name] = replace(record, latches=told)
    installation = event.installation or ledger.installation
    return replace(ledger, deployments=records, installation=installation, report_sequence=event.sequence)


def _taken_over(ledger: Ledger, event: e.WordTakenOver, at: datetime) -> Ledger:
    """What failed here before is latched again, under the sequence that told it first, and no sequence comes twice."""
    records = dict(ledger.deployments)
    for name, failures in event.failures.items():
        record = records.get(name) or DeploymentRecord(name)
        records[name] = replace(record, latches=_latched_again(record.latches, failures, at))
    sequence = max(ledger.report_sequence, event.sequence)
    known = replace(ledger, deployments=records, installation=event.installation, report_sequence=sequence)
    return replace(known, is_put_back=False)


def _latched_again(
    known: Mapping[str, Latch], failures: tuple[ReportedFailure, ...], at: datetime
) -> Mapping[str, Latch]:
    latches = dict(known)
    for one in failures:
        latch = latches.get(one.digest)
        if latch is None or latch.is_refusal:
            told = "this node's own report told it"
            latches[one.digest] = Latch(one.digest, one.revision, one.reason, one.at or at, told, told_in=one.sequence)
        elif latch.told_in:  # one that nobody was told of yet is news, whatever was told before
            latches[one.digest] = replace(latch, told_in=max(latch.told_in, one.sequence))
    return latches


def _with(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return {**mapping, key: value}


def _without(mapping: Mapping[K, V], key: K) -> Mapping[K, V]:
    return {other: value for other, value in mapping.items() if other != key}


def _signed(ledger: Ledger, event: e.FloorMoved, at: datetime) -> Mapping[str, Signed]:
    """Who signed what is still of interest: the revisions in force, those of releases that are kept, and this one."""
    kept = {ledger.snapshot}
    for record in ledger.deployments.values():
        ways = (record.transition.old, record.transition.new) if record.transition else ()
        kept |= {release.revision for release in (record.serving, *ways, *record.lkg) if release is not None}
        kept |= {latch.revision for latch in record.latches.values()}
    known = {revision: signed for revision, signed in ledger.signed.items() if revision in kept}
    return {**known, event.floor.commit: Signed(event.signer, event.owner, at)}


def _is_under(ledger: Ledger, anchor: str | None) -> bool:
    """Whether a judgement was made under the operator's word that is in force."""
    return anchor is None or anchor == ledger.anchor


def _daemon_started(ledger: Ledger, event: e.DaemonStarted) -> Ledger:
    """Another boot without a clean end counts as an attempt; it covers a worker that died with the machine."""
    is_new_boot = bool(ledger.boot_id) and ledger.boot_id != event.boot_id
    if is_new_boot and not ledger.is_daemon_clean:
        ledger = replace(_count_attempts(ledger), is_worker_clean=True)
    return replace(ledger, boot_id=event.boot_id, is_daemon_clean=False)


def _count_attempts(ledger: Ledger) -> Ledger:
    counted = {
        name: replace(record, transition=replace(record.transition, attempts=record.transition.attempts + 1))
        if record.transition and record.transition.phase in (Phase.SWITCHING, Phase.PROVING)
        else record
        for name, record in ledger.deployments.items()
    }
    return replace(ledger, deployments=counted)


def _on_record(ledger: Ledger, name: str, event: Event, at: datetime) -> Ledger:
    if not name:
        return ledger
    record = ledger.deployments.get(name) or DeploymentRecord(name)
    return replace(ledger, deployments=_with(ledger.deployments, name, _apply_to_record(record, event, at)))


def _apply_to_record(  # noqa: PLR0911, PLR0912 - one return an event is the table
    record: DeploymentRecord, event: Event, at: datetime
) -> DeploymentRecord:
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
            return replace(record, containers=_with(record.containers, event.container, changed), soaked_for=soaked)
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
            latch = Latch(event.digest, event.revision, event.reason, at, event.detail, event.is_refusal)
            return replace(record, latches=_with(record.latches, event.digest, latch))
        case e.Unlatched():
            return replace(record, latches=_without(record.latches, event.digest))
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
    return replace(record, failures=_with(record.failures, key, failure))


def _done(record: DeploymentRecord, event: e.OutcomeRecorded, at: datetime) -> DeploymentRecord:
    key = f"{event.step} {event.subject}"
    if key in record.failures:
        record = replace(record, failures=_without(record.failures, key))
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
                return replace(record, containers=_without(record.containers, event.subject))
            known = replace(known, start=None, health=Health.UNKNOWN)
        case _:
            return record
    return replace(record, containers=_with(record.containers, event.subject, known))


def _of_snapshots(transition: Transition, event: e.OutcomeRecorded, at: datetime) -> Transition:
    """What a step that is done means to the copies of volumes."""
    match event.step:
        case "measure-volumes":
            return replace(transition, room=event.room, room_at=at)
        case "prepare-snapshot":
            return replace(transition, prepared=_with(transition.prepared, event.subject, at))
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
        return replace(record, containers=_with(record.containers, event.container, known))
    ended = replace(known, ends=_recent((*known.ends, at), at))
    return replace(record, containers=_with(record.containers, event.container, ended), soaked_for=NOTHING)


def _recent(times: tuple[datetime, ...], now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in times if now - at <= REMEMBERED_FOR)[-REMEMBERED_TIMES:]
