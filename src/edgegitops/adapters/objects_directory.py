"""Law: a directory is seen as Git would store it, so `validate` judges a working copy as a node judges a commit.

Object ids are those of Git (SHA-1). Symbolic links are stored as links and never followed; what is neither file, folder
nor link is an entry of its own mode, which no reader of manifests accepts. Only the top-level names that are asked for
are looked at. Files are read once, when the directory is opened; larger ones than `largest` have a header only.
"""

import hashlib
import os
import stat
from collections.abc import Collection
from pathlib import Path

from edgegitops.core.model.objects import Header, RawObject
from edgegitops.errors import DeniedError

_PORT = "objects"
_CHUNK = 1024 * 1024
_MODES = {stat.S_IFREG: "100644", stat.S_IFDIR: "40000", stat.S_IFLNK: "120000"}
_EXECUTABLE = "100755"
_DEEPEST = 64


class DirectoryObjects:
    """The Git objects of a directory; `tree` is the id of its top tree. Implements `Objects`.

    DeniedError: a file or folder cannot be read, or folders are nested without end.
    """

    def __init__(self, root: Path, names: Collection[str], *, largest: int) -> None:
        self._largest = largest
        self._headers: dict[str, Header] = {}
        self._data: dict[str, bytes] = {}
        try:
            entries = sorted(entry for entry in os.listdir(root) if entry in names)  # noqa: PTH208 - names only
            self.tree = self._store_tree([(name, *self._store(root / name, 1)) for name in entries])
        except OSError as error:
            where = error.filename or str(root)
            raise DeniedError(_PORT, f"read {where}", error.strerror or "cannot be read") from error

    def header(self, oid: str) -> Header | None:
        """Kind and size."""
        return self._headers.get(oid)

    def read(self, oid: str) -> RawObject | None:
        """The bytes; None for what is larger than `largest`."""
        data = self._data.get(oid)
        return None if data is None else RawObject(self._headers[oid].kind, data)

    def _store(self, path: Path, depth: int) -> tuple[str, str]:
        """Mode and id of what is at the path."""
        status = path.lstat()
        mode = _MODES.get(stat.S_IFMT(status.st_mode), f"{stat.S_IFMT(status.st_mode):o}")
        if mode == "40000":
            if depth > _DEEPEST:
                raise DeniedError(_PORT, f"read {path}", f"more than {_DEEPEST} folders are nested")
            below = sorted(entry for entry in os.listdir(path) if entry != ".git")  # noqa: PTH208 - names only
            return mode, self._store_tree([(name, *self._store(path / name, depth + 1)) for name in below])
        if mode == "120000":
            return mode, self._keep("blob", os.fsencode(path.readlink()))
        if mode != "100644":
            return mode, self._keep("blob", b"")
        return (_EXECUTABLE if status.st_mode & stat.S_IXUSR else mode), self._store_file(path, status.st_size)

    def _store_file(self, path: Path, size: int) -> str:
        if size <= self._largest:
            return self._keep("blob", path.read_bytes())
        sha = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha.update(chunk)
        self._headers[sha.hexdigest()] = Header("blob", size)
        return sha.hexdigest()

    def _store_tree(self, entries: list[tuple[str, str, str]]) -> str:
        """Git orders entries by bytes, folders as if their names ended in a slash."""
        rows = [(os.fsencode(name), mode, oid) for name, mode, oid in entries]
        rows.sort(key=lambda row: row[0] + (b"/" if row[1] == "40000" else b""))
        return self._keep(
            "tree", b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for name, mode, oid in rows)
        )

    def _keep(self, kind: str, data: bytes) -> str:
        oid = hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
        self._headers[oid] = Header(kind, len(data))
        self._data[oid] = data
        return oid
