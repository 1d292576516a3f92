"""An interlock that looks at a file of the node: it must exist, must not exist, or must have been written of late.

What cannot be looked at is unknown, and so is a file from the future: a clock was set, and freshness says nothing.
"""

import errno
import os
import time

from edgegitops.core.model.plant import Answer, Interlock

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


def ask_file(interlock: Interlock) -> Answer:
    """One look at `interlock.path`."""
    try:
        written_at = os.stat(interlock.path).st_mtime  # noqa: PTH116 - a path as written, never joined
    except OSError as error:
        if error.errno in _ABSENT:
            return Answer(not interlock.exists, detail=f"{interlock.path} does not exist")
        return Answer(None, detail=f"{interlock.path}: {error.strerror}")
    if not interlock.exists:
        return Answer(agrees=False, detail=f"{interlock.path} exists")
    if interlock.fresher_than is None:
        return Answer(agrees=True, detail=f"{interlock.path} exists")
    age = time.time() - written_at
    if age < 0:
        return Answer(None, detail=f"{interlock.path} was written in the future")
    seconds = interlock.fresher_than.total_seconds()
    is_fresh = age <= seconds
    return Answer(is_fresh, detail=f"{interlock.path} is {'not ' * (not is_fresh)}fresher than {seconds:g} s")


__all__ = ["ask_file"]
