"""Law: a revert uses only what is on the node, and ends: at the old release, or stuck and said so.

1. stop what the old release does not share, or what uses data that is to be put back, dependants first; 2. put that
data back (snapshots); 3. put the old configs back where they can change under a running program; 4. start the old
containers in order (a start, not a build; one that somebody removed is created again from the local image); 5. all of
them up: reverted. What had ended in
peace stays so. A step that the engine denies, or an old name that is somebody else's: stuck, and what serves is kept
and healed. What cannot be done now is tried again for ever. Readiness is not waited for: the old release has been
proven, and repairing it is heal's work.
"""

from collections.abc import Sequence

from edgegitops.core.model.ledger import Transition
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import Alarm, Refusal
from edgegitops.core.model.release import Phase
from edgegitops.core.model.steps import Step
from edgegitops.core.reconcile import snapshots
from edgegitops.core.reconcile.addressing import networks_to_make
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.scene import Outlook, Scene, due, moved, work
from edgegitops.core.reconcile.standing import has_rested, is_told
from edgegitops.core.reconcile.stopping import stops


def revert(scene: Scene, transition: Transition) -> Outlook:
    """The next work of a reverting transition."""
    if transition.reason:
        return _stuck(scene, f"{transition.reason}: {transition.detail}")
    old = scene.parts(transition.old) if transition.old else None
    taken = _taken(scene, old)
    if taken:
        return _stuck(scene, f"{Refusal.NAME_CONFLICT}: container {taken} exists and does not belong to this fleet")
    lost = snapshots.lost(transition)
    keep = snapshots.kept(scene, old, lost, is_reading_harmless=False) if old else frozenset()
    stages: list[Sequence[Step]] = [stops(scene, [transition.new, transition.old], keep=keep)]
    stages += snapshots.restore(scene, transition)
    stages += [[part.reload() for part in old.containers if not is_told(scene, part)]] if old else []
    stages += [_level(scene, old, level) for level in old.levels()] if old else []
    for steps in stages:
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return snapshots.waits(waiting) if lost else waiting
    reason = Refusal.NOTHING_TO_REVERT_TO if old is None else ""
    return work(scene, events=[moved(scene, Phase.REVERTED, reason=reason)])


def _stuck(scene: Scene, detail: str) -> Outlook:
    move = moved(scene, Phase.STUCK, reason=Refusal.REVERT_FAILED, detail=detail)
    return work(scene, events=[move, *scene.alarm(Alarm.STUCK, f"revert failed: {detail}")])


def _taken(scene: Scene, old: Parts | None) -> str:
    seen = [scene.observed.named(part.name) for part in old.containers] if old else []
    return next((one.name for one in seen if one is not None and old is not None and not old.is_ours(one)), "")


def _level(scene: Scene, old: Parts, level: tuple[Part, ...]) -> list[Step]:
    """What one level of the old release still needs; surroundings, then containers, then starts."""
    needs = [part for part in level if _is_missing(scene, part)]
    joined = {name for part in needs for name in part.spec.create.networks}
    mounted = sorted({mount.volume for part in needs for mount in part.spec.create.mounts if mount.volume})
    around: list[Step] = [
        *networks_to_make(scene, old, joined),
        *(old.create_volume(name) for name in mounted if old.volumes[name] not in scene.observed.volumes),
    ]
    creates: list[Step] = [old.create_container(part) for part in needs]
    return around or creates or [scene.start(old, part) for part in level if _is_down(scene, part)]


def _is_missing(scene: Scene, part: Part) -> bool:
    seen = scene.observed.named(part.name)
    return seen is None or seen.state is ContainerState.LOST


def _is_down(scene: Scene, part: Part) -> bool:
    """It neither runs nor rests, and this revert has not started it yet in this boot."""
    seen = scene.observed.named(part.name)
    is_running = seen is not None and seen.state is ContainerState.RUNNING
    return not is_running and not scene.is_started(part) and not has_rested(scene, part, seen)
