"""Reports: a node's signed word on what it runs, how that is, and what failed there.

The bytes are RFC 8785 JSON of `Report` by the codec; `payload` digests are SHA-256 of those bytes. Spans are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

HEARTBEAT = timedelta(minutes=15)
SEQUENCE_MOST = 2**53 - 1
"""Beyond it a number has no canonical form."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """How a fleet reports (`fleet.yaml spec.reports`): URL of a Git repository, a folder, and the longest time between
    two reports of a node. Empty: not said.
    """

    git: str = ""
    directory: str = ""
    heartbeat: timedelta = HEARTBEAT


class ReportedState(StrEnum):
    """How a deployment is on a node. Only `healthy` can be evidence for a gate."""

    ABSENT = "absent"
    WAITING = "waiting"
    CHANGING = "changing"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    REVERTED = "reverted"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """A release that failed on the node: at which revision, with which digest, and the sequence that first told it."""

    revision: str
    digest: str
    sequence: int
    reason: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportedDeployment:
    """One deployment on the node. `soaked_for` is healthy time of `digest` as observed on the node's own clock;
    `failures` are kept until a retry or a new attempt makes them moot.
    """

    revision: str
    digest: str
    state: ReportedState
    soaked_for: timedelta = timedelta()
    failures: tuple[ReportedFailure, ...] = ()
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `heads` has the payload digests of the accepted control heads by deployment; `floor` is a commit id;
    `sequence` only grows, over all installations of the node.
    """

    fleet: str
    site: str
    node: str
    installation: str
    boot: str
    sequence: int
    issued_at: datetime
    root_version: int
    floor: str
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    deployments: Mapping[str, ReportedDeployment] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`<site>/<node>`."""
        return f"{self.site}/{self.node}"


@dataclass(frozen=True, slots=True)
class Statement:
    """A report whose signature verified under the node's own report key; the digest of its payload identifies it."""

    report: Report = field(compare=False)
    payload: str


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as a node keeps it: the bytes as they came, and the id of the key under which they were verified then.
    `is_noted`: that was done by this version of the program, and it is its note that says so; else it is verified
    again, under that key. `is_accusing`: it tells failures. `said` is there where this process has read it already.
    """

    data: bytes
    key: str
    is_noted: bool = False
    is_accusing: bool = True
    said: Statement | None = field(default=None, compare=False, repr=False)
