"""Copies of volumes in memory, over the same table of data that the engine's twin keeps for its volumes.

Faults are switches: `is_failing` denies copies, `is_stuck` lets nothing be put back, `free` is the room on the disk.
`sizes` tells what volumes take; the rest takes one byte.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.snapshots import Copied, Room, SnapshotSeen
from edgegitops.errors import DeniedError, UnavailableError

PORT = "snapshots"
PLENTY = 10**12


@dataclass(slots=True)
class MemorySnapshots:
    """`ports.Snapshots`; `data` maps each volume to what was written to it."""

    data: dict[str, tuple[str, ...]] = field(default_factory=dict)
    copies: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    restored: set[tuple[str, str]] = field(default_factory=set)
    sizes: Mapping[str, int] = field(default_factory=dict)
    free: int = PLENTY
    is_failing: bool = False
    is_stuck: bool = False

    def present(self) -> tuple[SnapshotSeen, ...]:
        """Every copy, sorted."""
        return tuple(SnapshotSeen(*name) for name in sorted(self.copies.keys() | self.restored))

    def measure(self, volumes: Sequence[str]) -> Room:
        """As the tables say."""
        return Room({name: self.sizes.get(name, 1) for name in volumes}, self.free, self.free)

    def take(self, volume: str, key: str) -> Copied:
        """Remember what is in the volume now; done where that was remembered already."""
        if self.is_failing:
            raise DeniedError(PORT, f"copy {volume}", "told to fail", reason=Refusal.SNAPSHOT_FAILED)
        self.copies.setdefault((volume, key), self.data.get(volume, ()))
        return Copied(self.sizes.get(volume, 1), timedelta(seconds=1))

    def restore(self, volume: str, key: str, failed: str) -> None:
        """Exchange both, once."""
        if self.is_stuck:
            raise self._later(volume, "told to fail")
        if (volume, key) in self.restored:
            return
        if (volume, key) not in self.copies:
            raise self._later(volume, f"there is no copy {key}")
        self.data[failed] = self.data.get(volume, ())
        self.data[volume] = self.copies[volume, key]
        self.restored.add((volume, key))

    def drop(self, volume: str, key: str) -> None:
        """Forget it."""
        self.copies.pop((volume, key), None)
        self.restored.discard((volume, key))

    def _later(self, volume: str, message: str) -> UnavailableError:
        return UnavailableError(PORT, f"restore {volume}", message, reason=HoldReason.SNAPSHOT_RESTORE)
