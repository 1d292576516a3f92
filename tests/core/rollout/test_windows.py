"""Windows: when the plant's calendar lets a transition begin."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegitops.core.model.plant import FixedZones, Window, WindowKind
from edgegitops.core.rollout.windows import Closed, Open, ask_windows

HOUR = timedelta(hours=1)
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MINUTE = timedelta(minutes=1)
ZONES = FixedZones({"Europe/Stockholm": ZoneInfo("Europe/Stockholm")})
NIGHT = Window("night", "sites/goteborg-1.yaml", WindowKind.ALLOW, "0 2 * * *", 2 * HOUR)
SHIFT = Window("shift", "policies/line.yaml", WindowKind.DENY, "0 6 * * MON-FRI", 8 * HOUR)


def at(text: str) -> datetime:
    """An instant of the week of Monday 23 November 2026: `MON 02:30`, in UTC."""
    day, _, time = text.partition(" ")
    hour, minute = time.split(":")
    return datetime(2026, 11, 23 + DAYS.index(day), int(hour), int(minute), tzinfo=UTC)


def ask(*windows: Window, now: datetime, needed: timedelta = 5 * MINUTE, is_trusted: bool = True) -> Open | Closed:
    return ask_windows(windows, now, zones=ZONES, is_clock_trusted=is_trusted, needed=needed)


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        ((), "MON 12:00", None),
        ((NIGHT,), "MON 02:00", "MON 04:00"),
        ((NIGHT,), "MON 03:55", "MON 04:00"),
        ((SHIFT,), "MON 05:55", "MON 06:00"),
        ((SHIFT,), "MON 14:00", "TUE 06:00"),
        ((SHIFT,), "SAT 12:00", "MON 06:00 next"),
        ((NIGHT, replace(NIGHT, name="inside", schedule="0 3 * * *", duration=5 * MINUTE)), "MON 03:00", "MON 04:00"),
        ((NIGHT, replace(NIGHT, name="longer", schedule="0 3 * * *", duration=10 * MINUTE)), "MON 03:00", "MON 04:00"),
        ((NIGHT, replace(SHIFT, schedule="30 3 * * *")), "MON 03:00", "MON 03:30"),
        ((replace(NIGHT, schedule="* * * * *", duration=MINUTE),), "MON 03:00", "MON 03:06"),
    ],
)
def test_open_windows_say_until_when(windows, now, until):
    expected = None
    if until:
        expected = at(until.removesuffix(" next")) + timedelta(days=7 if until.endswith("next") else 0)
    assert ask(*windows, now=at(now)) == Open(expected)


@pytest.mark.parametrize(
    ("windows", "now", "why", "until"),
    [
        ((NIGHT,), "MON 01:59", "window night (sites/goteborg-1.yaml) is not open", "MON 02:00"),
        ((NIGHT,), "MON 04:00", "window night (sites/goteborg-1.yaml) is not open", "TUE 02:00"),
        ((NIGHT,), "MON 03:56", "what is left of window night (sites/goteborg-1.yaml) is too short", "TUE 02:00"),
        ((SHIFT,), "MON 06:00", "window shift (policies/line.yaml) denies", "MON 14:00"),
        ((SHIFT,), "MON 05:56", "is too short for the 300 s needed", "MON 14:00"),
        ((replace(NIGHT, duration=8 * HOUR), SHIFT), "MON 07:00", "window shift", "TUE 02:00"),
        ((replace(NIGHT, duration=4 * HOUR), replace(SHIFT, schedule="0 2 * * *", duration=HOUR)), "MON 02:00",
         "window shift", "MON 03:00"),
    ],
)  # fmt: skip
def test_closed_windows_say_why_and_until_when(windows, now, why, until):
    found = ask(*windows, now=at(now))
    assert isinstance(found, Closed)
    assert why in found.why
    assert found.until == at(until)


def test_why_is_the_same_all_night_long_so_that_the_journal_tells_it_once():
    whys = {found.why for hour in range(5, 24) if isinstance(found := ask(NIGHT, now=at(f"MON {hour:02}:00")), Closed)}
    assert len(whys) == 1


def test_windows_that_touch_are_one_for_what_is_needed():
    later = replace(NIGHT, name="later", schedule="0 4 * * *")
    assert ask(NIGHT, later, now=at("MON 03:00"), needed=2 * HOUR) == Open(at("MON 06:00"))
    assert isinstance(ask(NIGHT, now=at("MON 03:00"), needed=2 * HOUR), Closed)
    assert isinstance(ask(NIGHT, replace(later, schedule="1 4 * * *"), now=at("MON 03:00"), needed=2 * HOUR), Closed)


def test_deny_beats_allow_while_both_are_active():
    always = replace(NIGHT, schedule="0 0 * * *", duration=24 * HOUR)
    assert isinstance(ask(always, now=at("MON 07:00")), Open)
    assert isinstance(ask(always, SHIFT, now=at("MON 07:00")), Closed)


def test_untrusted_clock_opens_nothing_but_what_has_no_windows():
    assert isinstance(ask(NIGHT, now=at("MON 02:30"), is_trusted=False), Closed)
    assert isinstance(ask(SHIFT, now=at("SUN 12:00"), is_trusted=False), Closed)
    assert ask(now=at("MON 02:30"), is_trusted=False) == Open()


def test_zone_that_this_node_does_not_know_opens_nothing_and_is_named():
    found = ask(replace(NIGHT, zone="Mars/Olympus"), now=at("MON 02:30"))
    assert isinstance(found, Closed)
    assert "Mars/Olympus" in found.why


def test_every_zone_that_is_not_known_is_named_once():
    odd = [replace(NIGHT, zone=zone) for zone in ("Mars/Olympus", "Moon/Tycho", "Mars/Olympus")]
    found = ask(*odd, now=at("MON 02:30"))
    assert isinstance(found, Closed)
    assert "no time zone Mars/Olympus, Moon/Tycho is known" in found.why


def test_window_that_is_shorter_than_what_is_needed_never_opens():
    found = ask(NIGHT, now=at("MON 02:00"), needed=3 * HOUR)
    assert isinstance(found, Closed)
    assert found.until is not None, "it is looked at again, for manifests may change"


def test_schedule_is_read_in_its_own_zone():
    winter = ask(replace(NIGHT, zone="Europe/Stockholm"), now=at("MON 01:00"))
    summer = ask(replace(NIGHT, zone="Europe/Stockholm"), now=datetime(2026, 7, 1, tzinfo=UTC))
    assert winter == Open(at("MON 03:00"))
    assert summer == Open(datetime(2026, 7, 1, 2, tzinfo=UTC))


def test_a_window_over_the_change_of_clocks_has_its_elapsed_time():
    stockholm = replace(NIGHT, zone="Europe/Stockholm", schedule="0 1 * * *", duration=3 * HOUR)
    spring = ask(stockholm, now=datetime(2026, 3, 29, 0, tzinfo=UTC))
    autumn = ask(stockholm, now=datetime(2026, 10, 24, 23, tzinfo=UTC))
    assert spring == Open(datetime(2026, 3, 29, 3, tzinfo=UTC)), "local 05:00"
    assert autumn == Open(datetime(2026, 10, 25, 2, tzinfo=UTC)), "local 03:00"


# --- laws -------------------------------------------------------------------------------------------------------------

schedules = st.sampled_from(["0 2 * * *", "30 1 * * SUN", "*/20 * * * *", "15 0 1 * *", "0 22 * * FRI", "45 23 * * *"])
instants = st.integers(0, 13 * 365 * 24 * 60).map(lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + minutes * MINUTE)
zone_names = st.sampled_from(sorted(available_timezones()))
drawn = st.builds(
    Window,
    name=st.just("drawn"),
    file=st.just("sites/a.yaml"),
    kind=st.sampled_from(WindowKind),
    schedule=schedules,
    duration=st.sampled_from([MINUTE, 30 * MINUTE, HOUR, 7 * HOUR, 30 * HOUR]),
    zone=zone_names,
)


class Everywhere:
    """All zones of this machine."""

    def find(self, name: str) -> tzinfo | None:
        return ZoneInfo(name)


def ask_anywhere(windows: list[Window], now: datetime, needed: timedelta = timedelta()) -> Open | Closed:
    return ask_windows(windows, now, zones=Everywhere(), is_clock_trusted=True, needed=needed)


@settings(max_examples=150)
@given(st.builds(replace, drawn, kind=st.just(WindowKind.ALLOW), schedule=st.sampled_from(["0 2 * * *", "45 23 * * *"]),
                 duration=st.sampled_from([MINUTE, HOUR, 7 * HOUR])), instants)  # fmt: skip
def test_a_window_is_open_for_exactly_its_duration_of_elapsed_time(window, now):
    closed = ask_anywhere([window], now)
    began = closed.until if isinstance(closed, Closed) else now
    assert began is not None
    found = ask_anywhere([window], began)
    assert isinstance(found, Open)
    assert found.until is not None
    if isinstance(closed, Closed):
        assert found.until - began == window.duration
        assert isinstance(ask_anywhere([window], began - timedelta(seconds=1)), Closed)
    assert isinstance(ask_anywhere([window], found.until), Closed)
    assert ask_anywhere([window], found.until - timedelta(seconds=1)) == Open(found.until)


@settings(max_examples=50)
@given(st.lists(drawn, max_size=3), drawn, instants, st.sampled_from([timedelta(), HOUR]))
def test_another_deny_never_opens_and_order_never_matters(windows, more, now, needed):
    before = ask_anywhere(windows, now, needed)
    assert ask_anywhere(windows[::-1], now, needed) == before
    after = ask_anywhere([*windows, replace(more, kind=WindowKind.DENY)], now, needed)
    assert isinstance(before, Open) or isinstance(after, Closed)


@settings(max_examples=150)
@given(st.lists(drawn, min_size=1, max_size=4), instants, st.sampled_from([timedelta(), 20 * MINUTE, 6 * HOUR]))
def test_what_is_needed_fits_into_an_opening(windows, now, needed):
    found = ask_anywhere(windows, now, needed)
    if isinstance(found, Closed):
        assert found.until is None or found.until > now
        return
    for part in range(5):
        moment = now + (needed - timedelta(seconds=1)) * (part / 4) if needed else now
        assert isinstance(ask_anywhere(windows, moment), Open)


@settings(max_examples=10)
@given(st.lists(drawn, min_size=1, max_size=3), instants)
def test_nothing_is_open_before_the_instant_that_closed_names(windows, now):
    found = ask_anywhere(windows, now)
    if isinstance(found, Closed) and found.until is not None:
        ahead = min(found.until, now + timedelta(hours=8))
        steps = int((ahead - now) / MINUTE)
        assert all(isinstance(ask_anywhere(windows, now + step * MINUTE), Closed) for step in range(0, steps, 7))
