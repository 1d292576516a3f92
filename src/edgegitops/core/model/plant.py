"""The plant's say: windows of time and interlocks, as written for one node, and what an interlock answered.

They steer when a transition begins and are no part of a release's digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol

UTC_ZONE = "UTC"
SINCE = 2024
UNTIL = 2200


class WindowKind(StrEnum):
    """Whether transitions may begin inside, or must not."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time that begins at each local time of a schedule (the cron text). `zone` is an IANA name, `file` the
    manifest that says it; `duration` is elapsed time.
    """

    name: str
    file: str
    kind: WindowKind
    schedule: str
    duration: timedelta
    zone: str = UTC_ZONE

    @property
    def label(self) -> str:
        """How people find it."""
        return f"window {self.name} ({self.file})"


@dataclass(frozen=True, slots=True)
class Interlock:
    """A question to the plant, asked in exactly one way: `url`, `path` or `exec`. It must agree, without a break for
    `for_at_least`. `field` is the dotted name of a field of a JSON answer and `equals` the JSON text of what it must
    be; `status` the codes that agree (none: 200 to 299). `max_defer`: after so long a hold a person is alarmed,
    and where it `forces` the change goes on in an open window, if the node's own policy lets it.
    """

    name: str
    file: str
    url: str = ""
    status: tuple[int, ...] = ()
    field: str = ""
    equals: str = ""
    path: str = ""
    exists: bool = True
    fresher_than: timedelta | None = None
    exec: tuple[str, ...] = ()
    for_at_least: timedelta = timedelta()
    max_defer: timedelta | None = None
    forces: bool = False

    def __post_init__(self) -> None:
        ways = sum(map(bool, (self.url, self.path, self.exec)))
        if ways != 1:
            raise ValueError(f"interlock {self.name}: {ways} ways to ask, one is needed")

    @property
    def way(self) -> str:
        """How it is asked: http, file or exec."""
        return "http" if self.url else "file" if self.path else "exec"

    @property
    def label(self) -> str:
        """How people find it."""
        return f"interlock {self.name} ({self.file})"


@dataclass(frozen=True, slots=True)
class Plant:
    """All windows and interlocks that hold for one deployment on one node."""

    windows: tuple[Window, ...] = ()
    interlocks: tuple[Interlock, ...] = ()

    def with_more(self, other: "Plant") -> "Plant":
        """Both; what both have once."""
        return Plant(
            tuple(dict.fromkeys((*self.windows, *other.windows))),
            tuple(dict.fromkeys((*self.interlocks, *other.interlocks))),
        )

    def written_in(self, file: str) -> "Plant":
        """Only what this manifest says."""
        return Plant(
            tuple(one for one in self.windows if one.file == file),
            tuple(one for one in self.interlocks if one.file == file),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What an interlock said just now. `agrees` None: it could not be asked, or its answer could not be read.
    `agreed_for` is how long it has agreed without a break, as observed.
    """

    agrees: bool | None
    agreed_for: timedelta = timedelta()
    detail: str = ""


Answers = Mapping[Interlock, Answer]


class Zones(Protocol):
    """The time zones that this node knows: a lookup that always gives the same value for the same name."""

    def find(self, name: str) -> tzinfo | None:
        """The zone of an IANA name; None where there is none."""


@dataclass(frozen=True, slots=True)
class FixedZones:
    """A lookup over given zones; UTC is always known."""

    zones: Mapping[str, tzinfo] = field(default_factory=dict)

    def find(self, name: str) -> tzinfo | None:
        """The zone of this name; None where it was not given."""
        return UTC if name == UTC_ZONE else self.zones.get(name)


def is_plausible(now: datetime, floor: datetime | None) -> bool:
    """Whether the wall clock may be believed: no earlier than this program's first year nor than the clock floor, which
    signed statements have moved, and in no far future.
    """
    return SINCE <= now.year < UNTIL and (floor is None or now >= floor)
