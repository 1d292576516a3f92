"""A worker asks what a decision wants to hear, right before it looks again, and does not end before."""

from datetime import UTC, datetime

import pytest

from edgegitops.adapters.artifacts_memory import MemoryArtifacts
from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.contents_memory import MemoryContents
from edgegitops.adapters.engine_memory import MemoryEngine
from edgegitops.adapters.floor_memory import MemoryFloor
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.adapters.log_lines import LineLog
from edgegitops.adapters.repository_memory import MemoryRepository
from edgegitops.adapters.secrets_memory import MemorySecrets
from edgegitops.adapters.snapshots_memory import MemorySnapshots
from edgegitops.core.model.facts import Decision, Facts, NodeIdentity
from edgegitops.core.model.plant import Answer, Interlock
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.trust import Pin
from edgegitops.daemon import cycle
from edgegitops.daemon.cycle import Cycle
from edgegitops.daemon.gear import Gear, Identity
from edgegitops.daemon.order import Order

STOPPED = Interlock("line-stopped", "sites/a.yaml", path="/stopped")
NODE = NodeIdentity("fleet", "site", "node", Pin("fleet", "0" * 64, "c" * 40))


class Plant:
    """Agrees; keeps what each look was told."""

    def __init__(self) -> None:
        self.asked = 0
        self.told: list[bool | None] = []

    def ask(self, _: Interlock) -> Answer:
        self.asked += 1
        return Answer(agrees=True)

    def door(self, facts: Facts) -> Decision:
        """Wants to hear the interlock until it agrees."""
        answer = facts.answers.get(STOPPED)
        self.told.append(answer.agrees if answer else None)
        return Decision() if answer and answer.agrees else Decision(questions=(STOPPED,))


def run(plant: Plant, tmp_path, *, is_revert_only: bool = False) -> None:
    clock = MemoryClock(datetime(2026, 6, 1, tzinfo=UTC))
    with (tmp_path / "log").open("w") as log:
        gear = Gear(
            clock=clock,
            repository=MemoryRepository(),
            engine=MemoryEngine(clock),
            journal=MemoryJournal(),
            floor=MemoryFloor(),
            contents=MemoryContents(),
            snapshots=MemorySnapshots(),
            artifacts=MemoryArtifacts(),
            secrets=MemorySecrets(),
            log=LineLog(log, json=True),
            askers={"file": plant.ask},
        )
        worker = Cycle(gear, Identity(NODE, NodePolicy(), SchemaSet({})), door=plant.door)
        worker.run(Order(fetch=False, is_revert_only=is_revert_only))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch) -> None:
    monkeypatch.setattr(cycle, "BETWEEN_QUESTIONS", 0.0)


def test_worker_asks_and_looks_again_before_it_ends(tmp_path):
    plant = Plant()
    run(plant, tmp_path)
    assert (plant.told, plant.asked) == ([None, True], 1)


def test_worker_that_may_only_revert_asks_nobody(tmp_path):
    plant = Plant()
    run(plant, tmp_path, is_revert_only=True)
    assert (plant.told, plant.asked) == ([None], 0)
