"""Law: one deployment on one node becomes one release, or faults; the order of keys in any map changes nothing.

Patched tree, checked values, configs, networks, volumes, containers, order, then the spec and its digest. Parts that
nobody uses (a network that no container joins, a volume that none mounts) are judged and left out of the spec.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgegitops.core.desired.configs import ConfigReader
from edgegitops.core.desired.containers import Surroundings, is_enabled, read_container
from edgegitops.core.desired.graph import find_cycle
from edgegitops.core.desired.mirrors import mirrors_of
from edgegitops.core.desired.mounts import Sources, unknown
from edgegitops.core.desired.networks import DEFAULT_NETWORK, read_network
from edgegitops.core.desired.patching import patched
from edgegitops.core.desired.places import Layer, Place, Problem, did_you_mean, trace
from edgegitops.core.desired.plant import plant_of
from edgegitops.core.desired.reading import Cursor, Keys, Scope
from edgegitops.core.desired.references import read_artifact
from edgegitops.core.desired.sharing import with_shared_names
from edgegitops.core.desired.updates import read_policy
from edgegitops.core.desired.values import Judge, Target, values_of
from edgegitops.core.desired.volumes import Volume, read_volume
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Application, DeploymentManifest, Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.release import Release, UpdatePolicy
from edgegitops.core.model.spec import ContainerSpec, DeploymentSpec, NetworkSpec, VolumeSpec

_KEYS = Keys(
    frozenset(
        {"version", "values", "containers", "networks", "volumes", "configs", "artifacts", "update"} | {"description"}
    ),
    frozenset({"jobs", "secrets"}),
    (("services", "containers"),),
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A deployment on a node; `release` is None where there are faults. `layers` trace its parts to their files."""

    release: Release | None
    contents: Mapping[str, bytes] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    layers: tuple[Layer, ...] = ()

    def place(self, *path: str) -> Place:
        """Where a person edits a part of the application."""
        return trace(self.layers, path)


@dataclass(frozen=True, slots=True)
class Means:
    """What resolution is handed: the lookup of Git objects and the judge of JSON Schema."""

    objects: Objects
    judge: Judge


def unknown_application(snapshot: Snapshot, deployment: DeploymentManifest) -> tuple[Fault, ...]:
    """The fault of a deployment whose application does not exist."""
    if deployment.application in snapshot.applications:
        return ()
    problem = Problem(
        FaultCode.UNKNOWN_APPLICATION,
        f"there is no application {deployment.application!r}",
        "an application under apps/",
        did_you_mean(deployment.application, snapshot.applications),
    )
    return (Place(deployment.origin, ("spec", "application")).fault(problem),)


def resolve_deployment(snapshot: Snapshot, deployment: DeploymentManifest, target: Target, means: Means) -> Resolved:
    """The release of a deployment on a node that its selector matches."""
    if faults := unknown_application(snapshot, deployment):
        return Resolved(None, faults=faults)
    application = snapshot.applications[deployment.application]
    tree, layers, faults = patched(application, deployment, target.tags)
    values = values_of(application, deployment, target)
    values.faults += faults
    values.check(means.judge, Place(application.origin, ("spec", "values")))
    scope = Scope(layers, values)
    spec, contents, policy = _read(Cursor(tree, (), scope), application, deployment, _Node(target, means))
    if scope.faults:
        return Resolved(None, faults=tuple(dict.fromkeys(scope.faults)), layers=layers)
    policy = replace(policy, mirrors=mirrors_of(target), plant=plant_of(snapshot, deployment, target))
    release = Release(spec.digest(), snapshot.revision, spec, application.version, policy)
    return Resolved(release, contents, layers=layers)


@dataclass(frozen=True, slots=True)
class _Node:
    target: Target
    means: Means


def _read(
    root: Cursor, application: Application, deployment: DeploymentManifest, node: _Node
) -> tuple[DeploymentSpec, dict[str, bytes], UpdatePolicy]:
    fields = {key: spot for key, spot in root.fields(_KEYS).items() if not _is_empty_map(spot.tree)}
    reader = ConfigReader(application, node.means.objects)
    configs = {name: reader.read(spot) for name, spot in _named(fields, "configs")}
    networks = {name: read_network(spot) for name, spot in _named(fields, "networks")}
    named = [name for name, _ in _named(fields, "containers")]
    volumes = {name: read_volume(spot, named) for name, spot in _named(fields, "volumes")}
    artifacts = {name: read_artifact(spot) for name, spot in _named(fields, "artifacts")}
    around = Surroundings(node.target, Sources(volumes, configs, artifacts), networks)
    read = _read_containers(dict(_named(fields, "containers")), around)
    containers = with_shared_names(deployment.name, read, networks)
    own = Cursor(dict(deployment.spec), (), Scope((_layer(deployment),), root.scope.values))
    policy = read_policy(own, fields)
    spec = DeploymentSpec(
        deployment=deployment.name,
        containers=containers,
        networks=_joined(containers, networks),
        volumes=_mounted(containers, volumes),
        attempt=deployment.attempt,
    )
    found = {
        config.digests[path]: data for config in configs.values() if config for path, data in config.contents.items()
    }
    return spec, {digest: found[digest] for digest in sorted(needed_contents(spec))}, policy


def needed_contents(spec: DeploymentSpec) -> frozenset[str]:
    """The SHA-256 of every config file that a spec mounts."""
    return frozenset[str]().union(*(container.contents() for container in spec.containers.values()))


def _named(fields: Mapping[str, Cursor], key: str) -> list[tuple[str, Cursor]]:
    return list(fields[key].named().items()) if key in fields else []


def _is_empty_map(tree: Tree) -> bool:
    return isinstance(tree, dict) and not tree


def _layer(deployment: DeploymentManifest) -> Layer:
    return Layer(Place(deployment.origin, ("spec",)), dict(deployment.spec))


def _read_containers(spots: Mapping[str, Cursor], around: Surroundings) -> dict[str, ContainerSpec]:
    enabled = {name: spot for name, spot in spots.items() if is_enabled(spot)}
    containers = {}
    for name, spot in enabled.items():
        container = read_container(spot, around)
        if container is not None:
            containers[name] = container
    for name, container in containers.items():
        _check_order(spots[name], container, spots, enabled)
    if loop := find_cycle({name: container.care.depends_on for name, container in containers.items()}):
        message = f"these wait for each other: {' -> '.join((*loop, loop[0]))}"
        spots[loop[0]].below("dependsOn", {}).note(FaultCode.DEPENDENCY_CYCLE, message)
    return containers


def _check_order(
    spot: Cursor, container: ContainerSpec, spots: Mapping[str, Cursor], enabled: Mapping[str, Cursor]
) -> None:
    order = spot.below("dependsOn", {})
    for name in container.care.depends_on:
        if name not in spots:
            unknown(order.below(name, None), "container", name, spots)
        elif name not in enabled:
            order.below(name, None).note(FaultCode.UNKNOWN_REFERENCE, f"the container {name!r} is not enabled here")


def _joined(containers: Mapping[str, ContainerSpec], networks: Mapping[str, NetworkSpec]) -> dict[str, NetworkSpec]:
    names = {name for container in containers.values() for name in container.create.networks}
    known = {DEFAULT_NETWORK: NetworkSpec(), **networks}
    return {name: known[name] for name in sorted(names)}


def _mounted(containers: Mapping[str, ContainerSpec], volumes: Mapping[str, Volume]) -> dict[str, VolumeSpec]:
    names = {mount.volume for container in containers.values() for mount in container.create.mounts}
    return {name: volumes[name].spec for name in sorted(names - {""})}
