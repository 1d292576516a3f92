"""Law: whatever the fetch child (repository_fetch) does, the asker goes on within the wall time, and it is gone.

The child runs in a process group of its own with nothing of our environment that it does not need. Its request is one
line of JSON on its standard input, which stays open: the end of that pipe ends the child. Its answer is one line.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

CHILD: Final = "edgegitops.adapters.repository_fetch"
ANSWER_LIMIT: Final = 1024 * 1024
_PASSED_ON: Final = ("PATH", "HOME", "SSH_AUTH_SOCK")


class NoAnswerError(Exception):
    """The child gave no answer; the words say how it ended."""


def ask_child(request: Mapping[str, Any], wall_for: timedelta) -> dict[str, str]:
    """Run the fetch child; its answer. Its process group is gone when this returns, whatever happened."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
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
            line = _converse(child, json.dumps(request).encode() + b"\n", wall_for)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    try:
        said = json.loads(line)
    except ValueError as error:
        raise NoAnswerError(f"the fetch child ended without an answer ({_ended(child.returncode)})") from error
    return {str(key): str(value) for key, value in said.items()}


def _converse(child: "subprocess.Popen[bytes]", request: bytes, wall_for: timedelta) -> bytes:
    """Write the request and read one line."""
    if child.stdin is None or child.stdout is None:
        raise NoAnswerError("the fetch child has no pipes")
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(request)
        child.stdin.flush()
    return _line(child.stdout.fileno(), wall_for)


def _line(descriptor: int, wall_for: timedelta) -> bytes:
    """One line from the child within the wall time; what came so far where the child ended."""
    ends_at = time.monotonic() + wall_for.total_seconds()
    line = b""
    while not line.endswith(b"\n"):
        left = ends_at - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise NoAnswerError(f"no end after {wall_for.total_seconds():.0f} s: given up (a hung or endless server?)")
        chunk = os.read(descriptor, ANSWER_LIMIT)
        if not chunk:
            break
        line += chunk
        if len(line) > ANSWER_LIMIT:
            raise NoAnswerError("the fetch child said too much")
    return line


def _ended(code: int) -> str:
    """A return code in words."""
    if code == -signal.SIGALRM:
        return "the wall time was over: a hung or endless server?"
    if code == -signal.SIGXCPU:
        return "the CPU time was over"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
