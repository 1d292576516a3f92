"""Reports in a shared folder that may hang: whatever touches it is a child, which is given up after a while.

A share whose server is gone blocks whoever reads or writes it, in the kernel, for as long as it likes, and not even a
kill helps: so no thread of ours goes there. What is done in the folder is reports_directory's.

UnavailableError: the folder is not there, cannot be written, or does not answer.
"""

import base64
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from edgegitops.adapters.errand_process import ErrandError, ask
from edgegitops.errors import UnavailableError

CHILD: Final = "edgegitops.adapters.reports_directory"
WALL_FOR: Final = timedelta(seconds=20)
LONGEST: Final = 64 * 1024 * 1024
LIMITS: Final = {"memory": 512 * 1024 * 1024, "bytes": 1024 * 1024, "cpu": 20, "wall": WALL_FOR.total_seconds()}


class ReportsShare:
    """The reports of a fleet below `path`, a mount."""

    def __init__(self, path: Path, *, wall_for: timedelta = WALL_FOR) -> None:
        self._path = path
        self._wall_for = wall_for

    def publish(self, name: str, data: bytes) -> None:
        """Put a node's report in place of its last one."""
        self._ask({"errand": "publish", "name": name, "report": base64.b64encode(data).decode()})

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The report of each of these nodes that has one."""
        found = self._ask({"errand": "collect", "names": sorted(names)})["found"]
        return {str(name): base64.b64decode(text) for name, text in found.items()}

    def _ask(self, errand: Mapping[str, Any]) -> dict[str, Any]:
        limits = {**LIMITS, "wall": self._wall_for.total_seconds()}
        request = {**errand, "path": str(self._path), "limits": limits}
        try:
            said = ask(CHILD, request, wall_for=self._wall_for, longest=LONGEST)
        except ErrandError as error:
            raise UnavailableError("reports", str(errand["errand"]), f"{self._path}: {error}") from error
        if "message" in said:
            raise UnavailableError("reports", str(errand["errand"]), str(said["message"]))
        return said
