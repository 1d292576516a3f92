"""Law: a shared network joins deployments of one node, so its names and its definition are everybody's.

On it a container is `<deployment>-<container>`, beside the aliases that it asks for: plain names of containers would
clash. All deployments of a node that share a network say the same of it, and no name on it belongs to two of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from edgegitops.core.desired.places import Place, Problem
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Attachment, ContainerSpec, DeploymentSpec, JobSpec, NetworkSpec

P = TypeVar("P", ContainerSpec, JobSpec)


def with_shared_names(
    deployment: str, containers: Mapping[str, P], networks: Mapping[str, NetworkSpec]
) -> dict[str, P]:
    """The containers or jobs, with their names on the networks that are shared."""
    shared = {name for name, network in networks.items() if network.is_shared}
    return {name: _named(f"{deployment}-{name}", container, shared) for name, container in containers.items()}


def _named(name: str, container: P, shared: set[str]) -> P:
    joined = dict(container.create.networks)
    for network in shared & joined.keys():
        place: Attachment = joined[network]
        joined[network] = replace(place, aliases=tuple(sorted({name, *place.aliases})), is_shared=True)
    return replace(container, create=replace(container.create, networks=joined))


def sharing_conflicts(specs: Mapping[str, tuple[DeploymentSpec, Place]]) -> Iterator[Fault]:
    """What two deployments of a node say of a shared network that cannot both hold; told of the later one."""
    defined: dict[str, tuple[NetworkSpec, str]] = {}
    owners: dict[tuple[str, str], str] = {}
    for deployment, (spec, place) in sorted(specs.items()):
        for name, network in sorted(spec.networks.items()):
            if not network.is_shared:
                continue
            first, owner = defined.setdefault(name, (network, deployment))
            if first != network:
                message = f"the shared network {name!r} is defined otherwise by {owner}"
                problem = Problem(FaultCode.WRONG_VALUE, f"{deployment}: {message}", "the same in both applications")
                yield place.fault(problem)
            for alias in sorted(_names_on(spec, name)):
                other = owners.setdefault((name, alias), deployment)
                if other != deployment:
                    message = f"the name {alias!r} on the shared network {name!r} is taken by {other}"
                    problem = Problem(FaultCode.DUPLICATE_NAME, f"{deployment}: {message}", "another name, or alias")
                    yield place.fault(problem)


def _names_on(spec: DeploymentSpec, network: str) -> set[str]:
    places = [create.networks.get(network) for create in spec.creates()]
    return {alias for place in places if place for alias in place.aliases}
