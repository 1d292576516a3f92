"""How large a few things are, as Linux tells of it; light enough for the resident. What is not there has no size."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def file_bytes(files: Iterable[Path]) -> int:
    """How large these files are together."""
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total


def resident_bytes() -> int:
    """The resident memory of this process (proc(5), statm); 0 where it cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
