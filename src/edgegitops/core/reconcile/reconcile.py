"""Law: one deployment, one look, at most one work.

Rules, in order:
1. what has begun to switch goes to its end, whatever else is wanted.
2. else what failed and may not be reverted is stopped, in order, for as long as it takes; leftovers go (prune), then
   what serves is repaired (heal): a closed gate, an unreachable registry or a refused release never stops that. Then
   jobs run that belong to what serves, and images and artifacts go that nobody needs (tidy).
3. else the open transition goes on, or a new one begins where another release is wanted that is not latched here.
   While nobody knows what is wanted, nothing is begun and nothing goes on that has not begun.
4. what regressed is left for an older release where it says so (back).
5. what is not admitted is still wanted: what runs is kept, and a removal that has not begun is called off.
6. a refusal that this node may have outgrown (a device, a full table, the engine's policy) is asked again an hour
   later; a failure never.
7. alarms of a look stand exactly as long as looks say so; a hold is told when it changes, and its end with the move
   that it held: the steps of that move may take long.
Left to others: whether a start is allowed (rollout), what is wanted (desired), doing it (daemon).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from edgegitops.core.model.events import (
    AlarmCleared,
    AlarmRaised,
    Event,
    HoldChanged,
    PhaseMoved,
    ReleaseRestated,
    Unlatched,
)
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Latch
from edgegitops.core.model.reasons import Alarm, HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.steps import Work
from edgegitops.core.reconcile.back import go_back
from edgegitops.core.reconcile.backoff import REFUSAL_ASKED_AGAIN_AFTER
from edgegitops.core.reconcile.heal import heal
from edgegitops.core.reconcile.jobs import after_healthy
from edgegitops.core.reconcile.lifecycle import BEGUN
from edgegitops.core.reconcile.prune import prune
from edgegitops.core.reconcile.removal import has_something, is_untouched
from edgegitops.core.reconcile.scene import Outlook, Scene, began, due, earliest, work
from edgegitops.core.reconcile.schedules import job_alarms, on_time
from edgegitops.core.reconcile.stopping import stops
from edgegitops.core.reconcile.tidy import tidy
from edgegitops.core.reconcile.transition import proceed

OF_A_LOOK = (
    Alarm.NAME_CONFLICT,
    Alarm.RECREATE_LIMIT,
    Alarm.ADMISSION_DENIED,
    Alarm.HELD_TOO_LONG,
    Alarm.PROBES_UNANSWERED,
    Alarm.JOB_FAILED,
)
HELD_BEFORE = frozenset({Phase.PREPARING, Phase.SWITCHING, Phase.REMOVING})
OVER_WHEN_SETTLED = (Alarm.RELEASE_FAILED, Alarm.STUCK)
MAY_BE_OUTGROWN = frozenset(
    {Refusal.CREATE_FAILED, Refusal.IMAGE_UNKNOWN, Refusal.VOLUME_TOO_LARGE, Refusal.ADMISSION_DENIED}
)


def reconcile(scene: Scene) -> Outlook:
    """The next work of one deployment; without work, `hold` says why not and `until` when to look again.

    Alarms and a hold that differ from the remembered ones come as a work of events, so that the journal tells of them.
    """
    outlook = _next(scene)
    unanswered = _unanswered(scene)
    return tell(scene, replace(outlook, alarms=(*outlook.alarms, *unanswered)) if unanswered else outlook)


def _unanswered(scene: Scene) -> tuple[tuple[Alarm, str], ...]:
    """Nobody has been able to ask how the release is for as long as it may take to be ready: a person should look."""
    transition = scene.record.transition
    release = transition.new if transition is not None and transition.phase in BEGUN else scene.record.serving
    if release is None or scene.record.unanswered_for < release.policy.deadline:
        return ()
    detail = f"{release.short}: its probes could not be asked for {release.policy.deadline.total_seconds():g} s"
    return ((Alarm.PROBES_UNANSWERED, f"{detail}; nobody knows whether it is well"),)


def tell(scene: Scene, outlook: Outlook) -> Outlook:
    """The outlook, with what there is to journal of a look that found nothing to do, or that ends a hold."""
    if outlook.work is not None:
        return _freed(scene, outlook, outlook.work)
    serving = scene.record.serving
    alarms = (*outlook.alarms, *(job_alarms(scene, serving) if serving else ()))
    events = (*_tell_alarms(scene, alarms), *_tell_hold(scene, outlook.hold))
    return replace(outlook, work=Work(scene.name, events)) if events else outlook


def _freed(scene: Scene, outlook: Outlook, work: Work) -> Outlook:
    if not scene.record.hold_reason or not any(
        isinstance(one, PhaseMoved) and one.new in HELD_BEFORE for one in work.events
    ):
        return outlook
    return replace(outlook, work=replace(work, events=(*work.events, HoldChanged(scene.name))))


def _next(scene: Scene) -> Outlook:
    transition = scene.record.transition
    if transition is not None and transition.phase in BEGUN:
        return proceed(scene, transition)
    until: datetime | None = None
    hold: Hold | None = None
    alarms: list[tuple[Alarm, str]] = []
    is_asking = False
    for step in (_halt, prune, _heal, _jobs, _on_time, tidy, _forward):
        outlook = step(scene)
        if outlook.work is not None:
            return outlook
        until = earliest(until, outlook.until)
        hold = outlook.hold or hold
        alarms += outlook.alarms
        is_asking = is_asking or outlook.is_asking
    return Outlook(hold=hold, until=until, alarms=tuple(alarms), is_asking=is_asking)


def _halt(scene: Scene) -> Outlook:
    halted = scene.record.halted
    steps = stops(scene, [halted, *scene.record.lkg]) if halted is not None else []
    ready, waiting = due(scene, steps)
    return work(scene, steps=ready) if ready else waiting


def _heal(scene: Scene) -> Outlook:
    return heal(scene, scene.record.serving) if scene.record.serving else Outlook()


def _jobs(scene: Scene) -> Outlook:
    return after_healthy(scene, scene.record.serving) if scene.record.serving else Outlook()


def _on_time(scene: Scene) -> Outlook:
    return on_time(scene, scene.record.serving) if scene.record.serving else Outlook()


def _forward(scene: Scene) -> Outlook:
    record = scene.record
    if not scene.is_target_known:
        return Outlook()
    if record.transition is not None:
        return _restated(scene, record.transition.new) or proceed(scene, record.transition)
    if scene.refusal:
        return Outlook(
            hold=Hold(HoldReason.ADMISSION, scene.refusal), alarms=((Alarm.ADMISSION_DENIED, scene.refusal),)
        )
    target, serving = scene.target, record.serving
    forward = _restated(scene, serving) or go_back(scene)
    if forward is not None:
        return forward
    if target is None:
        is_gone = serving is None and record.phase is Phase.ABSENT and not has_something(scene)
        return Outlook() if is_gone else _begin(scene, None)
    if serving is not None and serving.digest == target.digest:
        return _settled(scene)
    latch = record.latches.get(target.digest)
    return _latched(scene, target, latch) if latch is not None else _begin(scene, target)


def _latched(scene: Scene, target: Release, latch: Latch) -> Outlook:
    detail = f"{target.short}: {latch.reason}: {latch.detail}; fix it, or raise metadata.attempt to try again"
    if not latch.is_refusal:
        return Outlook(hold=Hold(HoldReason.LATCHED, detail))
    if latch.reason not in MAY_BE_OUTGROWN:
        return Outlook(hold=Hold(HoldReason.REFUSED_HERE, detail))
    again = latch.at + REFUSAL_ASKED_AGAIN_AFTER
    if latch.at <= scene.now < again:  # one from the future is of a clock that has been set back since
        return Outlook(hold=Hold(HoldReason.REFUSED_HERE, detail, again), until=again)
    return work(scene, events=[Unlatched(scene.name, latch.digest, "a refusal is asked again after a while")])


def _restated(scene: Scene, release: Release | None) -> Outlook | None:
    """What is not part of the digest may be said anew, until it steers what has begun."""
    target = scene.target
    if target is None or release is None or release.digest != target.digest:
        return None
    if (release.policy, release.version) == (target.policy, target.version):
        return None
    return work(scene, events=[ReleaseRestated(scene.name, target)])


def _settled(scene: Scene) -> Outlook:
    """The wanted release serves."""
    if scene.record.phase is not Phase.HEALTHY:
        return Outlook()
    cleared = [AlarmCleared(code, scene.name) for code in OVER_WHEN_SETTLED if scene.is_alarmed(code)]
    return work(scene, events=cleared) if cleared else Outlook()


def _begin(scene: Scene, target: Release | None) -> Outlook:
    return work(scene, events=[began(scene, target, is_install=target is not None and is_untouched(scene))])


def _tell_alarms(scene: Scene, alarms: Sequence[tuple[Alarm, str]]) -> list[Event]:
    """Alarms of this look, one a code, and the end of those that it does not find any more."""
    events: list[Event] = []
    for code in OF_A_LOOK:
        detail = "; ".join(sorted({text for known, text in alarms if known is code}))
        standing = scene.alarms.get(f"{code} {scene.name}")
        if detail and (standing is None or standing.detail != detail):
            events.append(AlarmRaised(code, scene.name, detail))
        elif not detail and standing is not None and scene.is_target_known:
            events.append(AlarmCleared(code, scene.name))
    return events


def _tell_hold(scene: Scene, hold: Hold | None) -> list[Event]:
    """The event that makes the remembered hold this one; times alone are no news."""
    record = scene.record
    if hold is None:
        return [HoldChanged(scene.name)] if record.hold_reason else []
    if (record.hold_reason, record.hold_detail) == (hold.reason, hold.detail):
        return []
    return [HoldChanged(scene.name, hold.reason, hold.detail, hold.until)]
