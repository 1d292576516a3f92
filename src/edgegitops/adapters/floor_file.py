"""The second copy of the anti-rollback floor: a small JSON file that outlives a deleted or damaged journal.

It is replaced as a whole (written beside, fsynced, renamed, directory fsynced), so that a power cut leaves the old
floor or the new one. A copy that is missing, cut short or changed is no floor: the file carries a digest of itself.
"""

import json
import os
from pathlib import Path

from edgegitops.core.model.canonical import canonical_json, digest
from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.trust import Floor
from edgegitops.errors import UnavailableError


class FloorFile:
    """`ports.FloorCopy` in the file `path`. One process writes it."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def read(self) -> Floor | None:
        """The stored floor; None where there is none or it is unreadable."""
        try:
            tree = json.loads(self._path.read_bytes())
            if tree["sha256"] != digest(tree["floor"]):
                return None
            return from_tree(Floor, tree["floor"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def write(self, floor: Floor) -> None:
        """Store it durably; UnavailableError where the disk does not take it, and the old one stays."""
        tree = to_tree(floor)
        try:
            _replace(self._path, canonical_json({"floor": tree, "sha256": digest(tree)}) + b"\n")
        except OSError as error:
            raise UnavailableError(
                "floor", "write", f"{self._path}: {error.strerror}; check the disk's space and mount options"
            ) from error


def _replace(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
