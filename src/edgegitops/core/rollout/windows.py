"""Law: whether the plant's calendar lets a transition begin now, and until when. A function of windows and an instant.

Rules, in order:
1. no window: always open.
2. a clock that is not trusted opens nothing; neither does a window whose time zone this node does not know.
3. an active deny beats every allow.
4. where allows are written and none is active: closed. Allows that touch or overlap are one.
5. what the transition needs must fit into what is left before the allows end or a deny begins.
A window is active from each beginning of its schedule for its duration of elapsed time, whatever local clocks do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from edgegitops.core.model.openings import last_opening, next_opening
from edgegitops.core.model.plant import Window, WindowKind, Zones
from edgegitops.core.model.schedule import Schedule, parse_schedule

_JOINS = 1000
_LOOKS = 64


@dataclass(frozen=True, slots=True)
class Open:
    """A transition may begin; at `until` what is left ends, or goes on in a window that follows (None: no end)."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """A transition may not begin; `why` is stable while the same windows say so, `until` when to ask again."""

    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """A window with its zone found."""

    window: Window
    schedule: Schedule
    zone: tzinfo

    def end(self, now: datetime) -> datetime | None:
        """When it ends, being active now; None where it is not."""
        duration = self.window.duration
        began = last_opening(self.schedule, self.zone, now, since=now - duration)
        return began + duration if began else None

    def next(self, now: datetime) -> datetime | None:
        return next_opening(self.schedule, self.zone, now)


def ask_windows(
    windows: Sequence[Window], now: datetime, *, zones: Zones, is_clock_trusted: bool, needed: timedelta
) -> Open | Closed:
    """Whether a transition that needs so long may begin at `now` (aware)."""
    if not windows:
        return Open()
    if not is_clock_trusted:
        return Closed(f"the clock is not to be believed, so {_labels(windows)} cannot be told to be open")
    spans, unknown = _spans(windows, zones)
    if unknown:
        missing = ", ".join(dict.fromkeys(one.zone for one in unknown))
        return Closed(f"{_labels(unknown)}: no time zone {missing} is known on this node; install tzdata, or mend it")
    found = _verdict(spans, now, needed)
    return found if isinstance(found, Open) else Closed(found, _opens_at(spans, now, needed))


def _spans(windows: Sequence[Window], zones: Zones) -> tuple[list[_Span], list[Window]]:
    spans, unknown = [], []
    for window in windows:
        zone = zones.find(window.zone)
        if zone is None:
            unknown.append(window)
        else:
            spans.append(_Span(window, parse_schedule(window.schedule), zone))
    return spans, unknown


def _verdict(spans: Sequence[_Span], now: datetime, needed: timedelta) -> Open | str:
    denies, allows = _of(spans, WindowKind.DENY), _of(spans, WindowKind.ALLOW)
    denying = [one.window for one in denies if one.end(now)]
    if denying:
        return f"{_labels(denying)} denies"
    ending = _allowed_until(allows, now, now + needed)
    if allows and ending is None:
        return f"{_labels(one.window for one in allows)} is not open"
    until = min((at for at in (ending, *(one.next(now) for one in denies)) if at is not None), default=None)
    if until is not None and until - now < needed:
        seconds = needed.total_seconds()
        return f"what is left of {_labels(one.window for one in spans)} is too short for the {seconds:g} s needed"
    return Open(until)


def _allowed_until(allows: Sequence[_Span], now: datetime, enough: datetime) -> datetime | None:
    """The end of the allows that are active now, and of those that follow without a break (as far as matters)."""
    until = None
    at = now
    for _ in range(_JOINS):
        end = max((end for end in (one.end(at) for one in allows) if end is not None), default=None)
        if end is None or (until is not None and end <= until):
            break
        until = at = end
        if until > enough:
            break
    return until


def _opens_at(spans: Sequence[_Span], now: datetime, needed: timedelta) -> datetime | None:
    """The first instant at which the verdict is open; where that is too far away, one at which it may have changed."""
    at = now
    for _ in range(_LOOKS):
        later = _next_change(spans, at)
        if later is None:
            return None
        at = later
        if isinstance(_verdict(spans, at, needed), Open):
            break
    return at


def _next_change(spans: Sequence[_Span], now: datetime) -> datetime | None:
    """When the next window begins or an active deny ends: nothing else opens anything, and what begins may deny."""
    begins = (one.next(now) for one in spans)
    ends = (one.end(now) for one in _of(spans, WindowKind.DENY))
    return min((at for at in (*begins, *ends) if at is not None), default=None)


def _of(spans: Sequence[_Span], kind: WindowKind) -> list[_Span]:
    return [one for one in spans if one.window.kind is kind]


def _labels(windows: Iterable[Window]) -> str:
    return ", ".join(sorted(one.label for one in windows))
