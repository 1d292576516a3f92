"""The contract of `ports.Journal`, the same for the file and for its twin in memory."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgegitops.adapters.journal_memory import MemoryJournal, SimulatedCrash
from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.core.model.chain import GENESIS, forge
from edgegitops.core.model.events import (
    AlarmCleared,
    AlarmRaised,
    ContainerEnded,
    DaemonStarted,
    Event,
    IntentRecorded,
    OutcomeRecorded,
    Result,
    SnapshotAccepted,
)
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.reconcile.fold import advance
from edgegitops.errors import BrokenInvariantError
from edgegitops.ports import Journal

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ENDED = ContainerEnded("line", "line.web.0123456789ab", AT)
Make = Callable[[], Journal]


@pytest.fixture(params=["sqlite", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    opened: list[SqliteJournal] = []
    numbers = itertools.count()

    def sqlite() -> Journal:
        opened.append(SqliteJournal(tmp_path / str(next(numbers)) / "journal.db"))
        return opened[-1]

    yield sqlite if request.param == "sqlite" else MemoryJournal
    for one in opened:
        one.close()


def alarm(number: int) -> AlarmRaised:
    return AlarmRaised("stuck", f"deployment-{number}", "detail")


EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(DaemonStarted, st.text()),
    st.builds(SnapshotAccepted, st.text()),
    st.builds(AlarmRaised, st.sampled_from("ab"), st.sampled_from("xy"), st.text()),
    st.builds(AlarmCleared, st.sampled_from("ab"), st.sampled_from("xy")),
    st.builds(IntentRecorded, st.sampled_from("12"), st.just("line"), st.just("pull-image"), st.text()),
    st.builds(
        OutcomeRecorded,
        st.sampled_from("12"),
        st.just("line"),
        st.just("pull-image"),
        st.text(),
        st.sampled_from(Result),
    ),
)


def test_new_journal_is_empty_and_holds(make: Make) -> None:
    journal = make()
    assert list(journal.entries()) == []
    assert journal.ledger() == Ledger()
    assert journal.verify() is None


def test_entries_come_back_in_order_with_their_instants(make: Make) -> None:
    journal = make()
    journal.append([alarm(1), alarm(2)], AT)
    journal.append([alarm(3)], AT + MINUTE)
    entries = list(journal.entries())
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.event for entry in entries] == [alarm(1), alarm(2), alarm(3)]
    assert [entry.at for entry in entries] == [AT, AT, AT + MINUTE]


def test_each_entry_names_the_hash_of_the_one_before(make: Make) -> None:
    journal = make()
    journal.append([alarm(number) for number in range(5)], AT)
    entries = list(journal.entries())
    assert [entry.previous for entry in entries] == [GENESIS, *(entry.hash for entry in entries[:-1])]
    assert len({entry.hash for entry in entries}) == 5


def test_hashes_are_those_of_the_published_chain(make: Make) -> None:
    journal = make()
    journal.append([alarm(1)], AT)
    assert [entry.hash for entry in journal.entries()] == [forge(alarm(1), AT, seq=1, previous=GENESIS).hash]


def test_entries_since_a_seq_leave_out_what_is_known(make: Make) -> None:
    journal = make()
    journal.append([alarm(number) for number in range(1, 1_204)], AT)
    assert [entry.seq for entry in journal.entries(1_201)] == [1_202, 1_203]
    assert [entry.seq for entry in journal.entries(0)] == list(range(1, 1_204))
    assert list(journal.entries(1_203)) == []
    assert list(journal.entries(5_000)) == []


def test_reader_may_append_while_it_reads(make: Make) -> None:
    journal = make()
    journal.append([alarm(1), alarm(2)], AT)
    for entry in journal.entries():
        if entry.seq == 1:
            journal.append([alarm(3)], AT)
    assert journal.ledger().seq == 3
    assert journal.verify() is None


def test_appending_nothing_changes_nothing(make: Make) -> None:
    journal = make()
    journal.append([], AT)
    assert journal.ledger().seq == 0


def test_event_that_has_no_json_form_takes_the_whole_call_with_it(make: Make) -> None:
    journal = make()
    journal.append([alarm(1)], AT)
    with pytest.raises(BrokenInvariantError, match="container-ended"):
        journal.append([alarm(2), dataclasses.replace(ENDED, exit_code=2**60)], AT)
    assert [entry.event for entry in journal.entries()] == [alarm(1)]
    journal.append([alarm(4)], AT)
    assert journal.verify() is None


def test_instant_without_a_time_zone_is_our_bug(make: Make) -> None:
    with pytest.raises(BrokenInvariantError, match="time zone"):
        make().append([alarm(1)], AT.replace(tzinfo=None))


def test_instants_of_other_zones_are_the_same_instants(make: Make) -> None:
    journal = make()
    journal.append([alarm(1)], AT.astimezone(timezone(timedelta(hours=-7))))
    assert [entry.at.isoformat() for entry in journal.entries()] == [AT.isoformat()]


def test_ledger_is_kept_up_with_what_is_appended(make: Make) -> None:
    journal = make()
    for number in range(1, 6):
        journal.append([alarm(number)], AT)
        assert journal.ledger().seq == number
        assert len(journal.ledger().alarms) == number


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.lists(EVENTS, max_size=4), max_size=6), looks=st.sets(st.integers(0, 5)))
def test_ledger_is_the_fold_of_the_entries_however_it_was_asked(
    make: Make, calls: list[list[Event]], looks: set[int]
) -> None:
    journal = make()
    for number, events in enumerate(calls):
        journal.append(events, AT + number * MINUTE)
        if number in looks:
            journal.ledger()
    folded = Ledger()
    for entry in journal.entries():
        folded = advance(folded, entry)
    assert journal.ledger() == folded
    assert [entry.event for entry in journal.entries()] == list(itertools.chain(*calls))
    assert journal.verify() is None


def test_crash_before_an_append_keeps_nothing_and_after_it_all() -> None:
    journal = MemoryJournal()

    def crash(_events: object) -> None:
        raise SimulatedCrash

    journal.before_append = crash
    with pytest.raises(SimulatedCrash):
        journal.append([alarm(1)], AT)
    assert list(journal.entries()) == []
    journal.before_append, journal.after_append = None, crash
    with pytest.raises(SimulatedCrash):
        journal.append([alarm(1), alarm(2)], AT)
    assert [entry.seq for entry in journal.entries()] == [1, 2]


def test_changed_entry_in_memory_is_found() -> None:
    journal = MemoryJournal()
    journal.append([alarm(1), alarm(2), alarm(3)], AT)
    journal._links[1] = dataclasses.replace(journal._links[1], body="{}")
    assert journal.verify() == 2
