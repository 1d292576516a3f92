"""Law: a changed file is a hint, nothing more; a folder that cannot be watched costs the hint, not the daemon.

The one door to `watchdog`. Folders are watched, not files: editors replace files, and a file may not be there yet.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyObserver


class FileHints:
    """Calls `hint` from a thread of its own when one of the files is written, replaced, made or removed."""

    def __init__(self, files: Iterable[str], hint: Callable[[], None]) -> None:
        self._files = frozenset(str(Path(file).absolute()) for file in files)
        self._hint = hint
        self._observer: BaseObserver | None = None

    def start(self) -> tuple[str, ...]:
        """Begin; returns the folders that cannot be watched (missing, or no more inotify watches to be had)."""
        observer = InotifyObserver()
        observer.start()
        self._observer = observer
        handler = _Handler(self._files, self._hint)
        missed = []
        for folder in sorted({str(Path(file).parent) for file in self._files}):
            try:
                observer.schedule(handler, folder)
            except OSError:
                missed.append(folder)
        return tuple(missed)

    def stop(self) -> None:
        """End the thread."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, files: frozenset[str], hint: Callable[[], None]) -> None:
        self._files = files
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Hint where one of our files was changed; reading it is no change."""
        if event.event_type in ("opened", "closed_no_write"):
            return
        if {str(event.src_path), str(event.dest_path)} & self._files:
            self._hint()
