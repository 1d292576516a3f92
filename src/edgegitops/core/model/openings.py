"""Law: every local time of a schedule begins something exactly once, whatever the clocks of its zone do.

A local time that the clocks skip (spring) begins at the end of the gap. One that comes twice (autumn) begins when it
comes first. The order of local times is the order of their instants, so looking for the last or the next one walks
the calendar day by day.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from edgegitops.core.model.schedule import Schedule

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_DAYS_AHEAD = 366 * 9  # 29 February may be eight years away


def instant_of(local: datetime, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which a naive local time begins in a zone."""
    before, after = _offset(local.replace(tzinfo=zone)), _offset(local.replace(tzinfo=zone, fold=1))
    if before < after:
        return _gap_end(local, zone, before, after)
    return local.replace(tzinfo=UTC) - before


def last_opening(schedule: Schedule, zone: tzinfo, now: datetime, *, since: datetime) -> datetime | None:
    """The last beginning at or before `now` and after `since`; None where there is none."""
    day = now.astimezone(zone).date() + _DAY
    first = since.astimezone(zone).date() - _DAY
    while day >= first:
        over = _begun(schedule, zone, day, now)
        if over:
            at = _instant(schedule, zone, day, over - 1)
            return at if at > since else None
        day -= _DAY
    return None


def next_opening(schedule: Schedule, zone: tzinfo, now: datetime) -> datetime | None:
    """The first beginning after `now`; None where there is none in the next nine years."""
    day = now.astimezone(zone).date()
    for _ in range(_DAYS_AHEAD):
        if schedule.has_day(day):
            over = _begun(schedule, zone, day, now)
            if over < len(schedule.times):
                return _instant(schedule, zone, day, over)
        day += _DAY
    return None


def _begun(schedule: Schedule, zone: tzinfo, day: date, now: datetime) -> int:
    """How many of a day's times have begun by `now`: their instants are in their order, so halving finds it."""
    if not schedule.has_day(day):
        return 0
    return bisect_right(range(len(schedule.times)), now, key=lambda number: _instant(schedule, zone, day, number))


def _instant(schedule: Schedule, zone: tzinfo, day: date, number: int) -> datetime:
    return instant_of(datetime.combine(day, time(*schedule.times[number])), zone)


def _gap_end(local: datetime, zone: tzinfo, before: timedelta, after: timedelta) -> datetime:
    """The instant at which the offset changes: between the two readings of a local time that does not exist."""
    low, high = local.replace(tzinfo=UTC) - after, local.replace(tzinfo=UTC) - before
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle <= low:
            break
        if _offset(middle.astimezone(zone)) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(at: datetime) -> timedelta:
    return at.utcoffset() or timedelta()
