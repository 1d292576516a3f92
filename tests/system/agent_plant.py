"""A small plant for tests of the agent: real nodes, a signed fleet, and a look at them from outside.

A `Wish` is an application and its deployment on some nodes, written from its fields. `Plant` commits wishes signed by
whoever may, and starts agents. What a node says of itself is read from its journal, what runs from its Podman.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgegitops import bootstrap
from edgegitops.cli.demo.looks import entries_of
from edgegitops.cli.demo.looks import is_chain_whole as is_chain_whole  # noqa: PLC0414 - for those who look through here
from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import DeploymentRecord, Ledger
from edgegitops.core.model.release import Phase
from edgegitops.errors import EdgegitopsError
from edgegitops.lab import fleet as fleets
from edgegitops.lab import processes
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode
from edgegitops.lab.processes import Process

PATIENCE = 45.0
"""How long a quiet machine may take, in seconds."""
BUSY = 120.0
"""What a busy one is given at least: that it is slow is nobody's fault."""
FOREIGN = "line.web.foreign"  # a name like ours, without our labels
READY = {"http": {"port": 8080, "path": "/healthz"}, "interval": "1s"}


@dataclass(frozen=True)
class Wish:
    """What an engineer wants: containers by name, each an App or the fields of a container with an App as `image`."""

    name: str
    seats: tuple[str, ...]
    containers: Mapping[str, App | Mapping[str, Any]] = field(default_factory=dict)
    version: str = "1.0.0"
    soak: str = "1s"
    deadline: str = "40s"
    prune: str = "keep"
    volume: Mapping[str, Any] = field(default_factory=dict)
    jobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    keep: int = 3

    def at(self, version: str, **faults: str) -> "Wish":
        """The same with every image at another version, which may misbehave."""
        changed = {name: _at(one, version, faults) for name, one in self.containers.items()}
        return replace(self, version=version, containers=changed)


def _at(one: App | Mapping[str, Any], version: str, faults: Mapping[str, str]) -> App | Mapping[str, Any]:
    if isinstance(one, App):
        return App(one.name, version, faults)
    return {**one, "image": App(one["image"].name, version, faults)} if isinstance(one["image"], App) else one


def simple(name: str, *seats: str, **fields: Any) -> Wish:
    """One container `web`, with a volume `data`."""
    return Wish(name, seats, {"web": App(f"plant/{name}", "1.0.0")}, **fields)


