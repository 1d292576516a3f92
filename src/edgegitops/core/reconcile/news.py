"""Law: a notice follows from the journal: the same entries, the same notices with the same ids, each told once.

An alarm that is raised while it stands is no news, and neither is the end of one that nobody raised. A hold is news
once, when it has stood for long without a break; another reason is another hold.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from edgegitops.core.model.events import AlarmCleared, AlarmRaised, Entry, HoldChanged
from edgegitops.core.model.notice import Holding, News, Notice, Told


def hear(told: Told, entry: Entry) -> tuple[Told, Notice | None]:
    """What is remembered after one more entry, and what there is to tell of it."""
    after, event = replace(told, seq=entry.seq, hash=entry.hash), entry.event
    match event:
        case AlarmRaised():
            key = f"{event.code} {event.subject}"
            notice = Notice(str(entry.seq), News.ALARM_RAISED, entry.at, event.code, event.subject, event.detail)
            return replace(after, alarms=told.alarms | {key}), None if key in told.alarms else notice
        case AlarmCleared():
            key = f"{event.code} {event.subject}"
            notice = Notice(str(entry.seq), News.ALARM_CLEARED, entry.at, event.code, event.subject)
            return replace(after, alarms=told.alarms - {key}), notice if key in told.alarms else None
        case HoldChanged():
            return replace(after, holds=_held(told, entry, event)), None
        case _:
            return after, None


def _held(told: Told, entry: Entry, event: HoldChanged) -> dict[str, Holding]:
    others = {name: one for name, one in told.holds.items() if name != event.deployment}
    if not event.reason:
        return others
    known = told.holds.get(event.deployment)
    if known is not None and known.reason == event.reason:
        return {**others, event.deployment: replace(known, detail=event.detail)}
    return {**others, event.deployment: Holding(entry.seq, entry.at, event.reason, event.detail)}


def overdue(told: Told, now: datetime, held_for: timedelta) -> list[tuple[Told, Notice]]:
    """The holds that have stood for `held_for` and were not told: each with what is remembered once it is."""
    found = []
    for name, one in sorted(told.holds.items()):
        if one.is_told or now - one.since < held_for:
            continue
        told = replace(told, holds={**told.holds, name: replace(one, is_told=True)})
        found.append((told, Notice(f"{one.seq}-held", News.HELD_LONG, one.since, one.reason, name, one.detail)))
    return found
