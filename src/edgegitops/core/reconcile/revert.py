"""Law: a revert uses only what is on the node, and ends: at the old release, or stuck and said so.

1. stop what the old release does not share; 2. start the old containers in order (a start, not a build; one that
somebody removed is created again from the local image); 3. all of them up: reverted. A step that the engine denies:
stuck, and what serves is kept and healed. What cannot be done now is tried again for ever. Readiness is not waited
for: the old release has been proven, and repairing it is heal's work.
"""

from datetime import timedelta

from edgegitops.core.model.ledger import Transition
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import Alarm, Refusal
from edgegitops.core.model.release import Phase
from edgegitops.core.model.steps import StartContainer, Step, StopContainer
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.scene import NOT_STOPPED, Outlook, Scene, due, moved, work


def revert(scene: Scene, transition: Transition) -> Outlook:
    """The next work of a reverting transition."""
    if transition.reason:
        detail = f"{transition.reason}: {transition.detail}"
        return work(
            scene,
            events=[
                moved(scene, Phase.STUCK, reason=Refusal.REVERT_FAILED, detail=detail),
                *scene.alarm(Alarm.STUCK, f"revert failed: {detail}"),
            ],
        )
    old = scene.parts(transition.old) if transition.old else None
    keep = old.names() if old else frozenset()
    stops: list[Step] = [
        StopContainer(seen.name, timedelta(seconds=30))
        for seen in scene.owned()
        if seen.name not in keep and seen.state in NOT_STOPPED
    ]
    stages = [stops, *(_level(scene, old, level) for level in (old.levels() if old else ()))]
    for steps in stages:
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    return work(
        scene, events=[moved(scene, Phase.REVERTED, reason=Refusal.NOTHING_TO_REVERT_TO if old is None else "")]
    )


def _level(scene: Scene, old: Parts | None, level: tuple[Part, ...]) -> list[Step]:
    """What one level of the old release still needs; creating goes before starting."""
    steps: list[Step] = []
    for part in level:
        seen = scene.observed.named(part.name)
        if old is not None and (seen is None or seen.state is ContainerState.LOST):
            joined = (name for name in part.spec.create.networks if old.networks[name] not in scene.observed.networks)
            networks = [old.create_network(name) for name in joined]
            steps += networks or [old.create_container(part)]
        elif seen is not None and seen.state is not ContainerState.RUNNING and not scene.is_started(part):
            steps.append(StartContainer(part.name))
    return steps
