"""Law: a transition goes forward along the life cycle, each move journalled before its effect.

Rules, in order of the road:
1. pending, preparing, ready: nothing that runs is touched; another wish ends the transition, nothing is lost.
2. preparing makes everything new beside the old: images, config files, networks, volumes, containers (not started).
   What is not available is tried for ever; what the engine denies is a refusal.
3. switching asks the start condition once more, stops what the new release does not share, starts the new in order.
4. proving counts observed time only. An end, a failed live probe, a missed deadline or too many unclean ends fail it.
5. a failure is latched in the same journal write that begins the revert; the revert uses only what is on the node.
Left to others: whether a start is allowed (rollout), repairing what serves (heal), removing leftovers (prune).
"""

from collections.abc import Iterable
from datetime import timedelta

from edgegitops.core.model.events import AlarmCleared, ContainerEnded, Event, Latched
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health, Transition
from edgegitops.core.model.naming import LABEL_DEPLOYMENT, LABEL_FLEET
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.reasons import Alarm, HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Condition
from edgegitops.core.model.steps import PullImage, StartContainer, Step, StopContainer, StoreContent
from edgegitops.core.reconcile.backoff import LOOK_AGAIN_AFTER
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.removal import remove
from edgegitops.core.reconcile.revert import revert
from edgegitops.core.reconcile.scene import NOT_STOPPED, Outlook, Scene, due, moved, work
from edgegitops.errors import BrokenInvariantError


def proceed(scene: Scene, transition: Transition) -> Outlook:
    """The next work of an open transition, or why it waits."""
    if transition.phase is Phase.REMOVING:
        return remove(scene, transition)
    if transition.phase is Phase.REVERTING:
        return revert(scene, transition)
    if transition.new is None:
        return _pending_removal(scene)
    new = scene.parts(transition.new)
    match transition.phase:
        case Phase.PENDING:
            return _pending(scene, transition.new)
        case Phase.PREPARING:
            return _preparing(scene, transition, new)
        case Phase.READY:
            return _ready(scene, new)
        case Phase.SWITCHING:
            return _switching(scene, transition, new)
        case Phase.PROVING:
            return _proving(scene, transition, new)
        case _:
            raise BrokenInvariantError(f"{scene.name}: a transition rests at {transition.phase}")


def _is_still_wanted(scene: Scene, release: Release) -> bool:
    if not scene.is_target_known:
        return True
    return scene.target is not None and scene.target.digest == release.digest


def _pending_removal(scene: Scene) -> Outlook:
    if scene.is_target_known and scene.target is not None:
        return work(scene, events=[moved(scene, Phase.SUPERSEDED)])
    if scene.gate is not None:
        return Outlook(hold=scene.gate, until=scene.gate.until)
    return work(scene, events=[moved(scene, Phase.REMOVING)])


def _pending(scene: Scene, release: Release) -> Outlook:
    if not _is_still_wanted(scene, release):
        return work(scene, events=[moved(scene, Phase.SUPERSEDED)])
    if scene.gate is not None:
        return Outlook(hold=scene.gate, until=scene.gate.until)
    return work(scene, events=[moved(scene, Phase.PREPARING)])


def _preparing(scene: Scene, transition: Transition, new: Parts) -> Outlook:
    if not _is_still_wanted(scene, new.release):
        return work(scene, events=[moved(scene, Phase.CANCELLED)])
    if transition.reason:
        return _refuse(scene, new.release, transition.reason, transition.detail)
    taken = _taken_name(scene, new)
    if taken:
        detail = f"{taken} exists and does not belong to this fleet; rename or remove it"
        raised = scene.alarm(Alarm.NAME_CONFLICT, detail)
        until = scene.now + LOOK_AGAIN_AFTER
        return work(scene, events=raised) if raised else Outlook(hold=Hold(HoldReason.NAME_TAKEN, detail), until=until)
    missing = [part for part in new.containers if scene.observed.named(part.name) is None]
    unstored = new.contents(missing) - scene.stored
    if not unstored <= scene.contents:
        lost = ", ".join(sorted(unstored - scene.contents))
        return _refuse(scene, new.release, Refusal.CONTENT_MISSING, f"config content {lost} is not known")
    for steps in (_surroundings(scene, transition, new, missing), [new.create_container(part) for part in missing]):
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    prepared = moved(scene, Phase.READY)
    cleared = [AlarmCleared(Alarm.NAME_CONFLICT, scene.name)] if scene.is_alarmed(Alarm.NAME_CONFLICT) else []
    return work(scene, events=[prepared, *cleared])


def _surroundings(scene: Scene, transition: Transition, new: Parts, missing: list[Part]) -> list[Step]:
    """What containers need before they can be created."""
    pulls = [PullImage(image) for image in sorted({part.spec.create.image for part in missing})]
    steps: list[Step] = [step for step in pulls if f"{step.kind} {step.subject}" not in transition.done]
    steps += [StoreContent(sha256) for sha256 in sorted(new.contents(missing) - scene.stored)]
    steps += [new.create_network(name) for name, at in new.networks.items() if at not in scene.observed.networks]
    steps += [new.create_volume(name) for name, at in new.volumes.items() if at not in scene.observed.volumes]
    return steps


