"""Reports in a shared folder (a mount, a stick): `<folder>/<site>/<node>.report`, replaced as a whole.

The folder is nobody's to trust: what lies there is read up to a limit, only plain files are, links are not followed,
neither in the name nor in the site's folder, and whether it is believed is decided elsewhere. What has not the form of
a report is not there; what cannot be read, for a share fails as it likes, is shown as empty: something may be there.
UnavailableError: the folder is not there, or cannot be written.

Run as `python -m edgegitops.adapters.reports_directory` it is the child of reports_share, for one errand.
"""

import base64
import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgegitops.adapters.errand_process import serve
from edgegitops.errors import UnavailableError

SIZE_MOST = 256 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_TOP = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC  # whoever names it may name a link
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})  # nothing, a link, a socket, no folder


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
            with _opened(self._path / site, _FOLDER) as folder:
                _replace(folder, file, data)
        except OSError as error:
            words = f"{self._path / site / file}: {error.strerror or error}"
            raise UnavailableError("reports", "publish", words) from error

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The report of each of these nodes that has one; empty where nobody can tell."""
        try:
            with _opened(self._path, _TOP) as top:
                found = {name: _read(top, *_place(name)) for name in names}
        except OSError as error:
            words = f"{self._path}: {error.strerror or error}; is it mounted?"
            raise UnavailableError("reports", "collect", words) from error
        return {name: data for name, data in found.items() if data is not None}


def _read(top: int, site: str, file: str) -> bytes | None:
    """The file's bytes; None where there is no plain file of the right size, nothing where that cannot be told."""
    try:
        with _opened(site, _FOLDER, top) as folder, _opened(file, _READ, folder) as handle:
            return _bytes_of(handle)
    except OSError as error:
        return None if error.errno in _ABSENT else b""


def _place(name: str) -> tuple[str, str]:
    site, _, node = name.partition("/")
    return site, f"{node}.report"


@contextmanager
def _opened(place: Path | str, flags: int, folder: int | None = None) -> Iterator[int]:
    handle = os.open(place, flags, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


def _bytes_of(handle: int) -> bytes | None:
    """What a plain file has; None of a pipe, a device or a folder, of what is empty, or larger than a report may be."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        return None
    data = b""
    while len(data) <= SIZE_MOST and (piece := os.read(handle, SIZE_MOST + 1 - len(data))):
        data += piece
    return data if 0 < len(data) <= SIZE_MOST else None


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


if __name__ == "__main__":
    serve(answer)
