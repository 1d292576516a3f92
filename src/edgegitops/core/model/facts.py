"""What the one door is given and what it answers. Everything is a value; `objects` is a content-addressed lookup."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edgegitops.core.model.bulletin import Bulletin
from edgegitops.core.model.events import Event
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import Health, Ledger
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.plant import Answers, FixedZones, Interlock, Plant, Zones
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Release
from edgegitops.core.model.report import Reporting, StoredReport
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.snapshots import SnapshotSeen
from edgegitops.core.model.spec import Probe
from edgegitops.core.model.steps import Work
from edgegitops.core.model.trust import Pin


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who this node is; from its own configuration, never from Git."""

    fleet: str
    site: str
    node: str
    pin: Pin
    arch: str = ""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Deployments that are wanted here and not admitted: name -> the faults, each naming field, rule and file."""

    by_deployment: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """What a snapshot makes of this node: releases by deployment name. `contents` are config files by SHA-256,
    `secrets` age files by name and version (`db.2`).
    `is_enrolled` is False where the node's own entry is missing: then nothing is started and nothing removed. `plant`
    is what site and policies say for every deployment of the node, also for those that go. `max_staleness`: how old
    the newest freshness statement may be; None: none is asked for. `reporting` is how the fleet reports.
    """

    revision: str
    releases: Mapping[str, Release] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)
    refused: Refusals = Refusals()
    is_enrolled: bool = True
    is_in_maintenance: bool = False
    max_staleness: timedelta | None = None
    plant: Plant = field(default_factory=Plant)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    reporting: Reporting = field(default_factory=Reporting)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one decision is made of. `tip` is the newest fetched commit (None: never fetched). `remembered` is the
    desired state of the decision before, valid while its revision, the node and the policy are the same. `answers` are
    of interlocks that were asked just before this look. `tags` are the control tags of the mirror, ref to object;
    `reports` the stored reports by `<site>/<node>`. `memo` spares reading content-addressed things twice;
    it changes no decision, and may be emptied at any time; so does `files`, for manifest files by blob id and path, and
    the texts in it may come from an earlier process. `snapshots` are the copies of volumes on disk.
    What others say is asked for again after `asked_every`; `heard_from` are those of whom it was asked a moment ago
    (None: there is nowhere to ask), `is_answered` whether any way of the reports answered then. `is_reporting`: this
    node publishes reports by its own configuration; of the ways in `fleet_may_say` (fields of `Reporting`) it does
    where its fleet says so.
    """

    now: datetime
    boot_id: str
    node: NodeIdentity
    policy: NodePolicy
    ledger: Ledger
    observed: Observed
    objects: Objects | None = None
    schemas: SchemaSet | None = None
    tip: str | None = None
    remembered: Desired | None = None
    busy: frozenset[str] = frozenset()
    present_contents: frozenset[str] = frozenset()
    present_artifacts: frozenset[str] = frozenset()
    present_secrets: frozenset[str] = frozenset()
    is_revert_only: bool = False
    zones: Zones = field(default_factory=FixedZones)
    answers: Answers = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    reports: Mapping[str, tuple[StoredReport, ...]] = field(default_factory=dict)
    memo: MutableMapping[str, object] = field(default_factory=dict, compare=False)
    files: MutableMapping[str, object] = field(default_factory=dict, compare=False)
    asked_every: timedelta = timedelta(seconds=60)
    heard_from: frozenset[str] | None = None
    is_answered: bool = True
    snapshots: tuple[SnapshotSeen, ...] = ()
    is_reporting: bool = False
    fleet_may_say: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Proceed:
    """The gate is open."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason not to act now; `until` is when it is worth asking again, None: when facts change. `is_overdue`: it has
    held for longer than somebody allowed, and a person should look at it.
    """

    reason: HoldReason
    detail: str = ""
    until: datetime | None = None
    is_overdue: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """One running container that the resident looks after: its probes are due while it runs. Another `id`, another
    `started_at` or other live `configs` are another life, of which nothing is known yet.
    """

    deployment: str
    release: str
    container: str
    id: str
    address: str
    min_ready: timedelta
    health: Health = Health.UNKNOWN
    ready: Probe | None = None
    live: Probe | None = None
    startup: Probe | None = None
    started_at: datetime | None = None
    configs: str = ""


@dataclass(frozen=True, slots=True)
class SoakWatch:
    """A release whose time is counted by the resident, over all its containers (engine names).

    The worker is woken when `soaked_for` reaches `needed`, or `waited_for` or `unanswered_for` the `deadline`, and when
    an answer comes after so long. What gates of later waves ask for may be more than `needed`: it is counted on up to
    `gate`, and the worker is woken there, too. While proving,
    `waited_for` adds up over the whole transition; at rest it starts again whenever the release is ready.
    """

    deployment: str
    release: str
    containers: tuple[str, ...]
    soaked_for: timedelta
    needed: timedelta
    waited_for: timedelta
    deadline: timedelta
    is_proving: bool
    unanswered_for: timedelta = timedelta()
    gate: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Handover:
    """What the worker leaves to the resident: what to probe and count, what must exist, and when to wake it again.

    `expected` maps engine names of containers that should run to their marks (`ContainerSeen.mark`).
    `is_at_rest`: no transition is under way but those that a hold keeps; `is_as_wanted`: what is wanted here is what
    serves, healthy. `fetched` is the newest tip that was fetched. `bulletin` is what monitoring is told.
    `awaits_job`: a switch waits for the end of a job. `files`: whose change is worth a look at once.
    """

    next_look: datetime | None = None
    watches: tuple[Watch, ...] = ()
    soaks: tuple[SoakWatch, ...] = ()
    expected: Mapping[str, str] = field(default_factory=dict)
    is_at_rest: bool = True
    is_as_wanted: bool = True
    fetched: str = ""
    bulletin: Bulletin = field(default_factory=Bulletin)
    awaits_job: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays when the rest is thrown away: all secrets that may still be asked for, and the deployments that are
    wanted or that something here belongs to.
    """

    secrets: frozenset[str]
    deployments: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """Events of the node as a whole, then one work a deployment, then what to watch until the next look. `questions`
    are interlocks to be asked right before a next look that is to follow at once: what they hold back waits for that.
    `reports_wanted` are nodes (`<site>/<node>`) whose reports a gate here asks for, with their report keys; `heads` are
    the newest control tags of each deployment that are known here. `kept` None: nothing may be thrown away now.
    """

    events: tuple[Event, ...] = ()
    works: tuple[Work, ...] = ()
    desired: Desired | None = None
    handover: Handover = Handover()
    questions: tuple[Interlock, ...] = ()
    reports_wanted: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: Kept | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing to journal and nothing to do."""
        return not self.events and not self.works
