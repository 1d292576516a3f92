"""Law: the ledger is the fold of the journal: `advance(ledger, entry)` is all there is to remember.

The fold judges phase moves by the life cycle table, and nothing else: deciding was done before the event was
written. What is remembered of one deployment is told by `fold_record`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from edgegitops.core.model import events as e
from edgegitops.core.model.events import Entry, Event
from edgegitops.core.model.ledger import (
    AlarmRecord,
    DeploymentRecord,
    KeptTag,
    Latch,
    Ledger,
    OpenIntent,
    OperatorHold,
    Signed,
)
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.release import Phase
from edgegitops.core.model.report import SEQUENCE_MOST, ReportedFailure
from edgegitops.core.reconcile.fold_record import apply_to_record, excluding, including

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
            return replace(ledger, alarms=including(ledger.alarms, f"{event.code} {event.subject}", alarm))
        case e.AlarmCleared():
            cleared = replace(ledger, alarms=excluding(ledger.alarms, f"{event.code} {event.subject}"))
            return replace(cleared, refused_tip="", refused_reason="") if event.code in _OF_A_TIP else cleared
        case e.OperatorHeld():
            hold = OperatorHold(event.deployment, event.reason, at, event.until, event.stops_healing)
            return replace(ledger, holds=including(ledger.holds, event.deployment, hold))
        case e.OperatorReleased():
            return replace(ledger, holds=excluding(ledger.holds, event.deployment))
        case e.ReportMade():
            return _reported(ledger, event)
        case e.WordTakenOver():
            return _taken_over(ledger, event, at)
        case e.ControlTagKept():
            kept = KeptTag(event.ref, event.object, event.key)
            before = ledger.controls.get(event.payload)
            is_first = before is None or before.key in {event.key, ""}
            name = event.payload if is_first else f"{event.payload} {event.key}"
            return replace(ledger, controls=including(ledger.controls, name, kept))
        case e.RetryAsked():
            eager = {name: replace(record, failures={}) for name, record in ledger.deployments.items()}
            return replace(ledger, deployments=eager)
        case e.IntentRecorded():
            intent = OpenIntent(event.id, event.deployment, event.step, event.subject, at)
            intents = including(ledger.intents, event.id, intent)
            return replace(ledger, intents=intents, deployments=_records(ledger, event.deployment, event, at))
        case e.OutcomeRecorded():
            intents = excluding(ledger.intents, event.id)
            return replace(ledger, intents=intents, deployments=_records(ledger, event.deployment, event, at))
        case _:
            return replace(ledger, deployments=_records(ledger, event.deployment, event, at))


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
    is_used_up = ledger.report_sequence >= SEQUENCE_MOST  # then it has another key
    sequence = event.sequence if is_used_up else max(ledger.report_sequence, event.sequence)
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


def _records(ledger: Ledger, name: str, event: Event, at: datetime) -> Mapping[str, DeploymentRecord]:
    """What is remembered of all deployments after an event about one of them; without a name it is about none."""
    if not name:
        return ledger.deployments
    record = ledger.deployments.get(name) or DeploymentRecord(name)
    return including(ledger.deployments, name, apply_to_record(record, event, at))
