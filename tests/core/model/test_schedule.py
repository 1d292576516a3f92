"""Schedules: five fields, read strictly."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.schedule import parse_schedule

MONDAY, SUNDAY = date(2026, 11, 23), date(2026, 11, 22)


@pytest.mark.parametrize(
    ("text", "times", "day", "has_day"),
    [
        ("0 2 * * *", ((2, 0),), MONDAY, True),
        ("*/30 8-9 * * *", ((8, 0), (8, 30), (9, 0), (9, 30)), MONDAY, True),
        ("5,50 0 * * *", ((0, 5), (0, 50)), MONDAY, True),
        ("0 8-17/3 * * *", ((8, 0), (11, 0), (14, 0), (17, 0)), MONDAY, True),
        ("0 2 * * MON-FRI", ((2, 0),), SUNDAY, False),
        ("0 2 * * fri-sun", ((2, 0),), SUNDAY, True),
        ("0 2 * * 0", ((2, 0),), SUNDAY, True),
        ("0 2 * * 7", ((2, 0),), SUNDAY, True),
        ("0 2 * * SAT-7", ((2, 0),), MONDAY, False),
        ("0 2 * nov *", ((2, 0),), MONDAY, True),
        ("0 2 * 12 *", ((2, 0),), MONDAY, False),
        ("0 2 22 * *", ((2, 0),), MONDAY, False),
        ("0 2 22 * MON", ((2, 0),), MONDAY, True),
        ("0 2 22 * MON", ((2, 0),), SUNDAY, True),
        ("0 2 21 * MON", ((2, 0),), SUNDAY, False),
        ("0 2 */2 * *", ((2, 0),), MONDAY, True),
        ("0 2 */2 * *", ((2, 0),), SUNDAY, False),
    ],
)
def test_schedule_says_times_and_days(text, times, day, has_day):
    schedule = parse_schedule(text)
    assert (schedule.times, schedule.has_day(day)) == (times, has_day)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 2 * *", "five fields"),
        ("0 2 * * * *", "five fields"),
        ("0  2 * * *", "five fields"),
        ("@reboot", "five fields"),
        ("@Daily", "five fields"),
        ("60 2 * * *", "expected 0 to 59"),
        ("0 24 * * *", "expected 0 to 23"),
        ("0 2 0 * *", "expected 1 to 31"),
        ("0 2 * 13 *", "expected 1 to 12 or JAN to DEC"),
        ("0 2 * * 8", "expected 0 to 7 or SUN to SAT"),
        ("0 2 * * MO", "expected 0 to 7 or SUN to SAT"),
        ("0 17-8 * * *", "backwards"),
        ("0 2 * * FRI-MON", "backwards"),
        ("5/10 2 * * *", "a step needs a range or *, such as 5-59/10"),
        ("*/0 2 * * *", "a step goes from 1"),
        ("*/60 2 * * *", "a step goes from 1"),
        ("-5 2 * * *", "expected"),
        ("0 2 L * *", "expected 1 to 31"),
        ("0 2 30 2 *", "never comes"),
        ("0 2 31 4,6,9,11 *", "never comes"),
        ("0 2 */2 * MON", "disagree"),
        ("0 2 1 * */2", "disagree"),
        ("0 2,, * * *", "expected"),
        (f"{'1,' * 300}1 2 * * *", "five fields"),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(text, why):
    with pytest.raises(ValueError, match=why.replace("*", r"\*")):
        parse_schedule(text)


def test_thirty_february_beside_a_weekday_comes_on_that_weekday():
    assert parse_schedule("0 2 30 2 SUN").has_day(date(2026, 2, 1))


@given(st.text(alphabet="0123456789*/,- MONJAfri", max_size=30))
def test_any_text_is_a_schedule_or_a_refusal(text):
    try:
        schedule = parse_schedule(text)
    except ValueError:
        return
    assert schedule.times == tuple(sorted(schedule.times))
    assert schedule.times
    assert schedule.weekdays <= frozenset(range(7))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 JAN *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_schedule_that_has_a_name_is_what_everybody_means_by_it(name, text):
    assert parse_schedule(name) == parse_schedule(text)
