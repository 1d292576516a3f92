"""Law: a copied folder is the folder: bytes, holes, links of both kinds, pipes, owners, modes, times and xattrs.

Nothing in it is followed and nothing outside of it is touched, whatever a container left there. Blocks are shared
where the file system can (reflink), else the kernel copies. The whole is on disk when the call comes back. OSError: it
is not, and the target is worth nothing.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from edgegitops.adapters.sync_linux import sync

_CHUNK = 64 * 1024 * 1024
_FICLONE = 0x40049409
_BLOCK = 512
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS}

Inode = tuple[int, int]
Told = Callable[[int], None]


def size_of(folder: Path) -> int:
    """Bytes that a folder takes on disk; a file with several names counts once."""
    seen: set[Inode] = set()
    total, waiting = 0, [folder]
    while waiting:
        place = waiting.pop()
        there = place.lstat()
        if (there.st_dev, there.st_ino) not in seen:
            seen.add((there.st_dev, there.st_ino))
            total += there.st_blocks * _BLOCK
        if stat.S_ISDIR(there.st_mode):
            waiting += place.iterdir()
    return total


def copy_folder(source: Path, target: Path, told: Told) -> None:
    """Copy a folder to a place where nothing is; `told` hears of the bytes as they are copied."""
    target.mkdir(mode=0o700)
    folders, known = [(source, target)], dict[Inode, Path]()
    for here, beside in folders:  # it grows meanwhile: a tree may be deeper than calls may be
        folders += _copy_inside(here, beside, known, told)
    for here, beside in reversed(folders):
        _dress(here, beside)
    sync(target)


def _copy_inside(source: Path, target: Path, known: dict[Inode, Path], told: Told) -> list[tuple[Path, Path]]:
    """Copy what lies in a folder; the folders among that, still empty, and where they were copied to."""
    folders = []
    with os.scandir(source) as entries:
        for entry in entries:
            there = entry.stat(follow_symlinks=False)
            beside = target / entry.name
            first = known.setdefault((there.st_dev, there.st_ino), beside)
            if first is not beside and not stat.S_ISDIR(there.st_mode):
                os.link(first, beside, follow_symlinks=False)
                continue
            _copy_one(Path(entry.path), beside, there, told)
            if stat.S_ISDIR(there.st_mode):
                folders.append((Path(entry.path), beside))
            else:
                _dress(Path(entry.path), beside)
    return folders


def remove_folder(folder: Path) -> None:
    """Remove a folder and all in it, however deep; nothing where there is none. What lies deeper is brought up first,
    so that no path is followed that somebody could change meanwhile.
    """
    try:
        top = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return
    try:
        while names := os.listdir(top):  # noqa: PTH208 - of an open folder
            for name in names:
                _remove_level(name, top)
    finally:
        os.close(top)
    folder.rmdir()


def _remove_level(name: str, top: int) -> None:
    if not _is_folder(name, top):
        os.unlink(name, dir_fd=top)
        return
    inside = os.open(name, _FOLDER, dir_fd=top)
    try:
        for child in os.listdir(inside):  # noqa: PTH208 - the same
            if _is_folder(child, inside):
                os.rename(child, f".deeper-{os.urandom(8).hex()}", src_dir_fd=inside, dst_dir_fd=top)
            else:
                os.unlink(child, dir_fd=inside)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=top)


def _is_folder(name: str, within: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode)


def _copy_one(source: Path, target: Path, there: os.stat_result, told: Told) -> None:
    """The thing itself, without its owner, mode and times."""
    if stat.S_ISDIR(there.st_mode):
        target.mkdir(mode=0o700)
    elif stat.S_ISLNK(there.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(there.st_mode):
        _copy_file(source, target, there.st_size, told)
    else:
        os.mknod(target, stat.S_IFMT(there.st_mode) | 0o600, there.st_rdev)


def _copy_file(source: Path, target: Path, size: int, told: Told) -> None:
    reading = os.open(source, _READ)
    try:
        writing = os.open(target, _WRITE, 0o600)
        try:
            if not _clone(reading, writing):
                for start, end in _written(reading, size):
                    _copy_bytes(reading, writing, start, end, told)
                os.truncate(writing, size)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _clone(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
        return False
    return True


def _written(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges of a file that are no holes."""
    at = 0
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        at = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, at


def _copy_bytes(reading: int, writing: int, start: int, end: int, told: Told) -> None:
    while start < end:
        count = os.copy_file_range(reading, writing, min(_CHUNK, end - start), start, start)
        if count == 0:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        start += count
        told(count)


def _dress(source: Path, target: Path) -> None:
    """Owner first: a change of owner takes away set-user bits and capabilities."""
    there = source.lstat()
    os.chown(target, there.st_uid, there.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(there.st_mode):
        target.chmod(stat.S_IMODE(there.st_mode))
    for name in os.listxattr(source, follow_symlinks=False):
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    os.utime(target, ns=(there.st_atime_ns, there.st_mtime_ns), follow_symlinks=False)
