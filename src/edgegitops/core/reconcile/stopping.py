"""Law: containers stop in the reverse order of their start, each with the patience that its own release asks for.

What no known release explains stops first. A level is stopped side by side; the next one after a new look.
"""

from collections.abc import Iterable
from datetime import timedelta

from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.release import Release
from edgegitops.core.model.steps import StopContainer
from edgegitops.core.reconcile.parts import Part
from edgegitops.core.reconcile.scene import Scene

NOT_STOPPED = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.STOPPING, ContainerState.LOST})
PATIENCE = timedelta(seconds=30)


def stops(
    scene: Scene, releases: Iterable[Release | None], *, keep: frozenset[str] = frozenset()
) -> list[StopContainer]:
    """The next containers of this deployment to stop, but for those named in `keep`; `releases` explain them."""
    running = [seen.name for seen in scene.owned() if seen.name not in keep and seen.state in NOT_STOPPED]
    if not running:
        return []
    known = _known(scene, releases)
    last = max((known[name].level for name in running if name in known), default=-1)
    strays = [name for name in running if name not in known]
    return [_stop(known, name) for name in strays or [name for name in running if known[name].level == last]]


def _known(scene: Scene, releases: Iterable[Release | None]) -> dict[str, Part]:
    known: dict[str, Part] = {}
    for parts in (scene.parts(one) for one in releases if one is not None):
        known |= {part.name: part for part in (*parts.containers, *parts.jobs)}
        if parts.scheduled:
            known |= {seen.name: parts.named(seen.container) for seen in scene.owned() if parts.is_run(seen)}
    return known


def _stop(known: dict[str, Part], name: str) -> StopContainer:
    care = known[name].spec.care if name in known else None
    return StopContainer(name, care.stop_timeout, care.stop_pre) if care else StopContainer(name, PATIENCE)