def _taken_name(scene: Scene, new: Parts) -> str:
    """The first of our names that somebody else holds."""
    for part in new.containers:
        seen = scene.observed.named(part.name)
        if seen is not None and not new.is_ours(seen):
            return f"container {part.name}"
    for kind, names, known in (
        ("network", new.networks, scene.observed.networks),
        ("volume", new.volumes, scene.observed.volumes),
    ):
        for name in names.values():
            labels = known.get(name)
            if labels is not None and (labels.get(LABEL_FLEET), labels.get(LABEL_DEPLOYMENT)) != (
                scene.fleet,
                scene.name,
            ):
                return f"{kind} {name}"
    return ""


def _refuse(scene: Scene, release: Release, reason: str, detail: str) -> Outlook:
    return work(
        scene,
        events=[
            Latched(scene.name, release.digest, release.revision, reason, detail, is_refusal=True),
            moved(scene, Phase.REFUSED, reason=reason, detail=detail),
            *scene.alarm(Alarm.RELEASE_FAILED, f"{release.short} refused: {reason}: {detail}"),
        ],
    )


def _ready(scene: Scene, new: Parts) -> Outlook:
    if not _is_still_wanted(scene, new.release):
        return work(scene, events=[moved(scene, Phase.SUPERSEDED)])
    if any(scene.observed.named(part.name) is None for part in new.containers):
        return work(scene, events=[moved(scene, Phase.CANCELLED, detail="a prepared container was removed")])
    if scene.gate is not None:
        return Outlook(hold=scene.gate, until=scene.gate.until)
    return work(scene, events=[moved(scene, Phase.SWITCHING)], steps=_stops(scene, new.names()))


def _stops(scene: Scene, keep: frozenset[str]) -> list[StopContainer]:
    """The next containers to stop: of those that the new release does not share, the last that were started."""
    running = [seen for seen in scene.owned() if seen.name not in keep and seen.state in NOT_STOPPED]
    serving = scene.record.serving
    known = {part.name: part for part in scene.parts(serving).containers} if serving else {}
    last = max((known[seen.name].level for seen in running if seen.name in known), default=-1)
    first = [seen for seen in running if seen.name not in known or known[seen.name].level == last]
    return [StopContainer(seen.name, _patience(known.get(seen.name))) for seen in first]


def _patience(part: Part | None) -> timedelta:
    return part.spec.care.stop_timeout if part else timedelta(seconds=30)


def _switching(scene: Scene, transition: Transition, new: Parts) -> Outlook:
    if transition.attempts >= new.release.policy.max_attempts:
        return _exhausted(scene, transition, new)
    if transition.reason:
        return fail(scene, transition, new.release, reason=transition.reason, detail=transition.detail)
    stops, waiting = due(scene, steps := _stops(scene, new.names()))
    if stops:
        return work(scene, steps=stops)
    if steps:
        return waiting
    failed = _ended(scene, transition, new) or _too_late(scene, transition, new)
    if failed:
        return failed
    starts = _starts(scene, new)
    ready, waiting = due(scene, starts)
    if ready:
        return work(scene, steps=ready)
    if starts:
        return waiting
    if all(_is_up(scene, part) for part in new.containers):
        return work(scene, events=[moved(scene, Phase.PROVING)])
    return Outlook()


def _proving(scene: Scene, transition: Transition, new: Parts) -> Outlook:
    policy = new.release.policy
    if transition.attempts >= policy.max_attempts:
        return _exhausted(scene, transition, new)
    if transition.reason:
        return fail(scene, transition, new.release, reason=transition.reason, detail=transition.detail)
    failed = _ended(scene, transition, new) or _not_live(scene, transition, new) or _too_late(scene, transition, new)
    if failed:
        return failed
    starts = _starts(scene, new)
    ready, waiting = due(scene, starts)
    if ready:
        return work(scene, steps=ready)
    if starts:
        return waiting
    if scene.record.soaked_for >= policy.soak and all(is_ready(scene, part) for part in new.containers):
        cleared = [AlarmCleared(code, scene.name) for code in _OVER_WHEN_HEALTHY if scene.is_alarmed(code)]
        return work(scene, events=[moved(scene, Phase.HEALTHY), *cleared])
    return Outlook()


_OVER_WHEN_HEALTHY = (Alarm.RELEASE_FAILED, Alarm.STUCK, Alarm.REGRESSED, Alarm.RECREATE_LIMIT)


def _starts(scene: Scene, new: Parts) -> list[StartContainer]:
    """Containers that do not run and may start now: not started in this boot, and their dependencies are met."""
    by_container = {part.container: part for part in new.containers}
    return [
        StartContainer(part.name)
        for part in new.containers
        if not _is_up(scene, part)
        and all(_is_met(scene, by_container[need], how) for need, how in part.spec.care.depends_on.items())
    ]


