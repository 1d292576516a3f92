"""Releases, their policies, and the phases a deployment goes through on a node."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from edgegitops.core.model.plant import Plant
from edgegitops.core.model.spec import Condition, DeploymentSpec


class Phase(StrEnum):
    """Where a deployment stands on this node; the legal moves are the table in core/reconcile/lifecycle.py."""

    ABSENT = "absent"
    PENDING = "pending"
    PREPARING = "preparing"
    READY = "ready"
    SWITCHING = "switching"
    PROVING = "proving"
    HEALTHY = "healthy"
    REVERTING = "reverting"
    REVERTED = "reverted"
    STUCK = "stuck"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    REGRESSED = "regressed"
    REMOVING = "removing"


class DriftPolicy(StrEnum):
    """What to do about a difference between engine and spec."""

    CORRECT = "correct"
    REPORT = "report"
    PAUSE = "pause"


class After(StrEnum):
    """What follows when a release that was healthy is not any more."""

    REPORTED = "reported"
    REGRESSION = "regression"


class VolumePrune(StrEnum):
    """What happens to volumes when a deployment is removed."""

    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """What steers an update and is no part of the spec. `depends_on` maps other deployments of the node to what they
    must be before a release begins. `gate_soak` is for how long the node's wave must be healthy before a later one may
    start (nothing: no later wave asks). `needs` is the time that a window must have left (None: the
    deadline); `network_pool` is what networks without a subnet get theirs from;
    `plant` holds every window and interlock that the site, the policies and the deployment say for it here.
    """

    automatic: bool = True
    deadline: timedelta = timedelta(minutes=5)
    soak: timedelta = timedelta(minutes=10)
    gate_soak: timedelta = timedelta()
    keep: int = 3
    safe: bool = True
    max_attempts: int = 2
    min_ready: timedelta = timedelta(seconds=10)
    drift: DriftPolicy = DriftPolicy.CORRECT
    prune_volumes: VolumePrune = VolumePrune.KEEP
    paused: bool = False
    mirrors: tuple[tuple[str, ...], ...] = ()
    needs: timedelta | None = None
    plant: Plant = field(default_factory=Plant)
    depends_on: Mapping[str, Condition] = field(default_factory=dict)
    after: After = After.REPORTED
    network_pool: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """What a revision makes of a deployment on this node. `digest` is `spec.digest()`, kept to spare the hashing."""

    digest: str
    revision: str
    spec: DeploymentSpec
    version: str = ""
    policy: UpdatePolicy = UpdatePolicy()

    @property
    def deployment(self) -> str:
        """The deployment's name."""
        return self.spec.deployment

    @property
    def short(self) -> str:
        """How people see it: `vision-qa@1a2b3c4d5e6f`."""
        return f"{self.deployment}@{self.digest[:12]}"
