"""What a fetch says: an alarm of its own kind with the words of the remote, one at a time, until a fetch works."""

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
from edgegitops.core.model.events import AlarmCleared, AlarmRaised
from edgegitops.core.model.facts import Decision, NodeIdentity
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.trust import Pin
from edgegitops.daemon.cycle import Cycle
from edgegitops.daemon.gear import Gear, Identity
from edgegitops.daemon.order import Order
from edgegitops.errors import UnavailableError

NODE = NodeIdentity("fleet", "site", "node", Pin("fleet", "0" * 64, "c" * 40))
DENIED = "http://git: the server wants other credentials (401) (repository.tokenFile: /etc/edgegitops/token)"


class Remote(MemoryRepository):
    """Fails a fetch as told: (reason, words), or None for a fetch that works."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: tuple[str, str] | None = None

    def fetch(self) -> str:
        if self.fault is not None:
            reason, words = self.fault
            raise UnavailableError("repository", "fetch", words, reason=reason)
        return ""


class Node:
    """A node that lives from worker to worker."""

    def __init__(self, folder) -> None:
        self.folder, self.remote, self.journal = folder, Remote(), MemoryJournal()

    def fetch(self, fault: tuple[str, str] | None) -> None:
        """One worker, whose fetch ends so."""
        self.remote.fault = fault
        clock = MemoryClock(datetime(2026, 6, 1, tzinfo=UTC))
        with (self.folder / "log").open("a") as log:
            gear = Gear(
                clock=clock,
                repository=self.remote,
                engine=MemoryEngine(clock),
                journal=self.journal,
                floor=MemoryFloor(),
                contents=MemoryContents(),
                snapshots=MemorySnapshots(),
                artifacts=MemoryArtifacts(),
                secrets=MemorySecrets(),
                log=LineLog(log, json=True),
                askers={},
            )
            Cycle(gear, Identity(NODE, NodePolicy(), SchemaSet({})), door=lambda _: Decision()).run(Order(fetch=True))

    @property
    def alarms(self) -> dict[str, str]:
        return {one.code: one.detail for one in self.journal.ledger().alarms.values()}

    @property
    def told(self) -> list[str]:
        return [type(one.event).__name__ for one in self.journal.entries() if _is_alarm(one.event)]


def _is_alarm(event: object) -> bool:
    return isinstance(event, AlarmRaised | AlarmCleared)


@pytest.fixture
def node(tmp_path) -> Node:
    return Node(tmp_path)


def test_denied_credential_is_an_alarm_that_names_the_file(node):
    node.fetch(("credential-denied", DENIED))
    assert node.alarms == {"credential-denied": f"credential-denied: {DENIED}"}


def test_alarm_is_told_once_however_often_the_fetch_fails(node):
    for _ in range(3):
        node.fetch(("credential-denied", DENIED))
    assert node.told == ["AlarmRaised"]


def test_another_file_is_told_anew(node):
    node.fetch(("credential-denied", DENIED))
    node.fetch(("credential-denied", DENIED.replace("/token", "/other")))
    assert node.told == ["AlarmRaised", "AlarmRaised"]
    assert "/etc/edgegitops/other" in node.alarms["credential-denied"]


def test_fetch_that_works_ends_the_alarm(node):
    node.fetch(("credential-denied", DENIED))
    node.fetch(None)
    assert node.alarms == {}


def test_remote_that_is_away_is_another_alarm_in_its_place(node):
    node.fetch(("credential-denied", DENIED))
    node.fetch(("fetch-failed", "no route to host"))
    assert node.alarms == {"fetch-failed": "fetch-failed: no route to host"}
