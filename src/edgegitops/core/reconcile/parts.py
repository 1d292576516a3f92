"""Law: a release is made of parts with engine names; two releases share exactly the parts whose digests are equal.

Pure naming and ordering: which containers, networks and volumes a release needs, under which names and labels, and in
which order containers start. A container starts after those it depends on; a level may start side by side. A job is
a part of its release alone; each run of a scheduled one has a container of its own, named by the time it was due.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Generic, TypeVar

from edgegitops.core.model import naming
from edgegitops.core.model.observed import ContainerSeen
from edgegitops.core.model.release import Release
from edgegitops.core.model.spec import ContainerSpec, DeploymentSpec, JobSpec, Restart, Runs
from edgegitops.core.model.steps import (
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    PullArtifact,
    PullImage,
    ReloadContainer,
    StopContainer,
)
from edgegitops.errors import BrokenInvariantError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One container or job of a release: its engine name, its name in the spec, its own digest and its level of start.
    A scheduled job as such has no container; `Parts.run` is one of its runs.
    """

    name: str
    container: str
    digest: str
    level: int
    spec: ContainerSpec
    job: JobSpec | None = None

    def may_rest(self, exit_code: int | None) -> bool:
        """True where its restart policy lets it stay ended with this exit code."""
        match self.spec.care.restart:
            case Restart.ALWAYS:
                return False
            case Restart.ON_FAILURE:
                return exit_code == 0
            case Restart.NEVER:
                return True

    def stop(self) -> StopContainer:
        """The step that stops it with the patience that it asks for."""
        return StopContainer(self.name, self.spec.care.stop_timeout, self.spec.care.stop_pre)

    def reload(self) -> ReloadContainer:
        """The step that puts the contents of its live mounts in place and tells the program."""
        care = self.spec.care
        live = tuple(mount for mount in self.spec.create.mounts if mount.live)
        return ReloadContainer(self.name, live, care.configs, care.configs_digest(), care.config_signal)


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a release needs on the engine. Networks and volumes map names in the spec to engine names."""

    fleet: str
    release: Release
    containers: tuple[Part, ...]
    networks: Mapping[str, str]
    volumes: Mapping[str, str]
    jobs: tuple[Part, ...] = ()
    scheduled: tuple[Part, ...] = ()

    def names(self) -> frozenset[str]:
        """Engine names of the containers, and of the jobs that belong to the release."""
        return frozenset(part.name for part in (*self.containers, *self.jobs))

    def named(self, name: str) -> Part:
        """The container or job of this name in the spec."""
        return next(part for part in (*self.containers, *self.jobs, *self.scheduled) if part.container == name)

    def run(self, part: Part, due_at: datetime) -> Part:
        """The run of a scheduled job that is due at an instant."""
        name = naming.run_name(self.release.deployment, part.container, part.digest, due_at)
        return replace(part, name=name)

    def is_run(self, seen: ContainerSeen) -> bool:
        """True where a container is a run of one of these scheduled jobs."""
        return any((seen.container, seen.digest) == (part.container, part.digest) for part in self.scheduled)

    def levels(self) -> tuple[tuple[Part, ...], ...]:
        """Containers in order of start."""
        depth = max((part.level for part in self.containers), default=-1)
        return tuple(tuple(part for part in self.containers if part.level == level) for level in range(depth + 1))

    def labels(self, key: str, name: str) -> dict[str, str]:
        """The ownership labels of one thing of this deployment."""
        return {
            naming.LABEL_FLEET: self.fleet,
            naming.LABEL_DEPLOYMENT: self.release.deployment,
            key: name,
        }

    def is_ours(self, seen: ContainerSeen) -> bool:
        """True where a container under one of our names carries our labels."""
        return (
            seen.labels.get(naming.LABEL_FLEET) == self.fleet
            and seen.labels.get(naming.LABEL_DEPLOYMENT) == self.release.deployment
        )

    def pull(self, image: str) -> PullImage:
        """The step that makes an image of this release present."""
        return PullImage(image, self._mirrored(image))

    def pull_artifact(self, artifact: str) -> PullArtifact:
        """The step that makes an artifact of this release present."""
        return PullArtifact(artifact, self._mirrored(artifact))

    def _mirrored(self, name: str) -> tuple[str, ...]:
        """Other names of an image or artifact; mirrors of a longer part of its name come first."""
        pairs = [pair for pair in self.release.policy.mirrors if name.startswith(f"{pair[0]}/")]
        pairs.sort(key=lambda pair: -len(pair[0]))
        return tuple(dict.fromkeys(mirror + name[len(source) :] for source, mirror in pairs))

    def create_container(self, part: Part) -> CreateContainer:
        """The step that creates this part."""
        labels = self.labels(naming.LABEL_CONTAINER, part.container)
        shares = sorted(self.networks[name] for name, at in part.spec.create.networks.items() if at.is_shared)
        if shares:
            labels[naming.LABEL_SHARES] = " ".join(shares)
        if part.job is not None:  # its container may outlive the release: what it is, and what it holds, is told by it
            labels[naming.LABEL_JOB] = part.job.runs
            labels[naming.LABEL_NETWORKS] = " ".join(sorted(self.networks[name] for name in part.spec.create.networks))
        return CreateContainer(
            subject=part.name,
            alias=part.container,
            create=part.spec.create,
            labels={**part.spec.create.labels, **labels, naming.LABEL_DIGEST: part.digest},
            networks={name: self.networks[name] for name in part.spec.create.networks},
            volumes={mount.volume: self.volumes[mount.volume] for mount in part.spec.create.mounts if mount.volume},
            stop_timeout=part.spec.care.stop_timeout,
            configs=part.spec.care.configs,
            configs_digest=part.spec.care.configs_digest(),
        )

    def create_network(self, name: str) -> CreateNetwork:
        """The step that creates one network; one that is shared belongs to the fleet and to no deployment."""
        spec = self.release.spec.networks[name]
        labels = self.labels(naming.LABEL_NETWORK, name)
        if spec.is_shared:
            del labels[naming.LABEL_DEPLOYMENT]
        return CreateNetwork(self.networks[name], spec, labels)

    def shared(self) -> frozenset[str]:
        """Engine names of the networks that it shares."""
        return frozenset(self.networks[name] for name, one in self.release.spec.networks.items() if one.is_shared)

    def create_volume(self, name: str) -> CreateVolume:
        """The step that creates one volume."""
        spec = self.release.spec.volumes[name]
        kept = {naming.LABEL_RETAIN: "true"} if spec.retain else {}
        return CreateVolume(self.volumes[name], {**self.labels(naming.LABEL_VOLUME, name), **kept}, spec.size)

    def secrets(self, parts: Iterable[Part]) -> frozenset[str]:
        """Every secret that these containers are given, by name and version."""
        return frozenset[str]().union(*(part.spec.create.secrets() for part in parts))

    def contents(self, parts: Iterable[Part]) -> frozenset[str]:
        """SHA-256 of every config file that these parts mount or copy."""
        return frozenset[str]().union(*(part.spec.contents() for part in parts))

    def artifacts(self, parts: Iterable[Part]) -> frozenset[str]:
        """Every artifact that these containers mount."""
        mounts = [mount for part in parts for mount in part.spec.create.mounts]
        return frozenset(mount.artifact for mount in mounts if mount.artifact)


def parts_of(fleet: str, release: Release) -> Parts:
    """The parts of a release; BrokenInvariantError where its dependencies have a cycle (resolution refuses those)."""
    return _parts(fleet, Same(release))


@lru_cache(maxsize=256)  # a decision asks for the same parts a dozen times
def _parts(fleet: str, same: "Same[Release]") -> Parts:
    release = same.it
    parts, networks, volumes = _named(Same(release.spec), release.digest)
    jobs = [part for part in parts if part.job is not None]
    return Parts(
        fleet,
        release,
        tuple(part for part in parts if part.job is None),
        networks,
        volumes,
        jobs=tuple(part for part in jobs if part.job is not None and part.job.runs is not Runs.SCHEDULE),
        scheduled=tuple(part for part in jobs if part.job is not None and part.job.runs is Runs.SCHEDULE),
    )


class Same(Generic[T]):
    """A value that is equal to nothing but itself: what was worked out for it holds as long as it is that very one."""

    def __init__(self, it: T) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.it is self.it


@lru_cache(maxsize=256)  # several releases may have one spec, and to name it hashes every container
def _named(same: Same[DeploymentSpec], digest: str) -> tuple[tuple[Part, ...], Mapping[str, str], Mapping[str, str]]:
    spec = same.it
    levels = _levels(spec)
    containers = [
        _part(spec, name, spec.container_digest(name), levels, wanted) for name, wanted in spec.containers.items()
    ]
    jobs = [
        _part(spec, name, spec.job_digest(name, digest), levels, job.container(), job)
        for name, job in spec.jobs.items()
    ]
    return (
        tuple(sorted((*containers, *jobs), key=lambda part: (part.level, part.name))),
        {name: _network_name(spec, name) for name in spec.networks},
        {name: naming.volume_name(spec.deployment, name) for name in spec.volumes},
    )


def _part(  # noqa: PLR0913, PLR0917 - a part is made in one place
    spec: DeploymentSpec,
    name: str,
    own: str,
    levels: Mapping[str, int],
    wanted: ContainerSpec,
    job: JobSpec | None = None,
) -> Part:
    return Part(naming.container_name(spec.deployment, name, own), name, own, levels[name], wanted, job)


def _network_name(spec: DeploymentSpec, name: str) -> str:
    own = spec.network_digest(name)
    if spec.networks[name].is_shared:
        return naming.shared_network_name(name, own)
    return naming.network_name(spec.deployment, name, own)


def _levels(spec: DeploymentSpec) -> dict[str, int]:
    levels: dict[str, int] = {}
    waiting = {name: set(one.care.depends_on) for name, one in spec.containers.items()}
    waiting |= {name: set(one.care.depends_on) for name, one in spec.jobs.items()}
    while waiting:
        free = [name for name, needs in waiting.items() if needs <= levels.keys()]
        if not free:
            raise BrokenInvariantError(f"{spec.deployment}: dependencies have a cycle: {', '.join(sorted(waiting))}")
        for name in free:
            levels[name] = max((levels[need] + 1 for need in waiting.pop(name)), default=0)
    return levels
