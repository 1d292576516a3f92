"""Law: two releases of one deployment on one node differ in exactly what their digests tell apart.

1. A container whose own digest differs is replaced: stopped, and started anew. One that is only in the new release is
   created, one that is only in the old one removed. One whose care alone differs (probes, restart, order, patience)
   goes on running. All others are not touched.
2. Containers stop in the reverse order of their start, one level side by side; what is replaced is away from its stop
   until it is ready.
3. Volumes outlive updates. A removal deletes them only where the deployment that goes said `prune.volumes: delete`.
4. Equal releases with another policy change nothing that runs.

Downtime, in spans: `at_most` is the patience of all stops and then the whole deadline, after which the node goes back
by itself. `typical` supposes that programs obey their stop signal and answer at once: a second for each level that
stops, a second for each that starts, and the ready probes' own pace. Neither is measured. Copies of
volumes come on top: how large they are is known on the node alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum

from edgegitops.core.model.codec import Tree, camel, to_tree
from edgegitops.core.model.release import Release, UpdatePolicy, VolumePrune
from edgegitops.core.model.spec import ContainerSpec, CreateSpec, DeploymentSpec, Mount, Runs

_STEP = timedelta(seconds=1)
_NONE = timedelta(0)


class Kind(StrEnum):
    """What a revision does to a deployment on a node."""

    APPEARS = "appears"
    CHANGES = "changes"
    CARE = "care"
    POLICY = "policy"
    DISAPPEARS = "disappears"


class Fate(StrEnum):
    """What becomes of a container."""

    CREATED = "created"
    REPLACED = "replaced"
    REMOVED = "removed"
    CARE = "care"


@dataclass(frozen=True, slots=True)
class ContainerChange:
    """What becomes of one container, and the fields that say otherwise than before."""

    name: str
    fate: Fate
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Downtime:
    """How long what is replaced is away; see the law of this file."""

    typical: timedelta = _NONE
    at_most: timedelta = _NONE


@dataclass(frozen=True, slots=True)
class Change:
    """What a revision does to one deployment on one node. Nothing in it names the node, so equal changes are equal.

    `versions` are the application's, old and new, empty where there is none. `attempt` says that a higher attempt is
    asked for. `volumes_lost` and `volumes_kept` are those that a removal deletes, or that nobody mounts any more,
    `volumes_copied` those that an update copies while it has everything stopped. `jobs` are those that it runs,
    and those whose schedule begins, as (name, when).
    """

    deployment: str
    kind: Kind
    versions: tuple[str, str]
    containers: tuple[ContainerChange, ...] = ()
    policy: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes_new: tuple[str, ...] = ()
    volumes_kept: tuple[str, ...] = ()
    volumes_lost: tuple[str, ...] = ()
    volumes_copied: tuple[str, ...] = ()
    jobs: tuple[tuple[str, str], ...] = ()
    downtime: Downtime = Downtime()
    attempt: bool = False

    def count(self, fate: Fate) -> int:
        """How many containers have this fate."""
        return sum(one.fate is fate for one in self.containers)


def compare(old: Release | None, new: Release | None) -> Change | None:
    """What changes from one release to the other; None where nothing does."""
    if new is None:
        return None if old is None else _disappears(old)
    if old is None:
        return _appears(new)
    if (old.digest, old.policy) == (new.digest, new.policy):
        return None
    return _changes(old, new)


def _appears(new: Release) -> Change:
    return Change(
        new.deployment,
        Kind.APPEARS,
        ("", new.version),
        tuple(ContainerChange(name, Fate.CREATED) for name in sorted(new.spec.containers)),
        networks=tuple(sorted(new.spec.networks)),
        volumes_new=tuple(sorted(new.spec.volumes)),
        jobs=_jobs(None, new.spec),
    )


def _disappears(old: Release) -> Change:
    is_lost = old.policy.prune_volumes is VolumePrune.DELETE
    volumes = tuple(sorted(old.spec.volumes))
    return Change(
        old.deployment,
        Kind.DISAPPEARS,
        (old.version, ""),
        tuple(ContainerChange(name, Fate.REMOVED) for name in sorted(old.spec.containers)),
        volumes_kept=() if is_lost else volumes,
        volumes_lost=volumes if is_lost else (),
    )


def _changes(old: Release, new: Release) -> Change:
    containers = tuple(_containers(old.spec, new.spec))
    is_replaced = any(one.fate is not Fate.CARE for one in containers)
    kind = Kind.CHANGES if is_replaced else Kind.CARE if old.digest != new.digest else Kind.POLICY
    return Change(
        new.deployment,
        kind,
        (old.version, new.version),
        containers,
        policy=_policy(old.policy, new.policy),
        networks=_networks(old.spec, new.spec),
        volumes_new=tuple(sorted(new.spec.volumes.keys() - old.spec.volumes.keys())),
        volumes_kept=tuple(sorted(old.spec.volumes.keys() - new.spec.volumes.keys())),
        volumes_copied=_copied(old.spec, new.spec) if is_replaced or _is_migrating(new.spec) else (),
        jobs=_jobs(old.spec, new.spec) if old.digest != new.digest else (),
        downtime=_downtime(old.spec, new, containers),
        attempt=new.spec.attempt != old.spec.attempt,
    )


def _is_migrating(new: DeploymentSpec) -> bool:
    return any(job.runs is Runs.BEFORE_SWITCH for job in new.jobs.values())


def _jobs(old: DeploymentSpec | None, new: DeploymentSpec) -> tuple[tuple[str, str], ...]:
    """Every update runs the jobs before the switch and after it; an installation its own too."""
    running = {Runs.BEFORE_SWITCH, Runs.ON_UPDATE, *([] if old else [Runs.ON_INSTALL])}
    before = old.jobs if old else {}
    return tuple(
        (name, str(job.runs))
        for name, job in sorted(new.jobs.items())
        if job.runs in running or (job.runs is Runs.SCHEDULE and before.get(name) != job)
    )


def _copied(old: DeploymentSpec, new: DeploymentSpec) -> tuple[str, ...]:
    """Volumes that ask to be copied before an update; what only the new release has holds nothing yet."""
    shared = sorted(old.volumes.keys() & new.volumes.keys())
    return tuple(name for name in shared if new.volumes[name].snapshot is not None)


def _containers(old: DeploymentSpec, new: DeploymentSpec) -> Iterable[ContainerChange]:
    for name in sorted(old.containers.keys() | new.containers.keys()):
        if name not in new.containers:
            yield ContainerChange(name, Fate.REMOVED)
        elif name not in old.containers:
            yield ContainerChange(name, Fate.CREATED)
        elif old.container_digest(name) != new.container_digest(name):
            yield ContainerChange(name, Fate.REPLACED, _told(old, new, name))
        elif old.containers[name].care != new.containers[name].care:
            before, after = to_tree(old.containers[name].care), to_tree(new.containers[name].care)
            yield ContainerChange(name, Fate.CARE, tuple(sorted(_differing(before, after))))


def _told(old: DeploymentSpec, new: DeploymentSpec, name: str) -> tuple[str, ...]:
    """The fields of a container that the engine is told otherwise, and the networks that are defined otherwise."""
    before, after = old.containers[name].create, new.containers[name].create
    found = set(_differing(_by_target(before), _by_target(after)))
    joined = before.networks.keys() & after.networks.keys()
    found |= {f"networks.{one} (its definition)" for one in joined if old.networks[one] != new.networks[one]}
    return tuple(sorted(found))


def _by_target(create: CreateSpec) -> dict[str, Tree]:
    """The create spec as a tree in which mounts are found by target, as they are written."""
    tree: dict[str, Tree] = to_tree(create)
    tree["mounts"] = {mount.target: _mount(mount) for mount in create.mounts}
    return tree


def _mount(mount: Mount) -> str:
    return repr(to_tree(mount))


def _differing(old: Tree, new: Tree, path: str = "") -> Iterable[str]:
    """Dotted paths of what differs; lists are compared as a whole."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield path
        return
    for key in old.keys() | new.keys():
        yield from _differing(old.get(key), new.get(key), f"{path}.{key}" if path else key)


