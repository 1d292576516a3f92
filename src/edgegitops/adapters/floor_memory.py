"""The floor copy's twin in memory: what was written last."""

from edgegitops.core.model.trust import Floor


class MemoryFloor:
    """`ports.FloorCopy` without a disk; `is_damaged` makes it unreadable until the next write."""

    def __init__(self) -> None:
        self.is_damaged = False
        self._floor: Floor | None = None

    def read(self) -> Floor | None:
        """The stored floor; None where there is none or it is unreadable."""
        return None if self.is_damaged else self._floor

    def write(self, floor: Floor) -> None:
        """Store it."""
        self._floor = floor
        self.is_damaged = False
