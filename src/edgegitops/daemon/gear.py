"""What a daemon is made of: its ports, and who it is. Values that bootstrap joins; no rule lives here."""

from dataclasses import dataclass

from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.manifests import SchemaSet
from edgegitops.core.model.policy import NodePolicy
from edgegitops.ports import Clock, Contents, Engine, FloorCopy, Journal, Log, Repository


@dataclass(frozen=True, slots=True)
class Gear:
    """The ports of one worker."""

    clock: Clock
    repository: Repository
    engine: Engine
    journal: Journal
    floor: FloorCopy
    contents: Contents
    log: Log


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the node is, what its own policy allows, and the schemas that manifests are judged by."""

    node: NodeIdentity
    policy: NodePolicy
    schemas: SchemaSet
    version: str = ""
