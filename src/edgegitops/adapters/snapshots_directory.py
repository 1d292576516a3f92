"""Law: copies of volumes in one directory, each whole or not there; putting one back always ends at the same place.

`<directory>/<volume>/<key>` holds `data`, the copy. What is being made is `data.part`, which is made anew when found.
Putting back goes through these states, each told by what lies on disk, so whoever finds one goes on from there:
1. the copy is brought beside the volume's data as `.edgegitops-<key>` (a rename where both are on one disk, else a copy
   under the name `.edgegitops-<key>.part` first); anything left in the failed volume by an earlier failure goes;
2. the mark `going-back` is written beside the copy. From here on only renames happen;
3. data -> failed volume's data, `.edgegitops-<key>` -> data. No `.edgegitops-<key>` any more means that it is done.

The engine says where a volume lies. Everything is owned by root and closed to others. Copying tells the log how far it
is. Copies are not taken from under a running container: who asks has stopped what writes.
"""

import errno
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from edgegitops.adapters.snapshots_copy import copy_folder, remove_folder, size_of
from edgegitops.adapters.sync_linux import sync
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.snapshots import Copied, Room, SnapshotSeen
from edgegitops.errors import DeniedError, OutsideError, UnavailableError
from edgegitops.ports import Log

PORT = "snapshots"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_DATA, _PART, _MARK = "data", "data.part", "going-back"
_TOLD_EVERY = 10.0


class SnapshotsDirectory:
    """`ports.Snapshots` in the directory `path`; `place` answers where the engine keeps the data of a volume."""

    def __init__(self, path: str | Path, place: Callable[[str], str], log: Log) -> None:
        self._path = Path(path).absolute()
        self._place = place
        self._log = log

    def present(self) -> tuple[SnapshotSeen, ...]:
        """Every copy, whole or half made, sorted."""
        try:
            found = [(volume.name, one.name) for volume in self._path.iterdir() for one in volume.iterdir()]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UnavailableError(PORT, "list", f"{self._path}: {error.strerror}") from error
        return tuple(SnapshotSeen(*names) for names in sorted(found))

    def measure(self, volumes: Sequence[str]) -> Room:
        """What these volumes take on disk, and what is free."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            places = {name: Path(self._place(name)) for name in volumes}
            there = next(iter(places.values()), self._path)
            sizes = {name: size_of(place) for name, place in places.items()}
            is_one_disk = there.stat().st_dev == self._path.stat().st_dev
            return Room(sizes, _free(self._path), _free(there), is_one_disk)
        except OSError as error:
            raise self._later("measure", ", ".join(volumes), error) from error

    def take(self, volume: str, key: str) -> Copied:
        """Copy the volume; see the port."""
        folder = self._folder(volume, key)
        source = Path(self._place(volume))
        began = time.monotonic()
        try:
            size = size_of(source)
            if not (folder / _DATA).exists():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                remove_folder(folder / _PART)
                copy_folder(source, folder / _PART, self._telling("snapshot-copying", volume, size))
                (folder / _PART).rename(folder / _DATA)
                sync(folder)
        except OSError as error:
            with suppress(OSError):
                remove_folder(folder / _PART)
            words = f"{error.strerror or error}; the volume lies at {source}"
            raise DeniedError(PORT, f"copy {volume}", words, reason=Refusal.SNAPSHOT_FAILED) from error
        took = timedelta(seconds=time.monotonic() - began)
        self._log.info("snapshot-taken", volume=volume, key=key, bytes=size, seconds=round(took.total_seconds(), 3))
        return Copied(size, took)

    def restore(self, volume: str, key: str, failed: str) -> None:
        """Exchange the data for the copy; see the law of this file."""
        folder = self._folder(volume, key)
        try:
            data, away = Path(self._place(volume)), Path(self._place(failed))
            back = data.with_name(f".edgegitops-{key}")
            if not (folder / _MARK).exists():
                self._bring(folder, back, volume)
                remove_folder(away)
                (folder / _MARK).write_text("the copy lies whole beside the data of the volume\n")
                sync(folder)
            if back.exists():
                if data.exists():
                    data.rename(away)
                    sync(away.parent)
                back.rename(data)
                sync(data)
        except OSError as error:
            raise self._later("put back", volume, error) from error
        self._log.info("snapshot-restored", volume=volume, key=key, failed=failed)

    def drop(self, volume: str, key: str) -> None:
        """Remove the copy; done where there is none."""
        folder = self._folder(volume, key)
        try:
            for beside in self._beside(volume, key):
                remove_folder(beside)
            remove_folder(folder)
            with suppress(OSError):  # another copy of it, or nothing, is there
                folder.parent.rmdir()
        except OSError as error:
            raise self._later("remove the copy of", volume, error) from error

    def _bring(self, folder: Path, back: Path, volume: str) -> None:
        """Put the copy beside the volume's data, whole."""
        if back.exists():
            return
        source, part = folder / _DATA, back.with_name(f"{back.name}.part")
        if not source.exists():
            raise OSError(f"there is no copy in {folder}; put the data right by hand, then release a fix")
        remove_folder(part)
        try:
            source.rename(back)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy_folder(source, part, self._telling("snapshot-going-back", volume, size_of(source)))
            part.rename(back)
        sync(back.parent)

    def _beside(self, volume: str, key: str) -> list[Path]:
        """What an interrupted way back may have left beside the data; nothing where the volume is gone."""
        try:
            data = Path(self._place(volume))
        except OutsideError:
            return []
        return [data.with_name(f".edgegitops-{key}"), data.with_name(f".edgegitops-{key}.part")]

    def _folder(self, volume: str, key: str) -> Path:
        if not (_NAME.fullmatch(volume) and _NAME.fullmatch(key)):
            raise DeniedError(PORT, "find", f"{volume!r} {key!r} are no names", reason=Refusal.SNAPSHOT_FAILED)
        return self._path / volume / key

    def _telling(self, event: str, volume: str, size: int) -> Callable[[int], None]:
        """Counts bytes, and tells the log every few seconds."""
        done, told_at = 0, time.monotonic()

        def told(count: int) -> None:
            nonlocal done, told_at
            done += count
            if time.monotonic() - told_at >= _TOLD_EVERY:
                told_at = time.monotonic()
                self._log.info(event, volume=volume, bytes=done, of=size)

        return told

    def _later(self, verb: str, volume: str, error: OSError) -> OutsideError:
        reason = HoldReason.SNAPSHOT_RESTORE if verb == "put back" else HoldReason.BACK_OFF
        return UnavailableError(PORT, f"{verb} {volume}", error.strerror or str(error), reason=reason)


def _free(folder: Path) -> int:
    there = os.statvfs(folder)
    return there.f_bavail * there.f_frsize
