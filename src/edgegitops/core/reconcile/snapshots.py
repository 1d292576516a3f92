"""Law: a volume that asks for it is copied before each update, and only the revert of that update puts the copy back.

1. An update that starts, replaces or removes a container, or runs a job before the switch, copies each volume that the
   new release says to copy and the old one has. A first installation copies nothing: there is nothing to go back to.
   Going back from a release that regressed copies nothing either: no full disk and no program of what is broken may
   hold that up.
2. Before anything stops, the volumes are measured. One that is larger than its `maxSize` refuses the release; too
   little room is a hold (`no-space`) and asked again. Then `before` runs in the old container that still runs; while it
   does not end well the update is held. Where no such container runs, nothing is prepared: a fix must get through.
3. Once everything is stopped that may write to it, a volume is copied. Only with all copies journalled does anything
   start. A copy that cannot be made fails the release, and the old one is started again.
4. A revert puts every copy back before the old release starts, if anything was started since. What the failed release
   made of the data stays in a volume of its own. A copy that cannot be put back now is tried again for ever, and the
   old release waits: it never meets data that it did not leave.
5. Copies go when the release has proven itself or was reverted; failed data when another release than the one that was
   gone back to is healthy. While nothing is known to serve, all is kept: a person will look.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import DeploymentRecord, Transition
from edgegitops.core.model.naming import LABEL_DEPLOYMENT, LABEL_FAILED, LABEL_FLEET, LABEL_KEPT_FOR, SHORT, failed_name
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.snapshots import Room, SnapshotSeen
from edgegitops.core.model.spec import Runs, SnapshotSpec
from edgegitops.core.model.steps import (
    CreateVolume,
    DropSnapshot,
    MeasureVolumes,
    PrepareSnapshot,
    RemoveVolume,
    RestoreSnapshot,
    Step,
    TakeSnapshot,
)
from edgegitops.core.reconcile.parts import Parts
from edgegitops.core.reconcile.scene import Outlook, Scene, due, work

MEASURED_FOR = timedelta(hours=1)
PREPARED_FOR = timedelta(minutes=2)  # long enough to ask the interlocks once more
PREPARE_WITHIN = timedelta(minutes=5)
ROOM_LOOKED_AT_AGAIN_AFTER = timedelta(minutes=5)
RESERVE = 256 * 1024 * 1024
USUAL_RATE = 20 * 1000 * 1000  # bytes a second, until one was measured here: a slow disk of an old gateway
_MEGABYTE = 1000 * 1000


def deployment_of(snapshot: SnapshotSeen) -> str:
    """The deployment whose volume it is a copy of; see naming.volume_name."""
    return snapshot.volume.partition(".")[0]


def copying_time(record: DeploymentRecord) -> timedelta:
    """How long the copies of the open transition will take, reckoned from what was measured; for windows."""
    room = record.transition.room if record.transition is not None else None
    if room is None:
        return timedelta()
    return timedelta(seconds=round(sum(room.volumes.values()) / (record.copy_rate or USUAL_RATE)))


def asked(old: Release | None, new: Release | None) -> dict[str, SnapshotSpec]:
    """Volumes (names of the spec) that an update copies, and how."""
    if old is None or new is None:
        return {}
    volumes = sorted(old.spec.volumes.keys() & new.spec.volumes.keys())
    found = {name: one for name in volumes if (one := new.spec.volumes[name].snapshot) is not None}
    return found if found and _is_touching(old, new) else {}


def _is_touching(old: Release, new: Release) -> bool:
    """Whether an update starts or stops anything; a job before the switch starts with every update."""
    if any(job.runs is Runs.BEFORE_SWITCH for job in new.spec.jobs.values()):
        return True
    names = {name: old.spec.container_digest(name) for name in old.spec.containers}
    return names != {name: new.spec.container_digest(name) for name in new.spec.containers}


def _copied(scene: Scene, transition: Transition, new: Parts) -> dict[str, SnapshotSpec]:
    """Volumes (engine names) that this transition copies; one that somebody removed has nothing to copy."""
    if transition.is_going_back:
        return {}
    found = {new.volumes[name]: one for name, one in asked(transition.old, transition.new).items()}
    return {name: one for name, one in found.items() if name in scene.observed.volumes}


# --- before anything stops


def measure(scene: Scene, transition: Transition, new: Parts) -> Outlook | None:
    """The measurement where one is due, or the hold where room is short; None where nothing is in the way."""
    wanted = _copied(scene, transition, new)
    if not wanted:
        return None
    room, at = transition.room, transition.room_at
    age = scene.now - at if at is not None else None
    is_short = room is not None and _shortage(room, wanted) != ""
    known_for = ROOM_LOOKED_AT_AGAIN_AFTER if is_short else MEASURED_FOR
    is_known = room is not None and age is not None and timedelta() <= age < known_for
    if room is None or not is_known or not wanted.keys() <= room.volumes.keys():
        ready, waiting = due(scene, [MeasureVolumes(scene.name, tuple(wanted))])
        return work(scene, steps=ready) if ready else waiting
    if not is_short:
        return None
    again = scene.now - age + known_for if age is not None else scene.now
    return Outlook(hold=Hold(HoldReason.NO_SPACE, _shortage(room, wanted), again), until=again)


def too_large(scene: Scene, transition: Transition, new: Parts) -> str:
    """Why a measured volume must not be copied, and so the release not be started; empty where all may."""
    room = transition.room or Room()
    for name, spec in _copied(scene, transition, new).items():
        size = room.volumes.get(name, 0)
        if spec.max_size is not None and size > spec.max_size:
            return f"volume {name} holds {_shown(size)}, more than its snapshot.maxSize of {_shown(spec.max_size)}"
    return ""


def _shortage(room: Room, wanted: Iterable[str]) -> str:
    """What does not fit where; on two disks the copy that goes back lies beside the volume for a while."""
    names = sorted(wanted)
    needed = sum(room.volumes.get(name, 0) for name in names)
    for free, place in ((room.free_for_snapshots, "state directory"), (room.free_for_volumes, "volumes")):
        if free < needed + RESERVE:
            what = f"a copy of {', '.join(names)} before the update needs {_shown(needed)}"
            return f"{what} and {_shown(RESERVE)} in reserve on the disk of the {place}, and less is free"
    return ""


def _shown(size: int) -> str:
    return f"{-(-size // _MEGABYTE)} MB"


def prepare(scene: Scene, transition: Transition, new: Parts) -> Outlook | None:
    """The programs that make volumes ready to be copied, where they are due; None where all is ready."""
    steps = [
        PrepareSnapshot(volume, name, spec.before, PREPARE_WITHIN)
        for volume, spec in _copied(scene, transition, new).items()
        if spec.before and not _is_prepared(scene, transition, volume)
        for name in _running(scene, transition.old, spec.container)
    ]
    ready, waiting = due(scene, steps)
    if ready:
        return work(scene, steps=ready)
    return waiting if steps else None


def _is_prepared(scene: Scene, transition: Transition, volume: str) -> bool:
    at = transition.prepared.get(volume)
    return at is not None and timedelta() <= scene.now - at < PREPARED_FOR


def _running(scene: Scene, old: Release | None, container: str) -> list[str]:
    """The engine name of the old release's container, if it runs."""
    names = [part.name for part in scene.parts(old).containers if part.container == container] if old else []
    seen = [scene.observed.named(name) for name in names]
    return [one.name for one in seen if one is not None and one.state is ContainerState.RUNNING]


