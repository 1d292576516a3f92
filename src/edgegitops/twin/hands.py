"""What a node of the twin acts with, in words of the daemon's ports. Who makes them knows the adapters in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from edgegitops.core.model.events import Result
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.snapshots import Copied, Room, SnapshotSeen
from edgegitops.core.model.steps import Step
from edgegitops.twin.weather import Fate

BOOT = "twin"


class Ended(Protocol):
    """How a step ended, as the daemon's own hands say it."""

    @property
    def result(self) -> Result:
        """Done, or why not."""

    @property
    def reason(self) -> str:
        """A reason code, or empty."""

    @property
    def detail(self) -> str:
        """More for people."""

    @property
    def room(self) -> Room | None:
        """What a measurement found."""

    @property
    def copied(self) -> Copied | None:
        """What a copy took."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What is on a node besides the engine's things."""

    contents: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    snapshots: tuple[SnapshotSeen, ...] = ()


class Hands(Protocol):
    """The engine and the stores of one node."""

    def observe(self) -> Observed:
        """What the engine shows now."""

    def stock(self) -> Stock:
        """What the stores hold now."""

    def perform(self, step: Step, desired: Desired | None) -> Ended:
        """Do one step; never raises."""

    def is_answering(self, container: str) -> bool:
        """Whether a probe of the container would pass now."""

    def changes_at(self) -> datetime | None:
        """When the next container ends by itself, or answers otherwise than now; None: never."""


class TwinClock:
    """The instant at which the whole twin is: one clock for all nodes. `ports.Clock`."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._began_at = at

    def now(self) -> datetime:
        """That instant, in UTC."""
        return self.at

    def monotonic(self) -> timedelta:
        """Time since the twin began."""
        return self.at - self._began_at

    def boot_id(self) -> str:
        """No machine goes down here."""
        return BOOT


MakeHands = Callable[[TwinClock, Callable[[str], Fate | None]], Hands]
"""Hands at a clock; the second tells how a container of this digest fails on the node, None: it is well."""
