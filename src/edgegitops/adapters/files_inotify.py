"""Law: a changed file is a hint, nothing more; what cannot be watched costs the hint, not the daemon.

The kernel tells (inotify(7)). Folders are watched, not files: editors replace files, and a file may not be there yet.
Where its folder is missing too, the nearest one above is watched until it comes. Only one thread of its own meets the
files that others name: where one lies on a dead network share, that thread hangs, and nobody else.
"""

import ctypes
import os
import select
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

MOST: Final = 64  # files of others; the next look sees the rest
_CHANGES: Final = 0x0FCE  # modify, attrib, close_write, moved_from, moved_to, create, delete, delete_self, move_self
_ITSELF: Final = 0x2C00  # delete_self, move_self, unmount: the folder is no longer where it was
_OVERFLOW: Final = 0x4000
_ONLY_FOLDERS: Final = 0x01000000
_EVENT: Final = struct.Struct("iIII")
_PIECE: Final = 64 * 1024
_PATIENCE: Final = 1.0


class FileHints:
    """Calls `hint` from a thread of its own when one of the files is written, replaced, made or removed."""

    def __init__(self, files: Iterable[str], hint: Callable[[], None]) -> None:
        self._own = tuple(files)
        self._others: tuple[str, ...] = ()
        self._hint = hint
        self._kernel = ctypes.CDLL(None, use_errno=True)
        self._inotify = -1
        self._pipe = (-1, -1)
        self._names: dict[int, set[str]] = {}
        self._is_over = False
        self._thread = threading.Thread(target=self._wait, name="files", daemon=True)

    def start(self) -> tuple[str, ...]:
        """Begin; returns the files that cannot be watched (no more inotify watches to be had)."""
        self._inotify = self._kernel.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._inotify < 0:
            return self._own
        self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        missed = self._place()
        self._thread.start()
        return missed

    def follow(self, files: Iterable[str]) -> None:
        """Watch these besides, in place of those of the last call. It waits for nothing."""
        others = tuple(files)[:MOST]
        if others != self._others:
            self._others = others
            self._poke()

    def stop(self) -> None:
        """End the thread."""
        self._is_over = True
        self._poke()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _poke(self) -> None:
        if self._pipe[1] >= 0:
            with suppress(BlockingIOError):  # it is full: the thread wakes anyway
                os.write(self._pipe[1], b"!")

    def _wait(self) -> None:
        waiting = select.poll()
        for handle in (self._inotify, self._pipe[0]):
            waiting.register(handle, select.POLLIN)
        while not self._is_over:
            waiting.poll()
            has_others = bool(_read(self._pipe[0]))
            is_ours = self._is_ours(_read(self._inotify))
            if has_others or is_ours:
                self._place()
            if is_ours:
                self._hint()
        for handle in (self._inotify, *self._pipe):
            os.close(handle)

    def _is_ours(self, data: bytes) -> bool:
        """Whether one of these events is about a file of ours, or about a folder on the way to it."""
        at = 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            begin = at + _EVENT.size
            name = os.fsdecode(data[begin : begin + length].rstrip(b"\0"))
            names = self._names.get(number)
            if mask & _OVERFLOW or (names is not None and (mask & _ITSELF or name in names)):
                return True
            at = begin + length
        return False

    def _place(self) -> tuple[str, ...]:
        """Watch what is to be watched and nothing else; the files that cannot be."""
        before: dict[int, set[str]] | None = None
        placed, missed = self._names, tuple[str, ...]()
        while placed != before:  # a folder may come while one above it is chosen in its place
            before, (placed, missed) = placed, self._placed()
        for number in self._names.keys() - placed.keys():
            self._kernel.inotify_rm_watch(self._inotify, number)
        self._names = placed
        return missed

    def _placed(self) -> tuple[dict[int, set[str]], tuple[str, ...]]:
        placed: dict[int, set[str]] = {}
        missed = []
        for file in (*self._own, *self._others):
            number, name = self._nearest(Path(file).absolute())
            if number < 0:
                missed.append(file)
            else:
                placed.setdefault(number, set()).add(name)
        return placed, tuple(missed)

    def _nearest(self, file: Path) -> tuple[int, str]:
        """The watch on the nearest folder above a file, and the next name on the way; below 0: there is none."""
        number, name = -1, file.name
        for folder in file.parents:
            number = self._kernel.inotify_add_watch(self._inotify, os.fsencode(folder), _CHANGES | _ONLY_FOLDERS)
            if number >= 0:
                break
            name = folder.name
        return number, name


def _read(handle: int) -> bytes:
    """What is there to be read, in one piece; empty where nothing is."""
    with suppress(BlockingIOError):
        return os.read(handle, _PIECE)
    return b""
