"""What status tells of a container: its health is that of one which runs, or of the last look where nobody can look."""

from datetime import UTC, datetime

import pytest

from edgegitops.cli.node_view import Look, containers, is_as_wanted
from edgegitops.core.model.ledger import ContainerRecord, DeploymentRecord, Health, Ledger
from edgegitops.core.model.naming import container_name
from edgegitops.core.model.observed import ContainerSeen, ContainerState, Observed
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import ContainerSpec, CreateSpec, DeploymentSpec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEC = DeploymentSpec("line", {"web": ContainerSpec(CreateSpec("registry.example/web:1@sha256:" + "a" * 64))})
NAME = container_name("line", "web", SPEC.container_digest("web"))
RECORD = DeploymentRecord(
    "line",
    phase=Phase.HEALTHY,
    serving=Release(SPEC.digest(), "c" * 40, SPEC, "1"),
    containers={NAME: ContainerRecord(health=Health.READY)},
)


def row(seen: Observed | None) -> dict[str, object]:
    (one,) = containers(RECORD, Look(NOW, Ledger(), seen, is_agent_running=True))
    assert isinstance(one, dict)
    return one


@pytest.mark.parametrize(
    ("state", "health"),
    [
        (ContainerState.RUNNING, "ready"),
        (ContainerState.CREATED, "unknown"),
        (ContainerState.EXITED, "unknown"),
    ],
)
def test_container_that_waits_after_a_power_cut_is_not_told_as_ready(state: ContainerState, health: str) -> None:
    told = row(Observed(NOW, (ContainerSeen(NAME, "1", state),)))
    assert told["health"] == health
    assert is_as_wanted(RECORD, [told]) is (health == "ready")  # type: ignore[list-item] # a tree


def test_without_an_engine_the_last_known_health_is_told() -> None:
    told = row(None)
    assert (told["state"], told["health"]) == (None, "ready")
