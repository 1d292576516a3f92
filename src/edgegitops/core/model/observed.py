"""What the engine says is there, in model words, at one instant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from edgegitops.core.model import naming


class ContainerState(StrEnum):
    """Engine states, folded to what the core needs. LOST: the engine says running and no process is there."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    EXITED = "exited"
    LOST = "lost"
    UNKNOWN = "unknown"


def mark(digest: str, networks: Iterable[str]) -> str:
    """Equal for two looks at a container that nobody changed in between."""
    return " ".join((digest, *sorted(networks)))


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """One container of the engine, ours or not. `addresses` maps engine network names to IP addresses; `networks` are
    those names as the engine's list tells them, sorted: the list is all that the resident looks at. `configs` is the
    digest of the live configs that were put in place whole, and of which a running program was told.
    """

    name: str
    id: str
    state: ContainerState
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    pid: int | None = None
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    configs: str = ""

    @property
    def mark(self) -> str:
        """What tells a running container from a changed one in a list: its digest label and its networks."""
        return mark(self.digest, self.networks)

    @property
    def deployment(self) -> str:
        """The deployment that its labels name, or empty."""
        return self.labels.get(naming.LABEL_DEPLOYMENT, "")

    @property
    def container(self) -> str:
        """The container name that its labels name, or empty."""
        return self.labels.get(naming.LABEL_CONTAINER, "")

    @property
    def digest(self) -> str:
        """The container digest that its labels name, or empty."""
        return self.labels.get(naming.LABEL_DIGEST, "")


@dataclass(frozen=True, slots=True)
class Observed:
    """The engine at one instant. Networks and volumes map engine names to labels, `subnets` names of networks to what
    they take. Foreign things are included.
    """

    at: datetime
    containers: tuple[ContainerSeen, ...] = ()
    networks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    volumes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    subnets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def named(self, name: str) -> ContainerSeen | None:
        """The container with this engine name, ours or not."""
        return next((one for one in self.containers if one.name == name), None)

    def owned(self, fleet: str, deployment: str | None = None) -> tuple[ContainerSeen, ...]:
        """Containers whose labels say that they are this fleet's (and this deployment's)."""
        return tuple(
            one
            for one in self.containers
            if one.labels.get(naming.LABEL_FLEET) == fleet and (deployment is None or one.deployment == deployment)
        )


@dataclass(frozen=True, slots=True)
class LastWords:
    """What a container (engine name) had written last when it was removed."""

    name: str
    at: datetime
    text: str
