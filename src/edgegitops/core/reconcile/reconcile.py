"""Law: one deployment, one look, at most one work.

Rules, in order:
1. what has begun to switch goes to its end, whatever else is wanted.
2. else leftovers go (prune), then what serves is repaired (heal): a closed gate, an unreachable registry or a refused
   release never stops that.
3. else the open transition goes on, or a new one begins where another release is wanted that is not latched here.
Left to others: whether a start is allowed (rollout), what is wanted (desired), doing it (daemon).
"""

from dataclasses import replace
from datetime import datetime

from edgegitops.core.model.events import AlarmCleared, Event, HoldChanged, ReleaseRestated, TransitionBegan
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Transition
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.steps import Work
from edgegitops.core.reconcile.heal import heal
from edgegitops.core.reconcile.lifecycle import BEGUN
from edgegitops.core.reconcile.prune import prune
from edgegitops.core.reconcile.scene import Outlook, Scene, earliest, work
from edgegitops.core.reconcile.transition import proceed


def reconcile(scene: Scene) -> Outlook:
    """The next work of one deployment; without work, `hold` says why not and `until` when to look again.

    A hold that differs from the remembered one comes as a work of one event, so that the journal tells of it.
    """
    outlook = _next(scene)
    told = _tell_hold(scene, outlook.hold)
    if told is None:
        return outlook
    if outlook.work is None:
        return replace(outlook, work=Work(scene.name, (told,)))
    if not outlook.hold:
        return outlook
    return replace(outlook, work=replace(outlook.work, events=(*outlook.work.events, told)))


def _next(scene: Scene) -> Outlook:
    transition = scene.record.transition
    if transition is not None and transition.phase in BEGUN:
        return proceed(scene, transition)
    until: datetime | None = None
    hold: Hold | None = None
    for step in (_prune, _heal, _forward):
        outlook = step(scene)
        if outlook.work is not None:
            return outlook
        until = earliest(until, outlook.until)
        hold = outlook.hold or hold
    return Outlook(hold=hold, until=until)


def _prune(scene: Scene) -> Outlook:
    return prune(scene)


def _heal(scene: Scene) -> Outlook:
    return heal(scene, scene.record.serving) if scene.record.serving else Outlook()


def _forward(scene: Scene) -> Outlook:
    record = scene.record
    if record.transition is not None:
        return proceed(scene, record.transition)
    if not scene.is_target_known:
        return Outlook()
    if scene.refusal:
        return _refused(scene)
    target, serving = scene.target, record.serving
    if target is None:
        return _begin(scene, None) if serving is not None else Outlook()
    if serving is not None and serving.digest == target.digest:
        return _settled(scene, serving, target)
    latch = record.latches.get(target.digest)
    if latch is not None:
        reason = HoldReason.REFUSED_HERE if latch.is_refusal else HoldReason.LATCHED
        detail = f"{target.short}: {latch.reason}: {latch.detail}; fix it, or raise metadata.attempt to try again"
        return Outlook(hold=Hold(reason, detail))
    return _begin(scene, target)


def _refused(scene: Scene) -> Outlook:
    raised = scene.alarm(Alarm.ADMISSION_DENIED, scene.refusal)
    if raised:
        return work(scene, events=raised)
    return Outlook(hold=Hold(HoldReason.ADMISSION, scene.refusal))


def _settled(scene: Scene, serving: Release, target: Release) -> Outlook:
    """The wanted release serves; what is not part of its digest may still be said anew."""
    events: list[Event] = []
    if (serving.policy, serving.version) != (target.policy, target.version):
        events.append(ReleaseRestated(scene.name, target))
    if scene.record.phase is Phase.HEALTHY:
        over = (Alarm.RELEASE_FAILED, Alarm.ADMISSION_DENIED)
        events += [AlarmCleared(code, scene.name) for code in over if scene.is_alarmed(code)]
    return work(scene, events=events) if events else Outlook()


def _begin(scene: Scene, target: Release | None) -> Outlook:
    transition = Transition(
        id=f"{scene.name}/{scene.seq + 1}",
        old=scene.record.serving,
        new=target,
        phase=Phase.PENDING,
        began_at=scene.now,
        phase_at=scene.now,
    )
    return work(scene, events=[TransitionBegan(scene.name, transition)])


def _tell_hold(scene: Scene, hold: Hold | None) -> HoldChanged | None:
    """The event that makes the remembered hold this one; times alone are no news."""
    record = scene.record
    if hold is None:
        return HoldChanged(scene.name) if record.hold_reason else None
    if (record.hold_reason, record.hold_detail) == (hold.reason, hold.detail):
        return None
    return HoldChanged(scene.name, hold.reason, hold.detail, hold.until)
