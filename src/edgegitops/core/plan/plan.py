"""Law: a plan says what a revision changes on every node of the fleet, each distinct change once with all its nodes.

1. Compared is what each node would be told at both revisions, by digest; names decide nothing.
2. A node is resolved only where something that it is made of has another blob id: `fleet.yaml`, the file of its site,
   the deployments that select it and all files of their applications. What is equal there is equal resolved.
3. A node that enters the fleet runs nothing yet. A node whose entry vanishes keeps what it runs: nothing is removed.
4. A node in maintenance starts nothing until that ends; its changes are told all the same.
5. Faults of the new revision are told: a node that has one keeps what it runs.

Equal changes are grouped, so that a plan over ten thousand sites stays a page. Of waves is told who is in which;
whether their gates are open is told by `rollout status`, when they can open by `overview/forecast`. The node's own
policy is not asked here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from edgegitops.core.desired.editions import members_of
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import DeploymentManifest
from edgegitops.core.model.plant import Window
from edgegitops.core.model.release import Release
from edgegitops.core.model.waves import REST
from edgegitops.core.plan.compare import Change, Fate, Kind, compare
from edgegitops.core.plan.look import Seat, View

_ORDER = list(Kind)


@dataclass(frozen=True, slots=True)
class Group:
    """One change and the nodes (`site/node`) that it is the same on, by name. `waves` are those nodes by wave, in the
    order of the waves; empty where the deployment has none.
    """

    change: Change
    nodes: tuple[str, ...]
    waves: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """What says when a change may begin on a node and how long it takes there: its windows, the time that they must
    have left, and the typical downtime.
    """

    windows: tuple[Window, ...] = ()
    needs: timedelta = timedelta()
    typical: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Plan:
    """What changes from one revision to the other; `nodes` is how many were looked at. `timings` are by deployment and
    node.

    `joining` and `leaving` are nodes that only one of the two knows; `resting` are those with a change that are in
    maintenance; `faults` are those of the new revision, each with the first node that it was found on.
    """

    base: str
    head: str
    nodes: int
    groups: tuple[Group, ...] = ()
    joining: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    resting: tuple[str, ...] = ()
    faults: tuple[tuple[Fault, str], ...] = ()
    timings: Mapping[tuple[str, str], Timing] = field(default_factory=dict)

    def count(self, fate: Fate) -> int:
        """How many containers of the whole fleet have this fate."""
        return sum(group.change.count(fate) * len(group.nodes) for group in self.groups)


def plan(base: View | None, head: View, *, site: str = "", node: str = "") -> Plan:
    """The plan from `base` (None: nothing was there) to `head`, for the fleet, a site, or one node of a site."""
    before = {seat.name: seat for seat in base.seats(site, node)} if base else {}
    after = {seat.name: seat for seat in head.seats(site, node)}
    found: dict[Change, list[str]] = {}
    faults: dict[Fault, str] = {}
    timings: dict[tuple[str, str], Timing] = {}
    for name, seat in after.items():
        changes, wrong = _changes(base, before.get(name), head, seat)
        for change, timing in changes:
            found.setdefault(change, []).append(name)
            timings[change.deployment, name] = timing
        for fault in wrong:
            faults.setdefault(fault, name)
    members: dict[str, dict[str, int]] = {}
    groups = [Group(one, tuple(nodes), _waves(base, head, one, nodes, members)) for one, nodes in found.items()]
    changed = {name for nodes in found.values() for name in nodes}
    return Plan(
        base=base.revision.name if base else "nothing",
        head=head.revision.name,
        nodes=len(after),
        groups=tuple(sorted(groups, key=_rank)),
        joining=tuple(name for name in after if base is not None and name not in before),
        leaving=tuple(name for name in before if name not in after),
        resting=tuple(name for name in sorted(changed) if after[name].node.is_in_maintenance),
        faults=tuple(faults.items()),
        timings=timings,
    )


def _waves(
    base: View | None, head: View, change: Change, nodes: Iterable[str], known: dict[str, dict[str, int]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The nodes by wave, as the new revision says; as the old one did, of a deployment that goes."""
    name = change.deployment
    view = head if name in head.snapshot.deployments or base is None else base
    waves = view.snapshot.deployments[name].rollout.waves
    if not waves:
        return ()
    if name not in known:
        known[name] = {seat: member.wave for seat, member in members_of(view.snapshot, name).items()}
    found: dict[int, list[str]] = {}
    for node in nodes:
        found.setdefault(known[name].get(node, len(waves)), []).append(node)
    return tuple((waves[at].name if at < len(waves) else REST, tuple(found[at])) for at in sorted(found))


def _rank(group: Group) -> tuple[str, int, int, tuple[str, ...]]:
    return group.change.deployment, _ORDER.index(group.change.kind), -len(group.nodes), group.nodes


def _changes(
    base: View | None, old: Seat | None, head: View, new: Seat
) -> tuple[list[tuple[Change, Timing]], tuple[Fault, ...]]:
    was = _made_of(base, old) if base and old else {}
    now = _made_of(head, new)
    touched = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
    if not touched:
        return [], ()
    before: dict[str, Release] = base.some_releases(old, touched) if base and old else {}
    after, faults = head.releases(new)
    if faults:
        return [], faults
    pairs = ((before.get(name), after.get(name)) for name in sorted(touched))
    return [(change, _timing(change, other or one)) for one, other in pairs if (change := compare(one, other))], ()


def _timing(change: Change, release: Release | None) -> Timing:
    """When it may begin, as the release says that starts, else the one that goes."""
    if release is None:
        return Timing()
    policy = release.policy
    needs = policy.deadline if policy.needs is None else policy.needs
    return Timing(policy.plant.windows, needs, change.downtime.typical)


def _made_of(view: View, seat: Seat) -> dict[str, tuple[tuple[str, str], ...]]:
    """Path and blob id of everything that each deployment of a node is made of."""
    return {one.name: (*_files(view, _sources(view, seat, one)), *_beside(view, one)) for one in view.deployments(seat)}


def _sources(view: View, seat: Seat, deployment: DeploymentManifest) -> Iterator[str]:
    yield from ("fleet.yaml", seat.site.origin.file, deployment.origin.file)
    if deployment.application in view.snapshot.applications:
        yield view.snapshot.applications[deployment.application].origin.file


def _beside(view: View, deployment: DeploymentManifest) -> Iterator[tuple[str, str]]:
    """The config files of its application."""
    application = view.snapshot.applications.get(deployment.application)
    return iter(application.files.items() if application else ())


def _files(view: View, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((path, view.files[path]) for path in paths)
