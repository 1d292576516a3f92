"""What a node tells by itself, and what it remembers of having told it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class News(StrEnum):
    """What happened."""

    ALARM_RAISED = "alarm-raised"
    ALARM_CLEARED = "alarm-cleared"
    HELD_LONG = "held-long"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell. `id` is the same each time that it is told; `code` is of core.model.reasons, `subject` a
    deployment or what else the code is about.
    """

    id: str
    news: News
    at: datetime
    code: str
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """A hold that stands: the seq of the entry that told of it, since when, why, and whether a notice told it."""

    seq: int
    since: datetime
    reason: str
    detail: str = ""
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """How far the journal was told: up to and with the entry `seq`, whose hash is kept; `alarms` (code and subject) and
    `holds` (by deployment) stand there.
    """

    seq: int = 0
    hash: str = ""
    alarms: frozenset[str] = frozenset()
    holds: Mapping[str, Holding] = field(default_factory=dict)
