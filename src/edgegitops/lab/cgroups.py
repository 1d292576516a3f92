"""Law: a power cut leaves empty cgroups of the containers that ran; those whose ids the node's storage knows are
removed, and then the engine's own parent where nobody else uses it. A cgroup with a process in it cannot be removed.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_PARENT = "libpod_parent"


def sweep(storage: Path) -> None:
    """Remove what the containers of a Podman storage directory left in the cgroup trees."""
    ids = set(_containers(storage))
    for parent in _parents():
        for folder in sorted(parent.glob("libpod-*")):
            if any(known in folder.name for known in ids):
                _remove(folder)
        with contextlib.suppress(OSError):
            (parent / "conmon").rmdir()
        with contextlib.suppress(OSError):
            parent.rmdir()


def _containers(storage: Path) -> Iterator[str]:
    try:
        rows = json.loads((storage / "overlay-containers" / "containers.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return
    for row in rows or ():
        yield str(row["id"])


def _parents() -> Iterator[Path]:
    """The engine's parent in each tree: one mount on cgroup v2, one a controller on v1."""
    for root in (_MOUNT, *_MOUNT.glob("*")):
        if (root / _PARENT).is_dir():
            yield root / _PARENT


def _remove(folder: Path) -> None:
    for inner in sorted(folder.rglob("*"), reverse=True):
        if inner.is_dir():
            with contextlib.suppress(OSError):
                inner.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()
