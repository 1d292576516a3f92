"""Law: a directory is seen as Git would store it, so `validate` judges a working copy as a node judges a commit.

Object ids are those of Git (SHA-1). Symbolic links are stored as links and never followed; pipes, sockets, devices and
empty folders are not seen at all. Only the top-level names that are asked for are looked at. Files are read once, when
the directory is opened; larger ones than `largest` have a header only.
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
_FOLDER = "40000"
_LINK = "120000"
_MODES = {stat.S_IFREG: "100644", stat.S_IFDIR: _FOLDER, stat.S_IFLNK: _LINK}
_EXECUTABLE = "100755"
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
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
            self.tree = self._store_folder(root, names, 1)
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

    def _store_folder(self, folder: Path, names: Collection[str] | None, depth: int) -> str:
        """The id of a folder's tree; `names` are those that are looked at, None for all."""
        if depth > _DEEPEST:
            raise DeniedError(_PORT, f"read {folder}", f"more than {_DEEPEST} folders are nested")
        rows = []
        for path in folder.iterdir():
            mode = _MODES.get(stat.S_IFMT(path.lstat().st_mode))
            if mode and path.name != ".git" and (names is None or path.name in names):
                kept, oid = self._store(path, mode, depth)
                if oid != _EMPTY_TREE:
                    rows.append((os.fsencode(path.name), kept, oid))
        # Git orders entries by bytes, folders as if their names ended in a slash
        rows.sort(key=lambda row: row[0] + (b"/" if row[1] == _FOLDER else b""))
        return self._keep(
            "tree", b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for name, mode, oid in rows)
        )

    def _store(self, path: Path, mode: str, depth: int) -> tuple[str, str]:
        """Mode and id of what is at the path."""
        if mode == _FOLDER:
            return mode, self._store_folder(path, None, depth + 1)
        if mode == _LINK:
            return mode, self._keep("blob", os.fsencode(path.readlink()))
        status = path.lstat()
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

    def _keep(self, kind: str, data: bytes) -> str:
        oid = hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
        self._headers[oid] = Header(kind, len(data))
        self._data[oid] = data
        return oid
