"""Law: one durable journal commit stands beside the barest one that SQLite can make on the same disk."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, median, say

from edgegitops.adapters.clock_system import SystemClock
from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.core.model.events import IntentRecorded

TIMES = 200


def journal_commit(folder: Path) -> Iterator[Figure]:
    """Appending one intent, in turns with a bare insert."""
    say("durable journal commits")
    journal = SqliteJournal(folder / "journal.db")
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT)")
    ours, floor = [], []
    event = IntentRecorded("1.1", "bench", "start-container", "bench.c00.5332ba8a113b")
    for _ in range(TIMES):
        begin = time.perf_counter()
        journal.append([event], SystemClock().now())
        middle = time.perf_counter()
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO entries (body) VALUES (?)", ("x" * 400,))
        bare.execute("COMMIT")
        ours.append((middle - begin) * 1000)
        floor.append((time.perf_counter() - middle) * 1000)
    journal.close()
    bare.close()
    yield Figure("durable journal commit", "ms", median(ours), TIMES, "bare SQLite, WAL, FULL", median(floor))
