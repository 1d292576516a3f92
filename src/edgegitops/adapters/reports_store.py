"""The node's own store of what was reported: a union over all transports, by the digest of the bytes.

`<folder>/<site>/<node>/<sha256>`; the newest of each node are kept. What a transport does not show any more stays here:
bad news is not forgotten because somebody took it away. UnavailableError: the store cannot be written.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from edgegitops.errors import UnavailableError

KEPT = 64
"""Reports of one node."""


class ReportsStore:
    """The store below `path`, made with the first report."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, reports: Mapping[str, bytes]) -> None:
        """Add one report of each of these nodes (`<site>/<node>`)."""
        try:
            for name, data in reports.items():
                self._keep(self._path / name, data)
        except OSError as error:
            raise UnavailableError("reports", "keep", f"{self._path}: {error.strerror or error}") from error

    def _keep(self, folder: Path, data: bytes) -> None:
        target = folder / hashlib.sha256(data).hexdigest()
        if _read(target) == data:  # after a power cut it may be there and be empty
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = target.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.replace(target)
        known = sorted((one for one in folder.iterdir() if not one.suffix), key=lambda one: one.stat().st_mtime_ns)
        for old in known[:-KEPT]:
            old.unlink(missing_ok=True)

    def stored(self) -> dict[str, tuple[bytes, ...]]:
        """All stored reports by node; what cannot be read is not stored."""
        found: dict[str, tuple[bytes, ...]] = {}
        for folder in [one for site in _entries(self._path) for one in _entries(site)]:
            files = (_read(one) for one in _entries(folder) if not one.suffix)
            found[f"{folder.parent.name}/{folder.name}"] = tuple(one for one in files if one)
        return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _read(file: Path) -> bytes:
    """Its bytes; nothing where another thread has just removed it, or the disk does not give it."""
    try:
        return file.read_bytes()
    except OSError:
        return b""
