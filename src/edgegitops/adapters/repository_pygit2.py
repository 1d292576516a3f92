"""The mirror's objects and refs: pygit2 is an object store here and nothing more.

An object is asked for its size before it is read, and its bytes are hashed again as they are read. Nothing is ever
checked out. A pinned revision stays reachable whatever the remote does; a pin that a newer pin contains is dropped.

Loading it costs a worker more than most of what it does besides, so `repository_mirror` loads it when it is needed.
UnavailableError (`fetch-failed`): the mirror cannot be opened, or an object is damaged.
"""

import contextlib
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pygit2
from pygit2.enums import ConfigLevel, ObjectType, RepositoryOpenFlag

from edgegitops.core.model.objects import Header, RawObject
from edgegitops.errors import UnavailableError

OURS: Final = "refs/edgegitops/"
TIP: Final = "refs/edgegitops/tip"
PINS: Final = "refs/edgegitops/pins/"
KEPT_TAGS: Final = "refs/edgegitops/controls/"
KINDS: Final = {ObjectType[kind.upper()]: kind for kind in ("commit", "tree", "blob", "tag")}
ITSELF: Final = RepositoryOpenFlag.BARE | RepositoryOpenFlag.NO_SEARCH  # never a repository in a folder above
_ID: Final = re.compile(r"[0-9a-f]{40}")


class MirrorStore:
    """The bare repository at `path`, made when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: pygit2.Repository | None = None
        self._opening = Lock()  # a first fetch and a first look begin at the same time

    def open(self) -> None:
        """Make sure that it is there and can be used."""
        self._repo()

    def forget(self) -> None:
        """Open it anew for the next question: its packs were exchanged."""
        self._opened = None

    def tip(self) -> str | None:
        """The tip of the last successful fetch."""
        reference = self._repo().references.get(TIP)
        return None if reference is None else str(reference.target)

    def add_tags(self, objects: Iterable[str]) -> None:
        """Keep those of these objects that are tags: others are shown, and never believed. ValueError: not here."""
        with _as_value_error():
            repo = self._repo()
            for oid in set(objects):
                if repo.odb.read_header(oid)[0] == ObjectType.TAG:
                    repo.references.create(KEPT_TAGS + oid, oid, force=True)

    def point(self, tip: str) -> None:
        """Name the tip. ValueError: it is not here, or cannot be named."""
        with _as_value_error():
            self._repo().references.create(TIP, tip, force=True)

    def keep_tags(self, wanted: Collection[str]) -> None:
        """Of the control tags keep these objects; drop the rest."""
        references = self._repo().references
        for name in [name for name in references if name.startswith(KEPT_TAGS)]:
            if name.removeprefix(KEPT_TAGS) not in wanted:
                references.delete(name)

    def pin(self, revision: str) -> None:
        """Keep this revision's objects reachable whatever the remote does. UnavailableError: no such commit here."""
        repo = self._repo()
        oid = _oid(revision)
        if oid is None or oid not in repo.odb or repo.odb.read_header(oid)[0] != ObjectType.COMMIT:
            raise UnavailableError("repository", "pin", f"no commit {revision} in {self._path}", reason="fetch-failed")
        pins = {name: repo.references[name].target for name in repo.references if name.startswith(PINS)}
        if any(pinned == oid or repo.descendant_of(pinned, oid) for pinned in pins.values()):
            return
        repo.references.create(PINS + revision, oid, force=True)
        for name, pinned in pins.items():
            if repo.descendant_of(oid, pinned):
                repo.references.delete(name)

    def haves(self) -> list[str]:
        """What our refs point to, as far as it is here: a ref that outlived its object is no reason to fail."""
        repo = self._repo()
        targets = {repo.references[name].target for name in repo.references if name.startswith(OURS)}
        return sorted(str(target) for target in targets if target in repo.odb)

    def objects(self) -> "MirrorObjects":
        """The lookup of its objects."""
        return MirrorObjects(lambda: self._repo().odb, str(self._path))

    def _repo(self) -> pygit2.Repository:
        with self._opening:
            if self._opened is None or not (self._path / "HEAD").is_file():  # our advice may have been to remove it
                self._opened = self._open()
            return self._opened

    def _open(self) -> pygit2.Repository:
        """One worker at a time writes here, so a lock file that is met at opening was left by a power cut."""
        _tune()
        try:
            for lock in (*self._path.glob("*.lock"), *self._path.glob("refs/**/*.lock")):
                lock.unlink(missing_ok=True)
            with contextlib.suppress(pygit2.GitError):
                return pygit2.Repository(str(self._path), ITSELF)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return pygit2.init_repository(str(self._path), bare=True)
        except (OSError, pygit2.GitError, KeyError, ValueError) as error:
            words = f"the mirror {self._path} cannot be opened: {error}; remove it, and the next fetch makes a new one"
            raise UnavailableError("repository", "open", words, reason="fetch-failed") from error


class MirrorObjects:
    """The lookup of one mirror; small objects that were just read are kept. UnavailableError: a damaged object."""

    KEPT = 256  # objects
    LARGEST_KEPT = 64 * 1024  # bytes

    def __init__(self, odb: Callable[[], pygit2.Odb], path: str) -> None:
        self._odb = odb
        self._path = path
        self._kept: OrderedDict[str, RawObject] = OrderedDict()

    def header(self, oid: str) -> Header | None:
        """Kind and size without loading the bytes; None where there is no such object."""
        found = self._ask(lambda key: self._odb().read_header(key), oid)
        return None if found is None else Header(KINDS[ObjectType(found[0])], found[1])

    def read(self, oid: str) -> RawObject | None:
        """The object's bytes, hashed again on the way; None where there is none."""
        kept = self._kept.get(oid)
        if kept is not None:
            self._kept.move_to_end(oid)
            return kept
        found = self._ask(lambda key: self._odb().read(key), oid)
        if found is None:
            return None
        raw = RawObject(KINDS[ObjectType(found[0])], found[1])
        if len(raw.data) <= self.LARGEST_KEPT:
            self._kept[oid] = raw
            if len(self._kept) > self.KEPT:
                self._kept.popitem(last=False)
        return raw

    def _ask(self, question: Callable[[Any], tuple[int, Any]], oid: str) -> tuple[int, Any] | None:
        key = _oid(oid)
        if key is None:
            return None
        try:
            return question(key)
        except KeyError:
            return None
        except (pygit2.GitError, OSError, ValueError) as error:
            raise UnavailableError(
                "repository",
                "read",
                f"object {oid} in {self._path} is damaged: {error}; remove {self._path} and fetch again",
                reason="fetch-failed",
            ) from error


@contextlib.contextmanager
def _as_value_error() -> Iterator[None]:
    try:
        yield
    except (pygit2.GitError, KeyError) as error:
        raise ValueError(str(error)) from error


def _tune() -> None:
    """Process-wide settings of libgit2: this machine's configuration does not count, hashes do, writes are durable."""
    for level in (ConfigLevel.SYSTEM, ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.PROGRAMDATA):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
    pygit2.settings.enable_strict_hash_verification(value=True)
    pygit2.settings.enable_fsync_gitdir(value=True)


def _oid(text: str) -> pygit2.Oid | None:
    """The object id, or None where the text is none."""
    return pygit2.Oid(hex=text) if _ID.fullmatch(text) else None


__all__ = ["MirrorObjects", "MirrorStore"]
