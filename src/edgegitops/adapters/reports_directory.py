"""Reports in a shared folder (a mount, a stick): `<folder>/<site>/<node>.report`, replaced as a whole.

The folder is nobody's to trust: what lies there is read up to a limit, links are not followed, and whether it is
believed is decided elsewhere. UnavailableError: the folder is not there, or cannot be written.
"""

import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from edgegitops.errors import UnavailableError

SIZE_MOST = 256 * 1024


class ReportsDirectory:
    """The reports of a fleet below `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, name: str, data: bytes) -> None:
        """Put a node's report in place of its last one."""
        target = self._place(name)
        try:
            if not self._path.is_dir():
                raise FileNotFoundError(self._path)
            target.parent.mkdir(exist_ok=True)
            handle, fresh = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            with open(handle, "wb") as file:  # noqa: PTH123 - a handle, not a path
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(fresh).chmod(0o644)
            Path(fresh).replace(target)
        except OSError as error:
            raise UnavailableError("reports", "publish", f"{target}: {error.strerror or error}") from error

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The report of each of these nodes that has one."""
        if not self._path.is_dir():
            raise UnavailableError("reports", "collect", f"there is no folder {self._path}; is it mounted?")
        found = {name: _read(self._place(name)) for name in names}
        return {name: data for name, data in found.items() if data}

    def _place(self, name: str) -> Path:
        site, _, node = name.partition("/")
        return self._path / site / f"{node}.report"


def _read(path: Path) -> bytes:
    """The file's bytes; nothing where it is no plain file, too large or cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    with open(handle, "rb") as file:  # noqa: PTH123 - a handle, not a path
        data = file.read(SIZE_MOST + 1)
    return data if len(data) <= SIZE_MOST else b""
