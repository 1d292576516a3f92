"""Law: one deployment on one node becomes one release, or faults; the order of keys in any map changes nothing.

Patched tree, checked values, configs, networks, volumes, containers, jobs, order, then the spec and its digest. Parts
that nobody uses (a network that no container joins, a volume that none mounts) are judged and left out of the spec.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace

from edgegitops.core.desired.configs import ConfigReader
from edgegitops.core.desired.containers import Surroundings, is_enabled, read_container
from edgegitops.core.desired.jobs import check_order, read_job
from edgegitops.core.desired.membership import wave_of
from edgegitops.core.desired.mirrors import mirrors_of
from edgegitops.core.desired.mounts import Sources
from edgegitops.core.desired.networks import DEFAULT_NETWORK, read_network
from edgegitops.core.desired.patching import patched
from edgegitops.core.desired.places import Layer, Place, Problem, did_you_mean, trace
from edgegitops.core.desired.plant import plant_of
from edgegitops.core.desired.reading import Cursor, Keys, Scope
from edgegitops.core.desired.references import read_artifact
from edgegitops.core.desired.secrets import read_secret
from edgegitops.core.desired.selectors import matches
from edgegitops.core.desired.sharing import with_shared_names
from edgegitops.core.desired.updates import read_policy
from edgegitops.core.desired.values import Judge, Target, values_of
from edgegitops.core.desired.volumes import Volume, read_volume
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Application, DeploymentManifest, SecretFile, Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.release import Release, UpdatePolicy
from edgegitops.core.model.spec import ContainerSpec, CreateSpec, DeploymentSpec, JobSpec, NetworkSpec, VolumeSpec
from edgegitops.core.model.waves import Wave

_KEYS = Keys(
    frozenset({"version", "values", "containers", "jobs", "networks", "volumes", "configs", "artifacts"})
    | {"secrets", "update", "description"},
    frozenset(),
    (("services", "containers"), ("initContainers", "jobs")),
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
class _Common:
    """What a deployment is on all nodes that are alike; `is_own`: it asked for more, and is of this node alone."""

    spec: DeploymentSpec
    digest: str
    contents: Mapping[str, bytes]
    policy: UpdatePolicy
    layers: tuple[Layer, ...]
    is_own: bool


@dataclass(frozen=True, slots=True)
class Means:
    """What resolution is handed: the lookup of Git objects and the judge of JSON Schema. Who resolves many nodes of one
    snapshot hands the same means for all: what `alike` nodes share is read once.
    """

    objects: Objects
    judge: Judge
    alike: MutableMapping[tuple[object, ...], _Common] = field(default_factory=dict, compare=False)


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
    likeness = _likeness(deployment, target)
    common = means.alike.get(likeness) or _read_common(snapshot, deployment, target, means)
    if isinstance(common, Resolved):
        return common
    if not common.is_own:
        means.alike[likeness] = common
    plant, pool = plant_of(snapshot, deployment, target), target.site.network_pool
    policy = replace(common.policy, mirrors=mirrors_of(target), plant=plant, network_pool=pool)
    version = snapshot.applications[deployment.application].version
    release = Release(common.digest, snapshot.revision, common.spec, version, policy)
    return Resolved(release, common.contents, layers=common.layers)


def _likeness(deployment: DeploymentManifest, target: Target) -> tuple[object, ...]:
    """Equal for nodes on which a deployment is the same, where nothing asks for more of a node than this."""
    site, node, tags = target.site, target.node, target.tags
    overrides = tuple(matches(one.selector, tags) for one in deployment.overrides)
    wave = wave_of(deployment.rollout, deployment.name, f"{site.name}/{node.name}", tags)
    return deployment.name, overrides, wave, site.time_zone, repr(site.values), repr(node.values)


def _read_common(
    snapshot: Snapshot, deployment: DeploymentManifest, target: Target, means: Means
) -> _Common | Resolved:
    """What it is on nodes like this one; Resolved: its faults."""
    application = snapshot.applications[deployment.application]
    tree, layers, faults = patched(application, deployment, target.tags)
    values = values_of(application, deployment, target)
    values.faults += faults
    values.check(means.judge, Place(application.origin, ("spec", "values")))
    scope = Scope(layers, values)
    spec, contents, policy = _read(
        Cursor(tree, (), scope), application, deployment, _Node(target, means, snapshot.secrets)
    )
    if scope.faults:
        return Resolved(None, faults=tuple(dict.fromkeys(scope.faults)), layers=layers)
    return _Common(spec, spec.digest(), contents, policy, layers, values.is_own)


@dataclass(frozen=True, slots=True)
class _Node:
    target: Target
    means: Means
    secrets: Mapping[str, SecretFile]


def _read(
    root: Cursor, application: Application, deployment: DeploymentManifest, node: _Node
) -> tuple[DeploymentSpec, dict[str, bytes], UpdatePolicy]:
    fields = {key: spot for key, spot in root.fields(_KEYS).items() if not _is_empty_map(spot.tree)}
    secrets = {name: read_secret(spot, node.secrets) for name, spot in _named(fields, "secrets")}
    reader = ConfigReader(application, node.means.objects, secrets)
    configs = {name: reader.read(spot) for name, spot in _named(fields, "configs")}
    networks = {name: read_network(spot) for name, spot in _named(fields, "networks")}
    named = [name for name, _ in _named(fields, "containers")]
    volumes = {name: read_volume(spot, named) for name, spot in _named(fields, "volumes")}
    artifacts = {name: read_artifact(spot) for name, spot in _named(fields, "artifacts")}
    around = Surroundings(node.target, Sources(volumes, configs, artifacts, secrets), networks)
    containers, jobs = _read_parts(dict(_named(fields, "containers")), dict(_named(fields, "jobs")), around)
    containers = with_shared_names(deployment.name, containers, networks)
    jobs = with_shared_names(deployment.name, jobs, networks)
    creates = [*(one.create for one in containers.values()), *(one.create for one in jobs.values())]
    own = Cursor(dict(deployment.spec), (), Scope((_layer(deployment),), root.scope.values))
    policy = read_policy(own, fields, _wave(deployment, node.target))
    spec = DeploymentSpec(
        deployment=deployment.name,
        containers=containers,
        networks=_joined(creates, networks),
        volumes=_mounted(creates, volumes),
        attempt=deployment.attempt,
        jobs=jobs,
    )
    found = {
        config.digests[path]: data for config in configs.values() if config for path, data in config.contents.items()
    }
    return spec, {digest: found[digest] for digest in sorted(needed_contents(spec))}, policy


def _wave(deployment: DeploymentManifest, target: Target) -> Wave | None:
    """The written wave that the node is in; None where it is in the rest."""
    seat = f"{target.site.name}/{target.node.name}"
    at = wave_of(deployment.rollout, deployment.name, seat, target.tags)
    return deployment.rollout.waves[at] if at < len(deployment.rollout.waves) else None


def needed_contents(spec: DeploymentSpec) -> frozenset[str]:
    """The SHA-256 of every config file that a spec mounts."""
    parts = (*spec.containers.values(), *(job.container() for job in spec.jobs.values()))
    return frozenset[str]().union(*(part.contents() for part in parts))


def _named(fields: Mapping[str, Cursor], key: str) -> list[tuple[str, Cursor]]:
    return list(fields[key].named().items()) if key in fields else []


def _is_empty_map(tree: Tree) -> bool:
    return isinstance(tree, dict) and not tree


def _layer(deployment: DeploymentManifest) -> Layer:
    return Layer(Place(deployment.origin, ("spec",)), dict(deployment.spec))


def _read_parts(
    containers: Mapping[str, Cursor], jobs: Mapping[str, Cursor], around: Surroundings
) -> tuple[dict[str, ContainerSpec], dict[str, JobSpec]]:
    """What is enabled here, in an order of start that exists."""
    for name in sorted(containers.keys() & jobs.keys()):
        jobs[name].note(FaultCode.DUPLICATE_NAME, f"a container is called {name!r} too", "a name of its own")
    read = {name: read_container(spot, around) for name, spot in containers.items() if is_enabled(spot)}
    ending = {name: read_job(spot, around) for name, spot in jobs.items() if is_enabled(spot)}
    found = {name: one for name, one in read.items() if one is not None}
    found_jobs = {name: one for name, one in ending.items() if one is not None}
    if len(found) + len(found_jobs) == len(read) + len(ending):  # else a fault is told, and what waits for it would be
        check_order(found, found_jobs, {**containers, **jobs})
    return found, found_jobs


def _joined(creates: Iterable[CreateSpec], networks: Mapping[str, NetworkSpec]) -> dict[str, NetworkSpec]:
    names = {name for create in creates for name in create.networks}
    known = {DEFAULT_NETWORK: NetworkSpec(), **networks}
    return {name: known[name] for name in sorted(names)}


def _mounted(creates: Iterable[CreateSpec], volumes: Mapping[str, Volume]) -> dict[str, VolumeSpec]:
    names = {mount.volume for create in creates for mount in create.mounts}
    return {name: volumes[name].spec for name in sorted(names - {""})}
