"""A lock that the kernel frees when its owner dies: flock(2) on a small file that names the owner.

The file is never removed: between removing and making it anew two owners could each hold "the" lock. A file that a
dead process left is no obstacle, and its number is no owner. The descriptor is closed on exec: children never hold it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from edgegitops.errors import DeniedError, UnavailableError


class FlockLock:
    """`ports.Lock` in the file `path`. Two takers exclude each other within one process, too."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Hold it while inside. DeniedError names the process that holds it; UnavailableError: no such place."""
        file = self._open()
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DeniedError("lock", "take", f"{self._path} is held by {_owner(file)}") from None
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(file)

    def is_taken(self) -> bool:
        """Somebody holds it now."""
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise UnavailableError("lock", "take", f"{self._path}: {error.strerror}") from error


def _owner(file: int) -> str:
    """The owner as the file names it: `process 4711 (edgegitops agent run)`."""
    number = os.pread(file, 20, 0).decode("ascii", "replace").strip()
    if not number.isdigit():
        return "another process"
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        shown = "".join(one for one in " ".join(words.split()) if one.isprintable())
        if shown:
            return f"process {number} ({shown[:120]})"
    return f"process {number}"
