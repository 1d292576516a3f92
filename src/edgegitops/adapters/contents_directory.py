"""The node's config files, by SHA-256, in one directory that containers' mounts point into.

1. A name is the digest of its bytes, so a file never changes: what is there and intact is done.
2. Written beside, fsynced, renamed, directory fsynced: a power cut leaves no file or the whole one.
3. Bytes are hashed once a process and again where inode, size or time of change differ; a damaged file does not count
   as present, and storing it again replaces it.
4. Files are 0444 and the directory 0711: containers that do not run as root can read what is mounted into them.
"""

import hashlib
import os
import re
import stat
import tempfile
import threading
from pathlib import Path
from typing import Final

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.errors import DeniedError, UnavailableError

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_UNFINISHED: Final = ".new-"

Stamp = tuple[int, int, int]


class ContentsDirectory:
    """`ports.Contents` and `ports.NodeFiles` in the directory `path`, which is made where it is missing. May be used
    from several threads.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).absolute()
        self._intact: dict[str, Stamp] = {}
        self._lock = threading.Lock()
        self._is_swept = False

    def put(self, sha256: str, data: bytes) -> None:
        """Store it durably. DeniedError where the digest is another one; UnavailableError where the disk has no room
        or does not write.
        """
        if sha256_hex(data) != sha256:
            raise DeniedError("contents", "put", f"the bytes do not have the digest {sha256!r}")
        target = self._path / sha256
        with self._lock:
            try:
                if not self._is_intact(target):
                    self._write(target, data)
            except OSError as error:
                raise UnavailableError(
                    "contents",
                    "put",
                    f"{target}: {error.strerror}; check the disk's space and mount options",
                    reason=HoldReason.DISK_FULL,
                ) from error

    def present(self) -> frozenset[str]:
        """The digests that are stored and intact."""
        with self._lock:
            try:
                files = list(self._path.iterdir())
            except FileNotFoundError:
                return frozenset()
            except OSError as error:
                raise UnavailableError("contents", "list", f"{self._path}: {error.strerror}") from error
            return frozenset(file.name for file in files if _NAME.fullmatch(file.name) and self._is_intact(file))

    def path(self, sha256: str) -> str:
        """Absolute path of a stored content on the host; DeniedError (content-missing) where there is none."""
        target = self._path / sha256
        if not (_NAME.fullmatch(sha256) and target.is_file()):
            raise DeniedError(
                "contents", "path", f"no content {sha256!r} in {self._path}", reason=Refusal.CONTENT_MISSING
            )
        return str(target)

    def _is_intact(self, file: Path) -> bool:
        try:
            state = file.lstat()
            if not stat.S_ISREG(state.st_mode):
                return False
            stamp = (state.st_ino, state.st_size, state.st_ctime_ns)
            if self._intact.get(file.name) == stamp:
                return True
            with file.open("rb") as opened:
                is_intact = hashlib.file_digest(opened, "sha256").hexdigest() == file.name
        except OSError:
            return False
        if is_intact:
            self._intact[file.name] = stamp
        return is_intact

    def _write(self, target: Path, data: bytes) -> None:
        self._path.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._sweep()
        number, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._path)
        beside = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(number, 0o444)
                os.fsync(number)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        directory = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _sweep(self) -> None:
        """Remove what a killed process left unfinished; only one process of a node writes here."""
        if self._is_swept:
            return
        for leftover in self._path.glob(f"{_UNFINISHED}*"):
            leftover.unlink(missing_ok=True)
        self._is_swept = True
