"""What the node remembers: the fold of the journal's events (core/reconcile/fold.py) and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from edgegitops.core.model.naming import SHORT
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.snapshots import Room
from edgegitops.core.model.trust import Floor


class Health(StrEnum):
    """What the probes last said of a container. Errors of the prober itself change nothing."""

    UNKNOWN = "unknown"
    READY = "ready"
    UNREADY = "unready"
    NOT_LIVE = "not-live"


@dataclass(frozen=True, slots=True)
class Start:
    """The last start of a container that this agent did: when, and in which boot of the machine."""

    at: datetime
    boot_id: str


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """What is remembered of one container of a deployment; keyed by its engine name.

    `is_resting`: it ended and stays so until it is started for another reason than its end.
    """

    start: Start | None = None
    health: Health = Health.UNKNOWN
    health_at: datetime | None = None
    health_detail: str = ""
    ends: tuple[datetime, ...] = ()
    recreated: tuple[datetime, ...] = ()
    is_resting: bool = False


class JobResult(StrEnum):
    """How a run of a job stands. RETRYING: the last try failed, and another one comes. INTERRUPTED: nobody saw its end
    (the machine went down, or its container is gone). STOPPED: a switch or a removal ended it.
    """

    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    INTERRUPTED = "interrupted"
    REPLACED = "replaced"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job; keyed by the engine name of its container. `transition` is the one that it belongs to, empty
    for scheduled ones, which have `due_at`. `boot_id` is that of its last try, `at` the instant of that, `tries` how
    many there were.
    """

    job: str
    began_at: datetime
    at: datetime
    boot_id: str
    tries: int = 1
    transition: str = ""
    due_at: datetime | None = None
    result: JobResult = JobResult.RUNNING
    ended_at: datetime | None = None
    exit_code: int | None = None
    detail: str = ""

    @property
    def is_open(self) -> bool:
        """True until its last try is over."""
        return self.result in (JobResult.RUNNING, JobResult.RETRYING)


@dataclass(frozen=True, slots=True)
class ScheduleMark:
    """Up to when a schedule (cron text and zone) was obeyed; `detail` says why the last run of it was left out."""

    schedule: str
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Latch:
    """A durable mark that a digest failed (or was refused) here and is not started again. `told_in` is the sequence of
    the report that first told it (0: none yet). One with the reason `regressed` runs on for as long as it serves.
    """

    digest: str
    revision: str
    reason: str
    at: datetime
    detail: str = ""
    is_refusal: bool = False
    told_in: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """One move from `old` (None: nothing ran) to `new` (None: removal).

    `attempts` counts starts of the agent after unclean ends while switching or proving. `done` holds the finished
    steps as `<kind> <subject>`. `reason` and `detail` are of the first step denied once it had begun.
    `is_going_back`: `old` regressed, and `new` was healthy before it. `cause` is the rule of the rollout that let it
    switch, at `switched_at` (core/rollout/next_release.py). `has_started`: a start was asked for since the switch
    began, so volumes may have been written to. `room` was measured at `room_at`; `prepared` tells when each volume was
    made ready to be copied. `snapshots` are the volumes (engine names) that were copied, `restored` those whose copy
    was put back. `is_install`: nothing of the deployment was ever healthy on this node when it began.
    """

    id: str
    old: Release | None
    new: Release | None
    phase: Phase
    began_at: datetime
    phase_at: datetime
    attempts: int = 0
    reason: str = ""
    detail: str = ""
    done: frozenset[str] = frozenset()
    cause: str = ""
    is_going_back: bool = False
    is_install: bool = False
    has_started: bool = False
    room: Room | None = None
    room_at: datetime | None = None
    prepared: Mapping[str, datetime] = field(default_factory=dict)
    snapshots: frozenset[str] = frozenset()
    restored: frozenset[str] = frozenset()
    switched_at: datetime | None = None

    @property
    def snapshot_key(self) -> str:
        """Under which copies of volumes are kept: no other transition ever had it, also where a journal was lost."""
        digest = self.new.digest if self.new is not None else ""
        return f"{self.began_at:%Y%m%dT%H%M%S%f}-{digest[:SHORT]}"

    @property
    def is_data_replaced(self) -> bool:
        """True where a start may have written to a volume whose copy was not put back yet."""
        return self.has_started and bool(self.snapshots - self.restored)


