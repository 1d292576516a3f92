"""Law: a volume's size and stay belong to the volume; owner and mode of its root belong to every mount of it.

The root gets owner and mode at each start of a container that mounts it, after the engine has filled an empty volume
from the image. Owners are numbers, for names mean something in an image only. A limit of size is asked of the engine
when the volume is made; a file system without quotas refuses it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from edgegitops.core.desired.places import did_you_mean
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.quantities import parse_memory
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import SnapshotSpec, VolumeSpec

_KEYS = Keys(frozenset({"snapshot", "populate", "retain", "size", "owner", "mode"}))
_SNAPSHOT_KEYS = Keys(frozenset({"before", "maxSize"}))
_BEFORE_KEYS = Keys(frozenset({"container", "exec"}))
_MODE = re.compile(r"0?[0-7]{3,4}\Z")
_OWNER = re.compile(r"(?P<uid>[0-9]{1,10})(?::(?P<gid>[0-9]{1,10}))?\Z")
_HIGHEST_ID = 2**32 - 2
_SMALLEST = 1024 * 1024


class _Snapshot(StrEnum):
    NONE = "none"
    ON_UPDATE = "onUpdate"


@dataclass(frozen=True, slots=True)
class Volume:
    """A declared volume: what the engine is asked for, and what each mount of it says of its root."""

    spec: VolumeSpec
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    is_populated: bool = True


def read_volume(spot: Cursor, containers: Collection[str]) -> Volume:
    """A declared volume of an application that has these containers."""
    fields = spot.fields(_KEYS)
    size = fields["size"].quantity(parse_memory, _SMALLEST) if "size" in fields else None
    if size is not None and size < _SMALLEST:
        fields["size"].note(FaultCode.WRONG_VALUE, f"{size} bytes are no room for data", "1Mi or more")
    uid, gid = _owner(fields)
    return Volume(
        spec=VolumeSpec(
            size=size,
            retain="retain" in fields and fields["retain"].flag(),
            snapshot=_snapshot(fields["snapshot"], containers) if "snapshot" in fields else None,
        ),
        uid=uid,
        gid=gid,
        mode=read_mode(fields["mode"]) if "mode" in fields else None,
        is_populated="populate" not in fields or fields["populate"].flag(),
    )


def _snapshot(spot: Cursor, containers: Collection[str]) -> SnapshotSpec | None:
    """Whether and how it is copied before updates: a word, or an object whose presence says yes."""
    if isinstance(spot.tree, str):
        return None if spot.choice(_Snapshot, default=_Snapshot.NONE) is _Snapshot.NONE else SnapshotSpec()
    fields = spot.fields(_SNAPSHOT_KEYS)
    largest = fields["maxSize"].quantity(parse_memory, _SMALLEST) if "maxSize" in fields else None
    if "before" not in fields:
        return SnapshotSpec(max_size=largest)
    before = fields["before"].fields(_BEFORE_KEYS)
    absent = sorted(_BEFORE_KEYS.known - before.keys())
    if absent:
        fields["before"].note(FaultCode.MISSING_FIELD, f"there is no {' and no '.join(absent)}", "container and exec")
        return SnapshotSpec(max_size=largest)
    name, argv = before["container"].text(), before["exec"].texts()
    if name not in containers:
        words, names = f"there is no container {name!r}", sorted(containers)
        before["container"].note(FaultCode.UNKNOWN_REFERENCE, words, ", ".join(names), did_you_mean(name, names))
    if not argv:
        before["exec"].note(FaultCode.WRONG_VALUE, "no program is named", 'such as ["pg_dump", "-f", "/data/dump"]')
    return SnapshotSpec(name, argv, largest)


def read_mode(spot: Cursor) -> int | None:
    """File mode bits, written in octal as a text: `"0644"`."""
    if not isinstance(spot.tree, str) or not _MODE.match(spot.tree):
        spot.note(FaultCode.WRONG_FORMAT, f"{spot.tree!r} is no file mode", 'an octal number in quotes: "0644"')
        return None
    return int(spot.tree, 8)


def _owner(fields: Mapping[str, Cursor]) -> tuple[int | None, int | None]:
    if "owner" not in fields:
        return None, None
    spot = fields["owner"]
    if isinstance(spot.tree, int) and not isinstance(spot.tree, bool):
        return spot.whole(0, _HIGHEST_ID), None
    match = _OWNER.match(spot.text())
    if match is None or any(int(number) > _HIGHEST_ID for number in match.groups() if number):
        spot.note(FaultCode.WRONG_FORMAT, f"{spot.tree!r} is no owner", "numbers: uid, or uid:gid such as 999:999")
        return None, None
    return int(match["uid"]), int(match["gid"]) if match["gid"] else None
