"""Notices follow from the journal, and each is told once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.events import AlarmCleared, AlarmRaised, DaemonStopped, Entry, Event, HoldChanged
from edgegitops.core.model.notice import News, Notice, Told
from edgegitops.core.reconcile.news import hear, overdue

AT = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CODES, NAMES = st.sampled_from(["stuck", "regressed"]), st.sampled_from(["line", "web"])
EVENTS = st.one_of(
    st.builds(AlarmRaised, CODES, NAMES, st.text(max_size=3)),
    st.builds(AlarmCleared, CODES, NAMES),
    st.builds(HoldChanged, NAMES, st.sampled_from(["", "window", "operator"])),
    st.just(DaemonStopped()),
)


def entries(*events: Event) -> list[Entry]:
    return [Entry(at, AT + at * HOUR, event, "", "") for at, event in enumerate(events, start=1)]


def told_of(*events: Event, told: Told | None = None) -> tuple[Told, list[Notice]]:
    told, notices = told or Told(), []
    for entry in entries(*events):
        told, notice = hear(told, entry)
        notices += [notice] if notice else []
    return told, notices


def test_alarm_is_told_when_it_is_raised_and_when_it_is_over() -> None:
    _, notices = told_of(
        AlarmRaised("stuck", "line", "a"),
        AlarmRaised("stuck", "line", "b"),
        AlarmCleared("stuck", "line"),
        AlarmCleared("stuck", "line"),
    )
    assert [(one.id, one.news, one.code) for one in notices] == [
        ("1", News.ALARM_RAISED, "stuck"),
        ("3", News.ALARM_CLEARED, "stuck"),
    ]


def test_hold_is_told_once_when_it_is_long() -> None:
    told, notices = told_of(HoldChanged("line", "window", "closed"), HoldChanged("line", "window", "still closed"))
    assert notices == []
    assert overdue(told, AT + 2 * HOUR, 2 * HOUR) == []
    ((after, notice),) = overdue(told, AT + 3 * HOUR, 2 * HOUR)
    assert (notice.id, notice.news, notice.code, notice.subject) == ("1-held", News.HELD_LONG, "window", "line")
    assert (notice.at, notice.detail) == (AT + HOUR, "still closed")
    assert overdue(after, AT + 99 * HOUR, 2 * HOUR) == []


def test_another_reason_is_another_hold_and_a_break_begins_anew() -> None:
    told, _ = told_of(HoldChanged("line", "window"), HoldChanged("line", "operator"))
    assert told.holds["line"].since == AT + 2 * HOUR
    told, _ = told_of(HoldChanged("line", "window"), HoldChanged("line"), HoldChanged("line", "window"))
    assert told.holds["line"].seq == 3


@given(st.lists(EVENTS, max_size=30), st.integers(0, 30))
def test_stopping_anywhere_and_going_on_tells_the_same(events: list[Event], stop: int) -> None:
    whole, notices = told_of(*events)
    told, first = Told(), []
    for entry in entries(*events)[:stop]:
        told, notice = hear(told, entry)
        first += [notice] if notice else []
    for entry in entries(*events)[stop:]:
        told, notice = hear(told, entry)
        first += [notice] if notice else []
    assert (told, first) == (whole, notices)


@given(st.lists(EVENTS, max_size=30))
def test_raised_and_cleared_take_turns(events: list[Event]) -> None:
    _, notices = told_of(*events)
    for code, name in {(one.code, one.subject) for one in notices}:
        news = [one.news for one in notices if (one.code, one.subject) == (code, name)]
        assert news == [(News.ALARM_RAISED, News.ALARM_CLEARED)[at % 2] for at in range(len(news))]
