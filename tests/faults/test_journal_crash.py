"""The journal at its worst moments: killed at drawn instants and at each kind of system call, cut off by a power loss,
on a full disk, on a disk that fails to sync, and with others writing at the same time.

Each time: what was acknowledged is there, a call's events are there together or not at all, and the chain holds.
"""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.core.model.events import AlarmRaised, Entry

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

# Appends calls of 1 to 4 events, each naming its call and the call's size; prints a call's number once it is durable.
APPENDER = """
import sys
from datetime import UTC, datetime
from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.core.model.events import AlarmRaised
path, name, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
journal = SqliteJournal(path)
for call in range(first, last):
    size = 1 + call % 4
    journal.append([AlarmRaised(name, str(call), str(size)) for _ in range(size)], at)
    print(call, flush=True)
    if call % 50 == 49:
        journal.ledger()
        journal.prune(100, at)
"""
FOREVER = 1_000_000


def appender(path: Path, name: str, calls: range, *, under: Iterable[str] = ()) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [*under, sys.executable, "-c", APPENDER, str(path), name, str(calls.start), str(calls.stop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def started(*children: subprocess.Popen[str]) -> None:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()


def acknowledged(child: subprocess.Popen[str]) -> list[int]:
    """What the child still said, after it ended."""
    assert child.stdout is not None
    assert child.stdin is not None
    with child:  # not communicate(), which leaves out what readline() has buffered
        child.stdin.close()
        return [int(line) for line in child.stdout.read().splitlines()]


def whole_calls(entries: Iterable[Entry]) -> list[tuple[str, int]]:
    """The calls, in order; each of them complete and in one piece."""
    events = [entry.event for entry in entries if isinstance(entry.event, AlarmRaised)]
    calls = []
    for (name, call), group in itertools.groupby(events, key=lambda event: (event.code, int(event.subject))):
        sizes = [int(event.detail) for event in group]
        assert sizes == [1 + call % 4] * (1 + call % 4)
        calls.append((name, call))
    return calls


@pytest.mark.parametrize("seed", range(5))
def test_killed_at_a_drawn_instant_it_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    path, draw = tmp_path / "journal.db", random.Random(seed)
    last = -1
    for life in range(2):
        child = appender(path, f"life-{life}", range(last + 1, FOREVER))
        started(child)
        assert child.stdout is not None
        for _ in range(draw.randrange(1, 150)):
            last = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        last = max([last, *acknowledged(child)])
        journal = SqliteJournal(path)
        assert journal.verify() is None
        newest = [call for _, call in whole_calls(from_whole_call(journal))]
        assert newest[-1] in {last, last + 1}
        assert newest == list(range(newest[0], newest[-1] + 1))
        last = newest[-1]
        journal.close()


def from_whole_call(journal: SqliteJournal) -> list[Entry]:
    """The entries from the first call of one event on: pruning may have cut the call before it in two."""
    entries = list(journal.entries())
    return entries[next(at for at, entry in enumerate(entries) if getattr(entry.event, "detail", "") == "1") :]


@pytest.mark.system
@pytest.mark.parametrize(("call", "when"), [("pwrite64", n) for n in (1, 4, 9, 40, 171)] + [("fdatasync", 2)])
def test_killed_at_any_system_call_it_is_whole(tmp_path: Path, call: str, when: int) -> None:
    path = tmp_path / "journal.db"
    strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:signal=KILL:when={when}",
    ]
    child = appender(path, "a", range(FOREVER), under=strace)
    started(child)
    last = max(acknowledged(child), default=-1)
    assert child.returncode == -signal.SIGKILL
    journal = SqliteJournal(path)
    calls = [number for _, number in whole_calls(journal.entries())]
    assert calls in (list(range(last + 1)), list(range(last + 2)))
    assert journal.verify() is None
    journal.append([AlarmRaised("after", "0", "1")], AT)
    assert journal.verify() is None
    journal.close()


def test_log_cut_anywhere_by_a_power_loss_leaves_whole_calls(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    for call in range(12):
        journal.append([AlarmRaised("a", str(call), str(1 + call % 4))] * (1 + call % 4), AT)
    data, log = path.read_bytes(), path.with_name("journal.db-wal").read_bytes()
    journal.close()
    counts = []
    for number, length in enumerate(range(0, len(log), 1_499)):
        copy = tmp_path / str(number) / "journal.db"
        copy.parent.mkdir()
        copy.write_bytes(data)
        copy.with_name("journal.db-wal").write_bytes(log[:length] + bytes(min(4_096, len(log) - length)))
        after = SqliteJournal(copy)
        calls = [call for _, call in whole_calls(after.entries())]
        assert calls == list(range(len(calls)))
        assert after.verify() is None
        after.append([AlarmRaised("after", "0", "1")], AT)
        assert after.verify() is None
        after.close()
        counts.append(len(calls))
        shutil.rmtree(copy.parent)
    assert counts == sorted(counts)
    assert (counts[0], counts[-1] >= 10) == (0, True)


def test_two_processes_that_begin_and_append_at_once_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.db"
    children = [appender(path, name, range(40)) for name in ("a", "b")]
    started(*children)
    for child in children:
        assert acknowledged(child) == list(range(40))
        assert child.returncode == 0
    journal = SqliteJournal(path)
    calls = whole_calls(journal.entries())
    for name in ("a", "b"):
        assert [call for who, call in calls if who == name] == list(range(40))
    assert journal.verify() is None
    journal.close()


FULL_DISK = """
import json, os, sys
from datetime import UTC, datetime
from edgegitops.adapters.journal_sqlite import Ballast, SqliteJournal
from edgegitops.core.model.events import AlarmRaised
from edgegitops.errors import JournalError
state, at = sys.argv[1], datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
assert Ballast(f"{state}/ballast", size=1 << 20).ensure()
acknowledged = []

def append_until_refused(journal):
    try:
        for call in range(100_000):
            journal.append([AlarmRaised("a", str(len(acknowledged)), "x" * 2_000)], at)
            acknowledged.append(call)
    except JournalError as error:
        return str(error)

def fill():
    file = os.open(f"{state}/filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while True:
            os.write(file, bytes(65536))
    except OSError as error:
        return os.strerror(error.errno)
    finally:
        os.close(file)

journal = SqliteJournal(f"{state}/journal.db")
journal.append([AlarmRaised("a", "first", "")], at)
filled = fill()
refused = append_until_refused(journal)
before, ballast = len(acknowledged), os.path.exists(f"{state}/ballast")
refused_again = append_until_refused(journal) if len(acknowledged) == before else "appended"
reads, holds = journal.ledger().seq, journal.verify() is None
os.unlink(f"{state}/filler")
journal.append([AlarmRaised("a", "last", "")], at)
subjects = [entry.event.subject for entry in journal.entries()]
print(json.dumps({"filled": filled, "refused": refused, "refusedAgain": refused_again, "ballast": ballast,
    "reads": reads == before + 1, "holds": holds, "kept": subjects == ["first", *map(str, range(before)), "last"],
    "before": before, "holdsAfter": journal.verify() is None}))
"""


@pytest.mark.system
def test_full_disk_is_answered_with_the_ballast_then_refused_then_resumed(tmp_path: Path) -> None:
    mounted = (
        f"mount -t tmpfs -o size=12m,mode=700 tmpfs {tmp_path} && exec {sys.executable} -c '{FULL_DISK}' {tmp_path}"
    )
    run = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounted],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["filled"] == os.strerror(28)
    assert told["before"] > 40, "the ballast gave nothing"
    assert "the disk is full" in told["refused"]
    assert "the disk is full" in told["refusedAgain"]
    assert told["ballast"] is False
    assert [told[key] for key in ("reads", "holds", "kept", "holdsAfter")] == [True] * 4


FAILED_SYNC = """
import sys
from datetime import UTC, datetime
from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.core.model.events import AlarmRaised
from edgegitops.errors import JournalError
journal, at = SqliteJournal(sys.argv[1]), datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
for call in range(6):
    try:
        journal.append([AlarmRaised("a", str(call), "1")], at)
        print("written", flush=True)
    except JournalError as error:
        print(error, flush=True)
"""


@pytest.mark.system
def test_after_a_failed_sync_nothing_more_is_written(tmp_path: Path) -> None:
    strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:error=EIO:when=10",
    ]
    run = subprocess.run(
        [*strace, sys.executable, "-c", FAILED_SYNC, str(tmp_path / "journal.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    done = lines.index(next(line for line in lines if line != "written"))
    assert 0 < done < 6
    assert all("the disk failed" in line for line in lines[done:])
    journal = SqliteJournal(tmp_path / "journal.db")
    assert journal.verify() is None
    assert len(list(journal.entries())) in {done, done + 1}
    journal.close()