def _networks(old: DeploymentSpec, new: DeploymentSpec) -> tuple[str, ...]:
    """Networks that are made anew."""
    return tuple(name for name in sorted(new.networks) if old.networks.get(name) != new.networks[name])


def _policy(old: UpdatePolicy, new: UpdatePolicy) -> tuple[str, ...]:
    """`field: old -> new` of what steers updates."""
    rows = [(field.name, getattr(old, field.name), getattr(new, field.name)) for field in fields(UpdatePolicy)]
    return tuple(f"{camel(name)}: {_shown(was)} -> {_shown(now)}" for name, was, now in rows if was != now)


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return shown_span(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {told}" for key, told in sorted(value.items())) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown_span(span: timedelta) -> str:
    """A span as manifests write it: `1m30s`."""
    seconds = round(span.total_seconds())
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _downtime(old: DeploymentSpec, new: Release, containers: Iterable[ContainerChange]) -> Downtime:
    gone = {one.name for one in containers if one.fate is Fate.REPLACED}
    if not gone:
        return Downtime()
    stopping = {one.name for one in containers if one.fate in {Fate.REPLACED, Fate.REMOVED}}
    stops, starts = _levels(old.containers, stopping), _levels(new.spec.containers, gone)
    patience = sum((max(old.containers[name].care.stop_timeout for name in level) for level in stops), _NONE)
    ready = sum((max(_pace(new.spec.containers[name]) for name in level) for level in starts), _NONE)
    return Downtime(_STEP * len(stops) + _STEP * len(starts) + ready, patience + new.policy.deadline)


def _pace(container: ContainerSpec) -> timedelta:
    """How long a container that is ready at once needs to prove it. The first look comes when it has started."""
    probe = container.care.ready
    return _NONE if probe is None else probe.interval * (probe.success_threshold - 1)


def _levels(containers: Mapping[str, ContainerSpec], names: Iterable[str]) -> list[list[str]]:
    """These containers by their level of start; resolution has refused cycles."""
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            needs = containers[name].care.depends_on
            depths[name] = max((depth(need) + 1 for need in needs if need in containers), default=0)
        return depths[name]

    levels: dict[int, list[str]] = {}
    for name in sorted(names):
        levels.setdefault(depth(name), []).append(name)
    return [levels[level] for level in sorted(levels)]
