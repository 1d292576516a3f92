"""Law: the lab ends only what it started. A process is ours where its environment carries the lab's mark, and the same
one as before where its pid and its start time (clock ticks since boot) are the recorded ones.

The mark is set before the first instruction of a program, so that a lab whose starter was killed at any instant can
still be found and ended whole. Signals go through pidfds: a pid that was given away in between is never hit.
"""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgegitops.errors import UnavailableError
from edgegitops.lab.commands import until

MARK = "EDGEGITOPS_LAB_OWNER"
_WRAPPERS = ("nsenter", "unshare")
_UNREAPED: set[int] = set()


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine: its pid here, and its start time in clock ticks since boot."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        reap()
        return _started(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing where it has ended."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if _started(self.pid) == self.started:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)

    def end(self, *, patience: float = 0) -> None:
        """Make it end: SIGTERM and `patience` seconds where there is any, then SIGKILL. Waits for the end."""
        if patience > 0:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(UnavailableError):
                until(lambda: not self.is_alive(), f"end of process {self.pid}", seconds=patience)
                return
        self.signal(signal.SIGKILL)
        until(lambda: not self.is_alive(), f"end of process {self.pid}")

    def write(self, file: Path) -> None:
        """Record it in a file."""
        file.write_text(f"{self.pid} {self.started}\n")


def reap() -> None:
    """Collect what this process started and has ended, and nothing else, so that no zombie stays."""
    for pid in list(_UNREAPED):
        try:
            is_over = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            is_over = True
        if is_over:
            _UNREAPED.discard(pid)


def read(file: Path) -> Process | None:
    """The process recorded in a file, if it is still alive."""
    try:
        pid, started = map(int, file.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    process = Process(pid, started)
    return process if process.is_alive() else None


def find(pid: int) -> Process | None:
    """The process that has this pid now."""
    started = _started(pid)
    return None if started is None else Process(pid, started)


def start(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> Process:
    """Start a program in its own session, both streams appended to `log`; it outlives its starter."""
    if MARK not in env:
        raise ValueError(f"a process without {MARK} would never be found again")
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        argv[0],
        list(argv),
        dict(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o640),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP),
    )
    _UNREAPED.add(pid)
    process = find(pid)
    if process is None:
        raise UnavailableError("lab", argv[0], f"ended at once; see {log}")
    return process


def child(parent: Process, log: Path, *, seconds: float = 30) -> Process:
    """The first child of a process, waited for. UnavailableError where the parent ends without one."""

    def is_there() -> bool:
        if not parent.is_alive():
            raise UnavailableError("lab", "start", f"ended at once; see {log}")
        return bool(_children(parent.pid))

    until(is_there, "start of a process", seconds=seconds)
    found = find(_children(parent.pid)[0])
    if found is None:
        raise UnavailableError("lab", "start", f"ended at once; see {log}")
    return found


def command(process: Process) -> str:
    """The kernel's name of the program that it runs; empty where it has ended."""
    try:
        return Path(f"/proc/{process.pid}/comm").read_text().strip()
    except OSError:
        return ""


def marked(owner: str) -> Iterator[Process]:
    """Every live process whose environment carries this lab's mark, except the caller."""
    wanted = f"{MARK}={owner}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        process = find(int(entry.name))
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0") and process is not None:
                yield process


def end_marked(owner: str) -> int:
    """End every process of a lab by SIGKILL; how many there were. Looks again until a look finds none.

    nsenter and unshare come last: while they live they reap what ran inside, and the kernel ends a pid namespace only
    when all of it is reaped.
    """
    ended: set[Process] = set()

    def is_over() -> bool:
        alive = list(marked(owner))
        inner = [process for process in alive if command(process) not in _WRAPPERS]
        for process in inner or alive:
            process.signal(signal.SIGKILL)
        ended.update(alive)
        return not alive

    until(is_over, "end of the lab's processes", seconds=20)
    until(lambda: not any(process.is_alive() for process in ended), "end of the lab's processes", seconds=20)
    reap()
    return len(ended)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _started(pid: int) -> int | None:
    """Start time of a live process; None for a zombie or none. proc(5): after the last `)` come fields 3, 4 ..."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
