"""Law: an archive is unpacked into a folder of ours, and nothing of it lands, or points, anywhere else.

1. Regular files, folders, and links that stay inside: nothing else. A device, a path that climbs, a file through a
   link, a whiteout of an image's layers: the whole archive is refused.
2. Owners are root, files 0444 or 0555, folders 0755, whatever the archive says: containers read, nobody writes.
3. Bytes and entries are bounded; an archive that unpacks to more is refused before the disk is full of it.
4. A file is fsynced when it is whole; folders by the caller (`sync_folders`) before the tree gets its name.

Errors: RefusedError for what the archive is; OSError for what the disk does.
"""

import gzip
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LARGEST = 32 * 1024**3
MOST_ENTRIES = 200_000
_DEEPEST = 64
_LONGEST = 255
_GZIP = b"\x1f\x8b"
_PIECE = 1024 * 1024
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RefusedError(Exception):
    """The archive is not one that is unpacked here."""


@dataclass(slots=True)
class Tree:
    """A tree under way, with what may still be written."""

    root: Path
    left: int = LARGEST
    entries: int = MOST_ENTRIES

    def add_file(self, name: str, source: Path) -> None:
        """A file of its own, under a relative path."""
        with source.open("rb") as opened:
            self._write(self._place(name), opened, source.stat().st_size, is_program=False)

    def add_archive(self, archive: Path) -> None:
        """All that a tar (plain or gzipped) holds."""
        with archive.open("rb") as raw:
            head = raw.read(2)
            raw.seek(0)
            plain: IO[bytes] = gzip.GzipFile(fileobj=raw, mode="rb") if head == _GZIP else raw  # type: ignore[assignment]
            try:
                with tarfile.open(fileobj=plain, mode="r|", format=tarfile.PAX_FORMAT) as opened:
                    for entry in opened:
                        self._add_entry(opened, entry)
            except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, UnicodeError) as broken:
                raise RefusedError(f"it is no tar archive that can be read: {broken}") from broken

    def _add_entry(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        if entry.name.strip("/.") == "" and entry.isdir():
            return
        place = self._place(entry.name)
        if entry.isdir():
            self._make_folder(place)
        elif entry.isreg():
            source = archive.extractfile(entry)
            if source is None:
                raise RefusedError(f"{entry.name!r} has no bytes")
            self._write(place, source, entry.size, is_program=bool(entry.mode & 0o111))
        elif entry.issym():
            self._link(place, entry.linkname)
        elif entry.islnk():
            self._write_again(place, self._place(entry.linkname))
        else:
            raise RefusedError(f"{entry.name!r} is neither a file nor a folder nor a link")

    def _place(self, name: str) -> Path:
        """Where an entry goes; its folders are made. RefusedError where it would go through a link or out."""
        self.entries -= 1
        if self.entries < 0:
            raise RefusedError(f"it has more than {MOST_ENTRIES} entries")
        parts = [part for part in name.split("/") if part not in {"", "."}]
        is_strange = name.startswith("/") or ".." in parts or "\0" in name or not parts or len(parts) > _DEEPEST
        if is_strange or any(len(part.encode()) > _LONGEST for part in parts):
            raise RefusedError(f"the path {name[:_LONGEST]!r} leads out of the folder, or is too long")
        if parts[-1].startswith(".wh."):
            raise RefusedError(f"{name!r} takes a file of a lower layer away; make the artifact of one layer")
        folder = self.root
        for part in parts[:-1]:
            folder /= part
            self._make_folder(folder)
        return folder / parts[-1]

    def _make_folder(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o755)
            path.chmod(0o755)
        except FileExistsError:
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise RefusedError(f"{self._shown(path)} is no folder, and something is to be put into it") from None

    def _shown(self, path: Path) -> str:
        return repr(str(path.relative_to(self.root)))

    def _clear(self, place: Path) -> None:
        """A later entry takes the place of an earlier file or link."""
        try:
            place.unlink()
        except FileNotFoundError:
            return
        except IsADirectoryError:
            raise RefusedError(f"{self._shown(place)} is a folder and a file") from None

    def _write(self, place: Path, source: IO[bytes], size: int, *, is_program: bool) -> None:
        self.left -= size
        if self.left < 0:
            raise RefusedError(f"it unpacks to more than {LARGEST} bytes")
        self._clear(place)
        handle = os.open(place, _NEW, 0o600)
        with os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(source, target, _PIECE)
            target.flush()
            os.fchmod(handle, 0o555 if is_program else 0o444)
            os.fsync(handle)

    def _write_again(self, place: Path, source: Path) -> None:
        """A hard link becomes a copy of what it names: one file, one path."""
        try:
            state = source.lstat()
        except FileNotFoundError:
            raise RefusedError(f"{self._shown(place)} is a link to what is not there") from None
        if not stat.S_ISREG(state.st_mode) or source == place:
            raise RefusedError(f"{self._shown(place)} is a link to what is no file")
        with source.open("rb") as opened:
            self._write(place, opened, state.st_size, is_program=bool(state.st_mode & 0o111))

    def _link(self, place: Path, target: str) -> None:
        if target.startswith("/") or "\0" in target:
            raise RefusedError(f"{self._shown(place)} is a link out of the folder: {target!r}")
        self._clear(place)
        place.symlink_to(target)

    def demand_no_way_out(self) -> None:
        """RefusedError where a link, followed to its end, leads out of the tree."""
        top = self.root.resolve()
        for path in _walk(top):
            if path.is_symlink():
                try:
                    end = path.resolve()
                except (OSError, RuntimeError):
                    raise RefusedError(f"the link {str(path.relative_to(top))!r} leads nowhere") from None
                if end != top and top not in end.parents:
                    raise RefusedError(f"the link {str(path.relative_to(top))!r} leads out of the folder")


def files_of(root: Path) -> dict[str, int]:
    """The regular files of a tree: relative path -> size."""
    return {str(path.relative_to(root)): path.lstat().st_size for path in _walk(root) if _is_file(path)}


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def sync_folders(root: Path) -> None:
    """Fsync every folder of a tree, the deepest first."""
    for path in sorted((one for one in _walk(root) if one.is_dir() and not one.is_symlink()), reverse=True):
        sync_folder(path)
    sync_folder(root)


def sync_folder(path: Path) -> None:
    """Fsync one folder."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in (*folders, *files))
