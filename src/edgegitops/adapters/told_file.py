"""What was told, in a small file beside the journal: replaced as a whole and durably. A lost or broken one is None."""

import contextlib
import json
import os
from pathlib import Path

from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.notice import Told


class ToldFile:
    """`path` and what it holds."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self) -> Told | None:
        """What was kept last."""
        try:
            return from_tree(Told, json.loads(self._path.read_text("utf-8")))
        except (OSError, ValueError):
            return None

    def keep(self, told: Told) -> None:
        """Keep it. OSError where it cannot be written."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(to_tree(told), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        with contextlib.closing(_Folder(self._path.parent)) as folder:
            os.fsync(folder.number)


class _Folder:
    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.number)
