"""An interlock that runs a program of the node: 0 agrees, 1 does not, anything else is no answer.

Which programs there are is the node's own matter, not Git's: only what the node offers in `FOLDER` is run, as
`offered_program` says, without any input.
"""

from typing import Final

from edgegitops.adapters.offered_program import run_offered
from edgegitops.core.model.plant import Answer, Interlock

TIMEOUT: Final = 2.0
FOLDER: Final = "/etc/edgegitops/interlocks"


def ask_program(interlock: Interlock, *, timeout: float = TIMEOUT, folder: str = FOLDER) -> Answer:
    """Run `interlock.exec` once, for at most `timeout` seconds."""
    ended = run_offered(interlock.exec, folder, timeout=timeout)
    if ended.code is None:
        return Answer(None, detail=ended.problem)
    return Answer({0: True, 1: False}.get(ended.code), detail=f"{interlock.exec[0]} ended with {ended.code}")


__all__ = ["ask_program"]
