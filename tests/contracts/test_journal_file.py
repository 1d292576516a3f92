"""What the journal's file promises beyond the port: durability, bounds, other processes, other versions, damage."""

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgegitops.adapters import journal_sqlite
from edgegitops.adapters.journal_sqlite import SCHEMA_VERSION, Ballast, SqliteJournal
from edgegitops.core.model.codec import to_tree
from edgegitops.core.model.events import AlarmRaised, JournalPruned
from edgegitops.errors import JournalError

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(path)
    yield opened
    opened.close()


def alarms(first: int, last: int) -> list[AlarmRaised]:
    return [AlarmRaised("stuck", f"deployment-{number % 50}", f"{number}") for number in range(first, last + 1)]


def reopened(path: Path) -> SqliteJournal:
    return SqliteJournal(path, read_only=True)


def tamper(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def test_files_are_for_their_owner_alone(journal: SqliteJournal, path: Path) -> None:
    journal.append(alarms(1, 1), AT)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    names = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert {"journal.db", "journal.db-wal"} <= set(names)
    assert set(names.values()) == {0o600}


def test_second_journal_of_a_process_leaves_the_first_its_lock(path: Path) -> None:
    """Closing any handle of a file drops all of a process's POSIX locks on it: another process then takes itself for
    the last user and removes the write-ahead log under the reader. Red where the file is opened beside SQLite.
    """
    SqliteJournal(path).close()
    reader = SqliteJournal(path, read_only=True)
    reader.ledger()
    SqliteJournal(path).close()
    words = "import sys, fcntl; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 1 << 30 | 2)"
    taken = subprocess.run([sys.executable, "-c", words, str(path)], capture_output=True, check=False)
    reader.close()
    assert taken.returncode != 0, "the reader's lock is gone"


def test_commits_are_synced_to_a_write_ahead_log(journal: SqliteJournal) -> None:
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_entries_survive_closing(path: Path) -> None:
    first = SqliteJournal(path)
    first.append(alarms(1, 3), AT)
    before, ledger = list(first.entries()), first.ledger()
    first.close()
    second = reopened(path)
    assert list(second.entries()) == before
    assert second.ledger() == ledger
    second.close()


def test_two_journals_on_one_file_see_and_chain_each_other(journal: SqliteJournal, path: Path) -> None:
    other = SqliteJournal(path)
    journal.append(alarms(1, 1), AT)
    other.append(alarms(2, 2), AT)
    assert journal.ledger().seq == 2
    journal.append(alarms(3, 3), AT)
    assert other.ledger() == journal.ledger()
    assert other.verify() is None
    other.close()


def test_derived_ledger_is_stored_and_may_be_lost(journal: SqliteJournal, path: Path) -> None:
    journal.append(alarms(1, 1_500), AT)
    ledger = journal.ledger()
    assert journal._db.execute("SELECT seq FROM derived").fetchone() == (1_500,)
    tamper(path, "DELETE FROM derived")
    other = reopened(path)
    assert other.ledger() == ledger
    other.close()


@pytest.mark.parametrize(
    "change", ["hash = 'x'", "tree = '{'", "tree = '{\"moon\": 1}'", "version = '0'", "seq = 9999"]
)
def test_derived_ledger_that_does_not_fit_the_chain_is_not_believed(
    journal: SqliteJournal, path: Path, change: str
) -> None:
    journal.append(alarms(1, 600), AT)
    ledger = journal.ledger()
    tamper(path, f"UPDATE derived SET {change}")  # noqa: S608 - the table above
    other = reopened(path)
    assert other.ledger() == ledger
    other.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = replace(body, '40', '41') WHERE seq = 40",
        "UPDATE entries SET at = '2026-03-01T12:30:01Z' WHERE seq = 40",
        "UPDATE entries SET kind = 'alarm-cleared' WHERE seq = 40",
        "UPDATE entries SET body = body || ' ' WHERE seq = 40",
        "DELETE FROM entries WHERE seq = 40",
        "UPDATE entries SET hash = previous, previous = hash WHERE seq = 40",
    ],
)
def test_changed_entry_is_found_and_never_folded(journal: SqliteJournal, path: Path, statement: str) -> None:
    journal.append(alarms(1, 80), AT)
    tamper(path, statement)
    assert journal.verify() == 40
    with pytest.raises(JournalError, match="entry 40 does not follow its chain"):
        journal.ledger()


def test_pruning_keeps_the_memory_and_the_proof(journal: SqliteJournal, path: Path) -> None:
    journal.append(alarms(1, 100), AT)
    ledger = journal.ledger()
    assert journal.prune(20, AT) == 80
    entries = list(journal.entries())
    assert [entry.seq for entry in entries] == list(range(81, 102))
    assert isinstance(entries[-1].event, JournalPruned)
    assert journal.verify() is None
    other = reopened(path)
    assert to_tree(other.ledger()) == to_tree(ledger) | {"seq": 101}
    other.close()


def test_pruning_waits_until_it_is_worth_it(journal: SqliteJournal) -> None:
    journal.append(alarms(1, 40), AT)
    assert journal.prune(20, AT) == 0
    assert journal.ledger().seq == 40
    journal.append(alarms(41, 41), AT)
    assert journal.prune(20, AT) == 21


