"""The fleet repository as read: one value a document, and the snapshot of a revision that holds them all.

Fields that only resolution understands (containers, patches, values) stay JSON trees that their schema has judged;
`origin` finds the place of a JSON pointer in its file again, for faults that resolution finds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.plant import Interlock, Window
from edgegitops.core.model.report import Reporting
from edgegitops.core.model.selector import Selector
from edgegitops.core.model.waves import RolloutPolicy


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document stands: file path in the repository and the positions of its JSON pointers."""

    file: str
    positions: Mapping[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScopedWindow:
    """A window as written (an empty zone is the site's) and the nodes that it is for (None: all)."""

    window: Window
    selector: Selector | None = None


@dataclass(frozen=True, slots=True)
class ScopedInterlock:
    """An interlock as written and the nodes that it is for (None: all)."""

    interlock: Interlock
    selector: Selector | None = None


@dataclass(frozen=True, slots=True)
class PlantRules:
    """The windows and interlocks of one manifest, by name."""

    windows: tuple[ScopedWindow, ...] = ()
    interlocks: tuple[ScopedInterlock, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node under `spec.nodes` of its site."""

    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Tree] = field(default_factory=dict)
    address: str = ""
    is_in_maintenance: bool = False


@dataclass(frozen=True, slots=True)
class Mirror:
    """Images below `source` (host[:port][/path]) are asked for at `mirror` first."""

    source: str
    mirror: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """`fleet.yaml`. `max_staleness`: how old the newest freshness statement may be; None: none is asked for.
    `reporting`: where reports go that no node.yaml says otherwise, and how often.
    """

    origin: Origin
    repository: str
    resolver: int
    values: Mapping[str, Tree] = field(default_factory=dict)
    minimum_profile: str = "privileged"
    max_staleness: timedelta | None = None
    mirrors: tuple[Mirror, ...] = ()
    reporting: Reporting = field(default_factory=Reporting)


@dataclass(frozen=True, slots=True)
class Site:
    """`sites/**/<name>.yaml`."""

    origin: Origin
    name: str
    tags: Mapping[str, str]
    nodes: Mapping[str, NodeEntry]
    values: Mapping[str, Tree] = field(default_factory=dict)
    time_zone: str = ""
    mirrors: tuple[Mirror, ...] = ()
    rules: PlantRules = PlantRules()
    network_pool: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """`apps/<name>/app.yaml`; `spec` is the judged tree, `files` the config files beside it: path -> blob id."""

    origin: Origin
    name: str
    version: str
    spec: Mapping[str, Tree]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Override:
    """A JSON merge patch (RFC 7386) over the application for the nodes that the selector matches."""

    selector: Selector
    patch: Mapping[str, Tree]


@dataclass(frozen=True, slots=True)
class DeploymentManifest:
    """`deployments/<name>.yaml`; `spec` is the judged tree (values, rollback, drift, prune)."""

    origin: Origin
    name: str
    attempt: int
    application: str
    selector: Selector
    values: Mapping[str, Tree] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    spec: Mapping[str, Tree] = field(default_factory=dict)
    rules: PlantRules = PlantRules()
    rollout: RolloutPolicy = field(default_factory=RolloutPolicy)


@dataclass(frozen=True, slots=True)
class PolicyManifest:
    """`policies/<name>.yaml`: what it says can only narrow. Registries are host[:port][/path] prefixes; empty texts and
    lists demand nothing.
    """

    origin: Origin
    name: str
    selector: Selector
    rules: PlantRules = PlantRules()
    minimum_profile: str = ""
    registries: tuple[str, ...] = ()
    require_probes: bool = False


@dataclass(frozen=True, slots=True)
class KeysOfNode:
    """The public keys of a node; empty: it has none. `report` is an OpenSSH line, `age` an age recipient."""

    report: str = ""
    age: str = ""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """`trust/nodes/<site>.yaml`: keys by node. It lies under `trust/`, so that who lists nodes cannot choose keys."""

    origin: Origin
    site: str
    nodes: Mapping[str, KeysOfNode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One version of a secret: blob ids of its age file and of the list of its recipients (empty: there is none)."""

    age: str
    recipients: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All manifests at a revision, parsed; `keys` are by site, `secrets` by name and version (`db.2`). Config files
    and secrets are named by blob id and read from the object lookup.
    """

    revision: str
    fleet: Fleet
    sites: Mapping[str, Site]
    applications: Mapping[str, Application]
    deployments: Mapping[str, DeploymentManifest]
    policies: Mapping[str, PolicyManifest] = field(default_factory=dict)
    keys: Mapping[str, NodeKeys] = field(default_factory=dict)
    secrets: Mapping[str, SecretFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Faults:
    """The revision is not valid: all faults at once, in the order of files and lines."""

    revision: str
    faults: tuple[Fault, ...]
