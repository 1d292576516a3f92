"""What is known of copies of volumes: what lies on disk, how much room there is, how fast copying goes. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Room:
    """A measurement before volumes are copied, in bytes: what each volume takes on disk (by engine name), what is free
    where snapshots lie and where volumes lie. `is_one_disk`: both are the same file system.
    """

    volumes: Mapping[str, int] = field(default_factory=dict)
    free_for_snapshots: int = 0
    free_for_volumes: int = 0
    is_one_disk: bool = True


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that was made: its bytes on disk, and how long it took."""

    size: int
    took: timedelta


@dataclass(frozen=True, slots=True)
class SnapshotSeen:
    """A whole snapshot on disk: of which volume (engine name), and the key of the transition that it was made in."""

    volume: str
    key: str
