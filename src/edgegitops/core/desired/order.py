"""Law: deployments that wait for each other must exist, and in the end one of them must wait for nobody.

Both hold for the fleet as a whole, whichever nodes they are on: a loop that no node meets today is met tomorrow.
"""

from collections.abc import Iterator, Mapping

from edgegitops.core.desired.graph import find_cycle
from edgegitops.core.desired.places import Place, Problem, did_you_mean
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import DeploymentManifest, Snapshot
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.release import Release


def order_faults(snapshot: Snapshot) -> Iterator[Fault]:
    """Deployments that name one that does not exist, and those that wait for themselves."""
    for deployment in snapshot.deployments.values():
        for name in _named(deployment):
            if name not in snapshot.deployments:
                near = did_you_mean(name, snapshot.deployments)
                message = f"there is no deployment {name!r}"
                problem = Problem(FaultCode.UNKNOWN_REFERENCE, message, "a deployment under deployments/", near)
                yield Place(deployment.origin, ("spec", "dependsOn", name)).fault(problem)
    loop = find_cycle({name: _named(one) for name, one in snapshot.deployments.items()})
    if loop:
        message = f"these wait for each other: {' -> '.join((*loop, loop[0]))}"
        place = Place(snapshot.deployments[loop[0]].origin, ("spec", "dependsOn", (*loop, loop[0])[1]))
        yield place.fault(Problem(FaultCode.DEPENDENCY_CYCLE, message))


def lonely(snapshot: Snapshot, releases: Mapping[str, Release]) -> Iterator[Fault]:
    """Warnings of one node: deployments that wait there for one that is not there."""
    for name, release in releases.items():
        for other in sorted(release.policy.depends_on.keys() - releases.keys()):
            message = f"{name} waits for {other} where that is not wanted, and does not start there"
            problem = Problem(FaultCode.NOTHING_SELECTED, message, is_warning=True)
            yield Place(snapshot.deployments[name].origin, ("spec", "dependsOn", other)).fault(problem)


def _named(deployment: DeploymentManifest) -> tuple[str, ...]:
    written = deployment.spec.get("dependsOn")
    return tuple(written) if isinstance(written, dict) else ()
