"""Law: a lab is one directory; everything that it has outside is named or marked after that directory, so whatever
instant it was interrupted at, `down` on the directory finds and removes all of it: processes by their mark, links by
their name, cgroups by the ids in storage, mounts with the namespaces that they live in or by their place, and then the
directory itself.

Starting first removes what an interrupted lab left in the directory. A lab without a directory of its own lives with
the process that started it: the next such start removes it where that one was killed. A lab that is whole is never
replaced, and a directory that no lab made is never removed. One process at a time starts or ends a lab: the kernel's
lock on the directory.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgegitops.errors import DeniedError, InvalidConfigError, UnavailableError
from edgegitops.lab import cgroups, enrolment, fleet, git_server, mounts, network, processes, registry
from edgegitops.lab.commands import missing_programs, until
from edgegitops.lab.fleet import Fleet
from edgegitops.lab.network import Wiring
from edgegitops.lab.node import VirtualNode
from edgegitops.lab.registry import Registry

DIRECTORY = Path("/var/tmp/edgegitops-lab")  # noqa: S108 - root's own; a socket path must stay short
SITE = "lab"
_RECORD = "lab.json"
_TEMPORARY = "eglab-"
_HIDDEN_INSIDE = ("/run", "/dev/shm", "/etc", "/proc", "/sys")  # noqa: S108 - compared with, never written to


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that runs: nodes by name, a registry, a Git server."""

    directory: Path
    wiring: Wiring
    nodes: Mapping[str, VirtualNode] = field(repr=False)

    @classmethod
    def start(
        cls,
        nodes: int | Sequence[str] = 1,
        *,
        directory: Path | None = None,
        equip: Callable[[Self], None] | None = None,
    ) -> Self:
        """Start a lab with so many nodes (`node-1` …) or these names; without a directory, in a temporary one.

        `equip` does what belongs to the start besides, such as a fleet and agents: the lab counts as up after it.
        Interrupted, by an exception or Ctrl-C, it leaves nothing. DeniedError: a lab runs there, or the directory has
        somebody else's files; InvalidConfigError: this machine lacks something.
        """
        _require_machine()
        names = [f"node-{at}" for at in range(1, nodes + 1)] if isinstance(nodes, int) else list(nodes)
        _require_names(names)
        if directory is None:
            _end_orphans()
        place = _made(directory)
        with _locked(place):
            _require_free(place)
            try:
                _clean(place)
                record: dict[str, object] = {"lives_with": _me() if directory is None else None}
                _write_record(place, {"state": "starting", **record})
                lab = cls._assemble(place, names)
                if equip is not None:
                    equip(lab)
                record |= {"stem": lab.wiring.stem, "slot": lab.wiring.slot, "nodes": names}
                _write_record(place, {"state": "up", **record})
            except BaseException:
                _clean(place)
                place.rmdir()
                raise
        return lab

    @classmethod
    def _assemble(cls, place: Path, names: Sequence[str]) -> Self:
        wiring = network.lay(place)
        lab = cls(place, wiring, _nodes(place, wiring, names))
        _, served = registry.serve(place / "registry", wiring.address, str(place))
        served.write(place / "registry" / "pid")
        for name in ("fleet", git_server.REPORTS):
            git_server.create(_made(place / "git"), name)
        _, served = git_server.serve(place / "git", wiring.address, str(place))
        served.write(place / "git" / "pid")
        for node in lab.nodes.values():
            node.prepare(lab.registry.address, (lab.registry.name,))
            node.boot(agent=False)
            node.require_reach(lab.registry.address)
        return lab

    @classmethod
    def open(cls, directory: Path = DIRECTORY) -> Self:
        """The lab that runs in a directory. DeniedError where none does."""
        record = _read_record(directory)
        if record is None or record.get("state") != "up":
            raise DeniedError("lab", f"open {directory}", "no lab is up there: edgegitops lab up")
        wiring = Wiring(record["stem"], record["slot"])
        return cls(directory.resolve(), wiring, _nodes(directory.resolve(), wiring, record["nodes"]))

    @property
    def registry(self) -> Registry:
        """The lab's registry."""
        return Registry(f"{self.wiring.address}:{registry.PORT}")

    @property
    def git_url(self) -> str:
        """The fleet repository's URL, for this machine and for the nodes."""
        return f"http://{self.wiring.address}:{git_server.PORT}/fleet.git"

    @property
    def reports_url(self) -> str:
        """The URL of the repository that nodes push their reports to."""
        return f"http://{self.wiring.address}:{git_server.PORT}/{git_server.REPORTS}.git"

    @property
    def fleet(self) -> Fleet:
        """The engineer's clone of the fleet repository, once `found_fleet` has made it."""
        return Fleet(self.directory / "fleet", self.git_url)

    def found_fleet(
        self, source: Path | None = None, *, speakers: Mapping[tuple[str, str], str] | None = None
    ) -> Fleet:
        """Make the signed fleet repository: of a folder, or a small one whose site `lab` has this lab's nodes.

        `speakers`, (site, node) to a node's name here, get a report key that the fleet knows before anything is
        deployed: who is not known then is no evidence later.
        """
        if source is not None:
            founded = fleet.found(
                self.fleet.home,
                self.git_url,
                repository=fleet.repository_of(source),
                fleet_file=fleet.with_reports((source / "fleet.yaml").read_text(), self.reports_url),
            )
            self._learn_keys(speakers or {})
            founded.import_directory(source, self.registry.publish, reports=self.reports_url)
            return founded
        manifest = fleet.with_reports(fleet.fleet_manifest(fleet.REPOSITORY), self.reports_url)
        founded = fleet.found(self.fleet.home, self.git_url, fleet_file=manifest)
        self._learn_keys(speakers or {})
        pairs = [(node.name, node.address) for node in self.nodes.values()]
        founded.commit(
            "inventory: the lab's nodes",
            key="inventory",
            files={f"sites/{SITE}.yaml": fleet.site_manifest(SITE, pairs)},
        )
        founded.push()
        return founded

    def enrol(
        self,
        name: str,
        *,
        site: str = SITE,
        node: str | None = None,
        poll: str = "2s",
        reports: bool | Collection[str] = False,
    ) -> None:
        """Write node.yaml and policy.yaml: node `name` is `node` (default: the same name) of `site`. With `reports` it
        makes and reads reports: through Git, or in the ways that are named, `git` and `directory` (all share it).
        """
        ways = {"git"} if reports is True else set(reports or ())
        told = {"git": self.reports_url} if "git" in ways else {}
        if "directory" in ways:
            told["directory"] = str(_made(self.directory / "reports"))
        seat = enrolment.Seat(site, node or name, self.git_url, self.fleet.pin(), poll, told)
        enrolment.write(self.nodes[name], seat, (self.registry.name, self.registry.address))

    def _learn_keys(self, speakers: Mapping[tuple[str, str], str]) -> None:
        """Commit the report keys of nodes as security would."""
        keys = {seat: enrolment.report_key(self.nodes[name]) for seat, name in speakers.items()}
        files = {
            f"trust/nodes/{site}.yaml": enrolment.keys_manifest(
                site, {node: line for (place, node), line in keys.items() if place == site}
            )
            for site in sorted({site for site, _ in keys})
        }
        if files:
            self.fleet.commit("security: the keys of the lab's nodes", key="security", files=files)
            self.fleet.push()

    def down(self) -> None:
        """End it and leave nothing behind."""
        end(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.down()


def end(directory: Path = DIRECTORY) -> bool:
    """Remove a lab, whole or broken; False where there was none. DeniedError: the directory is no lab's."""
    place = directory.resolve()
    try:
        with _locked(place):
            _require_ours(place)
            _clean(place)
            place.rmdir()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DeniedError(
            "lab", f"remove {place}", f"the lab is gone; files that it did not make stay: {error}"
        ) from error
    return True


def _me() -> list[int]:
    """Pid and start time of this process, for a record."""
    me = processes.find(os.getpid())
    return [me.pid, me.started] if me else []


def _end_orphans() -> None:
    """Remove temporary labs whose starter is dead, such as those of a test run that was killed.

    One that cannot be removed now stays for the next start: a new lab needs nothing of it.
    """
    for place in DIRECTORY.parent.glob(f"{_TEMPORARY}*"):
        starter = (_read_record(place) or {}).get("lives_with")
        if starter and not processes.Process(*starter).is_alive():
            with contextlib.suppress(UnavailableError, DeniedError):
                end(place)


def _clean(place: Path) -> None:
    """End and remove all that belongs to the lab of this directory, and what is in it, the record last."""
    processes.end_marked(str(place))
    network.remove(place)
    for home in (place / "n").glob("*"):
        cgroups.sweep(home / "root")
    mounts.detach(place)
    for folder in ("n", "registry", "git", "fleet", "reports"):
        until(lambda folder=folder: _is_removed(place / folder), f"removal of {place / folder}")  # type: ignore[misc]
    for file in (f"{_RECORD}.new", _RECORD):
        (place / file).unlink(missing_ok=True)


def _is_removed(folder: Path) -> bool:
    """Remove a folder; False where something still wrote into it, such as a git that outlives its killed starter."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return not folder.exists()
    except OSError:
        return False
    return True


def _made(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=DIRECTORY.parent))
    if str(directory.resolve()).startswith(tuple(f"{folder}/" for folder in _HIDDEN_INSIDE)):
        raise InvalidConfigError(f"a node cannot see {directory}; choose a lab directory under /var/tmp")
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


def _nodes(place: Path, wiring: Wiring, names: Sequence[str]) -> dict[str, VirtualNode]:
    return {
        name: VirtualNode(name, number, place / "n" / name, wiring, str(place))
        for number, name in enumerate(names, start=1)
    }


def _require_machine() -> None:
    if os.geteuid() != 0:
        raise InvalidConfigError("a lab makes namespaces and links, which needs root: run it with sudo")
    missing = missing_programs()
    if missing:
        words = f"this machine lacks {', '.join(missing)}; on Debian run packaging/install-debian.sh"
        raise InvalidConfigError(words)


def _require_names(names: Sequence[str]) -> None:
    if not 1 <= len(names) <= network.MOST_NODES:
        raise InvalidConfigError(f"a lab has 1 to {network.MOST_NODES} nodes, not {len(names)}")
    if len(set(names)) != len(names):
        raise InvalidConfigError("two nodes have one name")
    for name in names:
        if not name or len(name) > 40 or not name.replace("-", "").replace(".", "").isalnum() or name[0] in "-.":  # noqa: PLR2004 - a path stays short
            raise InvalidConfigError(f"a node cannot be called {name!r}: letters, digits, - and ., at most 40")


def _require_free(place: Path) -> None:
    _require_ours(place)
    record = _read_record(place)
    if record is not None and record.get("state") == "up" and any(processes.marked(str(place))):
        raise DeniedError("lab", f"start in {place}", f"a lab runs there: edgegitops lab down --dir {place}")


def _require_ours(place: Path) -> None:
    """A directory is ours where it holds a lab's record, or nothing but the beginning of one."""
    names = {entry.name for entry in place.iterdir()}
    if names - {f"{_RECORD}.new"} and _RECORD not in names:
        raise DeniedError("lab", f"use {place}", "it has files in it that no lab made; choose another --dir")


def _write_record(place: Path, record: Mapping[str, object]) -> None:
    fresh = place / f"{_RECORD}.new"
    fresh.write_text(json.dumps(record, indent=2) + "\n")
    fresh.replace(place / _RECORD)


def _read_record(place: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((place / _RECORD).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) else None


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold the directory's lock; FileNotFoundError where it is gone, DeniedError where another holds it for long."""
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:

        def is_mine() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            until(is_mine, f"lock of {place}", seconds=60)
        except UnavailableError as error:
            raise DeniedError("lab", f"use {place}", "another command starts or ends this lab") from error
        if os.fstat(handle).st_nlink == 0:
            raise FileNotFoundError(place)
        yield
    finally:
        os.close(handle)