@dataclass(frozen=True, slots=True)
class StepFailure:
    """How often a step did not work in a row, and what the last answer was; `is_final`: trying the same is in vain."""

    count: int
    at: datetime
    reason: str = ""
    detail: str = ""
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """One deployment on this node.

    `serving` is the release that should run when no transition is open: the newest that became healthy, or the one
    that was reverted to. `phase` is the open transition's, else where the last one came to rest. `soaked_for` is
    unbroken healthy time and `waited_for` not-ready time of the release `soaking`, as observed; `unanswered_for` is how
    long nobody has been able to tell. `predecessor` is the digest that served before and was left at `left_at`;
    `left_badly` are digests that were left last by a revert or a rollback. `halted` is a release that failed and may
    not be reverted: it is kept stopped. `failures` maps `<step kind> <subject>` to its failures in a row; back-offs are
    reckoned from it. `copy_rate` is how fast a volume was last copied, in bytes a second; 0 is not known. `images` and
    `artifacts` (hex digests) are those that were brought to the node for it and not removed since. `jobs` holds runs by
    the engine name of their container, as long as that is there, `schedules` the marks of scheduled jobs by name.
    `is_installed`: a release became healthy here, and its data was not deleted since.
    """

    name: str
    phase: Phase = Phase.ABSENT
    phase_at: datetime | None = None
    serving: Release | None = None
    transition: Transition | None = None
    containers: Mapping[str, ContainerRecord] = field(default_factory=dict)
    latches: Mapping[str, Latch] = field(default_factory=dict)
    lkg: tuple[Release, ...] = ()
    soaked_for: timedelta = timedelta()
    waited_for: timedelta = timedelta()
    unanswered_for: timedelta = timedelta()
    failures: Mapping[str, StepFailure] = field(default_factory=dict)
    hold_reason: str = ""
    hold_detail: str = ""
    hold_until: datetime | None = None
    hold_since: datetime | None = None
    predecessor: str = ""
    left_at: datetime | None = None
    left_badly: frozenset[str] = frozenset()
    halted: Release | None = None
    copy_rate: int = 0
    images: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    jobs: Mapping[str, JobRun] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleMark] = field(default_factory=dict)
    is_installed: bool = False

    @property
    def soaking(self) -> str:
        """Digest of the release whose time is counted: the one that is being started, else the one serving."""
        if self.transition is not None and self.transition.phase in (Phase.SWITCHING, Phase.PROVING):
            return self.transition.new.digest if self.transition.new else ""
        return self.serving.digest if self.serving else ""


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """A step that was written down and whose outcome is not known."""

    id: str
    deployment: str
    step: str
    subject: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """A standing alarm; it stands until it is cleared."""

    code: str
    subject: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True)
class OperatorHold:
    """An operator's word: no new transitions of `deployment` (empty: of all) until `until`."""

    deployment: str
    reason: str
    since: datetime
    until: datetime | None = None
    stops_healing: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed a believed revision (key id, and its owner as the trust root names him), and when it was believed."""

    key: str
    owner: str
    at: datetime


@dataclass(frozen=True, slots=True)
class KeptTag:
    """A control tag that was verified once: its ref and its object, by which it is found in the mirror for ever, and
    the id of the key (empty: an older version noted it, and it has to be verified again).
    """

    ref: str
    object: str
    key: str = ""


def payload_in(name: str) -> str:
    """The payload digest in the name of a kept tag: that alone, or with the key that said the same after another."""
    return name.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The whole memory.

    `boot_id` and `is_…_clean` tell how the last daemon and worker ended; `anchor` is the commit where an operator told
    the node to begin anew, until the floor is there; `snapshot` is the newest revision whose manifests were valid;
    `refused_tip` is a tip that was judged and not believed, with the reason. `signed` holds the signers of the newest
    revision and of those that releases here come from. `installation` is the id under which this journal makes reports,
    the last one under `report_sequence`. `is_put_back`: the second copy of the floor knew more than this journal, which
    was lost or is an older one.
    """

    seq: int = 0
    boot_id: str = ""
    is_daemon_clean: bool = True
    is_worker_clean: bool = True
    floor: Floor | None = None
    anchor: str = ""
    snapshot: str = ""
    snapshot_tree: str = ""
    refused_tip: str = ""
    refused_reason: str = ""
    invalid_revision: str = ""
    deployments: Mapping[str, DeploymentRecord] = field(default_factory=dict)
    intents: Mapping[str, OpenIntent] = field(default_factory=dict)
    alarms: Mapping[str, AlarmRecord] = field(default_factory=dict)
    holds: Mapping[str, OperatorHold] = field(default_factory=dict)
    signed: Mapping[str, Signed] = field(default_factory=dict)
    controls: Mapping[str, KeptTag] = field(default_factory=dict)
    installation: str = ""
    report_sequence: int = 0
    is_put_back: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether this journal made what this node published, or has taken it over; else it may not know of failures
        here.
        """
        return not self.is_put_back and (bool(self.installation) or self.report_sequence > 0)
