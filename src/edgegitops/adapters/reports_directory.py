"""Reports in a shared folder (a mount, a stick): `<folder>/<site>/<node>.report`, replaced as a whole.

The folder is nobody's to trust: what lies there is read up to a limit, only plain files are, links are not followed,
neither in the name nor in the site's folder, and whether it is believed is decided elsewhere. What cannot be read is
not there. UnavailableError: the folder is not there, or cannot be written.

Run as `python -m edgegitops.adapters.reports_directory` it is the child of reports_share, for one errand.
"""

import base64
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgegitops.adapters.errand_process import confine, receive, reply
from edgegitops.errors import UnavailableError

SIZE_MOST = 256 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ReportsDirectory:
    """The reports of a fleet below `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, name: str, data: bytes) -> None:
        """Put a node's report in place of its last one."""
        site, file = _place(name)
        try:
            if not self._path.is_dir():
                raise FileNotFoundError(2, "there is no such folder; is it mounted?")
            (self._path / site).mkdir(exist_ok=True)
            with _opened(self._path / site) as folder:
                _replace(folder, file, data)
        except OSError as error:
            words = f"{self._path / site / file}: {error.strerror or error}"
            raise UnavailableError("reports", "publish", words) from error

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The report of each of these nodes that has one."""
        try:
            self._path.stat()
        except OSError as error:
            words = f"{self._path}: {error.strerror or error}; is it mounted?"
            raise UnavailableError("reports", "collect", words) from error
        found = {name: self._read(*_place(name)) for name in names}
        return {name: data for name, data in found.items() if data}

    def _read(self, site: str, file: str) -> bytes:
        """The file's bytes; nothing where it is no plain file, too large or cannot be read."""
        try:
            with _opened(self._path / site) as folder:
                handle = os.open(file, _READ, dir_fd=folder)
                try:
                    data = _bytes_of(handle)
                finally:
                    os.close(handle)
        except OSError:
            return b""
        return data if len(data) <= SIZE_MOST else b""


def _place(name: str) -> tuple[str, str]:
    site, _, node = name.partition("/")
    return site, f"{node}.report"


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, _FOLDER)
    try:
        yield handle
    finally:
        os.close(handle)


def _bytes_of(handle: int) -> bytes:
    """At most one byte more than a report may have; nothing of a pipe, a device or a folder."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        return b""
    data = b""
    while len(data) <= SIZE_MOST and (piece := os.read(handle, SIZE_MOST + 1 - len(data))):
        data += piece
    return data


def _replace(folder: int, file: str, data: bytes) -> None:
    """Written beside under a name that only this node writes, then renamed."""
    beside = f".{file}.new"
    with suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=folder)
    handle = os.open(beside, _NEW, 0o644, dir_fd=folder)
    with open(handle, "wb") as opened:  # noqa: PTH123 - a handle, not a path
        opened.write(data)
        opened.flush()
        with suppress(OSError):  # some shares do not keep modes
            os.fchmod(handle, 0o644)
        os.fsync(handle)
    os.replace(beside, file, src_dir_fd=folder, dst_dir_fd=folder)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The whole errand, or `{"message": words}`."""
    reports = ReportsDirectory(Path(request["path"]))
    try:
        if request["errand"] == "publish":
            reports.publish(request["name"], base64.b64decode(request["report"]))
            return {}
        found = reports.collect(request["names"])
    except UnavailableError as error:
        return {"message": error.message}
    return {"found": {name: base64.b64encode(data).decode() for name, data in found.items()}}


def main() -> None:
    """Read the request, do it, answer."""
    request = receive()
    confine(request["limits"])
    reply(answer(request))


if __name__ == "__main__":
    main()
