"""The journal in one SQLite file: WAL, synchronous=FULL, one `BEGIN IMMEDIATE` an append. It decides nothing.

1. An append reads the last hash and writes all its events in one transaction; several processes may append.
2. What was acknowledged is on the disk. After a failed fsync nothing more is written by this process: the kernel may
   have dropped the pages, and a later fsync would lie.
3. A record is believed only while its chain holds (core.model.chain): the ledger is never folded from a changed one.
4. The `derived` row is a copy of the ledger at some seq; without it everything is folded again, with the same outcome.
5. `prune` keeps the ledger of what it drops in `base`, and chains its digest: `verify` proves it as it proves a record.
6. A file that is damaged, not ours, or newer than this version is refused and left as it is.

What an event means is told by core.reconcile.fold, imported only where a ledger is asked: an appender stays small.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from edgegitops import __version__
from edgegitops.core.model import chain
from edgegitops.core.model.canonical import canonical_json, sha256_hex
from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.events import Entry, Event, JournalPruned
from edgegitops.core.model.ledger import Ledger
from edgegitops.errors import BrokenInvariantError, JournalError

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x45474A31  # "EGJ1", so that nobody else's database is taken for a journal
BALLAST_SIZE: Final = 16 * 1024 * 1024
T = TypeVar("T")

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE entries (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE base (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL,
    tree TEXT NOT NULL);
CREATE TABLE derived (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL,
    version TEXT NOT NULL, tree TEXT NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_BATCH: Final = 500
_INSERT: Final = "INSERT INTO entries (seq, at, kind, body, previous, hash) VALUES (?, ?, ?, ?, ?, ?)"
_SELECT: Final = "SELECT seq, at, kind, body, previous, hash FROM entries WHERE seq > ? ORDER BY seq LIMIT ?"
_STORE_AFTER: Final = 500  # entries folded since the derived row, before it is written again
_WAIT: Final = 10.0  # seconds that another appender is waited for
_WAL_LIMIT: Final = 4 * 1024 * 1024
_SPARE: Final = 8  # ballasts that must stay free beside a new one

_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, the agent goes on by itself",
    sqlite3.SQLITE_READONLY: "it cannot be written; check the file's owner and whether the disk is mounted read-only",
    sqlite3.SQLITE_PERM: "it may not be opened; run this as the user that the agent runs as (root)",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that the directory exists and run this as the agent's user",
    sqlite3.SQLITE_BUSY: "another process has kept it locked for 10 s; look for a stopped edgegitops process",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check the storage (dmesg) before starting the agent again",
}
_DAMAGED: Final = (
    "it is damaged; containers keep running and nothing was deleted. Move it aside with its -wal and -shm files"
    " and start the agent: what runs is found again from the engine and the mirror, the floor from floor.json"
)


class Ballast:
    """A file that holds disk space for the worst moment: on a full disk SQLite cannot even delete."""

    def __init__(self, path: str | Path, *, size: int = BALLAST_SIZE) -> None:
        self._path = Path(path)
        self._size = size

    def ensure(self) -> bool:
        """Set the space aside unless that alone would make the disk tight; True where it is there."""
        try:
            if self._path.exists():
                return True
            if _free_bytes(self._path) < _SPARE * self._size:
                return False
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, self._size)
            finally:
                os.close(file)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Give the space back; True where there was some."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            return True
        return False


@dataclass(frozen=True, slots=True)
class _Folded:
    """A ledger and the place in the chain that it was folded to."""

    seq: int
    hash: str
    ledger: Ledger


class SqliteJournal:
    """`ports.Journal` in the file `path`, the ballast beside it. To be used from one thread. JournalError from any
    method: it could not be read or written, and nothing was changed.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self._path = Path(path).absolute()
        self._read_only = read_only
        self._ballast = Ballast(self._path.parent / "ballast")
        self._refusal = ""
        self._folded: _Folded | None = None
        self._stored_seq = 0
        self._db = self._open()

    def append(self, events: Sequence[Event], at: datetime) -> None:
        """Write all of them durably, or none."""
        if at.tzinfo is None:
            raise BrokenInvariantError(f"the journal was given an instant without a time zone: {at}")

        def write() -> None:
            with self._writing():
                self._insert(events, at)

        if events:
            self._sparing("append", write)

    def ledger(self) -> Ledger:
        """The fold of all events so far; costs one query where nothing was appended since the last call."""
        with self._reading("read"):
            known = self._folded
            self._folded = self._fold(known if known and self._holds(known) else self._stored())
        if not self._read_only and self._folded.seq - self._stored_seq >= _STORE_AFTER:
            self._store_derived(self._folded)
        return self._folded.ledger

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """Entries with seq > since, oldest first; read in batches, so that a slow reader holds up nobody."""
        while True:
            with self._reading("read"):
                links = self._links(since)
                batch = [self._entry(link) for link in links]
            yield from batch
            if len(batch) < _BATCH:
                return
            since = batch[-1].seq

    def verify(self) -> int | None:
        """The seq of the first entry whose chain does not hold; None where all hold, with what was pruned."""
        with self._reading("verify"):
            row = self._db.execute("SELECT seq, hash, tree FROM base").fetchone()
            pruned, last, tree = row or (0, chain.GENESIS, "")
            seq, proof = pruned, ""
            while links := self._links(seq):
                for link in links:
                    if link.seq != seq + 1 or not chain.is_whole(link, last):
                        return seq + 1
                    seq, last = link.seq, link.hash
                    proof = _proof(link, pruned) or proof
            return None if row is None or proof == sha256_hex(tree.encode()) else pruned

    def prune(self, keep: int, at: datetime) -> int:
        """Where there are more than twice `keep` entries, drop all but the newest `keep`, and say how many; what they
        fold to stays, provable by the chain. Cheap where there is nothing to do.
        """
        with self._reading("prune"):
            upto = self._last()[0] - keep
            if upto - self._base().seq <= keep:
                return 0
        return self._sparing("prune", lambda: self._prune(upto, at))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _open(self) -> sqlite3.Connection:
        try:
            if not self._read_only:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._make()
                self._ballast.ensure()
            return self._sparing("open", self._connect)
        except OSError as error:
            raise JournalError(
                f"journal {self._path}: open: {error.strerror}; {_ADVICE[sqlite3.SQLITE_CANTOPEN]}"
            ) from error

    def _make(self) -> None:
        """Let there be a file, for its owner alone. One that is there is not opened: to close it would drop the locks
        of every other journal of this process (POSIX), and another process would remove the log that they are reading.
        """
        if self._path.exists():
            return
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rw"
        db = sqlite3.connect(f"{self._path.as_uri()}?mode={mode}", uri=True, timeout=_WAIT, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
            if _pragma(db, "user_version") == 0:
                self._create(db)
            self._recognise(db)
        except BaseException:
            db.close()
            raise
        return db

    def _create(self, db: sqlite3.Connection) -> None:
        """Make the tables of a new file; the directory is locked, for WAL cannot be turned on by two at a time."""
        if self._read_only:
            return
        here = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(here, fcntl.LOCK_EX)
            if _pragma(db, "user_version") == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                if _pragma(db, "journal_mode = WAL") != "wal":  # it says so instead of failing
                    raise JournalError(f"journal {self._path}: open: it needs a local disk, for its write-ahead log")
                db.executescript(_SCHEMA)
                os.fsync(here)
        finally:
            os.close(here)

    def _recognise(self, db: sqlite3.Connection) -> None:
        version = _pragma(db, "user_version")
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"journal {self._path}: open: it was written by a newer edgegitops (schema {version}, this version"
                f" knows {SCHEMA_VERSION}) and is left as it is; install that version again"
            )
        if version == 0 or _pragma(db, "application_id") != APPLICATION_ID:
            raise JournalError(f"journal {self._path}: open: it is not a journal of edgegitops; it is left as it is")
        fault = _pragma(db, "quick_check(1)")
        if fault != "ok":
            raise JournalError(f"journal {self._path}: open: {_DAMAGED} ({fault})")

    def _prune(self, upto: int, at: datetime) -> int:
        with self._writing():
            base = self._fold(self._base(), upto=upto)
            tree = canonical_json(to_tree(base.ledger))
            self._insert([JournalPruned(upto, sha256_hex(tree))], at)
            row = (base.seq, base.hash, tree.decode())
            self._db.execute("INSERT OR REPLACE INTO base VALUES (1, ?, ?, ?)", row)
            return self._db.execute("DELETE FROM entries WHERE seq <= ?", (upto,)).rowcount

    def _insert(self, events: Sequence[Event], at: datetime) -> None:
        seq, last = self._last()
        for event in events:
            seq += 1
            try:
                link = chain.forge(event, at, seq=seq, previous=last)
            except ValueError as error:
                raise BrokenInvariantError(f"an event has no JSON form: {event.kind}: {error}") from error
            self._db.execute(_INSERT, (link.seq, link.at, link.kind, link.body, link.previous, link.hash))
            last = link.hash

    def _last(self) -> tuple[int, str]:
        """Seq and hash of the newest entry, or of what was pruned."""
        row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        row = row or self._db.execute("SELECT seq, hash FROM base").fetchone()
        return (int(row[0]), str(row[1])) if row else (0, chain.GENESIS)

    def _links(self, since: int) -> list[chain.Link]:
        return [chain.Link(*row) for row in self._db.execute(_SELECT, (since, _BATCH))]

    def _entry(self, link: chain.Link) -> Entry:
        try:
            return chain.read_entry(link)
        except ValueError as error:
            raise JournalError(
                f"journal {self._path}: entry {link.seq} ({link.kind}) cannot be read: {error}; it was changed"
                " (edgegitops journal verify tells) or written by a newer version (install that version again)"
            ) from error

    def _fold(self, start: _Folded, *, upto: int | None = None) -> _Folded:
        """Fold the entries after `start`, as far as `upto`, each only while the chain holds."""
        from edgegitops.core.reconcile.fold import advance

        seq, last, ledger = start.seq, start.hash, start.ledger
        while links := self._links(seq):
            for link in links:
                if upto is not None and link.seq > upto:
                    return _Folded(seq, last, ledger)
                if link.seq != seq + 1 or not chain.is_whole(link, last):
                    raise JournalError(f"journal {self._path}: entry {seq + 1} does not follow its chain: {_DAMAGED}")
                ledger = advance(ledger, self._entry(link))
                seq, last = link.seq, link.hash
        return _Folded(seq, last, ledger)

    def _holds(self, folded: _Folded) -> bool:
        """The place that it was folded to is still in the chain, with the same hash."""
        query = "SELECT hash FROM entries WHERE seq = ?1 UNION ALL SELECT hash FROM base WHERE seq = ?1"
        row = self._db.execute(query, (folded.seq,)).fetchone()
        return row is not None and row[0] == folded.hash

    def _stored(self) -> _Folded:
        """The derived ledger where it is this version's and fits the chain; else what was pruned; else an empty one."""
        row = self._db.execute("SELECT seq, hash, tree FROM derived WHERE version = ?", (__version__,)).fetchone()
        if row is not None:
            with contextlib.suppress(ValueError):
                derived = _Folded(row[0], row[1], from_tree(Ledger, json.loads(row[2])))
                if self._holds(derived):
                    self._stored_seq = derived.seq
                    return derived
        return self._base()

    def _base(self) -> _Folded:
        row = self._db.execute("SELECT seq, hash, tree FROM base").fetchone()
        if row is None:
            return _Folded(0, chain.GENESIS, Ledger())
        try:
            return _Folded(row[0], row[1], from_tree(Ledger, json.loads(row[2])))
        except ValueError as error:
            raise JournalError(f"journal {self._path}: what was pruned cannot be read: {error}; {_DAMAGED}") from error

    def _store_derived(self, folded: _Folded) -> None:
        """Best effort: without it the next process folds a little longer."""
        with contextlib.suppress(sqlite3.Error, JournalError), self._writing():
            row = (folded.seq, folded.hash, __version__, canonical_json(to_tree(folded.ledger)).decode())
            self._db.execute("INSERT OR REPLACE INTO derived VALUES (1, ?, ?, ?, ?)", row)
        self._stored_seq = folded.seq

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that holds the write lock from its first statement on."""
        if self._refusal:
            raise JournalError(self._refusal)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _reading(self, action: str) -> Iterator[None]:
        """One view of the file, whatever others append meanwhile."""
        try:
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(action, error) from error

    def _sparing(self, action: str, act: Callable[[], T]) -> T:
        """Do it; a full disk is answered with the ballast, once."""
        try:
            return act()
        except sqlite3.Error as error:
            if self._read_only or not (self._is_full(error) and self._ballast.release()):
                raise self._failed(action, error) from error
        try:
            return act()
        except sqlite3.Error as error:
            raise self._failed(action, error) from error

    def _is_full(self, error: sqlite3.Error) -> bool:
        code = _primary(error)
        return code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free_bytes(self._path) < _WAL_LIMIT)

    def _failed(self, action: str, error: sqlite3.Error) -> JournalError:
        code = _primary(error)
        message = f"journal {self._path}: {action}: {_ADVICE.get(code, _DAMAGED)} ({error})"
        if code == sqlite3.SQLITE_IOERR and not self._is_full(error):
            self._refusal = message
        return JournalError(message)


def _proof(link: chain.Link, upto: int) -> str:
    """The digest that this record promises for the ledger of what was pruned up to `upto`; empty where it does not."""
    if link.kind != JournalPruned.kind:
        return ""
    body = json.loads(link.body)
    return str(body["ledger"]) if body["upto"] == upto else ""


def _pragma(db: sqlite3.Connection, name: str) -> Any:  # noqa: ANN401 - a number or a word, as SQLite likes
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def _primary(error: sqlite3.Error) -> int:
    """The primary result code: the low byte of the extended one."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


def _free_bytes(path: Path) -> int:
    with contextlib.suppress(OSError):
        room = os.statvfs(path.parent)
        return room.f_bavail * room.f_frsize
    return 0
