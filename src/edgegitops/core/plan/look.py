"""Law: a person's question about a revision is answered by the same readers and the same resolution that a node uses.

A view is one valid revision: its snapshot, the blob ids of its files, and the lookup of its objects. What it says of a
node is what that node would be told, before the node's own policy is asked. An invalid revision has no view, only its
faults. Nodes are called `site/node`.
"""

import json
from collections.abc import Collection, Iterator, MutableMapping
from dataclasses import dataclass, field

from edgegitops.core.desired.deployments import Means, resolve_deployment
from edgegitops.core.desired.resolve import resolve_at
from edgegitops.core.desired.selectors import matches, node_tags
from edgegitops.core.desired.values import Target
from edgegitops.core.desired.why import Reasons, reasons_of
from edgegitops.core.documents.judge import value_judge
from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import DeploymentManifest, Faults, NodeEntry, Site, Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.release import Release
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.selector import Selector
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.listing import list_manifests


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision to look at: how people call it, the id of its top tree, and where its objects are."""

    name: str
    tree: str
    objects: Objects


@dataclass(frozen=True, slots=True)
class Seat:
    """A node in its site."""

    site: Site
    node: NodeEntry

    @property
    def name(self) -> str:
        """`site/node`."""
        return f"{self.site.name}/{self.node.name}"

    @property
    def tags(self) -> dict[str, str]:
        """What selectors see."""
        return node_tags(self.site, self.node)


class Memory:
    """The judge of values, asked once for each distinct question: a fleet asks few, ten thousand times each."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, schema: Tree, value: Tree) -> tuple[str, ...]:
        """What is wrong with a value."""
        key = f"{json.dumps(schema)}\n{json.dumps(value)}"
        if key not in self._known:
            self._known[key] = value_judge(schema, value)
        return self._known[key]


@dataclass(frozen=True, slots=True)
class View:
    """One valid revision; `files` maps paths to blob ids."""

    revision: Revision
    snapshot: Snapshot
    files: dict[str, str]
    judge: Memory = field(default_factory=Memory)

    def seats(self, site: str = "", node: str = "") -> Iterator[Seat]:
        """All nodes by name, or those of one site, or one of them."""
        for place in sorted(self.snapshot.sites):
            if site in {"", place}:
                found = self.snapshot.sites[place]
                yield from (Seat(found, found.nodes[name]) for name in sorted(found.nodes) if node in {"", name})

    def deployments(self, seat: Seat) -> Iterator[DeploymentManifest]:
        """The deployments whose selectors match a node, by name."""
        tags = seat.tags
        for name in sorted(self.snapshot.deployments):
            deployment = self.snapshot.deployments[name]
            if matches(deployment.selector, tags):
                yield deployment

    def releases(self, seat: Seat) -> tuple[dict[str, Release], tuple[Fault, ...]]:
        """What the node would run, by deployment, and the faults of what cannot be resolved for it."""
        target = Target(self.snapshot.fleet, seat.site, seat.node)
        releases, _, faults = resolve_at(self.snapshot, target, Means(self.revision.objects, self.judge))
        return dict(releases), tuple(fault for fault in faults if not fault.is_warning)

    def some_releases(self, seat: Seat, names: Collection[str]) -> dict[str, Release]:
        """Those of the named deployments that the node would run, as far as each can be resolved by itself."""
        target = Target(self.snapshot.fleet, seat.site, seat.node)
        means = Means(self.revision.objects, self.judge)
        found = {
            one.name: resolve_deployment(self.snapshot, one, target, means).release
            for one in self.deployments(seat)
            if one.name in names
        }
        return {name: release for name, release in found.items() if release is not None}

    def reasons(self, seat: Seat) -> dict[str, Reasons]:
        """Where everything came from that the node would be told, by deployment."""
        target = Target(self.snapshot.fleet, seat.site, seat.node)
        return {one.name: reasons_of(self.snapshot, one, target) for one in self.deployments(seat)}


def look(revision: Revision, schemas: SchemaSet, memo: MutableMapping[str, object] | None = None) -> View | Faults:
    """The view of a revision, or why it has none. `memo` spares reading files twice that two revisions share.

    Raises what the lookup of objects raises.
    """
    files = list_manifests(revision.objects, revision.tree)
    if isinstance(files, Refused):
        fault = Fault(files.subject, FaultCode.UNREADABLE, f"{files.doubt}: {files.detail}")
        return Faults(revision.name, (fault,))
    snapshot = read_snapshot(revision.name, files, revision.objects, schemas, memo)
    return snapshot if isinstance(snapshot, Faults) else View(revision, snapshot, dict(files))


def matching(view: View, selector: Selector) -> list[Seat]:
    """The nodes that a selector selects, by name."""
    return [seat for seat in view.seats() if matches(selector, seat.tags)]
