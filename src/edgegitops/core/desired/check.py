"""Law: a revision is judged for all its nodes at once, and each fault is told once.

What selects nothing (a deployment, an override, a wave) is a warning, never more: retiring the last node of a kind must
not make every later commit bad. What a policy of the fleet refuses is a fault here: a node would refuse the deployment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from edgegitops.core.desired.deployments import Means, unknown_application
from edgegitops.core.desired.editions import seats
from edgegitops.core.desired.membership import wave_of
from edgegitops.core.desired.narrowing import narrow
from edgegitops.core.desired.order import lonely, order_faults
from edgegitops.core.desired.places import Place, Problem
from edgegitops.core.desired.plant import policies_of
from edgegitops.core.desired.resolve import resolve_at, sort_faults, unknown_resolver
from edgegitops.core.desired.selectors import matches, node_tags
from edgegitops.core.desired.values import Judge
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import DeploymentManifest, Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import FaultCode

# Faults of these kinds stand in one place and hold for some nodes: a person has to know for which.
_OF_A_NODE = frozenset(
    {FaultCode.ADMISSION_DENIED, FaultCode.PORT_CONFLICT, FaultCode.UNKNOWN_VALUE, FaultCode.VALUE_INVALID}
)


def check_snapshot(snapshot: Snapshot, objects: Objects, judge: Judge) -> tuple[Fault, ...]:
    """All faults and warnings of resolution, over all nodes of all sites."""
    if faults := unknown_resolver(snapshot.fleet):
        return faults
    nodes_of: dict[Fault, list[str]] = {}
    means = Means(objects, judge)
    for seat, target in seats(snapshot):
        releases, _, faults = resolve_at(snapshot, target, means)
        policies = policies_of(snapshot, target)
        refused = (one for release in releases.values() for one in narrow(release.spec, policies))
        for fault in (*faults, *refused, *(() if faults else lonely(snapshot, releases))):
            nodes_of.setdefault(fault, []).append(seat)
    told = [_with_nodes(fault, nodes) for fault, nodes in nodes_of.items()]
    told += order_faults(snapshot)
    for deployment in snapshot.deployments.values():
        told += unknown_application(snapshot, deployment)
    return sort_faults([*told, *_nothing_selected(snapshot)])


def _with_nodes(fault: Fault, nodes: list[str]) -> Fault:
    if fault.code not in _OF_A_NODE and not fault.is_warning:
        return fault
    others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
    return replace(fault, message=f"{fault.message} (on {nodes[0]}{others})")


def _nothing_selected(snapshot: Snapshot) -> Iterable[Fault]:
    everybody = [node_tags(site, node) for site in snapshot.sites.values() for node in site.nodes.values()]
    for deployment in snapshot.deployments.values():
        yield from _unselected(deployment, everybody)
    for policy in snapshot.policies.values():
        if not any(matches(policy.selector, tags) for tags in everybody):
            problem = Problem(
                FaultCode.NOTHING_SELECTED, f"{policy.name}: the selector matches no node", is_warning=True
            )
            yield Place(policy.origin, ("spec", "selector")).fault(problem)


def _unselected(deployment: DeploymentManifest, everybody: Iterable[Mapping[str, str]]) -> Iterable[Fault]:
    members = [tags for tags in everybody if matches(deployment.selector, tags)]
    if not members:
        yield _warning(deployment, "the selector matches no node", "selector")
        return
    for number, override in enumerate(deployment.overrides):
        if not any(matches(override.selector, tags) for tags in members):
            message = "the selector of the override matches no node of the deployment"
            yield _warning(deployment, message, "overrides", str(number), "selector")
    yield from _empty_waves(deployment, members)


def _empty_waves(deployment: DeploymentManifest, members: Iterable[Mapping[str, str]]) -> Iterable[Fault]:
    policy = deployment.rollout
    taken = {wave_of(policy, deployment.name, f"{tags['site']}/{tags['node']}", tags) for tags in members}
    for at, wave in enumerate(policy.waves):
        if at not in taken:
            message = f"wave {wave.name} takes no node of the deployment"
            if wave.percent is not None:
                message += f": {wave.percent} % of them, less those of earlier waves, are none"
            if at < min(taken):
                message += "; with nobody before them, the others need an approval for each release"
            yield _warning(deployment, message, "rollout", "waves", str(at))


def _warning(deployment: DeploymentManifest, message: str, *path: str) -> Fault:
    problem = Problem(FaultCode.NOTHING_SELECTED, f"{deployment.name}: {message}", is_warning=True)
    return Place(deployment.origin, ("spec", *path)).fault(problem)
