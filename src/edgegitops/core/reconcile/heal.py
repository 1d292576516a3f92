"""Law: what serves is kept as it was decided, from what is on the node, however closed the gate is.

Rules, in order, for each container of the serving release:
1. a container under our name that is not ours is never touched: an alarm.
2. missing, lost, or changed in a stable fact (networks): created anew, at most 3 times in 10 min, then loudly later.
   One that runs is touched only while the interlocks agree. With `drift: report` or `pause` a missing or changed one
   is only reported.
3. its live configs are not in place: put there, and the program told; only reported like 2.
4. a secret that it is given cannot be read here: stored again, for the next start needs it.
5. ended: started again after its back-off, and after what it depends on, but no later than the deadline; an end that
   its restart policy accepts stays. Starting what ended is not drift.
6. a failed live probe: stopped, which counts as an end (`onUnhealthy: restart`), or left stopped, or only reported.
Left to others: transitions, leftovers (prune), whether it is healthy (the resident's probes), what follows (regress).
"""

from datetime import datetime

from edgegitops.core.model.events import ContainerEnded, Event
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import DriftPolicy, Release
from edgegitops.core.model.spec import OnUnhealthy
from edgegitops.core.model.steps import RemoveContainer, Step, StoreContent
from edgegitops.core.reconcile.backoff import LOOK_AGAIN_AFTER, recreate_at, restart_at
from edgegitops.core.reconcile.needs import needs, unread
from edgegitops.core.reconcile.neighbours import waits_for
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.regress import regress
from edgegitops.core.reconcile.scene import Outlook, Scene, due, earliest, held, work
from edgegitops.core.reconcile.standing import has_rested, is_told, unmet


def heal(scene: Scene, serving: Release) -> Outlook:
    """The next repair of the serving release, or when to look again."""
    parts = scene.parts(serving)
    judged = regress(scene, parts)
    events: list[Event] = list(judged.work.events) if judged.work else []
    steps: list[Step] = []
    alarms: list[tuple[Alarm, str]] = []
    until: datetime | None = judged.until
    hold: Hold | None = None
    is_asking = False
    for part in parts.containers:
        found = _heal_part(scene, parts, part)
        if found.work:
            events += found.work.events
            steps += found.work.steps
        until = earliest(until, found.until)
        hold = hold or found.hold
        alarms += found.alarms
        is_asking = is_asking or found.is_asking
    steps += unread(scene, parts, parts.containers)
    ready, waiting = due(scene, _distinct(steps))
    if ready or events:
        return work(scene, events=events, steps=ready)
    until = earliest(until, waiting.until)
    return Outlook(hold=hold or waiting.hold, until=until, alarms=tuple(alarms), is_asking=is_asking)


def _distinct(steps: list[Step]) -> list[Step]:
    """Several containers may need the same network; it is created once."""
    return list({f"{step.kind} {step.subject}": step for step in steps}.values())


def _heal_part(scene: Scene, parts: Parts, part: Part) -> Outlook:
    seen = scene.observed.named(part.name)
    if seen is None or (seen.state is ContainerState.LOST and parts.is_ours(seen)):
        return _recreate(scene, parts, part, seen)
    if not parts.is_ours(seen):
        detail = f"container {part.name} exists and does not belong to this fleet; rename or remove it"
        hold = Hold(HoldReason.NAME_TAKEN, detail, scene.now + LOOK_AGAIN_AFTER)
        return Outlook(hold=hold, until=hold.until, alarms=((Alarm.NAME_CONFLICT, detail),))
    if seen.state is ContainerState.RUNNING and not _is_as_created(parts, part, seen):
        return _recreate(scene, parts, part, seen)
    if not is_told(scene, part):
        return _reload(scene, parts, part)
    if seen.state is ContainerState.RUNNING:
        return _not_live(scene, part)
    if seen.state in (ContainerState.STOPPING, ContainerState.UNKNOWN):
        return Outlook()
    if seen.state is ContainerState.PAUSED:
        return work(scene, steps=[part.stop()])
    return _restart(scene, parts, part, seen)