# --- while everything is stopped


def pending(scene: Scene, transition: Transition, new: Parts) -> list[TakeSnapshot]:
    """The copies that have to be made before anything starts."""
    names = sorted(_copied(scene, transition, new).keys() - transition.snapshots)
    return [] if transition.has_started else [TakeSnapshot(name, transition.snapshot_key) for name in names]


def kept(scene: Scene, parts: Parts, volumes: Iterable[str], *, is_reading_harmless: bool = True) -> frozenset[str]:
    """Containers (engine names) of a release that may run on while these volumes (engine names) are copied. When data
    is put back, those that only read have to stop too: they would go on reading what was taken away.
    """
    names = set(volumes)
    users = {
        part.container
        for part in (*parts.containers, *parts.jobs, *parts.scheduled)
        for mount in part.spec.create.mounts
        if mount.volume and parts.volumes[mount.volume] in names and not (mount.read_only and is_reading_harmless)
    }
    named = {part.name for part in (*parts.containers, *parts.jobs) if part.container not in users}
    runs = {seen.name for seen in scene.owned() if parts.is_run(seen) and seen.container not in users}
    return frozenset(named | runs)


# --- on the way back


def lost(transition: Transition) -> frozenset[str]:
    """Volumes (engine names) whose copy has to be put back before the old release starts."""
    return transition.snapshots - transition.restored if transition.has_started else frozenset()


def restore(scene: Scene, transition: Transition) -> list[Sequence[Step]]:
    """The stages that put copies back; none where nothing was started since they were made."""
    volumes, old, new = lost(transition), transition.old, transition.new
    if not volumes or old is None or new is None:
        return []
    names = {volume: failed_name(volume, new.digest) for volume in sorted(volumes)}
    made: list[Step] = [
        _made_for_failed(scene, scene.parts(old), volume, new)
        for volume, name in names.items()
        if name not in scene.observed.volumes
    ]
    put: list[Step] = [RestoreSnapshot(volume, transition.snapshot_key, name) for volume, name in names.items()]
    return [made, put]


def _made_for_failed(scene: Scene, old: Parts, volume: str, new: Release) -> CreateVolume:
    name = next((name for name, engine in old.volumes.items() if engine == volume), "")
    labels = {**old.create_volume(name).labels} if name else {LABEL_FLEET: scene.fleet, LABEL_DEPLOYMENT: scene.name}
    labels |= {LABEL_FAILED: new.digest[:SHORT], LABEL_KEPT_FOR: old.release.digest[:SHORT]}
    return CreateVolume(failed_name(volume, new.digest), labels)


def waits(waiting: Outlook) -> Outlook:
    """The same outlook; that data cannot be put back is an alarm, because nothing serves meanwhile."""
    if waiting.hold is None:
        return waiting
    return Outlook(waiting.work, waiting.hold, waiting.until, ((Alarm.HELD_TOO_LONG, waiting.hold.detail),))


# --- afterwards


def leftovers(scene: Scene) -> list[Sequence[Step]]:
    """Copies and failed data that nobody needs any more; only asked where no transition has begun to switch."""
    if scene.record.serving is None or scene.record.phase is Phase.STUCK:
        return []
    serving = scene.record.serving.digest[:SHORT]
    failed = [
        RemoveVolume(name)
        for name, labels in sorted(scene.observed.volumes.items())
        if (labels.get(LABEL_FLEET), labels.get(LABEL_DEPLOYMENT)) == (scene.fleet, scene.name)
        and labels.get(LABEL_FAILED)
        and labels.get(LABEL_KEPT_FOR) != serving
    ]
    return [drops(scene), failed]


def drops(scene: Scene) -> list[DropSnapshot]:
    """The steps that remove every copy of this deployment's volumes."""
    return [DropSnapshot(one.volume, one.key) for one in sorted(scene.snapshots, key=lambda one: (one.volume, one.key))]
