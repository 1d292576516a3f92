"""The fleet repository's local mirror: a bare Git repository in which pygit2 is an object store and nothing more.

1. Bytes come from the remote only through the fetch child (repository_fetch), which fills a quarantine inside the
   mirror's folder. Its objects are moved into the mirror, fsynced, before the tip's ref moves: a crash at any point
   leaves the old tip whole, and the next fetch removes what was left behind.
2. An object is asked for its size before it is read, and its bytes are hashed again as they are read. Nothing is ever
   checked out. Whether a tip is believed is not decided here.
3. When packs pile up, by number or by bytes, a child writes one of all that our refs reach; the others go once it is
   durable.
4. A pinned revision stays reachable whatever the remote does. A pin that a newer pin contains is dropped.

All failures are UnavailableError with reason `fetch-failed` or `credential-denied`: the caller backs off.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pygit2
from pygit2.enums import ConfigLevel, ObjectType, RepositoryOpenFlag

from edgegitops.core.model.objects import Header, RawObject
from edgegitops.errors import InvalidConfigError, UnavailableError

OURS: Final = "refs/edgegitops/"
TIP: Final = "refs/edgegitops/tip"
PINS: Final = "refs/edgegitops/pins/"
KEPT_TAGS: Final = "refs/edgegitops/controls/"
SHOWN_TAGS: Final = "controls.json"
QUARANTINES: Final = "quarantines"
CHILD: Final = "edgegitops.adapters.repository_fetch"
ANSWER_LIMIT: Final = 1024 * 1024
OID: Final = re.compile(r"[0-9a-f]{40}")
SCP_LIKE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^:]")
KINDS: Final = {ObjectType[kind.upper()]: kind for kind in ("commit", "tree", "blob", "tag")}
ITSELF: Final = RepositoryOpenFlag.BARE | RepositoryOpenFlag.NO_SEARCH  # never a repository in a folder above


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one fetch may cost: bytes received, objects, address space in bytes, CPU time, wall time, and `stall_after`
    without a byte (a hung server is given up then). With more than `packs` packs the mirror is repacked.
    """

    bytes: int = 512 * 1024 * 1024
    objects: int = 2_000_000
    memory: int = 1024 * 1024 * 1024
    cpu_for: timedelta = timedelta(seconds=120)
    wall_for: timedelta = timedelta(seconds=120)
    stall_after: timedelta = timedelta(seconds=20)
    packs: int = 50


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """How to show who we are; files are read at each fetch, so they can be rotated. Empty: not used.

    `password_file` holds a password or token; `ca_file` PEM certificates that replace the system's; `proxy` a URL.
    """

    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    ssh_key_file: str = ""
    known_hosts_file: str = ""
    proxy: str = ""

    def told(self) -> str:
        """The files that may have to be changed, for an error about them: ` (repository.tokenFile: /…)`."""
        keys = {"tokenFile": self.password_file, "keyFile": self.ssh_key_file, "knownHostsFile": self.known_hosts_file}
        named = ", ".join(f"repository.{key}: {file}" for key, file in keys.items() if file)
        return f" ({named})" if named else ""


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
        self._over = transport(url)
        if not pygit2.reference_is_valid_name(f"refs/heads/{branch}") or "*" in branch:
            raise InvalidConfigError(f"{branch!r} is not a branch name", key="repository.branch")
        self._path = Path(path).absolute()
        self._url = url
        self._branch = branch
        self._credentials = credentials or GitCredentials()
        self._limits = limits or FetchLimits()
        self.tags_failed = ""
        self._opened: pygit2.Repository | None = None
        self._opening = Lock()  # a first fetch and a first look begin at the same time

    def fetch(self) -> str:
        """Fetch the branch into quarantine, promote it, and return its tip's commit id."""
        with self._quarantine() as quarantine:
            said = self._ask_child(self._request("fetch", quarantine))
            tip = said.get("tip", "")
            if not OID.fullmatch(tip):
                raise self._failed(said.get("message", "the fetch child gave no tip"), said.get("reason", ""))
            self._promote(quarantine, tip, _tags(said.get("tags", "")))
        self.tags_failed = said.get("tags_failed", "")
        if self._is_piled_up():
            self._repack()
        return tip

    def tip(self) -> str | None:
        """The tip of the last successful fetch, from local storage only."""
        tip = self._loose(TIP)
        if tip:
            return tip
        reference = self._repo().references.get(TIP)
        return None if reference is None else str(reference.target)

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
        references = self._repo().references
        wanted = {*objects, *self.tags().values()}
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

    def objects(self) -> "MirrorObjects":
        """The lookup of the mirror's objects."""
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

    @contextlib.contextmanager
    def _quarantine(self) -> Iterator[Path]:
        self._repo()
        place = self._path / QUARANTINES
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=place))
        except OSError as error:
            raise self._failed(f"no quarantine at {place}: {error}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _request(self, errand: str, quarantine: Path) -> dict[str, Any]:
        credentials = self._credentials
        limits = self._limits
        return {
            "errand": errand,
            "url": self._url,
            "over": self._over,
            "branch": self._branch,
            "mirror": str(self._path),
            "quarantine": str(quarantine),
            "haves": self._haves(),
            "user": credentials.user,
            "password": self._secret(credentials.password_file),
            "ca_file": credentials.ca_file,
            "ssh_key": credentials.ssh_key_file,
            "known_hosts": credentials.known_hosts_file,
            "proxy": credentials.proxy,
            "limits": {
                "bytes": limits.bytes,
                "objects": limits.objects,
                "memory": limits.memory,
                "cpu": max(1, int(limits.cpu_for.total_seconds())),
                "wall": limits.wall_for.total_seconds(),
                "stall": max(1, int(limits.stall_after.total_seconds())),
            },
        }

    def _haves(self) -> list[str]:
        """What our refs point to, as far as it is here: a ref that outlived its object is no reason to fail."""
        repo = self._repo()
        targets = {repo.references[name].target for name in repo.references if name.startswith(OURS)}
        return sorted(str(target) for target in targets if target in repo.odb)

    def _secret(self, file: str) -> str:
        if not file:
            return ""
        try:
            return Path(file).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise self._failed(f"the credential file {file} cannot be read: {error}", "credential-denied") from error

    def _ask_child(self, request: dict[str, Any]) -> dict[str, str]:
        """Run the fetch child; its answer. Its process group is gone when this returns, whatever happened."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
        with subprocess.Popen(  # noqa: S603 - our own module, an argument list
            [sys.executable, "-I", "-m", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
        ) as child:
            try:
                line = self._converse(child, json.dumps(request).encode() + b"\n")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        try:
            said = json.loads(line)
        except ValueError as error:
            raise self._failed(f"the fetch child ended without an answer ({_ended(child.returncode)})") from error
        return {str(key): str(value) for key, value in said.items()}

    def _converse(self, child: "subprocess.Popen[bytes]", request: bytes) -> bytes:
        """Write the request and read one line. The pipe stays open: its end would kill the child."""
        if child.stdin is None or child.stdout is None:
            raise self._failed("the fetch child has no pipes")
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(request)
            child.stdin.flush()
        return _line(child.stdout.fileno(), self._limits.wall_for + timedelta(seconds=2), self._failed)

    def _promote(self, quarantine: Path, tip: str, tags: Mapping[str, str] | None) -> None:
        """Move what arrived into the mirror, durably, and then the refs; `tags` None: nobody knows what is shown."""
        try:
            self._take(quarantine)
            references = self._repo().references
            for oid in {*(tags or {}).values()}:
                if self._repo().odb.read_header(oid)[0] == ObjectType.TAG:  # others are shown, and never believed
                    references.create(KEPT_TAGS + oid, oid, force=True)
            if tags is not None and tags != self.tags():
                fresh = self._path / f"{SHOWN_TAGS}.new"
                fresh.write_text(json.dumps(tags))
                fresh.replace(self._path / SHOWN_TAGS)
            references.create(TIP, tip, force=True)
        except (OSError, pygit2.GitError, KeyError, ValueError) as error:
            raise self._failed(f"what arrived could not be stored in {self._path}: {error}") from error

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
        return len(sizes) > self._limits.packs or sum(sizes[:-1]) > self._limits.bytes

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
            self._opened = None

    def _failed(self, words: str, reason: str = "") -> UnavailableError:
        where = re.sub(r"//[^/\s]*@", "//", self._url)
        if reason == "credential-denied":
            words = f"{words}{self._credentials.told()}"
        return UnavailableError("repository", "fetch", f"{where}: {words}", reason=reason or "fetch-failed")


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


def transport(url: str) -> str:
    """`ssh` or `libgit2`: who fetches this URL. InvalidConfigError where nobody may."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme == "ssh" or SCP_LIKE.match(url):
        return "ssh"
    if scheme in {"http", "https", "git", "file"} or url.startswith("/"):
        return "libgit2"
    raise InvalidConfigError(
        f"{url!r} is no repository address; use https, ssh, git, file or an absolute path", key="repository.url"
    )


def _tune() -> None:
    """Process-wide settings of libgit2: this machine's configuration does not count, hashes do, writes are durable."""
    for level in (ConfigLevel.SYSTEM, ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.PROGRAMDATA):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
    pygit2.settings.enable_strict_hash_verification(value=True)
    pygit2.settings.enable_fsync_gitdir(value=True)


def _tags(text: str) -> dict[str, str] | None:
    """Refs and object ids as the child or the file tells them; None where it tells none."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return (
        {str(ref): str(oid) for ref, oid in told.items() if OID.fullmatch(str(oid))} if isinstance(told, dict) else None
    )


def _oid(text: str) -> pygit2.Oid | None:
    """The object id, or None where the text is none."""
    return pygit2.Oid(hex=text) if OID.fullmatch(text) else None


def _line(descriptor: int, wall_for: timedelta, failed: Callable[[str], Exception]) -> bytes:
    """One line from the child within the wall time; what came so far where the child ended."""
    ends_at = time.monotonic() + wall_for.total_seconds()
    line = b""
    while not line.endswith(b"\n"):
        left = ends_at - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise failed(f"no end after {wall_for.total_seconds():.0f} s: given up (a hung or endless server?)")
        chunk = os.read(descriptor, ANSWER_LIMIT)
        if not chunk:
            break
        line += chunk
        if len(line) > ANSWER_LIMIT:
            raise failed("the fetch child said too much")
    return line


def _ended(code: int) -> str:
    """A return code in words."""
    if code == -signal.SIGALRM:
        return "the wall time was over: a hung or endless server?"
    if code == -signal.SIGXCPU:
        return "the CPU time was over"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


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


__all__ = ["FetchLimits", "GitCredentials", "GitRepository", "MirrorObjects", "transport"]
