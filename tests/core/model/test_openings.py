"""Local times of a schedule and their instants, over every clock change of every IANA zone from 2020 to 2037."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegitops.core.model.openings import instant_of, last_opening, next_opening
from edgegitops.core.model.schedule import parse_schedule

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STOCKHOLM = zoneinfo.ZoneInfo("Europe/Stockholm")
START = datetime(2020, 1, 1, tzinfo=UTC)
ALWAYS = timedelta(days=400)


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The instants at which the offset of a zone changes, to the second, found by looking at every day."""
    zone = zoneinfo.ZoneInfo(name)

    def offset(at: datetime) -> timedelta:
        return at.astimezone(zone).utcoffset() or timedelta()

    found = []
    at, end = START, datetime(2038, 1, 1, tzinfo=UTC)
    while at < end:
        low, high = at, at + 7 * DAY
        at = high
        if offset(low) == offset(high):
            continue
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        found.append(high.replace(microsecond=0))
    return tuple(found)


def zones_that_change() -> Iterator[str]:
    """One zone of each set that has the same changes: aliases tell nothing new."""
    seen = set()
    for name in sorted(zoneinfo.available_timezones()):
        key = (changes(name), START.astimezone(zoneinfo.ZoneInfo(name)).utcoffset())
        if changes(name) and key not in seen:
            seen.add(key)
            yield name


def walked(text: str, zone: zoneinfo.ZoneInfo, first: datetime, last: datetime) -> list[datetime]:
    """The beginnings in [first, last] as a patient person finds them: minute by minute by the clock on the wall. A
    local time counts when the wall shows it first; one that the wall jumps over counts at the jump.
    """
    schedule = parse_schedule(text)
    found: list[datetime] = []
    shown = (first - 2 * DAY).astimezone(zone).replace(tzinfo=None)  # the latest that the wall has shown
    at = first - 2 * DAY
    while at <= last:
        wall = at.astimezone(zone).replace(tzinfo=None)
        hit = False
        while shown < wall:
            shown += MINUTE
            hit = hit or (schedule.has_day(shown.date()) and (shown.hour, shown.minute) in schedule.times)
        if hit and at >= first:
            found.append(at)
        at += MINUTE
    return found


def found_forward(text: str, zone: zoneinfo.ZoneInfo, first: datetime, last: datetime) -> list[datetime]:
    schedule, found = parse_schedule(text), []
    at = next_opening(schedule, zone, first - MINUTE)
    while at is not None and at <= last:
        found.append(at)
        at = next_opening(schedule, zone, at)
    return found


def found_backward(text: str, zone: zoneinfo.ZoneInfo, first: datetime, last: datetime) -> list[datetime]:
    schedule, found = parse_schedule(text), []
    at = last_opening(schedule, zone, last, since=first - MINUTE)
    while at is not None:
        found.append(at)
        at = last_opening(schedule, zone, at - timedelta(microseconds=1), since=first - MINUTE)
    return found[::-1]


def test_every_change_of_every_zone_begins_each_local_time_exactly_once():
    """Around each change, minutes that the wall skips, shows twice, and shows once."""
    zones = list(zones_that_change())
    assert len(zones) > 40
    for name in zones:
        zone = zoneinfo.ZoneInfo(name)
        for change in changes(name):
            before = (change - timedelta(seconds=1)).astimezone(zone).utcoffset() or timedelta()
            after = change.astimezone(zone).utcoffset() or timedelta()
            low, high = sorted((change.replace(tzinfo=None) + before, change.replace(tzinfo=None) + after))
            half = low + (high - low) // 2
            if before < after:  # the wall jumps from low to high
                assert [instant_of(one, zone) for one in (low, half, high - MINUTE)] == [change] * 3, name
            else:  # the wall shows low to high twice
                first = change - (high - low)
                assert [instant_of(one, zone) for one in (low, half)] == [first, first + (half - low)], name
            assert instant_of(low - MINUTE, zone) == min(change, change - max(timedelta(), before - after)) - MINUTE
            assert instant_of(high, zone) == change + max(timedelta(), before - after), name


@pytest.mark.parametrize("name", ["Europe/Stockholm", "America/Havana", "Australia/Lord_Howe", "Atlantic/Azores"])
@pytest.mark.parametrize("text", ["*/30 * * * *", "15 0 * * *", "30 2 * * SUN"])
def test_openings_are_those_of_a_patient_person_at_the_wall(name, text):
    zone = zoneinfo.ZoneInfo(name)
    for change in changes(name)[:3]:
        first, last = change.replace(second=0) - 8 * HOUR, change.replace(second=0) + 8 * HOUR
        by_wall = walked(text, zone, first, last)
        assert found_forward(text, zone, first, last) == by_wall
        assert found_backward(text, zone, first, last) == by_wall


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(zoneinfo.available_timezones())),
    st.integers(0, 17 * 365 * 86400),
    st.sampled_from(["0 2 * * *", "*/7 * * * *", "30 2 29 * *", "0 0 1 JAN *", "59 23 * * SUN"]),
)
def test_last_and_next_are_neighbours(name, seconds, text):
    zone, schedule, now = zoneinfo.ZoneInfo(name), parse_schedule(text), START + timedelta(seconds=seconds)
    last, later = last_opening(schedule, zone, now, since=now - ALWAYS), next_opening(schedule, zone, now)
    assert last is not None
    assert later is not None
    assert last <= now < later
    assert next_opening(schedule, zone, last) == later
    assert last_opening(schedule, zone, later - timedelta(seconds=1), since=now - ALWAYS) == last
    assert last_opening(schedule, zone, later, since=now) == later


def wall(text: str) -> datetime:
    """A local time without a zone."""
    return datetime.fromisoformat(text)


def test_a_local_time_that_is_skipped_begins_when_the_clocks_jump():
    jump = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert instant_of(wall("2026-03-29T02:30"), STOCKHOLM) == jump


def test_a_local_time_that_comes_twice_begins_when_it_comes_first():
    assert instant_of(wall("2026-10-25T02:30"), STOCKHOLM) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_day_that_a_country_skipped_begins_when_the_next_one_does():
    samoa = zoneinfo.ZoneInfo("Pacific/Apia")
    assert instant_of(wall("2011-12-30T12:00"), samoa) == datetime(2011, 12, 30, 10, tzinfo=UTC)


def test_a_leap_day_is_found_eight_years_ahead():
    schedule = parse_schedule("0 0 29 2 *")
    assert next_opening(schedule, UTC, datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
