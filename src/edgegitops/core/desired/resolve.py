"""Law: a snapshot makes of a node exactly one desired state, or faults.

1. The resolver version of the fleet must be known, else nothing is resolved.
2. Every deployment whose selector matches the node's tags is resolved; all faults are collected.
3. Two containers of one node that publish one host port are a fault of the later one; so are two deployments that
   do not agree on a network that they share.
4. The node's own policy admits each release, and policies of the fleet may refuse it; what is refused is refused alone.

A node that its site does not list is not enrolled: it starts nothing and removes nothing.
"""

from collections.abc import Iterator, Mapping

from edgegitops.core.desired.admission import admit
from edgegitops.core.desired.deployments import Means, Resolved, needed_contents, resolve_deployment
from edgegitops.core.desired.mirrors import mirror_faults
from edgegitops.core.desired.narrowing import narrow
from edgegitops.core.desired.order import order_faults
from edgegitops.core.desired.places import Place, Problem
from edgegitops.core.desired.plant import node_plant, policies_of
from edgegitops.core.desired.ports import Taken
from edgegitops.core.desired.selectors import matches
from edgegitops.core.desired.sharing import sharing_conflicts
from edgegitops.core.desired.subnets import pool_faults, subnet_conflicts
from edgegitops.core.desired.values import Judge, Target
from edgegitops.core.model.facts import Desired, NodeIdentity, Refusals
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Faults, Fleet, Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.release import Release
from edgegitops.core.model.spec import CreateSpec

RESOLVERS = frozenset({1})


def unknown_resolver(fleet: Fleet) -> tuple[Fault, ...]:
    """The fault of a resolver version that this program does not have."""
    if fleet.resolver in RESOLVERS:
        return ()
    problem = Problem(
        FaultCode.RESOLVER_UNKNOWN,
        f"resolver {fleet.resolver} is not known to this version",
        f"one of {', '.join(map(str, sorted(RESOLVERS)))}, or a newer edgegitops",
    )
    return (Place(fleet.origin, ("spec", "resolver")).fault(problem),)


def target_of(snapshot: Snapshot, site: str, node: str) -> Target | None:
    """The node as the snapshot knows it; None where it does not."""
    place = snapshot.sites.get(site)
    if place is None or node not in place.nodes:
        return None
    return Target(snapshot.fleet, place, place.nodes[node])


def resolve(
    snapshot: Snapshot, site: str, node: str, objects: Objects, judge: Judge
) -> tuple[Mapping[str, Release], Mapping[str, bytes], tuple[Fault, ...]]:
    """Releases by deployment, contents of their config files by SHA-256, and all faults of this node.

    A deployment with a fault has no release. An unknown node has none of the three.
    """
    target = target_of(snapshot, site, node)
    if target is None:
        return {}, {}, unknown_resolver(snapshot.fleet)
    return resolve_at(snapshot, target, Means(objects, judge))


def resolve_at(
    snapshot: Snapshot, target: Target, means: Means
) -> tuple[Mapping[str, Release], Mapping[str, bytes], tuple[Fault, ...]]:
    """The same of a node that was read already: of a large fleet, a site is read when it is asked for."""
    if faults := unknown_resolver(snapshot.fleet):
        return {}, {}, faults
    found = _resolve_all(snapshot, target, means)
    releases = {name: resolved.release for name, resolved in found.items() if resolved.release}
    contents = {digest: data for resolved in found.values() for digest, data in resolved.contents.items()}
    told = [fault for resolved in found.values() for fault in resolved.faults]
    specs = {name: (one.release.spec, one.place("networks")) for name, one in found.items() if one.release}
    return (
        releases,
        contents,
        sort_faults(
            [
                *told,
                *_port_conflicts(found),
                *sharing_conflicts(specs),
                *subnet_conflicts(specs, target.node.address),
                *pool_faults(target, specs),
                *mirror_faults(target),
                *order_faults(snapshot),
            ]
        ),
    )


def desired_for(
    snapshot: Snapshot, node: NodeIdentity, objects: Objects, policy: NodePolicy, judge: Judge
) -> Desired | Faults:
    """What a node should run at a snapshot. Faults: the snapshot is not valid for this node."""
    if faults := unknown_resolver(snapshot.fleet):
        return Faults(snapshot.revision, faults)
    target = target_of(snapshot, node.site, node.node)
    if target is None:
        fleet = snapshot.fleet
        return Desired(
            snapshot.revision, is_enrolled=False, max_staleness=fleet.max_staleness, reporting=fleet.reporting
        )
    releases, contents, faults = resolve_at(snapshot, target, Means(objects, judge))
    if any(not fault.is_warning for fault in faults):
        return Faults(snapshot.revision, faults)
    policies = policies_of(snapshot, target)
    judged = {
        name: (*admit(release.spec, policy), *narrow(release.spec, policies)) for name, release in releases.items()
    }
    admitted = {name: release for name, release in releases.items() if not judged[name]}
    needed = frozenset[str]().union(*(needed_contents(release.spec) for release in admitted.values()))
    files = frozenset[str]().union(*(one.secrets() for release in admitted.values() for one in release.spec.creates()))
    sealed = {file: objects.read(snapshot.secrets[file].age) for file in sorted(files)}
    return Desired(
        revision=snapshot.revision,
        releases=admitted,
        secrets={file: found.data for file, found in sealed.items() if found},
        contents={digest: data for digest, data in contents.items() if digest in needed},
        refused=Refusals({name: refusals for name, refusals in judged.items() if refusals}),
        is_in_maintenance=target.node.is_in_maintenance,
        max_staleness=snapshot.fleet.max_staleness,
        reporting=snapshot.fleet.reporting,
        plant=node_plant(snapshot, target),
    )


def sort_faults(faults: list[Fault]) -> tuple[Fault, ...]:
    """Without repetitions, by file and place."""
    return tuple(
        sorted(
            dict.fromkeys(faults),
            key=lambda fault: (
                fault.file,
                (fault.position.line, fault.position.column) if fault.position else (0, 0),
                fault.pointer,
                fault.code,
                fault.message,
            ),
        )
    )


def _resolve_all(snapshot: Snapshot, target: Target, means: Means) -> dict[str, Resolved]:
    tags = target.tags
    return {
        name: resolve_deployment(snapshot, deployment, target, means)
        for name, deployment in sorted(snapshot.deployments.items())
        if matches(deployment.selector, tags)
    }


def _port_conflicts(found: Mapping[str, Resolved]) -> list[Fault]:
    taken = Taken()
    faults = []
    for deployment, resolved in found.items():
        for group, name, create in _creates(resolved.release):
            for port in create.ports:
                owner = taken.take(port, f"{deployment}.{name}")
                if owner:
                    problem = Problem(
                        FaultCode.PORT_CONFLICT,
                        f"{deployment}.{name}: host port {port.host}/{port.protocol} is taken by {owner}",
                        "another host port, another hostIP, or a value that differs between the two",
                    )
                    faults.append(resolved.place(group, name, "ports").fault(problem))
    return faults


def _creates(release: Release | None) -> Iterator[tuple[str, str, CreateSpec]]:
    """What the engine is told, with the path under which people find it."""
    if release is not None:
        yield from (("containers", name, one.create) for name, one in release.spec.containers.items())
        yield from (("jobs", name, one.create) for name, one in release.spec.jobs.items())