def _is_up(scene: Scene, part: Part) -> bool:
    seen = scene.observed.named(part.name)
    return seen is not None and (seen.state is ContainerState.RUNNING or _may_rest(scene, part, seen))


def _may_rest(scene: Scene, part: Part, seen: ContainerSeen) -> bool:
    """It ran to an end that its restart policy accepts."""
    has_run = scene.is_started(part) or bool(scene.remembered(part).ends)
    return seen.state is ContainerState.EXITED and has_run and part.may_rest(seen.exit_code)


def _is_met(scene: Scene, part: Part, condition: Condition) -> bool:
    match condition:
        case Condition.STARTED:
            return _is_up(scene, part)
        case Condition.READY:
            return is_ready(scene, part)
        case Condition.COMPLETED:
            seen = scene.observed.named(part.name)
            return seen is not None and _may_rest(scene, part, seen) and seen.exit_code == 0


def is_ready(scene: Scene, part: Part) -> bool:
    """True where the container runs and its probes say so, or it ended as it may."""
    seen = scene.observed.named(part.name)
    if seen is None:
        return False
    if seen.state is ContainerState.RUNNING:
        return scene.remembered(part).health is Health.READY
    return _may_rest(scene, part, seen)


def _ended(scene: Scene, transition: Transition, new: Parts) -> Outlook | None:
    """A container that was started in this boot and runs no more fails the release, unless it may rest."""
    for part in new.containers:
        seen = scene.observed.named(part.name)
        if seen is None:
            detail = f"container {part.name} was removed"
            return fail(scene, transition, new.release, reason=Refusal.ENDED_WHILE_PROVING, detail=detail)
        if seen.state is ContainerState.RUNNING or not scene.is_started(part) or _may_rest(scene, part, seen):
            continue
        if seen.state in (ContainerState.STOPPING, ContainerState.UNKNOWN):
            continue
        at = seen.ended_at or scene.now
        ended = ContainerEnded(scene.name, part.name, at, seen.exit_code)
        detail = f"container {part.container} ended with exit code {seen.exit_code} ({seen.state})"
        return fail(scene, transition, new.release, reason=Refusal.ENDED_WHILE_PROVING, detail=detail, before=[ended])
    return None


def _not_live(scene: Scene, transition: Transition, new: Parts) -> Outlook | None:
    for part in new.containers:
        remembered = scene.remembered(part)
        if remembered.health is Health.NOT_LIVE:
            detail = f"container {part.container}: live probe: {remembered.health_detail}"
            return fail(scene, transition, new.release, reason=Refusal.PROBE_FAILED, detail=detail)
    return None


def _too_late(scene: Scene, transition: Transition, new: Parts) -> Outlook | None:
    deadline = new.release.policy.deadline
    if scene.record.waited_for < deadline:
        return None
    unready = [part for part in new.containers if not is_ready(scene, part)]
    names = ", ".join(f"{part.container} ({scene.remembered(part).health_detail or 'not ready'})" for part in unready)
    detail = f"not ready within {deadline.total_seconds():g} s: {names or 'it flaps'}"
    return fail(scene, transition, new.release, reason=Refusal.DEADLINE_MISSED, detail=detail)


def _exhausted(scene: Scene, transition: Transition, new: Parts) -> Outlook:
    detail = f"the agent or the machine went down {transition.attempts} times while this release was starting"
    return fail(scene, transition, new.release, reason=Refusal.ATTEMPTS_EXHAUSTED, detail=detail)


def fail(  # noqa: PLR0913 - one failure is said in one place
    scene: Scene,
    transition: Transition,
    release: Release,
    *,
    reason: str,
    detail: str,
    before: Iterable[Event] = (),
) -> Outlook:
    """Latch the release and begin its revert, or stop and hold where its policy gives up reverting."""
    policy = release.policy
    may_revert = policy.automatic and (policy.safe or transition.old is None)
    events: list[Event] = [
        *before,
        Latched(scene.name, release.digest, release.revision, reason, detail),
        *scene.alarm(Alarm.RELEASE_FAILED, f"{release.short} failed: {reason}: {detail}"),
    ]
    if may_revert:
        return work(scene, events=[*events, moved(scene, Phase.REVERTING, reason=reason, detail=detail)])
    why = "rollback.automatic is false" if policy.safe else "rollback.safe is false"
    events += [
        moved(scene, Phase.STUCK, reason=reason, detail=f"{detail}; not reverted: {why}"),
        *scene.alarm(Alarm.STUCK, f"{release.short}: {reason}; not reverted: {why}"),
    ]
    running = [seen for seen in scene.owned() if seen.state in NOT_STOPPED]
    stops = [] if policy.safe else [StopContainer(seen.name, timedelta(seconds=30)) for seen in running]
    return work(scene, events=events, steps=stops)
