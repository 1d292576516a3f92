"""Law: a schedule is five fields, `minute hour day month weekday`, read strictly: what cron programs read in different
ways is refused, never guessed.

A field is a list (`,`) of `*`, a number, a range `a-b`, or `*` or a range with a step (`*/15`, `8-17/2`). Months and
weekdays have English names of three letters; 0 and 7 are both Sunday. Where day and weekday are both written otherwise
than `*`, a day counts that fits either, as cron has it; one of them as `*/n` beside the other is refused. A day that
never comes (30 February) is refused.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>[0-9]{1,4}))?\Z", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,2}\Z")
_LONGEST = 512
_FORM = "five fields: minute hour day month weekday, such as 0 2 * * *"
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    first_word: int = 0


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("weekday", 0, 7, _WEEKDAYS, 0),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Local times at which something begins. `times` are (hour, minute) in order; weekdays count from Sunday = 0.

    `is_either`: day and weekday are both restricted, and a day that fits one of them counts.
    """

    times: tuple[tuple[int, int], ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_either: bool = False

    def has_day(self, day: date) -> bool:
        """Whether it begins something on this day of the calendar."""
        if day.month not in self.months:
            return False
        fits_day, fits_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (fits_day or fits_weekday) if self.is_either else (fits_day and fits_weekday)


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Schedule:
    """The schedule that a text says; ValueError says what is wrong and what was expected."""
    parts = _NAMED.get(text, text).split(" ")
    if len(text) > _LONGEST or len(parts) != len(_FIELDS):
        raise ValueError(f"{text[:_LONGEST]!r} is no schedule; expected {_FORM}")
    minutes, hours, days, months, weekdays = (_read(part, field) for part, field in zip(parts, _FIELDS, strict=True))
    day, weekday = parts[2], parts[4]
    is_either = day != "*" and weekday != "*"
    if is_either and (day.startswith("*") or weekday.startswith("*")):
        raise ValueError(
            f"{text!r}: cron programs disagree about a step of * in one of day and weekday beside the other"
        )
    schedule = Schedule(
        times=tuple((hour, minute) for hour in sorted(hours) for minute in sorted(minutes)),
        days=days,
        months=months,
        weekdays=frozenset(number % 7 for number in weekdays),
        is_either=is_either,
    )
    if weekday == "*" and not any(low <= _LONGEST_MONTH[month - 1] for low in days for month in months):
        raise ValueError(f"{text!r}: this day never comes")
    return schedule


def _read(text: str, field: _Field) -> frozenset[int]:
    return frozenset[int]().union(*(_read_part(part, field) for part in text.split(",")))


def _read_part(text: str, field: _Field) -> range:
    match = _PART.match(text)
    if match is None:
        raise ValueError(f"{field.name} {text!r}: expected *, a number, a range a-b, or a step such as */15")
    step = int(match["step"]) if match["step"] else 1
    if match["all"]:
        low, high = field.low, field.high - (field.name == "weekday")
    else:
        low = _number(match["low"], field)
        high = _number(match["high"], field) if match["high"] else low
        if match["step"] and not match["high"]:
            raise ValueError(f"{field.name} {text!r}: a step needs a range or *, such as {low}-{field.high}/{step}")
        if field.name == "weekday" and high == 0 < low:
            high = 7  # FRI-SUN
    if low > high:
        raise ValueError(f"{field.name} {text!r}: the range goes backwards; write it as two, joined by a comma")
    if not 1 <= step <= field.high - field.low:
        raise ValueError(f"{field.name} {text!r}: a step goes from 1 to {field.high - field.low}")
    return range(low, high + 1, step)


def _number(text: str, field: _Field) -> int:
    if text.lower() in field.words:
        return field.words.index(text.lower()) + field.first_word
    if not _NUMBER.match(text) or not field.low <= int(text) <= field.high:
        names = f" or {field.words[0].upper()} to {field.words[-1].upper()}" if field.words else ""
        raise ValueError(f"{field.name} {text!r}: expected {field.low} to {field.high}{names}")
    return int(text)
