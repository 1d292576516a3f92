"""Law: a removal takes away everything that this deployment owns, and nothing else; volumes only where it says so.

Order: stop, remove containers, remove networks, then (with `prune.volumes: delete`) volumes.
"""

from collections.abc import Mapping
from datetime import timedelta

from edgegitops.core.model.ledger import Transition
from edgegitops.core.model.naming import LABEL_DEPLOYMENT, LABEL_FLEET
from edgegitops.core.model.release import Phase, VolumePrune
from edgegitops.core.model.steps import RemoveContainer, RemoveNetwork, RemoveVolume, Step, StopContainer
from edgegitops.core.reconcile.scene import NOT_STOPPED, Outlook, Scene, due, moved, work


def remove(scene: Scene, transition: Transition) -> Outlook:
    """The next work of a removal."""
    deletes = transition.old is not None and transition.old.policy.prune_volumes is VolumePrune.DELETE
    owned = scene.owned()
    stages: tuple[list[Step], ...] = (
        [StopContainer(one.name, timedelta(seconds=30)) for one in owned if one.state in NOT_STOPPED],
        [RemoveContainer(one.name) for one in owned],
        [RemoveNetwork(name) for name in ours(scene, scene.observed.networks)],
        [RemoveVolume(name) for name in ours(scene, scene.observed.volumes)] if deletes else [],
    )
    for steps in stages:
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    return work(scene, events=[moved(scene, Phase.ABSENT)])


def ours(scene: Scene, things: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Names of the networks or volumes whose labels say that they are this deployment's."""
    return [
        name
        for name, labels in things.items()
        if (labels.get(LABEL_FLEET), labels.get(LABEL_DEPLOYMENT)) == (scene.fleet, scene.name)
    ]