class Plant:
    """The lab, its fleet and the pen that writes into it; safe for several threads."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._turn = threading.RLock()

    @property
    def nodes(self) -> list[VirtualNode]:
        """In the order of their numbers."""
        return list(self.lab.nodes.values())

    def commit(self, message: str, key: str | None, files: Mapping[str, str | None]) -> str:
        """Commit and push."""
        with self._turn:
            self.lab.fleet.commit(message, key=key, files=files)
            return self.lab.fleet.push()

    def wish(self, *wishes: Wish, publish: bool = True) -> str:
        """Write what is wanted, applications first; `publish`: push their images, too. The tip."""
        with self._turn:
            fleet = self.lab.fleet
            apps = {f"apps/{one.name}/app.yaml": self._application(one, publish=publish) for one in wishes}
            uses = {f"deployments/{one.name}.yaml": _deployment(one) for one in wishes}
            for key, files in (("engineer", apps), ("release-manager", uses)):
                new = {name: text for name, text in files.items() if not _holds(fleet.work / name, text)}
                if new:
                    fleet.commit(
                        f"{key}: {', '.join(f'{one.name} {one.version}' for one in wishes)}", key=key, files=new
                    )
            return fleet.push()

    def withdraw(self, *names: str) -> str:
        """Remove deployments."""
        return self.commit("withdrawn", "release-manager", {f"deployments/{name}.yaml": None for name in names})

    def _application(self, wish: Wish, *, publish: bool) -> str:
        containers = {name: self._container(one, publish=publish) for name, one in wish.containers.items()}
        jobs = {name: {**one, "image": self._image(one["image"], publish=publish)} for name, one in wish.jobs.items()}
        mounted = any("/data" in one["mounts"] for one in containers.values())
        spec = {
            "version": wish.version,
            "update": {"minReady": "1s"},
            "networks": {"net": {}},
            **({"volumes": {"data": dict(wish.volume)}} if mounted else {}),
            **(
                {"artifacts": {name: {"artifact": one} for name, one in wish.artifacts.items()}}
                if wish.artifacts
                else {}
            ),
            "containers": containers,
            **({"jobs": jobs} if jobs else {}),
        }
        return _document("Application", wish.name, spec)

    def _container(self, one: App | Mapping[str, Any], *, publish: bool) -> dict[str, Any]:
        fields = {"image": one} if isinstance(one, App) else dict(one)
        fields["image"] = self._image(fields["image"], publish=publish)
        usual = {
            "networks": {"net": {}},
            "mounts": {"/data": {"volume": "data"}},
            "probes": {"ready": READY},
            "stop": {"timeout": "3s"},
        }
        return usual | fields

    def _image(self, app: App | str, *, publish: bool) -> str:
        """A reference as it is, or that of a demo app."""
        if isinstance(app, str):
            return app
        return self.lab.registry.publish(app) if publish else reference(app)


def reference(app: App) -> str:
    """What the image would be called once it is published."""
    from edgegitops.lab.images import image

    return f"registry.example/{app.name}:{app.version}@{image(app).digest}"


def _deployment(wish: Wish) -> str:
    chosen = [{"key": "seat", "operator": "In", "values": list(wish.seats)}]
    spec = {
        "application": wish.name,
        "selector": {"matchExpressions": chosen},
        "rollback": {"deadline": wish.deadline, "soak": wish.soak, "keep": wish.keep},
        "prune": {"volumes": wish.prune},
    }
    return _document("Deployment", wish.name, spec)


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    tree = {"apiVersion": "edgegitops/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return json.dumps(tree, indent=2) + "\n"


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


@contextmanager
def planted(nodes: int, *wishes: Wish) -> Iterator[Plant]:
    """A lab whose nodes are enrolled and tagged `seat: <name>`, and whose fleet wants this; no agent runs yet."""
    with Lab.start(nodes) as lab:
        fleets.found(lab.fleet.home, lab.git_url)
        plant = Plant(lab)
        seats = {node.name: {"address": node.address, "tags": {"seat": node.name}} for node in plant.nodes}
        site = _document("Site", "lab", {"tags": {"lab": "true"}, "timeZone": "UTC", "nodes": seats})
        plant.commit("inventory: the lab's nodes", "inventory", {"sites/lab.yaml": site})
        for node in plant.nodes:
            lab.enrol(node.name, poll="1s")
        if wishes:
            plant.wish(*wishes)
        yield plant


# --- looking ----------------------------------------------------------------------------------------------------------


_FOLDED: dict[Path, Any] = {}


def ledger(node: VirtualNode) -> Ledger:
    """What the node's journal says. Whoever waits looks often: what the look before this one folded is taken from
    there, where the journal still holds it.
    """
    journal = bootstrap.read_journal(node.state)
    try:
        journal._folded = _FOLDED.get(node.state)
        return journal.ledger()
    finally:
        _FOLDED[node.state] = journal._folded
        journal.close()


def record(node: VirtualNode, name: str) -> DeploymentRecord:
    """What the node remembers of one deployment."""
    return ledger(node).deployments.get(name) or DeploymentRecord(name)


def happened(node: VirtualNode, since: int = 0) -> list[e.Event]:
    """The events of the node's journal after an entry."""
    return [entry.event for entry in entries_of(node, since)]


def is_at_rest(node: VirtualNode) -> bool:
    """Whether the last that the journal says is that a worker ended."""
    return isinstance(happened(node, ledger(node).seq - 1)[-1], e.WorkerStopped)


def status(node: VirtualNode) -> dict[str, Any]:
    """What `edgegitops status --json` answers on the node."""
    tree: dict[str, Any] = json.loads(node.run(["edgegitops", "status", "--json"]))
    return tree


def containers(node: VirtualNode, name: str = "") -> dict[str, str]:
    """State of each container, by name; of one deployment where it is named."""
    found = node.engine.containers()
    return {one: state for one, state in found.items() if not name or (one.startswith(f"{name}.") and one != FOREIGN)}


def ids(node: VirtualNode, name: str = "") -> dict[str, str]:
    """Podman's id of each container, by name."""
    rows = node.engine.get("/containers/json?all=true")
    return {row["Names"][0]: row["Id"] for row in rows if row["Names"][0].startswith(f"{name}." if name else "")}


