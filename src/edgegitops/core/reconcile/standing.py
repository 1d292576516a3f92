"""Law: how one container of a release stands now: up, at rest, ready, and whether what it waits for is met.

1. up: it runs, or rests. 2. at rest: it ended as its restart policy accepts, and was seen to, or nothing is remembered
of it (a lost journal: an end in peace is believed). 3. ready: it runs and its probes agree, or it rests.
4. told: the contents of its live mounts are in place, and a running program was told of them.
A container is started only after what it depends on: `started` means up, `ready` ready, `completed` rested with 0.
A job is met when it has begun (`started`), or was done.
"""

from collections.abc import Iterator

from edgegitops.core.model.ledger import Health, JobResult
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.spec import Condition, Runs
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
    """What this container still waits for before it may start: names of containers and jobs, and until when."""
    for need, condition in sorted(part.spec.care.depends_on.items()):
        other = parts.named(need)
        is_there = is_met(scene, other, condition) if other.job is None else _is_done(scene, parts, other, condition)
        if not is_there:
            yield need, condition


def _is_done(scene: Scene, parts: Parts, part: Part, condition: Condition) -> bool:
    """A job that this switch has no part in has been done before, or is none of this node's."""
    run = scene.record.jobs.get(part.name)
    if run is not None and (run.result is JobResult.SUCCEEDED or condition is Condition.STARTED):
        return True
    runs = part.job.runs if part.job is not None else None
    transition, serving = scene.record.transition, scene.record.serving
    if runs is Runs.ON_UPDATE:
        return False
    if serving is not None and serving.digest == parts.release.digest:
        return True
    return runs is Runs.ON_INSTALL and not (transition is not None and transition.is_install)


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
