"""Law: how one container of a release stands now: up, at rest, ready, and whether what it waits for is met.

1. up: it runs, or rests. 2. at rest: it ended as its restart policy accepts, and was seen to, or nothing is remembered
of it (a lost journal: an end in peace is believed). 3. ready: it runs and its probes agree, or it rests.
4. told: the contents of its live mounts are in place, and a running program was told of them.
A container is started only after what it depends on: `started` means up, `ready` ready, `completed` rested with 0.
"""

from collections.abc import Iterator

from edgegitops.core.model.ledger import Health
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.spec import Condition
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.scene import Scene


def has_rested(scene: Scene, part: Part, seen: ContainerSeen | None) -> bool:
    """True where the container ended and need not run again."""
    if seen is None or seen.state is not ContainerState.EXITED or not part.may_rest(seen.exit_code):
        return False
    is_unknown = part.name not in scene.record.containers
    return is_unknown or scene.remembered(part).is_resting or scene.is_started(part)


def is_up(scene: Scene, part: Part) -> bool:
    """True where the container runs, or rests."""
    seen = scene.observed.named(part.name)
    return seen is not None and (seen.state is ContainerState.RUNNING or has_rested(scene, part, seen))


def is_ready(scene: Scene, part: Part) -> bool:
    """True where the container runs and its probes say so, or it rests."""
    seen = scene.observed.named(part.name)
    if seen is not None and seen.state is ContainerState.RUNNING:
        return scene.remembered(part).health is Health.READY
    return has_rested(scene, part, seen)


def is_told(scene: Scene, part: Part) -> bool:
    """True where its live mounts show what this release says; one that is not there is made with them."""
    seen = scene.observed.named(part.name)
    return seen is None or seen.configs == part.spec.care.configs_digest() or not part.spec.care.configs


def unmet(scene: Scene, parts: Parts, part: Part) -> Iterator[tuple[str, Condition]]:
    """What this container still waits for before it may start: container names of the spec, and until when."""
    by_container = {one.container: one for one in parts.containers}
    for need, condition in sorted(part.spec.care.depends_on.items()):
        if not is_met(scene, by_container[need], condition):
            yield need, condition


def is_met(scene: Scene, part: Part, condition: Condition) -> bool:
    """Whether a container is what another one waits for."""
    match condition:
        case Condition.STARTED:
            return is_up(scene, part)
        case Condition.READY:
            return is_ready(scene, part)
        case Condition.COMPLETED:
            seen = scene.observed.named(part.name)
            return seen is not None and has_rested(scene, part, seen) and seen.exit_code == 0
