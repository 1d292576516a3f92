"""An interlock that runs a program of the node: 0 agrees, 1 does not, anything else is no answer.

Which programs there are is the node's own matter, not Git's: only what stands in `FOLDER`, under a plain name, is run.
It runs without a shell, with a bare environment and no input, in a process group of its own that is ended whole when
the time is over, so that nothing of it stays behind.
"""

import os
import signal
import subprocess
from contextlib import suppress
from typing import Final

from edgegitops.core.model.plant import Answer, Interlock

TIMEOUT: Final = 2.0
FOLDER: Final = "/etc/edgegitops/interlocks"
_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def ask_program(interlock: Interlock, *, timeout: float = TIMEOUT, folder: str = FOLDER) -> Answer:
    """Run `interlock.exec` once, for at most `timeout` seconds."""
    name = interlock.exec[0]
    if os.path.dirname(name) != folder:  # noqa: PTH120 - the text decides, not what it may be linked to
        return Answer(None, detail=f"{name} is not in {folder}")
    try:
        child = subprocess.Popen(  # noqa: S603 - no shell; the program is named by a signed manifest
            interlock.exec,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Answer(None, detail=f"{name}: {error.strerror}")
    try:
        code = child.wait(timeout)
    except subprocess.TimeoutExpired:
        code = None
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if code is None:
        return Answer(None, detail=f"{name} did not end within {timeout:g} s")
    return Answer({0: True, 1: False}.get(code), detail=f"{name} ended with {code}")


__all__ = ["ask_program"]
