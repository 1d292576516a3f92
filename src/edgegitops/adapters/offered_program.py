"""Law: of a node's programs only what it offers is run, and only where nobody but its owner can have written it.

What stands under a plain name in the folder is offered. The file that it leads to and every folder on the way belong
to root, or to whom the agent runs as, and nobody else may write there (folders with the sticky bit, such as /tmp,
keep what is in them). It runs without a shell, with a bare environment, in a process group of its own that is ended
whole when the time is over, so that nothing of it stays behind.
"""

import os
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Ended:
    """Its exit code (below 0: a signal); None where it was not run, or did not end in time: `problem` says why."""

    code: int | None
    problem: str = ""


def run_offered(
    argv: Sequence[str], folder: str, *, timeout: float, body: bytes = b"", says: Mapping[str, str] | None = None
) -> Ended:
    """Run it once, for at most `timeout` seconds, with `body` on its standard input and `says` in its environment."""
    problem = problem_of(argv[0], folder)
    if problem:
        return Ended(None, problem)
    try:
        child = subprocess.Popen(  # noqa: S603 - no shell; the program is the node's own
            list(argv),
            stdin=subprocess.PIPE if body else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**_ENVIRONMENT, **(says or {})},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Ended(None, f"{argv[0]}: {error.strerror}")
    try:
        child.communicate(body or None, timeout)
    except subprocess.TimeoutExpired:
        return Ended(None, f"{argv[0]} did not end within {timeout:g} s")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdin is not None:
            with suppress(OSError):  # what it did not read goes with it
                child.stdin.close()
    return Ended(child.returncode)


def problem_of(name: str, folder: str) -> str:
    """Why a program is not run; empty where it may be."""
    if os.path.dirname(name) != folder:  # noqa: PTH120 - the text decides, not what it may be linked to
        return f"{name} is not in {folder}"
    try:
        file = Path(name).resolve(strict=True)
        written = [_written_by_others(one) for one in (Path(name).parent.resolve(), file, *file.parents)]
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        return f"{name}: {getattr(error, 'strerror', None) or error}"
    return next((f"{name} is not run: {words}" for words in written if words), "")


def _written_by_others(place: Path) -> str:
    about = place.stat()
    if about.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to user {about.st_uid}, not to root"
    is_kept = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not is_kept:
        return f"others than its owner may write to {place} (mode {stat.S_IMODE(about.st_mode):o})"
    return ""
