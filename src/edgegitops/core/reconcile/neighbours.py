"""Law: a deployment may wait for others on its node; it waits before it begins, and after a power cut, and never stops.

1. A release begins to switch only while each deployment that it names meets its condition: all of that one's containers
   do. What is being started counts as it is now: `ready` asks its probes, not its soak.
2. What ended is started again after the deployments that its release names, but no later than its deadline.
3. One that is not on this node meets nothing. Nobody is stopped because another one is gone.
"""

from edgegitops.core.model.facts import Hold
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Condition
from edgegitops.core.reconcile.scene import Scene
from edgegitops.core.reconcile.standing import is_met


def conditions_met(scene: Scene) -> frozenset[Condition]:
    """What a deployment is to those who wait for it."""
    release = _present(scene)
    if release is None:
        return frozenset()
    containers = scene.parts(release).containers
    return frozenset(one for one in Condition if all(is_met(scene, part, one) for part in containers))


def waits_for(scene: Scene, release: Release) -> Hold | None:
    """Who is missing for this release; None where nobody is."""
    told = []
    for name, condition in sorted(release.policy.depends_on.items()):
        if name not in scene.neighbours:
            told.append(f"{name} is not on this node")
        elif condition not in scene.neighbours[name]:
            told.append(f"{name} is not {condition}")
    return Hold(HoldReason.DEPENDENCY, f"it waits for other deployments: {', '.join(told)}") if told else None


def _present(scene: Scene) -> Release | None:
    """The release whose containers are there, or are being started."""
    transition = scene.record.transition
    if transition is None:
        return scene.record.serving
    match transition.phase:
        case Phase.SWITCHING | Phase.PROVING:
            return transition.new
        case Phase.REVERTING:
            return transition.old
        case Phase.REMOVING:
            return None
        case _:
            return scene.record.serving
