"""Law: a process that lives for years gives memory back. How much it uses is the C library's to say (mallopt(3)).

With an arena for each thread, thirty probers keep thirty heaps; one is enough for threads that mostly wait. Where the
C library is another one, nothing happens.
"""

import ctypes
from typing import Final

_ARENA_MAX: Final = -8
_TRIM_THRESHOLD: Final = -1
_TRIM_AT: Final = 64 * 1024


def share_one_heap() -> None:
    """One heap for all threads, its free end given back early. To be called before the first thread begins."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_ARENA_MAX, 1)
        library.mallopt(_TRIM_THRESHOLD, _TRIM_AT)
