"""The journal's events: what happened or is about to, each a frozen value with a kind that is never renamed.

`write_event` and `read_event` are their JSON form (the journal stores kind and body apart).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, TypeAlias

from edgegitops.core.model.codec import Tree, from_tree, to_tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import Health, JobResult, Transition
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.report import ReportedFailure
from edgegitops.core.model.snapshots import Copied, Room
from edgegitops.core.model.trust import Floor


class Result(StrEnum):
    """How a step ended. UNAVAILABLE may work later; DENIED and FAILED will not by trying the same again; UNKNOWN:
    the agent died in between, and the engine will be looked at.
    """

    DONE = "done"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DaemonStarted:
    """The resident (or a `--once` run) begins; `boot_id` is the kernel's."""

    kind: ClassVar[str] = "daemon-started"
    boot_id: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class DaemonStopped:
    """A clean end of the resident: what was in progress was left on purpose."""

    kind: ClassVar[str] = "daemon-stopped"


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A worker begins its cycles."""

    kind: ClassVar[str] = "worker-started"
    is_revert_only: bool = False


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """A clean end of a worker: no step of it is under way."""

    kind: ClassVar[str] = "worker-stopped"


@dataclass(frozen=True, slots=True)
class FloorMoved:
    """The floor is now here; `signer` and `owner` are of its commit, `commits` how many were accepted on the way.
    `anchor` is the operator's word that it was judged under (empty: none); older journals do not say it (None).
    `is_put_back`: it is that of the second copy, which knew more than this journal.
    """

    kind: ClassVar[str] = "floor-moved"
    floor: Floor
    signer: str = ""
    owner: str = ""
    commits: int = 1
    anchor: str | None = None
    is_put_back: bool = False


@dataclass(frozen=True, slots=True)
class Reanchored:
    """An operator told this node to begin anew at `commit`, whatever was believed `before` (a commit; may be empty)."""

    kind: ClassVar[str] = "reanchored"
    commit: str
    reason: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class TipRefused:
    """A tip was judged and not believed; `commit` is the first bad one, `anchor` as in `FloorMoved`."""

    kind: ClassVar[str] = "tip-refused"
    tip: str
    commit: str
    reason: str
    detail: str
    anchor: str | None = None


@dataclass(frozen=True, slots=True)
class SnapshotAccepted:
    """The manifests of this revision are valid and in force."""

    kind: ClassVar[str] = "snapshot-accepted"
    revision: str
    tree: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotRefused:
    """The manifests of this revision are not valid; the last good ones stay in force. At most 20 faults are kept."""

    kind: ClassVar[str] = "snapshot-refused"
    revision: str
    count: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class TransitionBegan:
    """A deployment sets out from old to new; both releases are here in full, so that nothing else is needed later."""

    kind: ClassVar[str] = "transition-began"
    deployment: str
    transition: Transition


@dataclass(frozen=True, slots=True)
class PhaseMoved:
    """One move of the life cycle table, journalled before its effect. `halts`: it may not be reverted, so all that runs
    of it is to be stopped, and stays so until another release begins. `cause` is the rule of the rollout that let a
    switch begin.
    """

    kind: ClassVar[str] = "phase-moved"
    deployment: str
    transition: str
    old: Phase
    new: Phase
    reason: str = ""
    detail: str = ""
    halts: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseAdopted:
    """After a lost journal: this release was found on the engine, whole and alone; it serves."""

    kind: ClassVar[str] = "release-adopted"
    deployment: str
    release: Release


@dataclass(frozen=True, slots=True)
class ReleaseRestated:
    """The serving release is wanted with another policy or version name; its digest is the same, nothing moves."""

    kind: ClassVar[str] = "release-restated"
    deployment: str
    release: Release


@dataclass(frozen=True, slots=True)
class IntentRecorded:
    """A step is about to be done."""

    kind: ClassVar[str] = "intent-recorded"
    id: str
    deployment: str
    step: str
    subject: str


WAS_THERE = "was-there"
"""Reason of a pull that had nothing to do."""


@dataclass(frozen=True, slots=True)
class OutcomeRecorded:
    """A step ended; `id` is its intent's. `boot_id` is set for starts, `room` by a measurement, `copied` by a copy.
    `reason` of a step that is done is WAS_THERE for a pull of an image that was on the node before, else empty.
    """

    kind: ClassVar[str] = "outcome-recorded"
    id: str
    deployment: str
    step: str
    subject: str
    result: Result
    reason: str = ""
    detail: str = ""
    boot_id: str = ""
    room: Room | None = None
    copied: Copied | None = None


@dataclass(frozen=True, slots=True)
class ContainerEnded:
    """A container that should run was seen not running; `container` is its engine name. `is_resting`: it stays so,
    because its restart policy accepts this end, or because it is to be left stopped when unhealthy.
    """

    kind: ClassVar[str] = "container-ended"
    deployment: str
    container: str
    ended_at: datetime
    exit_code: int | None = None
    is_resting: bool = False


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A try of a job is about to begin in this container (engine name), or was found to have begun; in the same write
    as the intent of its start. `tries` counts this one, `due_at` is the time of the schedule.
    """

    kind: ClassVar[str] = "job-started"
    deployment: str
    job: str
    container: str
    boot_id: str
    tries: int = 1
    transition: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A try of a job is over; `result` says what follows from it for the run."""

    kind: ClassVar[str] = "job-ended"
    deployment: str
    job: str
    container: str
    result: JobResult
    ended_at: datetime
    exit_code: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleMarked:
    """A schedule (cron text and zone) counts from `at` on; `detail` says why the run that was due then was left out,
    empty where there was none.
    """

    kind: ClassVar[str] = "schedule-marked"
    deployment: str
    job: str
    schedule: str
    due_at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """The probes of a container (engine name) agree on something new."""

    kind: ClassVar[str] = "health-changed"
    deployment: str
    container: str
    health: Health
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SoakMarked:
    """Observed time of a release by a monotonic clock: healthy without a break so far, and not ready in all.

    Written once a minute where it changed, and when either is enough for a decision. Unobserved time is in neither.
    `unanswered_for` is how long the prober itself has had no answer: nobody knows how the release is meanwhile.
    """

    kind: ClassVar[str] = "soak-marked"
    deployment: str
    digest: str
    soaked_for: timedelta
    waited_for: timedelta = timedelta()
    unanswered_for: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Latched:
    """The digest failed here (or was refused) and is not started again without a retry or a new attempt."""

    kind: ClassVar[str] = "latched"
    deployment: str
    digest: str
    revision: str
    reason: str
    detail: str = ""
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Unlatched:
    """The mark is taken off."""

    kind: ClassVar[str] = "unlatched"
    deployment: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """Why this deployment does nothing although something is wanted; empty: nothing holds it any more."""

    kind: ClassVar[str] = "hold-changed"
    deployment: str
    reason: str = ""
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """An alarm stands; raising it again changes nothing."""

    kind: ClassVar[str] = "alarm-raised"
    code: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class AlarmCleared:
    """The alarm is over."""

    kind: ClassVar[str] = "alarm-cleared"
    code: str
    subject: str


@dataclass(frozen=True, slots=True)
class OperatorHeld:
    """An operator placed a hold; an empty deployment means all."""

    kind: ClassVar[str] = "operator-held"
    deployment: str
    reason: str
    until: datetime | None = None
    stops_healing: bool = False


@dataclass(frozen=True, slots=True)
class OperatorReleased:
    """An operator lifted a hold."""

    kind: ClassVar[str] = "operator-released"
    deployment: str


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """An operator asked for a look now: steps that did not work are tried again without waiting."""

    kind: ClassVar[str] = "retry-asked"


@dataclass(frozen=True, slots=True)
class ControlTagKept:
    """A control tag was verified and is kept for ever: its ref, the tag object, the digest of its payload, and the id
    of the key that signed it.
    """

    kind: ClassVar[str] = "control-tag-kept"
    ref: str
    object: str
    payload: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class ReportMade:
    """A report was made under this sequence, before it was sent; `digests` are failures that it tells first. The first
    one of a journal says under which installation id.
    """

    kind: ClassVar[str] = "report-made"
    sequence: int
    payload: str
    installation: str = ""
    digests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WordTakenOver:
    """The node's own published reports were heard on every way that it has, and its journal goes on where they end:
    `sequence` is the highest of them (0: there is none), `failures` are all that they tell, by deployment. From now on
    it speaks as `installation`.
    """

    kind: ClassVar[str] = "word-taken-over"
    sequence: int
    installation: str
    failures: Mapping[str, tuple[ReportedFailure, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalPruned:
    """Entries up to and with seq `upto` were dropped; `ledger` is the digest of what they fold to, which is kept.
    It changes nothing that is remembered.
    """

    kind: ClassVar[str] = "journal-pruned"
    upto: int
    ledger: str


Event: TypeAlias = (
    DaemonStarted
    | DaemonStopped
    | WorkerStarted
    | WorkerStopped
    | FloorMoved
    | Reanchored
    | TipRefused
    | SnapshotAccepted
    | SnapshotRefused
    | TransitionBegan
    | PhaseMoved
    | ReleaseAdopted
    | ReleaseRestated
    | IntentRecorded
    | OutcomeRecorded
    | ContainerEnded
    | JobStarted
    | JobEnded
    | ScheduleMarked
    | HealthChanged
    | SoakMarked
    | Latched
    | Unlatched
    | HoldChanged
    | AlarmRaised
    | AlarmCleared
    | OperatorHeld
    | OperatorReleased
    | RetryAsked
    | ControlTagKept
    | ReportMade
    | WordTakenOver
    | JournalPruned
)

KINDS: dict[str, type[Event]] = {kind.kind: kind for kind in Event.__args__}


@dataclass(frozen=True, slots=True)
class Entry:
    """A journalled event: its place, its instant, and the hash that chains it to the one before (hex SHA-256)."""

    seq: int
    at: datetime
    event: Event
    previous: str
    hash: str


def write_event(event: Event) -> tuple[str, Tree]:
    """(kind, body) of an event."""
    return event.kind, to_tree(event)


def read_event(kind: str, body: Tree) -> Event:
    """The event that `write_event` wrote; ValueError where it is none."""
    if kind not in KINDS:
        raise ValueError(f"no event kind {kind!r}")
    return from_tree(KINDS[kind], body)
