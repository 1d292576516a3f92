"""A file of a working directory, replaced as a whole or not at all: a crash leaves the old text or the new one.

Its mode stays. DeniedError: it cannot be read or written, or is no plain file.
"""

import os
import stat
import tempfile
from pathlib import Path

from edgegitops.errors import DeniedError

_PORT = "file"


def replace_file(path: Path, old: bytes, new: bytes) -> None:
    """Put `new` in the place of `old`. DeniedError where the file has changed since it was read."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise DeniedError(_PORT, f"write {path}", "it is no plain file")
        if path.read_bytes() != old:
            raise DeniedError(_PORT, f"write {path}", "it has changed since it was read; run the command again")
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(new)
                file.flush()
                os.fsync(descriptor)
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DeniedError(_PORT, f"write {path}", error.strerror or str(error)) from error
