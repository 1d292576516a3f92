"""Law: what is wanted here is what the newest valid believed revision says; an invalid one changes nothing.

Rules, in order: a revision is read once; faults keep the last good revision in force and are told with their places;
a desired state that was computed for the revision in force is taken as it is (`Facts.remembered`); a revision in force
that cannot be read any more is an alarm, and what runs is kept.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from edgegitops.core.model.events import AlarmCleared, AlarmRaised, Event, SnapshotAccepted, SnapshotRefused
from edgegitops.core.model.facts import Desired, Facts
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Alarm, FaultCode
from edgegitops.core.model.trust import Refused

if TYPE_CHECKING:
    from edgegitops.core.model.manifests import Faults

KEPT_FAULTS = 20


def desire(facts: Facts) -> tuple[Desired | None, tuple[Event, ...]]:
    """The desired state of this node (None: nothing was ever known) and what there is to tell of the reading."""
    ledger = facts.ledger
    if ledger.floor is None or facts.objects is None:
        return facts.remembered, ()
    head = ledger.floor.commit
    if head in (ledger.snapshot, ledger.invalid_revision):
        if not ledger.snapshot:  # nothing else is in force; what could not be read may be there now
            first = _read(facts, facts.objects, head, ledger.floor.tree)
            return (first, _accepted(facts, first, ledger.floor.tree)) if isinstance(first, Desired) else (None, ())
        if facts.remembered is not None and facts.remembered.revision == ledger.snapshot:
            return facts.remembered, ()
        return _again(facts, facts.objects)
    read = _read(facts, facts.objects, head, ledger.floor.tree)
    if isinstance(read, Desired):
        return read, _accepted(facts, read, ledger.floor.tree)
    kept = facts.remembered
    if ledger.snapshot and (kept is None or kept.revision != ledger.snapshot):
        kept, lost = _again(facts, facts.objects)
        return kept, (*lost, *_refused(read))
    return kept, _refused(read)


def _again(facts: Facts, objects: Objects) -> tuple[Desired | None, tuple[Event, ...]]:
    """The revision in force, read once more; it was valid, so what hinders now is told."""
    ledger = facts.ledger
    read = _read(facts, objects, ledger.snapshot, ledger.snapshot_tree)
    standing = ledger.alarms.get(f"{Alarm.SNAPSHOT_LOST} fleet")
    if isinstance(read, Desired):
        return read, (AlarmCleared(Alarm.SNAPSHOT_LOST, "fleet"),) if standing else ()
    detail = f"{_first(read)}; what runs is kept, and nothing new begins"
    if standing is not None and standing.detail == detail:
        return None, ()
    return None, (AlarmRaised(Alarm.SNAPSHOT_LOST, "fleet", detail),)


def _read(facts: Facts, objects: Objects, revision: str, tree: str) -> "Desired | Faults":
    if facts.schemas is None:
        return _whole(revision, "the schemas are missing from this installation")
    # What reads and judges manifests is most of a worker: it is loaded where there is something to read.
    from edgegitops.core.desired.resolve import desired_for
    from edgegitops.core.documents.judge import value_judge
    from edgegitops.core.model.manifests import Faults
    from edgegitops.core.pages import read_page

    page = read_page(tree, objects, facts.schemas, facts.files)
    if isinstance(page, Refused):
        return _whole(revision, f"{page.doubt}: {page.subject}: {page.detail}")
    if isinstance(page, Faults):
        return replace(page, revision=revision)
    return desired_for(replace(page.snapshot, revision=revision), facts.node, objects, facts.policy, value_judge)


def _whole(revision: str, message: str) -> "Faults":
    from edgegitops.core.model.manifests import Faults

    return Faults(revision, (Fault("", FaultCode.UNREADABLE, message),))


def _accepted(facts: Facts, desired: Desired, tree: str) -> tuple[Event, ...]:
    events: list[Event] = [SnapshotAccepted(desired.revision, tree)]
    unenrolled = f"{Alarm.UNENROLLED} fleet"
    over = (Alarm.REVISION_INVALID, Alarm.SNAPSHOT_LOST)
    events += [AlarmCleared(code, "fleet") for code in over if f"{code} fleet" in facts.ledger.alarms]
    if not desired.is_enrolled and unenrolled not in facts.ledger.alarms:
        who = f"{facts.node.site}/{facts.node.node}"
        events.append(
            AlarmRaised(Alarm.UNENROLLED, "fleet", f"no manifest under sites/ names {who}; what runs is kept")
        )
    if desired.is_enrolled and unenrolled in facts.ledger.alarms:
        events.append(AlarmCleared(Alarm.UNENROLLED, "fleet"))
    return tuple(events)


def _refused(read: "Faults") -> tuple[Event, ...]:
    return (
        SnapshotRefused(read.revision, len(read.faults), read.faults[:KEPT_FAULTS]),
        AlarmRaised(Alarm.REVISION_INVALID, "fleet", _first(read)),
    )


def _first(read: "Faults") -> str:
    first = read.faults[0]
    at = f":{first.position.line}:{first.position.column}" if first.position else ""
    return f"{read.revision[:12]}: {len(read.faults)} faults, first {first.file}{at}: {first.code}: {first.message}"
