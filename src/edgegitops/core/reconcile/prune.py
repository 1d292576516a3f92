"""Law: what carries our labels and is wanted by nobody goes; what is foreign, or might be needed to revert, stays.

A deployment keeps the containers and networks of the release that serves and of the one on its way. A deployment
that is stuck keeps everything: a person will look. Where nobody knows what is wanted, nothing is removed.
"""

from datetime import timedelta

from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.steps import RemoveContainer, RemoveNetwork, StopContainer
from edgegitops.core.reconcile.removal import ours
from edgegitops.core.reconcile.scene import NOT_STOPPED, Outlook, Scene, due, work


def prune(scene: Scene) -> Outlook:
    """The next removal of a leftover; only asked where no transition has begun to switch."""
    record = scene.record
    if record.phase is Phase.STUCK:
        return Outlook()
    if not scene.is_target_known and record.serving is None:
        return Outlook()
    coming = record.transition.new if record.transition else None
    if record.serving is None and scene.target is not None and coming is None:
        return Outlook()  # a lost journal: the wanted release adopts what runs before leftovers are judged
    releases: list[Release] = [one for one in (record.serving, coming) if one is not None]
    parts = [scene.parts(one) for one in releases]
    keep = frozenset(name for one in parts for name in one.names())
    networks = frozenset(name for one in parts for name in one.networks.values())
    if record.serving is None and coming is not None:
        return Outlook()
    strays = [seen for seen in scene.owned() if seen.name not in keep]
    stages = (
        [StopContainer(one.name, timedelta(seconds=30)) for one in strays if one.state in NOT_STOPPED],
        [RemoveContainer(one.name) for one in strays],
        [RemoveNetwork(name) for name in ours(scene, scene.observed.networks) if name not in networks],
    )
    for steps in stages:
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    return Outlook()