def _is_as_created(parts: Parts, part: Part, seen: ContainerSeen) -> bool:
    """The stable facts: its own digest label, and the networks that it was created on."""
    wanted = {parts.networks[name] for name in part.spec.create.networks}
    return seen.digest == part.digest and (part.spec.create.host_network or wanted <= seen.addresses.keys())


def _recreate(scene: Scene, parts: Parts, part: Part, seen: ContainerSeen | None) -> Outlook:
    drift = parts.release.policy.drift
    is_own_doing = f"start-container {part.name}" in scene.record.failures  # a start removes what it cannot start
    is_drift = seen.state is ContainerState.RUNNING if seen else not is_own_doing
    if drift is not DriftPolicy.CORRECT and is_drift:
        what = "was removed" if seen is None else "was changed"
        detail = f"container {part.container} {what}; drift is {drift}"
        return Outlook(hold=Hold(HoldReason.DRIFT_PAUSED, detail))
    again = recreate_at(scene.remembered(part).recreated, scene.now)
    if again > scene.now:
        detail = f"container {part.container} had to be created anew too often"
        hold = Hold(HoldReason.RECREATE_LIMIT, detail, again)
        return Outlook(hold=hold, until=again, alarms=((Alarm.RECREATE_LIMIT, detail),))
    if seen is not None and seen.state is ContainerState.RUNNING:
        if scene.interlock is not None:
            return held(scene.interlock)
        return work(scene, steps=[RemoveContainer(part.name)])
    return work(scene, steps=needs(scene, parts, part) or [parts.create_container(part)])


def _reload(scene: Scene, parts: Parts, part: Part) -> Outlook:
    drift = parts.release.policy.drift
    if drift is not DriftPolicy.CORRECT:
        detail = f"the configs of container {part.container} were changed; drift is {drift}"
        return Outlook(hold=Hold(HoldReason.DRIFT_PAUSED, detail))
    steps: list[Step] = [StoreContent(sha256) for sha256 in sorted(parts.contents([part]) - scene.stored)]
    return work(scene, steps=steps or [part.reload()])


def _restart(scene: Scene, parts: Parts, part: Part, seen: ContainerSeen) -> Outlook:
    if scene.is_started(part):
        stays = seen.state is ContainerState.EXITED and part.may_rest(seen.exit_code)
        ended = ContainerEnded(scene.name, part.name, seen.ended_at or scene.now, seen.exit_code, is_resting=stays)
        return work(scene, events=[ended])
    if has_rested(scene, part, seen) or scene.remembered(part).is_resting:
        return Outlook()
    again = restart_at(scene.remembered(part).ends, scene.now)
    if again > scene.now:
        return Outlook(until=again, hold=Hold(HoldReason.BACK_OFF, f"container {part.container} ended", again))
    hold = _waiting(scene, parts, part)
    if hold is not None and scene.record.waited_for < parts.release.policy.deadline:
        return Outlook(hold=hold)
    return work(scene, steps=[scene.start(parts, part)])


def _waiting(scene: Scene, parts: Parts, part: Part) -> Hold | None:
    for need, condition in unmet(scene, parts, part):
        return Hold(HoldReason.DEPENDENCY, f"container {part.container} waits: {need} {condition}")
    return waits_for(scene, parts.release)


def _not_live(scene: Scene, part: Part) -> Outlook:
    on_unhealthy = part.spec.care.on_unhealthy
    if scene.remembered(part).health is not Health.NOT_LIVE or on_unhealthy is OnUnhealthy.REPORT:
        return Outlook()
    ended = ContainerEnded(scene.name, part.name, scene.now, is_resting=on_unhealthy is OnUnhealthy.STOP)
    return work(scene, events=[ended], steps=[part.stop()])
