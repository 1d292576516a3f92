"""What a daemon is made of: its ports, and who it is. Values that bootstrap joins; no rule lives here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.plant import Answer, FixedZones, Interlock, Zones
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.daemon.post import Post
from edgegitops.ports import (
    Artifacts,
    Clock,
    Contents,
    DesiredNotes,
    Engine,
    FloorCopy,
    Journal,
    Log,
    ManifestNotes,
    Repository,
    Secrets,
    Snapshots,
)


@dataclass(frozen=True, slots=True)
class Gear:
    """The ports of one worker. `askers` ask interlocks, by their way: http, file, exec."""

    clock: Clock
    repository: Repository
    engine: Engine
    journal: Journal
    floor: FloorCopy
    contents: Contents
    snapshots: Snapshots
    artifacts: Artifacts
    secrets: Secrets
    log: Log
    zones: Zones = field(default_factory=FixedZones)
    askers: Mapping[str, Callable[[Interlock], Answer]] = field(default_factory=dict)
    notes: DesiredNotes | None = None
    manifests: ManifestNotes | None = None
    post: Post | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the node is, what its own policy allows, and the schemas that manifests are judged by."""

    node: NodeIdentity
    policy: NodePolicy
    schemas: SchemaSet
    version: str = ""
    interval: timedelta = timedelta(seconds=60)
