"""A notice goes to a program of the node: the body on its standard input, 0 says that it was taken.

Only what stands in `FOLDER`, under a plain name, is run: no shell, a bare environment with EDGEGITOPS_NOTICE, a process
group of its own that is ended whole when the time is over.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from edgegitops.errors import UnavailableError

TIMEOUT: Final = 30.0
FOLDER: Final = "/etc/edgegitops/hooks"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def hand_to_program(
    argv: Sequence[str], notice_id: str, body: bytes, *, folder: str = FOLDER, timeout: float = TIMEOUT
) -> None:
    """Run it once, for at most `timeout` seconds. UnavailableError: it did not take the notice."""
    if os.path.dirname(argv[0]) != folder:  # noqa: PTH120 - the text decides, not what it may be linked to
        raise UnavailableError("hook", "run", f"{argv[0]} is not in {folder}")
    try:
        child = subprocess.Popen(  # noqa: S603 - no shell; the program is the node's own
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": _PATH, "LANG": "C.UTF-8", "EDGEGITOPS_NOTICE": notice_id},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError("hook", "run", f"{argv[0]}: {error.strerror}") from error
    try:
        child.communicate(body, timeout)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError("hook", "run", f"{argv[0]} did not end within {timeout:g} s") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdin is not None:
            with suppress(OSError):  # what it did not read goes with it
                child.stdin.close()
    if child.returncode != 0:
        raise UnavailableError("hook", "run", f"{argv[0]} ended with {child.returncode}")
