"""Law: a transition goes forward along the life cycle, each move journalled before its effect.

Rules, in order of the road:
1. pending, preparing, ready: nothing that runs is touched; another wish ends the transition, nothing is lost.
2. preparing makes everything new beside the old: images, config files, networks, volumes, containers (not started).
   What is not available is tried for ever; what the engine denies is a refusal.
3. ready waits for other deployments, the windows and, where something running is to be stopped, for the interlocks;
   what has begun asks nobody. Switching asks the start condition once more, stops what the new release does not share,
   copies volumes (snapshots), tells what stays of its changed configs, and starts the new in order: containers and the
   jobs of the switch are one graph, and a job that fails for good fails the release. What is gone before it ever ran is
   made anew: a start that the engine refuses without a known cause removes the container first.
4. proving counts observed time only. An end, a failed live probe, a missed deadline or too many unclean ends fail it.
5. a failure is latched in the same journal write that begins the revert; the revert uses only what is on the node.
Left to others: whether a start is allowed (rollout), repairing what serves (heal), removing leftovers (prune).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from edgegitops.core.model.events import AlarmCleared, ContainerEnded, Event, Latched
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health, StepFailure, Transition
from edgegitops.core.model.naming import LABEL_DEPLOYMENT, LABEL_FLEET, digest_of
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import Alarm, HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.steps import Step, StopContainer, StoreContent
from edgegitops.core.reconcile import snapshots
from edgegitops.core.reconcile.addressing import networks_to_make
from edgegitops.core.reconcile.backoff import LOOK_AGAIN_AFTER
from edgegitops.core.reconcile.jobs import switch_jobs, to_prepare
from edgegitops.core.reconcile.needs import unread
from edgegitops.core.reconcile.neighbours import waits_for
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.removal import remove
from edgegitops.core.reconcile.revert import revert
from edgegitops.core.reconcile.scene import Outlook, Scene, due, earliest, held, moved, work
from edgegitops.core.reconcile.standing import has_rested, is_ready, is_told, is_up, unmet
from edgegitops.core.reconcile.stopping import stops
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
            return _pending(scene, transition)
        case Phase.PREPARING:
            return _preparing(scene, transition, new)
        case Phase.READY:
            return _ready(scene, transition, new)
        case Phase.SWITCHING:
            return _switching(scene, transition, new)
        case Phase.PROVING:
            return _proving(scene, transition, new)
        case _:
            raise BrokenInvariantError(f"{scene.name}: a transition rests at {transition.phase}")


def _is_still_wanted(scene: Scene, transition: Transition) -> bool:
    target = scene.target
    if target is None or transition.new is None:
        return False
    if transition.is_going_back:  # until something is wanted that has not failed here
        return target.digest in scene.record.latches
    return target.digest == transition.new.digest


def _gate(scene: Scene, transition: Transition) -> Hold | None:
    """Going back is no new release: only people on the spot hold it."""
    gate = scene.gate
    is_of_a_release = gate is not None and gate.reason not in (HoldReason.OPERATOR, HoldReason.MAINTENANCE)
    return None if transition.is_going_back and is_of_a_release else gate


def _pending_removal(scene: Scene) -> Outlook:
    if scene.target is not None or scene.refusal:
        return work(scene, events=[moved(scene, Phase.SUPERSEDED)])
    hold = scene.gate or scene.window
    if hold is None and stops(scene, [scene.record.serving, *scene.record.lkg]):
        hold = scene.interlock
    return work(scene, events=[moved(scene, Phase.REMOVING, detail=_overruled(scene))]) if hold is None else held(hold)


def _pending(scene: Scene, transition: Transition) -> Outlook:
    if not _is_still_wanted(scene, transition):
        return work(scene, events=[moved(scene, Phase.SUPERSEDED)])
    gate = _gate(scene, transition)
    if gate is not None:
        return Outlook(hold=gate, until=gate.until)
    return work(scene, events=[moved(scene, Phase.PREPARING)])


def _preparing(scene: Scene, transition: Transition, new: Parts) -> Outlook:
    if not _is_still_wanted(scene, transition):
        return work(scene, events=[moved(scene, Phase.CANCELLED)])
    taken = _taken_name(scene, new)
    if taken:
        detail = f"{taken} exists and does not belong to this fleet; rename or remove it"
        hold = Hold(HoldReason.NAME_TAKEN, detail, scene.now + LOOK_AGAIN_AFTER)
        return Outlook(hold=hold, until=hold.until, alarms=((Alarm.NAME_CONFLICT, detail),))
    missing = [part for part in new.containers if scene.observed.named(part.name) is None]
    missing += to_prepare(scene, new, transition)
    measured = _measured(scene, transition, new)
    if measured is not None:
        return measured
    lost = _contents(scene, new, missing) - scene.stored - scene.contents
    if lost:
        return _refuse(scene, new.release, Refusal.CONTENT_MISSING, f"{', '.join(sorted(lost))} is not known")
    creates: list[Step] = [new.create_container(part) for part in missing]
    around = _surroundings(scene, transition, new, missing)
    denied = _denied(scene, [*around, *creates])
    if denied is not None:
        return _refuse(scene, new.release, denied.reason or Refusal.CREATE_FAILED, denied.detail)
    for steps in (around, creates):
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    return work(scene, events=[moved(scene, Phase.READY)])


def _measured(scene: Scene, transition: Transition, new: Parts) -> Outlook | None:
    """What copies of volumes have to say before anything else; None where nothing is in the way."""
    detail = snapshots.too_large(scene, transition, new)
    if detail and transition.phase is Phase.PREPARING:
        return _refuse(scene, new.release, Refusal.VOLUME_TOO_LARGE, detail)
    if detail:
        return work(scene, events=[moved(scene, Phase.CANCELLED, reason=Refusal.VOLUME_TOO_LARGE, detail=detail)])
    return snapshots.measure(scene, transition, new)


def _denied(scene: Scene, steps: Iterable[Step]) -> StepFailure | None:
    """The first of these steps that will not work. A name may be given free, and an image that somebody removed after
    it was pulled is pulled once more.
    """
    for step in steps:
        failure = scene.record.failures.get(f"{step.kind} {step.subject}")
        if failure is None or not failure.is_final or failure.reason == Refusal.NAME_CONFLICT:
            continue
        if failure.reason != Refusal.IMAGE_UNKNOWN or failure.count > 1:
            return failure
    return None


def _surroundings(scene: Scene, transition: Transition, new: Parts, missing: list[Part]) -> list[Step]:
    """What containers need before they can be created."""
    failures = scene.record.failures
    coming = [*missing, *new.scheduled]  # runs of scheduled jobs are made in their time, from what is on the node
    gone = {part.spec.create.image for part in missing if _is_image_gone(failures.get(f"create-container {part.name}"))}
    pulls = [new.pull(image) for image in sorted({part.spec.create.image for part in coming})]
    steps: list[Step] = [
        one for one in pulls if one.subject in gone or f"{one.kind} {one.subject}" not in transition.done
    ]
    wanted = sorted(new.artifacts(coming))
    steps += [new.pull_artifact(name) for name in wanted if digest_of(name) not in scene.artifacts]
    steps += [StoreContent(sha256) for sha256 in sorted(_contents(scene, new, missing) - scene.stored)]
    steps += unread(scene, new, (*new.containers, *new.jobs, *new.scheduled))
    steps += networks_to_make(scene, new, new.networks)
    steps += [new.create_volume(name) for name, at in sorted(new.volumes.items()) if at not in scene.observed.volumes]
    return steps


def _contents(scene: Scene, new: Parts, missing: list[Part]) -> frozenset[str]:
    """Config files that parts need before they are created, in their time too, or told of a change."""
    untold = [part for part in new.containers if not is_told(scene, part)]
    return new.contents([*missing, *untold, *new.scheduled])


def _is_image_gone(failure: StepFailure | None) -> bool:
    return failure is not None and failure.reason == Refusal.IMAGE_UNKNOWN


def _taken_name(scene: Scene, new: Parts) -> str:
    """The first of our names that somebody else holds."""
    for part in (*new.containers, *new.jobs):
        seen = scene.observed.named(part.name)
        if seen is not None and not new.is_ours(seen):
            return f"container {part.name}"
    for kind, names, known in (
        ("network", new.networks, scene.observed.networks),
        ("volume", new.volumes, scene.observed.volumes),
    ):
        for name in names.values():
            labels = known.get(name)
            owner = None if name in new.shared() else scene.name
            if labels is not None and (labels.get(LABEL_FLEET), labels.get(LABEL_DEPLOYMENT)) != (scene.fleet, owner):
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


def _ready(scene: Scene, transition: Transition, new: Parts) -> Outlook:
    if not _is_still_wanted(scene, transition):
        return work(scene, events=[moved(scene, Phase.SUPERSEDED)])
    is_missing = any(scene.observed.named(part.name) is None for part in new.containers)
    if is_missing or to_prepare(scene, new, transition):
        return work(scene, events=[moved(scene, Phase.CANCELLED, detail="a prepared container was removed")])
    first = [*stops(scene, [scene.record.serving], keep=_untouched(scene, transition, new)), *_unwell(scene, new)]
    hold = (
        _gate(scene, transition)
        or waits_for(scene, new.release)
        or scene.window
        or (scene.interlock if first else None)
    )
    if hold is not None:
        return held(hold)
    unready = _measured(scene, transition, new) or snapshots.prepare(scene, transition, new)
    return unready or work(scene, events=[moved(scene, Phase.SWITCHING, detail=_overruled(scene))], steps=first)


def _overruled(scene: Scene) -> str:
    """What a person reads in the journal of interlocks that did not agree."""
    return f"waited longer than maxDefer, so this was overruled: {scene.forced}" if scene.forced else ""


def _untouched(scene: Scene, transition: Transition, new: Parts) -> frozenset[str]:
    """Containers of the new release that go on running if they run."""
    return snapshots.kept(scene, new, (one.subject for one in snapshots.pending(scene, transition, new)))


def _unwell(scene: Scene, new: Parts) -> list[StopContainer]:
    """What an earlier try of the same content left running and not well is started anew, not taken over."""
    old = scene.parts(scene.record.serving).names() if scene.record.serving else frozenset()
    return [
        part.stop()
        for part in new.containers
        if part.name not in old
        and scene.remembered(part).health in (Health.UNREADY, Health.NOT_LIVE)
        and is_up(scene, part)
    ]


def _switching(scene: Scene, transition: Transition, new: Parts) -> Outlook:
    if transition.attempts >= new.release.policy.max_attempts:
        return _exhausted(scene, transition, new)
    if transition.reason:
        return fail(scene, transition, new.release, reason=transition.reason, detail=transition.detail)
    before: tuple[Sequence[Step], ...] = (
        stops(scene, [transition.old], keep=_untouched(scene, transition, new)),
        snapshots.pending(scene, transition, new),
    )
    for steps in before:
        ready, waiting = due(scene, steps)
        if ready:
            return work(scene, steps=ready)
        if steps:
            return waiting
    failed = _ended(scene, transition, new) or _too_late(scene, transition, new)
    if failed:
        return failed
    jobs = switch_jobs(scene, new, transition)
    if jobs.failure:
        return fail(scene, transition, new.release, reason=Refusal.JOB_FAILED, detail=jobs.failure)
    starts = _starts(scene, new)
    ready, waiting = due(scene, starts)
    begun = jobs.outlook.work
    if ready or begun is not None:
        return work(scene, events=begun.events if begun else (), steps=(*(begun.steps if begun else ()), *ready))
    if starts:
        return replace(waiting, until=earliest(waiting.until, jobs.outlook.until))
    if jobs.is_done and all(is_up(scene, part) for part in new.containers):
        return work(scene, events=[moved(scene, Phase.PROVING)])
    return jobs.outlook


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
        over = _OVER_WHEN_BACK if transition.is_going_back else _OVER_WHEN_HEALTHY
        cleared = [AlarmCleared(code, scene.name) for code in over if scene.is_alarmed(code)]
        return work(scene, events=[moved(scene, Phase.HEALTHY), *cleared])
    return Outlook()


_OVER_WHEN_BACK = (Alarm.STUCK, Alarm.REGRESSED)
_OVER_WHEN_HEALTHY = (Alarm.RELEASE_FAILED, *_OVER_WHEN_BACK)


def _starts(scene: Scene, new: Parts) -> list[Step]:
    """Changed configs of containers that stay, then what a start that was cut short has removed, then containers that
    do not run and may start now: nothing that they depend on is missing.
    """
    reloads: list[Step] = [part.reload() for part in new.containers if not is_told(scene, part)]
    if reloads:
        return reloads
    down = [part for part in new.containers if not is_up(scene, part)]
    gone = [part for part in down if scene.observed.named(part.name) is None]
    if gone:
        return [new.create_container(part) for part in gone]
    return [scene.start(new, part) for part in down if not any(unmet(scene, new, part))]


def _ended(scene: Scene, transition: Transition, new: Parts) -> Outlook | None:
    """A container that was started in this boot and runs no more fails the release, unless its end is a success."""
    rested: list[Event] = []
    for part in new.containers:
        seen = scene.observed.named(part.name)
        if seen is None and scene.remembered(part).start is None:
            continue  # it never ran: a start removes what it cannot start, to make it anew
        if seen is None:
            detail = f"container {part.name} was removed"
            return fail(scene, transition, new.release, reason=Refusal.ENDED_WHILE_PROVING, detail=detail)
        is_up_or_unsure = seen.state in (ContainerState.RUNNING, ContainerState.STOPPING, ContainerState.UNKNOWN)
        if is_up_or_unsure or not scene.is_started(part):
            continue
        is_success = has_rested(scene, part, seen) and seen.exit_code == 0
        at = seen.ended_at or scene.now
        ended = ContainerEnded(scene.name, part.name, at, seen.exit_code, is_resting=is_success)
        if is_success:
            rested.append(ended)
            continue
        detail = f"container {part.container} ended with exit code {seen.exit_code} ({seen.state})"
        return fail(scene, transition, new.release, reason=Refusal.ENDED_WHILE_PROVING, detail=detail, before=[ended])
    return work(scene, events=rested) if rested else None


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
        replace(
            moved(scene, Phase.STUCK, reason=reason, detail=f"{detail}; not reverted: {why}"), halts=not policy.safe
        ),
        *scene.alarm(Alarm.STUCK, f"{release.short}: {reason}; not reverted: {why}"),
    ]
    return work(scene, events=events)
