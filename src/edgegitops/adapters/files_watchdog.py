"""Law: a changed file is a hint, nothing more; what cannot be watched costs the hint, not the daemon.

The one door to `watchdog`. Folders are watched, not files: editors replace files, and a file may not be there yet.
Where its folder is missing too, the nearest one above is watched until it comes. Only one thread of its own goes to the
files that others name: where one lies on a dead network share, hints end, and nothing else.
"""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from watchdog.events import (
    DirAttribEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import ObservedWatch
from watchdog.observers.inotify import InotifyObserver

MOST: Final = 64  # files of others; the next look sees the rest
_CHANGES: Final[list[type[FileSystemEvent]]] = [
    *(FileAttribEvent, FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent),
    *(DirAttribEvent, DirCreatedEvent, DirDeletedEvent, DirMovedEvent),
]
_AGAIN: Final = 60.0  # seconds; a folder that was moved away does not say so
_PATIENCE: Final = 1.0


class FileHints:
    """Calls `hint` from a thread of its own when one of the files is written, replaced, made or removed."""

    def __init__(self, files: Iterable[str], hint: Callable[[], None]) -> None:
        self._own = tuple(files)
        self._others: tuple[str, ...] = ()
        self._hint = hint
        self._observer = InotifyObserver()
        self._watched: dict[str, tuple[int, ObservedWatch]] = {}
        self._awaited: frozenset[str] = frozenset()
        self._is_ours = self._is_over = False
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="files", daemon=True)

    def start(self) -> tuple[str, ...]:
        """Begin; returns the files that cannot be watched (no more inotify watches to be had)."""
        try:
            self._observer.start()
        except OSError:
            return self._own
        missed = self._place()
        self._thread.start()
        return missed

    def follow(self, files: Iterable[str]) -> None:
        """Watch these besides, in place of those of the last call. It waits for nothing."""
        others = tuple(files)[:MOST]
        if others != self._others:
            self._others = others
            self._due.set()

    def stop(self) -> None:
        """End the threads; one that hangs is left behind."""
        self._is_over = True
        self._due.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def saw(self, paths: set[str]) -> None:
        """Something happened there."""
        if paths & self._awaited or paths & self._watched.keys():
            self._is_ours = True
            self._due.set()

    def _wait(self) -> None:
        while not self._is_over:
            self._due.wait(_AGAIN)
            self._due.clear()
            is_ours, self._is_ours = self._is_ours, False
            if not self._is_over:
                self._place()
            if is_ours:
                self._hint()
        self._observer.stop()
        self._observer.join(_PATIENCE)

    def _place(self) -> tuple[str, ...]:
        """Watch what is to be watched and nothing else; the files that cannot be."""
        before: frozenset[str] | None = None
        missed: list[str] = []
        while before != self._awaited:  # a folder may come while one above it is chosen in its place
            before, missed, awaited = self._awaited, [], set[str]()
            for file in (*self._own, *self._others):
                place = self._nearest(Path(file).absolute())
                awaited |= {place} if place else set()
                missed += [] if place else [file]
            self._awaited = frozenset(awaited)
        needed = {os.path.dirname(place) for place in self._awaited}  # noqa: PTH120 - a text, as events have it
        for folder in self._watched.keys() - needed:
            self._leave(folder)
        return tuple(missed)

    def _nearest(self, file: Path) -> str:
        """The next name on the way to a file, in the nearest folder above it that is watched; empty: there is none."""
        name = file.name
        for folder in file.parents:
            real = os.path.realpath(folder)
            if self._is_watched(real):
                return os.path.join(real, name)  # noqa: PTH118 - a text, as events have it
            name = folder.name
        return ""

    def _is_watched(self, folder: str) -> bool:
        """Watch a folder, if it is there; one that came in place of another is watched anew."""
        try:
            number = os.stat(folder).st_ino  # noqa: PTH116 - a text, as events have it
            if folder in self._watched and self._watched[folder][0] == number:
                return True
            self._leave(folder)
            watch = self._observer.schedule(_Handler(self.saw), folder, event_filter=_CHANGES)
        except OSError:
            self._leave(folder)
            return False
        self._watched[folder] = number, watch
        return True

    def _leave(self, folder: str) -> None:
        if folder in self._watched:
            self._observer.unschedule(self._watched.pop(folder)[1])


class _Handler(FileSystemEventHandler):
    def __init__(self, saw: Callable[[set[str]], None]) -> None:
        self._saw = saw

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Tell where it happened."""
        self._saw({os.fsdecode(event.src_path), os.fsdecode(event.dest_path)})


__all__ = ["FileHints"]
