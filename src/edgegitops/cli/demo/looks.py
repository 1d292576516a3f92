"""Law: what a node did is read from outside: its journal, its Podman, its published port. Nothing here changes it."""

import json
import urllib.request
from datetime import datetime

from edgegitops import bootstrap
from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import DeploymentRecord, Ledger
from edgegitops.core.model.release import Phase, Release
from edgegitops.lab.node import VirtualNode

VISION = "vision-qa"
PORT = 8080


def ledger_of(node: VirtualNode) -> Ledger:
    """What the node's journal says."""
    journal = bootstrap.read_journal(node.state)
    try:
        return journal.ledger()
    finally:
        journal.close()


def record_of(node: VirtualNode) -> DeploymentRecord:
    """What the node's journal says of the vision inspection."""
    return ledger_of(node).deployments.get(VISION) or DeploymentRecord(VISION)


def entries_of(node: VirtualNode, since: int = 0) -> list[e.Entry]:
    """The entries of the node's journal after one."""
    journal = bootstrap.read_journal(node.state)
    try:
        return list(journal.entries(since))
    finally:
        journal.close()


def is_chain_whole(node: VirtualNode) -> bool:
    """Whether nobody changed the node's journal."""
    journal = bootstrap.read_journal(node.state)
    try:
        return journal.verify() is None
    finally:
        journal.close()


def moved_at(node: VirtualNode, version: str, phase: Phase) -> datetime | None:
    """When a release of this version first came to a phase here; `SWITCHING` is its start."""
    coming: dict[str, str] = {}
    for entry in entries_of(node):
        match entry.event:
            case e.TransitionBegan(_, transition) if transition.new is not None:
                coming[transition.id] = transition.new.version
            case e.PhaseMoved(_, transition_id, _, new) if new is phase and coming.get(transition_id) == version:
                return entry.at
    return None


def has_started(node: VirtualNode, version: str) -> bool:
    """Whether a release of this version was ever told to start here."""
    return moved_at(node, version, Phase.SWITCHING) is not None


def releases_of(node: VirtualNode, version: str) -> list[Release]:
    """The releases of this version that were set out for here, one for each time."""
    began = [entry.event for entry in entries_of(node) if isinstance(entry.event, e.TransitionBegan)]
    return [one.transition.new for one in began if one.transition.new and one.transition.new.version == version]


def is_container_started(node: VirtualNode, version: str) -> bool:
    """Whether a container of this version was started here, not only made."""
    names = {name for release in releases_of(node, version) for name in containers_of(release)}
    events = (entry.event for entry in entries_of(node))
    return any(
        isinstance(event, e.OutcomeRecorded) and event.step == "start-container" and event.subject in names
        for event in events
    )


def tag_kept_at(node: VirtualNode, number: int) -> datetime | None:
    """When the node believed a control tag."""
    ref = f"refs/tags/rollout/{VISION}/{number:06}"
    kept = (one for one in entries_of(node) if isinstance(one.event, e.ControlTagKept) and one.event.ref == ref)
    return next((one.at for one in kept), None)


def refused_tip(node: VirtualNode) -> tuple[str, str]:
    """The newest commit that the node refuses, and why."""
    known = ledger_of(node)
    return known.refused_tip, known.refused_reason


def containers(node: VirtualNode) -> dict[str, dict[str, object]]:
    """What Podman says runs on the node, by name."""
    rows = json.loads(node.run(["podman", "ps", "--format", "json"]))
    return {str(row["Names"][0]): row for row in rows}


def containers_of(release: Release) -> set[str]:
    """What the containers of a release are called in Podman."""
    return {f"{VISION}.{name}.{release.spec.container_digest(name)[:12]}" for name in release.spec.containers}


def running(node: VirtualNode, part: str) -> dict[str, object]:
    """The running container with this name in the manifest; empty where none runs."""
    found = [row for name, row in containers(node).items() if name.startswith(f"{VISION}.{part}.")]
    return found[0] if found else {}


def serves(node: VirtualNode, version: str) -> bool:
    """Whether the published port answers with this version, asked over the wire."""
    with urllib.request.urlopen(f"http://{node.address}:{PORT}/version", timeout=2) as page:
        body: bytes = page.read()
    return body.decode().strip().endswith(f" {version}")


def is_healthy_at(node: VirtualNode, version: str) -> bool:
    """Whether the journal says healthy at this version, and the published port says the same."""
    record = record_of(node)
    is_there = record.phase is Phase.HEALTHY and record.serving is not None and record.serving.version == version
    return is_there and serves(node, version)


def is_keeping(node: VirtualNode, version: str) -> bool:
    """Whether this version serves, whatever waits."""
    serving = record_of(node).serving
    return serving is not None and serving.version == version and serves(node, version)


def is_whole(node: VirtualNode) -> bool:
    """Whether the containers that run are exactly those of the release that the journal says serves, and nothing is
    under way.
    """
    record = record_of(node)
    if record.transition is not None or record.serving is None or record.phase not in (Phase.HEALTHY, Phase.REVERTED):
        return False
    ours = {name for name in containers(node) if name.startswith(f"{VISION}.")}
    return ours == containers_of(record.serving) and serves(node, record.serving.version)
