"""A notice goes to a program of the node: the body on its standard input, 0 says that it was taken.

Only what the node offers in `FOLDER` is run, as `offered_program` says, with EDGEGITOPS_NOTICE in its environment.
"""

from collections.abc import Sequence
from typing import Final

from edgegitops.adapters.offered_program import problem_of, run_offered
from edgegitops.errors import UnavailableError

TIMEOUT: Final = 30.0
FOLDER: Final = "/etc/edgegitops/hooks"


def hand_to_program(
    argv: Sequence[str], notice_id: str, body: bytes, *, folder: str = FOLDER, timeout: float = TIMEOUT
) -> None:
    """Run it once, for at most `timeout` seconds. UnavailableError: it did not take the notice."""
    ended = run_offered(argv, folder, timeout=timeout, body=body, says={"EDGEGITOPS_NOTICE": notice_id})
    if ended.code != 0:
        raise UnavailableError("hook", "run", ended.problem or f"{argv[0]} ended with {ended.code}")


def hook_problem(argv: Sequence[str]) -> str:
    """Why notices cannot be handed to a program; empty where they can."""
    return problem_of(argv[0], FOLDER)
