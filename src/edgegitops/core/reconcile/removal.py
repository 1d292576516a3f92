"""Law: a removal takes away everything that this deployment owns, and nothing else; volumes only where it says so.

Order: stop (dependants first), remove containers, networks and copies of volumes, then (with `prune.volumes: delete`)
volumes but those with `retain`. What is gone has no alarms. Somebody else's things are never counted as ours, whatever
their names.
"""

from collections.abc import Iterable, Mapping, Sequence

from edgegitops.core.model.events import AlarmCleared
from edgegitops.core.model.ledger import Transition
from edgegitops.core.model.naming import LABEL_DEPLOYMENT, LABEL_FLEET, LABEL_RETAIN, LABEL_SHARES
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.release import Phase, Release, VolumePrune
from edgegitops.core.model.steps import RemoveContainer, RemoveNetwork, RemoveVolume, Step
from edgegitops.core.reconcile.scene import Outlook, Scene, due, moved, work
from edgegitops.core.reconcile.snapshots import drops
from edgegitops.core.reconcile.stopping import stops


def remove(scene: Scene, transition: Transition) -> Outlook:
    """The next work of a removal."""
    deletes = transition.old is not None and transition.old.policy.prune_volumes is VolumePrune.DELETE
    stages: tuple[Sequence[Step], ...] = (
        stops(scene, [transition.old, *scene.record.lkg]),
        [RemoveContainer(one.name) for one in scene.owned()],
        [RemoveNetwork(name) for name in ours(scene, scene.observed.networks)],
        [RemoveNetwork(name) for name in unshared(scene, [transition.old, *scene.record.lkg])],
        drops(scene),
        [RemoveVolume(name) for name in _losable(scene, transition.old)] if deletes else [],
    )
    for steps in stages:
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    cleared = [AlarmCleared(code, scene.name) for code in Alarm if scene.is_alarmed(code)]
    return work(scene, events=[moved(scene, Phase.ABSENT), *cleared])


def _losable(scene: Scene, old: Release | None) -> list[str]:
    """Volumes of this deployment that are not kept for ever: neither made as such, nor called so by a known release."""
    releases = [one for one in (old, *scene.record.lkg) if one is not None]
    kept = {
        parts.volumes[name]
        for parts in map(scene.parts, releases)
        for name, volume in parts.release.spec.volumes.items()
        if volume.retain
    }
    volumes = scene.observed.volumes
    return [name for name in ours(scene, volumes) if name not in kept and LABEL_RETAIN not in volumes[name]]


def unshared(scene: Scene, releases: Iterable[Release | None]) -> list[str]:
    """Shared networks of these releases that no container on this node was made for any more, of whatever deployment.

    One of another deployment that is on its way may be among them: it is created again before its containers are.
    """
    known = frozenset[str]().union(*(scene.parts(one).shared() for one in releases if one is not None))
    if not known:
        return []
    labels = [one.labels for one in scene.observed.containers]
    used = {name for one in labels for name in one.get(LABEL_SHARES, "").split() if one.get(LABEL_FLEET) == scene.fleet}
    there = scene.observed.networks
    return [name for name in sorted(known - used) if there.get(name, {}).get(LABEL_FLEET) == scene.fleet]


def has_something(scene: Scene) -> bool:
    """True where the node still holds a container, a network or a copy of a volume of this deployment."""
    return bool(scene.owned() or scene.snapshots or ours(scene, scene.observed.networks))


def is_untouched(scene: Scene) -> bool:
    """True where no release of this deployment has become healthy here. A lost journal knows of none: then what is on
    the engine tells. A removal that deletes the volumes makes a node untouched again.
    """
    record = scene.record
    if record.is_installed or record.serving is not None or (record.lkg and record.phase is not Phase.ABSENT):
        return False
    is_remembered = record.phase_at is not None
    return is_remembered or not (scene.owned() or ours(scene, scene.observed.volumes))


def ours(scene: Scene, things: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Names of the networks or volumes whose labels say that they are this deployment's."""
    return [
        name
        for name, labels in sorted(things.items())
        if (labels.get(LABEL_FLEET), labels.get(LABEL_DEPLOYMENT)) == (scene.fleet, scene.name)
    ]
