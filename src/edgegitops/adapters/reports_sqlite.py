"""The node's own store of what was reported, in one SQLite file: what was kept stays, whatever a transport shows.

A row carries a digest of itself: one that was changed is not stored. What was noted by another version of the program
is given back as not noted. A damaged file is not stored either: it is made anew with the next report that is kept.
UnavailableError: the store cannot be written.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Final

from edgegitops import __version__
from edgegitops.core.model.report import StoredReport
from edgegitops.errors import UnavailableError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS reports (node TEXT NOT NULL, at INTEGER NOT NULL, digest BLOB NOT NULL, key TEXT NOT NULL,
    version TEXT NOT NULL, accusing INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (node, at)) WITHOUT ROWID
"""
_INSERT: Final = "INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?)"
_SELECT: Final = "SELECT node, digest, key, version, accusing, data FROM reports"
_WAIT: Final = 10.0  # seconds that another process is waited for
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})


class ReportsStore:
    """`ports.ReportStore` in the file `path`, made with the first report."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, reports: Mapping[str, Sequence[StoredReport]]) -> None:
        """Have exactly these of each of these nodes (`<site>/<node>`), durably."""
        try:
            self._write(reports)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise self._unavailable(str(error)) from error
            self._keep_anew(reports)
        except OSError as error:
            raise self._unavailable(error.strerror or str(error)) from error

    def stored(self, name: str = "") -> Mapping[str, tuple[StoredReport, ...]]:
        """All reports, or those of one node, as they are at the first look at the answer."""
        return _Rows(lambda: self._read(name))

    def _keep_anew(self, reports: Mapping[str, Sequence[StoredReport]]) -> None:
        try:
            self._path.unlink(missing_ok=True)
            self._write(reports)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(str(error)) from error

    def _write(self, reports: Mapping[str, Sequence[StoredReport]]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(self._path, timeout=_WAIT)) as db, db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute(_SCHEMA)
            db.executemany("DELETE FROM reports WHERE node = ?", [(name,) for name in reports])
            rows = ((name, at, one) for name, several in reports.items() for at, one in enumerate(several))
            db.executemany(_INSERT, (_row(name, at, one) for name, at, one in rows))

    def _read(self, name: str) -> dict[str, tuple[StoredReport, ...]]:
        found: dict[str, tuple[StoredReport, ...]] = {}
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._uri, uri=True, timeout=_WAIT)) as db:
            chosen = (
                (f"{_SELECT} WHERE node = ? ORDER BY at", (name,)) if name else (f"{_SELECT} ORDER BY node, at", ())
            )
            for node, digest, key, version, accusing, data in db.execute(*chosen):
                if _digest(node, key, version, accusing, data) == digest:
                    one = StoredReport(data, key, version == __version__, bool(accusing))
                    found[node] = (*found[node], one) if node in found else (one,)
        return found

    @property
    def _uri(self) -> str:
        return f"{self._path.absolute().as_uri()}?mode=ro"

    def _unavailable(self, words: str) -> UnavailableError:
        return UnavailableError("reports", "keep", f"{self._path}: {words}")


class _Rows(Mapping[str, tuple[StoredReport, ...]]):
    """Read once, when somebody looks: most workers do not ask what others said."""

    def __init__(self, read: Callable[[], dict[str, tuple[StoredReport, ...]]]) -> None:
        self._read = read

    @cached_property
    def _known(self) -> dict[str, tuple[StoredReport, ...]]:
        return self._read()

    def __getitem__(self, name: str) -> tuple[StoredReport, ...]:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _row(name: str, at: int, one: StoredReport) -> tuple[str, int, bytes, str, str, int, bytes]:
    version, accusing = __version__ if one.is_noted else "", int(one.is_accusing)
    return name, at, _digest(name, one.key, version, accusing, one.data), one.key, version, accusing, one.data


def _digest(name: str, key: str, version: str, accusing: int, data: bytes) -> bytes:
    return hashlib.sha256(b"%b\n%d\n%b" % (f"{name}\n{key}\n{version}".encode(), accusing, data)).digest()
