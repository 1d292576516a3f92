"""Law: a container that Podman calls running is lost where neither its process nor its monitor (conmon) is there.

1. Podman learns of an end from the monitor alone. Where both were killed it says "running" for ever, and start, stop,
   sync and restart do not repair that; only removing and creating again does.
2. Never lost by mistake: while the monitor lives, the end is still being written down; and the monitor writes before
   it leaves, so a look after its leaving is the last word.
3. A number that another process has taken over is told apart by its cgroup, or the monitor's command line; never by
   start times, because clocks are set.
4. Nothing is said where the engine's processes cannot be seen from here (another pid namespace).
"""

import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import unpack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgegitops.core.model.spec import Ulimit


class ProcessTable:
    """The processes of the engine's pid namespace, by its /proc."""

    def __init__(self, path: str = "/proc") -> None:
        self._path = Path(path)

    def folder(self, pid: int) -> str:
        """Where the process has its folder."""
        return str(self._path / str(pid))

    def is_running(self, pid: int, container: str) -> bool:
        """Whether `pid` is a process of the container (id)."""
        try:
            return container in (self._path / str(pid) / "cgroup").read_text()
        except OSError:
            return False

    def is_watched(self, monitor: int, container: str) -> bool:
        """Whether `monitor` is the conmon of the container (id)."""
        try:
            return container.encode() in (self._path / str(monitor) / "cmdline").read_bytes()
        except OSError:
            return False

    def is_lost(self, container: str, inspect: Callable[[str], Mapping[str, Any] | None]) -> bool:
        """The slow, certain answer for a container whose process was not found: two looks around the monitor's end."""
        state = (inspect(container) or {}).get("State") or {}
        if not _has_process(state) or self.is_running(state.get("Pid") or 0, container):
            return False
        if self.is_watched(state.get("ConmonPid") or 0, container):
            return False
        again = (inspect(container) or {}).get("State") or {}
        return _has_process(again) and again.get("Pid") == state.get("Pid")


def _has_process(state: Mapping[str, Any]) -> bool:
    return str(state.get("Status", "")).lower() in {"running", "paused", "stopping"}


def is_same_machine(socket_path: str) -> bool:
    """Whether the server of a unix socket lives in our pid namespace, so that its process numbers mean something here.

    The kernel names the process that listens (unix(7), SO_PEERCRED); 0 stands for one that cannot be seen from here.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(socket_path)
            peer, _, _ = unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return peer > 0 and Path(f"/proc/{peer}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
        except OSError:
            return False


def kill_stray(pid: int, container: str) -> bool:
    """Kill a process left behind in a container, if that is what `pid` is in our own namespace."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not ProcessTable().is_running(pid, container):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)


def own_limits() -> "dict[str, Ulimit]":
    """Our own hard limits, which the engine beside us can give away without privilege."""
    from edgegitops.core.model.spec import Ulimit  # the resident, which never asks this, spares the import

    names = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    hard = {name: resource.getrlimit(which)[1] for name, which in names.items()}
    bounded = {name: min(value, 2**20) if value >= 0 else 2**20 for name, value in hard.items()}
    return {name: Ulimit(soft=value, hard=value) for name, value in bounded.items()}