def only(node: VirtualNode, name: str, part: str = "web") -> str:
    """The name of the one container of a part."""
    (found,) = [one for one in containers(node) if one.startswith(f"{name}.{part}.")]
    return found


def pid_of(node: VirtualNode, container: str) -> str:
    """The process id of a container's first process, as the node counts."""
    return node.run(["podman", "inspect", "--format", "{{.State.Pid}}", container]).strip()


def starts(node: VirtualNode, name: str) -> list[str]:
    """The lines that the application wrote into its volume: one a start, with the version."""
    file = node.home / "root/volumes" / f"{name}.data" / "_data/starts"
    return [line.rpartition(" ")[2] for line in file.read_text().splitlines()]


def is_serving(node: VirtualNode, name: str, version: str, phase: Phase = Phase.HEALTHY) -> bool:
    """At rest in this phase, and what Podman has of this deployment is exactly this version, running."""
    known = record(node, name)
    serving = known.serving
    if known.phase is not phase or known.transition is not None or serving is None or serving.version != version:
        return False
    wanted = {f"{name}.{one}.{serving.spec.container_digest(one)[:12]}": "running" for one in serving.spec.containers}
    return containers(node, name) == wanted


def agent_of(node: VirtualNode) -> Process | None:
    """The resident."""
    return processes.read(node.home / "agent.pid")


def worker_of(node: VirtualNode) -> Process | None:
    """The worker that lives now."""
    agent = agent_of(node)
    found = processes._children(agent.pid) if agent else []
    return processes.find(found[0]) if found else None


def eventually(
    holds: Callable[[], bool], what: str, node: VirtualNode | None = None, seconds: float = PATIENCE
) -> None:
    """Look until it holds; else fail with what the node has to say."""
    patience = max(seconds, BUSY)
    ends_at = time.monotonic() + patience
    while time.monotonic() < ends_at:
        with suppress(EdgegitopsError, OSError, ValueError):
            if holds():
                return
        time.sleep(0.1)
    raise AssertionError(f"not seen within {patience:g} s: {what}\n{_story(node) if node else ''}")


def _story(node: VirtualNode) -> str:
    log = (node.home / "agent.log").read_text(errors="replace").splitlines()[-30:]
    told = [one for ask in (_remembered, lambda node: [str(containers(node))]) for one in _or_why(ask, node)]
    return "\n".join([f"{node.name}:", *told, "log:", *log])


def _or_why(ask: Callable[[VirtualNode], list[str]], node: VirtualNode) -> list[str]:
    try:
        return ask(node)
    except (EdgegitopsError, OSError) as error:
        return [str(error)]


def _remembered(node: VirtualNode) -> list[str]:
    known = ledger(node)
    rows = [
        f"  {one.name}: {one.phase} serving {one.serving.version if one.serving else None} hold "
        f"{one.hold_reason!r} {one.hold_detail} latches {[latch.reason for latch in one.latches.values()]}"
        for one in known.deployments.values()
    ]
    alarms = [f"  alarm {one.code} {one.subject}: {one.detail}" for one in known.alarms.values()]
    events = [f"  {one}"[:400] for one in happened(node, max(0, known.seq - 40))]
    return [*rows, *alarms, "journal:", *events]


def side_by_side(*scenes: Callable[[], None]) -> None:
    """Play scenes at once, each on a node of its own; the first failure is raised when all are over."""
    with ThreadPoolExecutor(len(scenes)) as pool:
        played = [pool.submit(scene) for scene in scenes]
    for one in played:
        one.result()


def wait_for_rows(node: VirtualNode, since: int, rows: int, name: str) -> None:
    """Until the journal has so many entries more, or the deployment is at rest at another release than before."""
    before = record(node, name).serving

    def is_there() -> bool:
        known = record(node, name)
        is_over = known.transition is None and known.serving != before
        return is_over or ledger(node).seq >= since + rows

    eventually(is_there, f"{rows} rows after {since}", node)


def drawn(seed: int, most: int) -> tuple[int, float]:
    """An instant of an update: so many journal entries after its beginning, and a moment more (seconds)."""
    chance = random.Random(seed)
    return chance.randint(1, most), chance.random() * 0.4
