"""Joins adapters to what an operator asks at a node: look, hold, ask the agent, enrol, retire. It decides nothing.

All of it works with the agent dead and without a network, except what is about the network. Imports of adapters are
inside the functions, as in `bootstrap`.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops import bootstrap
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.node_config import NodeConfig
from edgegitops.errors import EdgegitopsError, JournalError, OutsideError, UnavailableError

if TYPE_CHECKING:
    from edgegitops.adapters.engine_podman import PodmanEngine
    from edgegitops.adapters.journal_sqlite import SqliteJournal
    from edgegitops.core.model.events import Event
    from edgegitops.core.model.facts import Desired
    from edgegitops.core.model.observed import Observed

PATIENCE = timedelta(seconds=10)


def now() -> datetime:
    """The wall clock, in UTC."""
    from edgegitops.adapters.clock_system import SystemClock

    return SystemClock().now()


# --- looking ----------------------------------------------------------------------------------------------------------


def remember(config: NodeConfig) -> Ledger:
    """What the node remembers; an empty memory where the agent never ran. JournalError: it cannot be read."""
    return bootstrap.read_ledger(config) if _has_journal(config) else Ledger()


def history(config: NodeConfig) -> "SqliteJournal | None":
    """The journal, to be read only; None where the agent never ran."""
    return bootstrap.read_journal(Path(config.state)) if _has_journal(config) else None


def _has_journal(config: NodeConfig) -> bool:
    try:
        return (Path(config.state) / "journal.db").exists()
    except OSError as error:
        raise JournalError(f"{config.state}: {error.strerror}; run this as the agent's user (root)") from error


def is_agent_running(config: NodeConfig) -> bool:
    """True where an agent holds `agent.lock`; False also where that cannot be told."""
    if not (Path(config.state) / "agent.lock").exists():
        return False
    try:
        return bootstrap.is_daemon_running(config)
    except UnavailableError:
        return False


def observe(config: NodeConfig) -> "Observed | None":
    """The engine now; None where it does not answer."""
    with suppress(OutsideError):
        return _engine(config).observe()
    return None


def container_logs(config: NodeConfig, container: str, lines: int) -> str:
    """The last lines that a container (engine name) wrote. OutsideError: the engine did not give them."""
    return _engine(config).logs(container, lines)


def wanted(config: NodeConfig, ledger: Ledger) -> "Desired | None":
    """What the revision in force wants of this node, from the local mirror alone; None where that cannot be told."""
    from edgegitops.adapters.repository_pygit2 import GitRepository
    from edgegitops.core.desire import desire
    from edgegitops.core.model.facts import Facts
    from edgegitops.core.model.observed import Observed

    mirror = Path(config.state) / "mirror.git"
    if ledger.floor is None or not mirror.is_dir():
        return None
    try:
        at = now()
        facts = Facts(
            now=at,
            boot_id="",
            node=config.identity(),
            policy=bootstrap.read_policy(config.policy_file),
            ledger=ledger,
            observed=Observed(at),
            objects=GitRepository(str(mirror), config.remote.url, config.remote.branch).objects(),
            schemas=bootstrap.load_schemas(),
        )
        return desire(facts)[0]
    except EdgegitopsError:
        return None


def _engine(config: NodeConfig) -> "PodmanEngine":
    from edgegitops.adapters.engine_podman import PodmanEngine

    contents = str(Path(config.state) / "contents")
    return PodmanEngine(f"unix://{config.socket}", contents_dir=contents, answer_within=PATIENCE)


# --- ordering ---------------------------------------------------------------------------------------------------------


def note(config: NodeConfig, events: "Sequence[Event]") -> None:
    """Write an operator's events into the journal. JournalError: nothing was written."""
    from edgegitops.adapters.journal_sqlite import SqliteJournal

    journal = SqliteJournal(Path(config.state) / "journal.db")
    try:
        journal.append(events, now())
    finally:
        journal.close()


def wake(config: NodeConfig, word: str) -> None:
    """Ask the running agent to `look` or `reconcile`. UnavailableError: none listens; DeniedError: not from us."""
    from edgegitops.adapters.control_socket import say

    say(config.control_socket, word)
