"""The fleet repository's local mirror: a bare Git repository, and what is asked of its remote.

1. Bytes come from the remote only through the fetch child (repository_fetch), which fills a quarantine inside the
   mirror's folder. Its objects are moved into the mirror, fsynced, before the tip's ref moves: a crash at any point
   leaves the old tip whole, and the next fetch removes what was left behind.
2. When packs pile up, by number or by bytes, a child writes one of all that our refs reach; the others go once it is
   durable.
3. What can be told from plain files is: most workers find nothing new, and never load the object store
   (repository_pygit2). Whether a tip is believed is not decided here.

All failures are UnavailableError with reason `fetch-failed` or `credential-denied`: the caller backs off.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from edgegitops.adapters.repository_access import Access, FetchLimits, GitCredentials
from edgegitops.core.model.objects import Header, RawObject
from edgegitops.errors import InvalidConfigError, UnavailableError

if TYPE_CHECKING:
    from edgegitops.adapters.repository_pygit2 import MirrorStore

TIP: Final = "refs/edgegitops/tip"
SHOWN_TAGS: Final = "controls.json"
QUARANTINES: Final = "quarantines"
CHILD: Final = "edgegitops.adapters.repository_fetch"
OID: Final = re.compile(r"[0-9a-f]{40}")
NO_BRANCH: Final = re.compile(  # git-check-ref-format(1)
    r"[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|(^|/)(\.|/|$)|^$|\.lock(/|$)|\.$"
)


class GitRepository:
    """The bare mirror at `path` (made when it is not there) of one branch of `url`.

    `url` is http(s), git, ssh, file or an absolute path. InvalidConfigError: the URL or branch makes no sense.
    """

    def __init__(
        self,
        path: str,
        url: str,
        branch: str = "main",
        *,
        credentials: GitCredentials | None = None,
        limits: FetchLimits | None = None,
    ) -> None:
        self._access = Access(url, credentials or GitCredentials(), limits or FetchLimits())
        if NO_BRANCH.search(branch):
            raise InvalidConfigError(f"{branch!r} is not a branch name", key="repository.branch")
        self._path = Path(path).absolute()
        self._branch = branch
        self.tags_failed = ""
        self._loaded: MirrorStore | None = None
        self._loading = Lock()  # a first fetch and a first look begin at the same time

    def fetch(self) -> str:
        """Fetch the branch into quarantine, promote it, and return its tip's commit id."""
        with self._quarantine() as quarantine:
            said = self._ask_child(self._request("fetch", quarantine))
            tip = said.get("tip", "")
            if not OID.fullmatch(tip):
                raise self._access.failed(said.get("message", "the fetch child gave no tip"), said.get("reason", ""))
            self._promote(quarantine, tip, _tags(said.get("tags", "")))
        self.tags_failed = said.get("tags_failed", "")
        if self._is_piled_up():
            self._repack()
        return tip

    def tip(self) -> str | None:
        """The tip of the last successful fetch, from local storage only."""
        return self._loose(TIP) or self._store().tip()

    def _loose(self, name: str) -> str:
        """What a ref's own file says; empty where it has none that is whole."""
        try:
            text = (self._path / name).read_text("ascii").strip()
        except (OSError, ValueError):
            return ""
        return text if OID.fullmatch(text) else ""

    def tags(self) -> dict[str, str]:
        """The control tags that the remote showed last, ref to object, from local storage only."""
        try:
            return _tags((self._path / SHOWN_TAGS).read_text("utf-8")) or {}
        except OSError:
            return {}

    def keep_tags(self, objects: Collection[str]) -> None:
        """Of the control tags keep these objects and those that are shown, whatever the remote does; drop the rest."""
        self._store().keep_tags({*objects, *self.tags().values()})

    def pin(self, revision: str) -> None:
        """Keep this revision's objects reachable whatever the remote does. UnavailableError: no such commit here."""
        self._store().pin(revision)

    def objects(self) -> "LateObjects":
        """The lookup of the mirror's objects."""
        return LateObjects(self._store)

    def _store(self) -> "MirrorStore":
        from edgegitops.adapters.repository_pygit2 import MirrorStore

        with self._loading:
            if self._loaded is None:
                self._loaded = MirrorStore(self._path)
            return self._loaded

    @contextlib.contextmanager
    def _quarantine(self) -> Iterator[Path]:
        self._store().open()
        place = self._path / QUARANTINES
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=place))
        except OSError as error:
            raise self._access.failed(f"no quarantine at {place}: {error}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _request(self, errand: str, quarantine: Path) -> dict[str, Any]:
        return {
            "errand": errand,
            "branch": self._branch,
            "mirror": str(self._path),
            "quarantine": str(quarantine),
            "haves": self._store().haves(),
        }

    def _ask_child(self, request: dict[str, Any]) -> dict[str, str]:
        """Run the fetch child; its answer."""
        return {str(key): str(value) for key, value in self._access.ask(CHILD, request).items()}

    def _promote(self, quarantine: Path, tip: str, tags: Mapping[str, str] | None) -> None:
        """Move what arrived into the mirror, durably, and then the refs; `tags` None: nobody knows what is shown."""
        try:
            self._take(quarantine)
            self._store().add_tags((tags or {}).values())
            if tags is not None and tags != self.tags():
                fresh = self._path / f"{SHOWN_TAGS}.new"
                fresh.write_text(json.dumps(tags))
                fresh.replace(self._path / SHOWN_TAGS)
            self._store().point(tip)
        except (OSError, ValueError) as error:
            raise self._access.failed(f"what arrived could not be stored in {self._path}: {error}") from error

    def _take(self, quarantine: Path) -> None:
        # A pack counts from its index on, so indexes come last.
        for source in sorted((quarantine / "objects").rglob("*"), key=lambda path: path.suffix == ".idx"):
            if source.is_file() and source.parent.name != "info":
                _move(source, self._path / source.relative_to(quarantine))

    def _packs(self) -> set[Path]:
        return set((self._path / "objects/pack").glob("*.idx"))

    def _is_piled_up(self) -> bool:
        """Many packs, or many bytes beside the largest pack: a server that shows another tip each minute, each with as
        much as one fetch may bring, must not fill the disk.
        """
        sizes = sorted(index.with_suffix(".pack").stat().st_size for index in self._packs())
        return len(sizes) > self._access.limits.packs or sum(sizes[:-1]) > self._access.limits.bytes

    def _repack(self) -> None:
        """One pack instead of many. What goes wrong here is no failure of the fetch: the many packs serve as well."""
        old = self._packs()
        with contextlib.suppress(UnavailableError, OSError), self._quarantine() as quarantine:
            if "tip" not in self._ask_child(self._request("repack", quarantine)):
                return
            new = {self._path / index.relative_to(quarantine) for index in quarantine.rglob("*.idx")}
            self._take(quarantine)
            for index in old - new:
                for file in (index, *index.parent.glob(f"{index.stem}.*")):
                    file.unlink(missing_ok=True)
            self._store().forget()


class LateObjects:
    """The lookup of a mirror's objects, which loads the object store at the first question."""

    def __init__(self, store: "Callable[[], MirrorStore]") -> None:
        self._objects = cache(lambda: store().objects())

    def header(self, oid: str) -> Header | None:
        """Kind and size without loading the bytes; None where there is no such object."""
        return self._objects().header(oid)

    def read(self, oid: str) -> RawObject | None:
        """The object's bytes, hashed again on the way; None where there is none."""
        return self._objects().read(oid)


def _tags(text: str) -> dict[str, str] | None:
    """Refs and object ids as the child or the file tells them; None where it tells none."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return (
        {str(ref): str(oid) for ref, oid in told.items() if OID.fullmatch(str(oid))} if isinstance(told, dict) else None
    )


def _move(source: Path, target: Path) -> None:
    """Rename within the file system, durably; a target of that name has the same objects and stays."""
    if target.exists():
        return
    target.parent.mkdir(exist_ok=True)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


__all__ = ["FetchLimits", "GitCredentials", "GitRepository"]
