"""A person's signed tags, with the git that the person has, as it is set up: keys and agents are git's business.

A passphrase is asked for by the program that needs it, on the terminal. DeniedError: git is missing or ended badly, in
its own words. What a tag says, and whether it is believed, is decided elsewhere.
"""

import subprocess
from pathlib import Path

from edgegitops.errors import DeniedError

_PORT = "git"


class Tags:
    """The tags of the clone at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sign(self, name: str, target: str, message: str) -> None:
        """Make an annotated tag with this exact message, signed as the person's settings say."""
        self._git("tag", "-s", "--cleanup=verbatim", "-F", "-", name, target, said=message)

    def remove(self, name: str) -> None:
        """Remove a tag of this clone."""
        self._git("tag", "-d", name)

    def push(self, remote: str, name: str) -> None:
        """Push one tag. Git refuses where the remote has another tag of that name."""
        self._git("push", remote, f"refs/tags/{name}")

    def fetch(self, remote: str, prefix: str) -> None:
        """Fetch the tags below a prefix; one that is here stays as it is, and the call fails where it would move."""
        self._git("fetch", "--no-tags", remote, f"refs/tags/{prefix}*:refs/tags/{prefix}*")

    def _git(self, *arguments: str, said: str = "") -> None:
        argv = ["git", "-C", str(self._path), *arguments]
        try:
            done = subprocess.run(argv, input=said.encode(), capture_output=True, check=False)  # noqa: S603 - no shell
        except OSError as error:
            raise DeniedError(_PORT, "run git", f"{error.strerror}; install it (Debian: git)") from error
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
            raise DeniedError(_PORT, " ".join(arguments[:3]), words)
