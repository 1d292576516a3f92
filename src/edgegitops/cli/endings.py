"""Law: how a call that met an error of ours ends: `reason-code: sentence` on stderr, and the exit code of its class."""

import sys
from typing import Final, NoReturn

from edgegitops.errors import EdgegitopsError

INTERRUPTED: Final = 130


def reason_of(error: EdgegitopsError) -> str:
    """The code that stands before an error's sentence: its own reason, else its class in kebab case."""
    own = getattr(error, "reason", "")
    if own:
        return str(own)
    words = type(error).__name__.removesuffix("Error")
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in words).lstrip("-")


def end(error: EdgegitopsError) -> NoReturn:
    """Say it, and end the process."""
    sys.stderr.write(f"{reason_of(error)}: {error}\n")
    sys.stderr.flush()
    sys.exit(error.exit_code)
