"""Law: a worker is a child process that cannot outlive its parent; it answers in lines of JSON, the last one counts.

Each line is a handover: one whenever it changes while the worker lives, and the last when it ends well.

Parent side: start it, ask whether it lives, read its answer, stop it. Child side: `die_with_parent` arms the kernel's
parent-death signal (prctl(2)) and watches the pipe that the parent holds open, which covers a parent that died first.
`thinking_for` ends a worker whose one decision burns too much CPU, `confine` bounds what it takes of the machine: no
crafted input may hold it for ever or starve what runs beside it.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta

from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.facts import Handover
from edgegitops.errors import BrokenInvariantError

PR_SET_PDEATHSIG = 1

MEMORY_MOST = 1024**3
MEMORY_LEAST = 512 * 1024**2
OPEN_FILES = 4096


class WorkerProcess:
    """A running worker: `argv` is run with a pipe at its standard input, which it watches, and one at its output."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True
        )
        self._answer = b""
        self._told = b""
        self._reader = threading.Thread(target=self._read, name="worker-answer", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if line.endswith(b"\n"):  # one that dies while it writes has not said it
                self._answer = line

    def poll(self) -> int | None:
        """Its exit code; None while it lives. Negative: the signal that ended it."""
        code = self._process.poll()
        if code is not None:
            self._close()
        return code

    def news(self) -> Handover | None:
        """The newest handover since the last call, while it lives; None where there is none."""
        line = self._answer
        if line is self._told:
            return None
        self._told = line
        with contextlib.suppress(ValueError):
            return from_tree(Handover, json.loads(line))
        return None

    def handover(self) -> Handover:
        """What it left. BrokenInvariantError where a clean worker left no answer."""
        try:
            return from_tree(Handover, json.loads(self._answer))
        except ValueError as error:
            raise BrokenInvariantError(f"a worker ended well without an answer: {error}") from error

    def stop(self, patience: timedelta) -> None:
        """Ask it to end, wait, then end it by force."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(patience.total_seconds())
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def confine() -> None:
    """Bound this process, so that input which explodes costs a back-off and not the machine.

    Memory is what the process writes to (RLIMIT_DATA, setrlimit(2)): packs of the mirror are mapped to be read and do
    not count. It may have half of the machine's memory within bounds. Of open files only the soft limit is set:
    containers inherit the hard one.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = max(MEMORY_LEAST, min(MEMORY_MOST, machine // 2))
    for kind, amount, is_hard in ((resource.RLIMIT_DATA, memory, True), (resource.RLIMIT_NOFILE, OPEN_FILES, False)):
        _, most = resource.getrlimit(kind)
        limit = amount if most == resource.RLIM_INFINITY else min(amount, most)
        resource.setrlimit(kind, (limit, limit if is_hard else most))


def die_with_parent() -> None:
    """End this process at once when its parent ends: by the kernel's signal, or by the end of standard input."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch_pipe, name="parent-watch", daemon=True).start()


def _watch_pipe() -> None:
    while os.read(0, 4096):
        pass
    os._exit(137)


@contextlib.contextmanager
def thinking_for(most: timedelta) -> Iterator[None]:
    """The kernel ends this process (SIGPROF) where it burns more CPU time than `most` while inside. Code in C that
    holds the interpreter, such as a regular expression that explodes, is ended too.
    """
    signal.setitimer(signal.ITIMER_PROF, most.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def answer(handover: Handover) -> None:
    """Write a handover to standard output, as a line."""
    sys.stdout.write(json.dumps(to_tree(handover)) + "\n")
    sys.stdout.flush()
