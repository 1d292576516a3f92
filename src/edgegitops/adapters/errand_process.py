"""Law: what may hang, eat memory or fill the disk is an errand: a child with limits, one line in, one line out.

Parent side, `ask`: start the module, hand it the request on its standard input (secrets too: argv and environment are
seen by others), and wait for its answer no longer than agreed. The child's process group is killed when `ask` returns,
whatever happened. A child that the kernel cannot end yet, such as one that waits for a share which is gone, is left
behind: it holds nothing of ours, and ends when the kernel lets it.
Child side: `receive` takes the request, and from then on the end of standard input, which is the parent's death, kills
at once. `confine` sets the limits before a byte from outside is read. `reply` is the last that it does.
"""

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

OPEN_FILES: Final = 256
GRACE: Final = timedelta(seconds=2)  # for a child that has an alarm of its own and says so
_AT_ONCE: Final = 1024 * 1024
_left_behind: "list[subprocess.Popen[bytes]]" = []


class ErrandError(Exception):
    """The errand ended without an answer; the words say why."""


def ask(module: str, request: Mapping[str, Any], *, wall_for: timedelta, longest: int) -> dict[str, Any]:
    """Run `python -m module` with the request; its answer, of at most `longest` bytes. ErrandError: it gave none."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
    child = subprocess.Popen(  # noqa: S603 - our own module, an argument list
        [sys.executable, "-I", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    try:
        line = _converse(child, json.dumps(request).encode() + b"\n", wall_for + GRACE, longest)
    finally:
        _end(child)
    try:
        said = json.loads(line)
    except ValueError as error:
        raise ErrandError(f"the child ended without an answer ({_ended(child.returncode)})") from error
    return dict(said)


def _converse(child: "subprocess.Popen[bytes]", request: bytes, wall_for: timedelta, longest: int) -> bytes:
    """Write the request and read one line. The pipe stays open: its end would kill the child."""
    if child.stdin is None or child.stdout is None:
        raise ErrandError("the child has no pipes")
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(request)
        child.stdin.flush()
    ends_at = time.monotonic() + wall_for.total_seconds()
    line = bytearray()
    while not line.endswith(b"\n"):
        left = ends_at - time.monotonic()
        if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
            raise ErrandError(f"no end after {wall_for.total_seconds():.0f} s: given up (a hung or endless server?)")
        chunk = os.read(child.stdout.fileno(), _AT_ONCE)
        if not chunk:
            break
        line += chunk
        if len(line) > longest:
            raise ErrandError("the child said too much")
    return bytes(line)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Kill it with all that it started, and wait a moment for the kernel; then go on without it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        child.wait(GRACE.total_seconds())
    except subprocess.TimeoutExpired:
        _left_behind.append(child)
    _left_behind[:] = [one for one in _left_behind if one.poll() is None]


def _ended(code: int | None) -> str:
    """A return code in words."""
    if code is None:
        return "the kernel cannot end it yet"
    if code == -signal.SIGALRM:
        return "the wall time was over: a hung or endless server?"
    if code == -signal.SIGXCPU:
        return "the CPU time was over"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


# --- the child --------------------------------------------------------------------------------------------------------


def receive() -> dict[str, Any]:
    """The request: one line on stdin. From then on the end of stdin kills this process."""
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = os.read(0, _AT_ONCE)
        if not chunk:
            raise SystemExit(1)
        line += chunk
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp() if os.getpgrp() == os.getpid() else os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if os.read(0, 1) == b"":
            raise SystemExit(1)
    return dict(json.loads(line))


def confine(limits: Mapping[str, Any]) -> None:
    """Set the limits of this process; `memory` and `bytes` in bytes, `cpu` and `wall` in seconds."""
    for kind, amount in (
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["bytes"] + limits["bytes"] // 8 + 4096),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(kind)
        least = amount if most == resource.RLIM_INFINITY else min(amount, most)
        resource.setrlimit(kind, (least, least))
    signal.setitimer(signal.ITIMER_REAL, limits["wall"])


def serve(answer: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """A child's whole life: the request, its limits, the answer."""
    request = receive()
    confine(request["limits"])
    reply(answer(request))


def reply(answer: Mapping[str, Any]) -> None:
    """Say the answer and end this process."""
    data = json.dumps(answer).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]
    os._exit(0)
