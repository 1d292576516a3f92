"""Law: what was written is on its disk when the call comes back: one syncfs(2) for a file system, not one a file."""

import ctypes
import os
from pathlib import Path


def sync(folder: Path) -> None:
    """Write everything of the file system that holds this folder to its disk. OSError: it is not there."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), f"syncfs {folder}")
    finally:
        os.close(handle)
