"""Law: what carries our labels and is wanted by nobody goes; what is foreign, or might be needed to revert, stays.

Rules, in order:
1. where nobody knows what is wanted, nothing is removed.
2. a deployment that is stuck keeps everything: a person will look.
3. what serves, and what is on its way, is kept: containers and networks. So is the last run of each job, of whatever
   release, for its logs. Volumes are never pruned, but for copies of them that no revert needs any more (snapshots). A
   shared network goes with the last container that was made for it.
4. where nothing serves, only the remains of a first try that failed go, and only if none of them runs: after a lost
   journal the wanted release adopts what runs, and what nobody wants any more is removed as a transition.
"""

from collections.abc import Sequence

from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.steps import RemoveContainer, RemoveNetwork, Step
from edgegitops.core.reconcile.removal import ours, unshared
from edgegitops.core.reconcile.scene import Outlook, Scene, due, work
from edgegitops.core.reconcile.schedules import kept_networks, kept_runs
from edgegitops.core.reconcile.snapshots import leftovers
from edgegitops.core.reconcile.stopping import NOT_STOPPED, stops

_TRIED = frozenset({Phase.REVERTED, Phase.REFUSED})


def prune(scene: Scene) -> Outlook:
    """The next removal of a leftover; only asked where no transition has begun to switch."""
    if not scene.is_target_known or scene.record.phase is Phase.STUCK or not _is_told_apart(scene):
        return Outlook()
    coming = scene.record.transition.new if scene.record.transition else None
    releases: list[Release] = [one for one in (scene.record.serving, coming) if one is not None]
    parts = [scene.parts(one) for one in releases]
    runs = kept_runs(scene, tuple(releases))
    keep = runs.union(*(one.names() for one in parts))
    networks = kept_networks(scene, runs).union(*(one.networks.values() for one in parts))
    stages: tuple[Sequence[Step], ...] = (
        stops(scene, scene.record.lkg, keep=keep),
        [RemoveContainer(one.name) for one in scene.owned() if one.name not in keep],
        [RemoveNetwork(name) for name in ours(scene, scene.observed.networks) if name not in networks],
        [RemoveNetwork(name) for name in unshared(scene, scene.record.lkg) if name not in networks],
        *leftovers(scene),
    )
    for steps in stages:
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    return Outlook()


def _is_told_apart(scene: Scene) -> bool:
    """True where leftovers can be told from what is needed."""
    if scene.record.serving is not None:
        return True
    return scene.record.phase in _TRIED and not any(seen.state in NOT_STOPPED for seen in scene.owned())