def test_pruning_again_and_again_keeps_the_proof_and_the_size(journal: SqliteJournal, path: Path) -> None:
    sizes = []
    for number in range(8):
        journal.append(alarms(100 * number, 100 * number + 99), AT)
        journal.prune(30, AT)
        assert journal.verify() is None
        sizes.append(path.stat().st_size)
    assert sizes[-1] == sizes[3]
    assert len(list(journal.entries())) <= 62
    assert len(journal.ledger().alarms) == 50


def test_another_process_goes_on_after_a_prune(journal: SqliteJournal, path: Path) -> None:
    other = SqliteJournal(path)
    journal.append(alarms(1, 100), AT)
    assert other.ledger().seq == 100
    journal.prune(10, AT)
    journal.append(alarms(101, 110), AT)
    journal.prune(1, AT)
    other.append(alarms(120, 120), AT)
    assert other.ledger() == journal.ledger()
    assert other.verify() is None
    other.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE base SET tree = replace(tree, 'stuck', 'stack')",
        "UPDATE base SET hash = 'x'",
        "DELETE FROM base",
        "DELETE FROM entries WHERE kind = 'journal-pruned'",
    ],
)
def test_changing_what_was_pruned_is_found(journal: SqliteJournal, path: Path, statement: str) -> None:
    journal.append(alarms(1, 100), AT)
    journal.prune(20, AT)
    tamper(path, statement)
    assert journal.verify() is not None


def test_journal_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    SqliteJournal(path).close()
    tamper(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="newer edgegitops"):
        SqliteJournal(path)
    assert path.read_bytes() == before


def test_entry_of_a_newer_version_is_refused_by_name(journal: SqliteJournal, path: Path) -> None:
    journal.append(alarms(1, 1), AT)
    tamper(path, "UPDATE entries SET kind = 'moon-landed'")
    with pytest.raises(JournalError, match=r"moon-landed.*newer version"):
        list(journal.entries())


def test_database_of_somebody_else_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    tamper(path, "CREATE TABLE photos (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="not a journal"):
        SqliteJournal(path)
    assert path.read_bytes() == before


def damaged(path: Path) -> Iterator[tuple[str, bytes]]:
    whole = path.read_bytes()
    yield "text", b"this is no database\n" * 500
    yield "half", whole[: len(whole) // 2]
    yield "one page", whole[:4096]
    yield "zeros inside", whole[:4096] + bytes(8192) + whole[12288:]
    yield "noise at the head", bytes(range(256)) * 2 + whole[512:]


def test_damaged_file_is_refused_and_left_alone(path: Path) -> None:
    first = SqliteJournal(path)
    first.append(alarms(1, 500), AT)
    first.close()
    for name, data in damaged(path):
        place = path.with_name(f"{name}.db")
        place.write_bytes(data)
        with pytest.raises(JournalError, match=r"damaged.*Move it aside"):
            SqliteJournal(place)
        assert place.read_bytes() == data, name


def test_flipped_bits_never_give_another_memory(path: Path) -> None:
    first = SqliteJournal(path)
    first.append(alarms(1, 60), AT)
    ledger = first.ledger()
    first.close()
    whole = path.read_bytes()
    found = 0
    for place in range(20, len(whole), 397):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        for leftover in ("journal.db-wal", "journal.db-shm"):
            path.with_name(leftover).unlink(missing_ok=True)
        try:
            flipped = SqliteJournal(path)
        except JournalError:
            found += 1
            continue
        try:
            assert flipped.ledger() == ledger or flipped.verify() is not None
        except JournalError:
            found += 1
        finally:
            flipped.close()
    assert found > 10


def test_reading_needs_a_journal_that_is_there(path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        reopened(path)
    assert not path.parent.exists()


def test_reader_cannot_write(journal: SqliteJournal, path: Path) -> None:
    reader = reopened(path)
    with pytest.raises(JournalError, match="cannot be written"):
        reader.append(alarms(1, 1), AT)
    reader.close()
    journal.append(alarms(1, 1), AT)


def test_directory_that_is_a_file_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(JournalError, match="check that the directory exists"):
        SqliteJournal(tmp_path / "state" / "journal.db")


def test_locked_journal_names_what_to_look_for(
    journal: SqliteJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_sqlite, "_WAIT", 0.01)
    other = SqliteJournal(path)
    journal._db.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another process has kept it locked"):
        other.append(alarms(1, 1), AT)
    journal._db.execute("ROLLBACK")
    other.append(alarms(1, 1), AT)
    other.close()


def test_ballast_holds_real_space_until_it_is_released(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast", size=1024 * 1024)
    assert not ballast.release()
    assert ballast.ensure()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= 1024 * 1024
    assert ballast.ensure()
    assert ballast.release()
    assert not (tmp_path / "ballast").exists()


def test_ballast_is_not_set_aside_where_that_makes_the_disk_tight(tmp_path: Path) -> None:
    assert not Ballast(tmp_path / "ballast", size=2**50).ensure()
    assert list(tmp_path.iterdir()) == []


def test_stored_bodies_are_plain_json_for_other_tools(journal: SqliteJournal, path: Path) -> None:
    journal.append(alarms(1, 1), AT)
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    (body,) = db.execute("SELECT body FROM entries").fetchone()
    db.close()
    assert json.loads(body) == {"code": "stuck", "subject": "deployment-1", "detail": "1"}
