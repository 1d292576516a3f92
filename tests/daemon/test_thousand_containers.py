"""A thousand containers on one node: they all start, a worker with nothing to do acts on none, and a change of one is a
change of one.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from tests.core.reconcile.stage import POLICY, container
from tests.simulation.life import Inline

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
from edgegitops.core.decide import decide
from edgegitops.core.model.events import Event, HealthChanged, IntentRecorded, SoakMarked
from edgegitops.core.model.facts import Desired, Facts, NodeIdentity
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.spec import DeploymentSpec, NetworkSpec
from edgegitops.core.model.trust import Pin
from edgegitops.daemon.cycle import Cycle
from edgegitops.daemon.gear import Gear, Identity
from edgegitops.daemon.order import Order

NODE = NodeIdentity("fleet", "site", "node", Pin("fleet", "0" * 64, "c" * 40))
DEPLOYMENTS, EACH = 40, 25


def release(name: str, versions: Mapping[str, str]) -> Release:
    """A release of a deployment with these containers."""
    spec = DeploymentSpec(
        name, {one: container(one, version) for one, version in versions.items()}, {"net": NetworkSpec()}
    )
    return Release(spec.digest(), "r", spec, "", POLICY)


class Node:
    """A node in memory whose worker wants what it is told."""

    def __init__(self, log) -> None:
        self.clock = MemoryClock(datetime(2026, 6, 1, tzinfo=UTC))
        self.engine, self.journal = MemoryEngine(self.clock), MemoryJournal()
        self.gear = Gear(
            clock=self.clock,
            repository=MemoryRepository(),
            engine=self.engine,
            journal=self.journal,
            floor=MemoryFloor(),
            contents=MemoryContents(),
            snapshots=MemorySnapshots(),
            artifacts=MemoryArtifacts(),
            secrets=MemorySecrets(),
            log=LineLog(log, json=True),
        )
        self.versions = {
            f"line-{at}": dict.fromkeys((f"c{one}" for one in range(EACH)), "1") for at in range(DEPLOYMENTS)
        }

    def work(self) -> list[str]:
        """One worker's life; the subjects of its steps."""
        wanted = Desired("r" * 40, {name: release(name, each) for name, each in self.versions.items()})
        since = self.journal.ledger().seq

        def door(facts: Facts):
            return decide(replace(facts, objects=None, schemas=None, tip=None, remembered=wanted))

        Cycle(self.gear, Identity(NODE, NodePolicy(), SchemaSet({})), door=door, pool=Inline()).run(Order(fetch=False))
        events = [one.event for one in self.journal.entries(since)]
        return [one.subject for one in events if isinstance(one, IntentRecorded)]

    def prove(self) -> None:
        """The resident's part: all answer, for as long as it takes."""
        known, events = self.journal.ledger().deployments, list[Event]()
        for seen in self.engine.observe().containers:
            if seen.state is ContainerState.RUNNING:
                events.append(HealthChanged(seen.deployment, seen.name, Health.READY, ""))
        for name, record in known.items():
            if record.transition is not None and record.transition.new is not None:
                digest = record.transition.new.digest
                events.append(SoakMarked(name, digest, POLICY.soak, POLICY.soak * 0, POLICY.soak * 0))
        self.journal.append(events, self.clock.now())

    def is_healthy(self) -> bool:
        return {one.phase for one in self.journal.ledger().deployments.values()} == {Phase.HEALTHY}


def test_a_thousand_containers_start_rest_and_change_one_by_one(tmp_path) -> None:
    with (tmp_path / "log").open("w") as log:
        node = Node(log)
        node.work()
        running = [one for one in node.engine.observe().containers if one.state is ContainerState.RUNNING]
        assert len(running) == DEPLOYMENTS * EACH
        node.prove()
        node.work()
        assert node.is_healthy()
        assert node.work() == []
        node.versions["line-7"]["c3"] = "2"
        touched = [one for one in node.work() if "@" not in one]
        assert touched
        assert all(one.startswith("line-7.c3.") for one in touched)
