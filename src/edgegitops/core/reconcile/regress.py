"""Law: what serves is judged by what was observed of it: regressed when it fails, healthy when it has soaked again.

Regressed: three ends of a container in 10 min, or more ends than its `restartLimit`, not ready for the deadline, or a
failed job of `runs: onUpdate`. It is an alarm whatever else goes on, and a phase where nothing is on its way. It is a
failure too, latched and told like any other until a retry names it: what is left is not started again here, what serves
runs on. The alarm is over once the release has soaked and nothing of this holds any more. A deployment whose last
transition did not get through is healthy again when what serves is what is wanted, and has soaked. Nothing is stopped
or started here: healing goes on either way.
"""

from datetime import datetime, timedelta

from edgegitops.core.model.events import AlarmCleared, Event, Latched
from edgegitops.core.model.reasons import Alarm, Refusal
from edgegitops.core.model.release import Phase
from edgegitops.core.model.spec import RestartLimit
from edgegitops.core.reconcile.backoff import FORGOTTEN_AFTER, recent
from edgegitops.core.reconcile.jobs import failed_on_update
from edgegitops.core.reconcile.lifecycle import MOVES
from edgegitops.core.reconcile.parts import Parts
from edgegitops.core.reconcile.scene import Outlook, Scene, earliest, moved, work

DEFAULT_LIMIT = RestartLimit(attempts=2, within=FORGOTTEN_AFTER)


def regress(scene: Scene, parts: Parts) -> Outlook:
    """The events that say how the serving release stands, where that is news, and when to judge again."""
    ended, until = _ended_too_often(scene, parts)
    reason = ended or _unhealthy_too_long(scene, parts) or _job_failed(scene, parts)
    if reason:
        events = _regressed(scene, parts, reason)
    elif scene.record.soaked_for >= parts.release.policy.soak:
        events = _recovered(scene, parts)
    else:
        events = []
    return work(scene, events=events) if events else Outlook(until=until)


def regression(scene: Scene, parts: Parts) -> tuple[Refusal, str] | None:
    """Why what serves counts as regressed now; None where it does not."""
    return _ended_too_often(scene, parts)[0] or _unhealthy_too_long(scene, parts) or _job_failed(scene, parts)


def _regressed(scene: Scene, parts: Parts, reason: tuple[Refusal, str]) -> list[Event]:
    code, detail = reason
    events: list[Event] = []
    if Phase.REGRESSED in MOVES[scene.record.phase]:
        events.append(moved(scene, Phase.REGRESSED, reason=code, detail=detail))
    if events or not scene.is_alarmed(Alarm.REGRESSED):
        events += _latched(scene, parts, f"{code}: {detail}")
        events += scene.alarm(Alarm.REGRESSED, f"{parts.release.short}: {code}: {detail}")
    return events


def _latched(scene: Scene, parts: Parts, detail: str) -> list[Event]:
    """The failure, once until a retry names it: one that is forgiven is told anew when it regresses anew."""
    release = parts.release
    known = scene.record.latches.get(release.digest)
    if known is not None and not known.is_refusal:
        return []
    return [Latched(scene.name, release.digest, release.revision, Refusal.REGRESSED, detail)]


def _recovered(scene: Scene, parts: Parts) -> list[Event]:
    phase, target = scene.record.phase, scene.target
    is_wanted = scene.is_target_known and target is not None and target.digest == parts.release.digest
    events: list[Event] = []
    if phase is Phase.REGRESSED or (is_wanted and Phase.HEALTHY in MOVES[phase] and phase is not Phase.PROVING):
        events.append(moved(scene, Phase.HEALTHY))
    if scene.is_alarmed(Alarm.REGRESSED):
        events.append(AlarmCleared(Alarm.REGRESSED, scene.name))
    return events


def _job_failed(scene: Scene, parts: Parts) -> tuple[Refusal, str] | None:
    detail = failed_on_update(scene, parts)
    return (Refusal.JOB_FAILED, detail) if detail else None


def _ended_too_often(scene: Scene, parts: Parts) -> tuple[tuple[Refusal, str] | None, datetime | None]:
    """The reason, and when it will be one no more."""
    reason, until = None, None
    for part in parts.containers:
        limit = part.spec.care.restart_limit or DEFAULT_LIMIT
        ends = [at for at in recent(scene.remembered(part).ends, scene.now) if scene.now - at < limit.within]
        if len(ends) > limit.attempts:
            detail = f"container {part.container} ended {len(ends)} times in {_minutes(limit.within)}"
            reason = reason or (Refusal.ENDED_TOO_OFTEN, detail)
            until = earliest(until, ends[-limit.attempts - 1] + limit.within)
    return reason, until


def _minutes(span: timedelta) -> str:
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    return f"{seconds} s" if not minutes else f"{minutes} min" if not seconds else f"{minutes} min {seconds} s"


def _unhealthy_too_long(scene: Scene, parts: Parts) -> tuple[Refusal, str] | None:
    deadline = parts.release.policy.deadline
    if scene.record.waited_for < deadline:
        return None
    return Refusal.UNHEALTHY_TOO_LONG, f"not ready for {deadline.total_seconds():g} s"
