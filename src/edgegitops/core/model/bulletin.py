"""What a node says of itself in a few numbers and codes: no text that grows, no names but those of its deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from edgegitops.core.model.release import Phase


@dataclass(frozen=True, slots=True)
class DeploymentLine:
    """How one deployment stands; `hold_reason` is empty where nothing holds it."""

    name: str
    phase: Phase
    phase_at: datetime | None = None
    hold_reason: str = ""
    hold_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """How many alarms of a code stand, the oldest of them since when."""

    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Bulletin:
    """The node as its last worker left it. `alarms` by code; `floor_at` is the trusted floor of the clock;
    `is_clock_plausible` is False where the clock is before it, and no window opens.
    """

    deployments: tuple[DeploymentLine, ...] = ()
    alarms: Mapping[str, AlarmLine] = field(default_factory=dict)
    operator_holds: int = 0
    floor_at: datetime | None = None
    is_clock_plausible: bool = True
