"""What the engine contract needs: one rig for each engine, with the same words for what a test does behind its back.

The memory rig runs everywhere; the Podman rigs share one isolated node for each OCI runtime and clean up after every
test, so that no test sees another's things.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.contracts.podman_node import PodmanNode

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.engine_memory import Behaviour, MemoryEngine
from edgegitops.adapters.engine_podman import PodmanEngine
from edgegitops.core.model import naming
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.spec import CreateSpec
from edgegitops.core.model.steps import CreateContainer, PullImage, StartContainer

FLEET = "urn:test:fleet"
SLEEP = ("/bin/sleep", "1000")
RUNTIMES = [pytest.param(name, marks=pytest.mark.system) for name in ("crun", "runc")]
NOWHERE = "sha256:" + "0" * 64


def labels(deployment: str, container: str = "", digest: str = "") -> dict[str, str]:
    """Ownership labels as core gives them."""
    named = {
        naming.LABEL_FLEET: FLEET,
        naming.LABEL_DEPLOYMENT: deployment,
        naming.LABEL_CONTAINER: container,
        naming.LABEL_DIGEST: digest,
    }
    return {key: value for key, value in named.items() if value}


class Rig:
    """What the rigs have in common: making a container in one call."""

    engine: PodmanEngine | MemoryEngine
    image: str

    def step(self, name: str, **spec: object) -> CreateContainer:
        """A step that creates `<name>`, which sleeps unless `args` say otherwise."""
        create = replace(CreateSpec(image=self.image, args=SLEEP), **spec)
        return CreateContainer(
            subject=name,
            alias=name.split(".")[1],
            create=create,
            labels=labels(name.split(".", maxsplit=1)[0], name.split(".")[1], sha256_hex(name.encode())),
            networks={network: f"line.{network}" for network in create.networks},
            volumes={mount.volume: f"line.{mount.volume}" for mount in create.mounts if mount.volume},
            stop_timeout=timedelta(seconds=5),
        )

    def create(self, name: str, **spec: object) -> None:
        self.engine.perform(PullImage(self.image))
        self.engine.perform(self.step(name, **spec))

    def run(self, name: str, **spec: object) -> ContainerSeen:
        """Create and start; what is seen then."""
        self.create(name, **spec)
        self.engine.perform(StartContainer(name))
        return self.seen(name)

    def seen(self, name: str) -> ContainerSeen:
        found = self.engine.observe().named(name)
        assert found is not None, name
        return found

    def states(self) -> dict[str, ContainerState]:
        return {one.name: one.state for one in self.engine.observe().containers}


class MemoryRig(Rig):
    """The twin."""

    def __init__(self) -> None:
        self.clock = MemoryClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.image = f"registry.example/box@sha256:{'b' * 64}"
        self.missing = f"registry.example/missing@{NOWHERE}"
        written = Behaviour(log="one\ntwo\nthree\n")
        self.engine = MemoryEngine(self.clock, behaviours={self.image: written}, unavailable={self.missing})

    def add_foreign(self, name: str) -> None:
        self.engine.add_foreign(ContainerSeen(name=name, id="f" * 64, state=ContainerState.RUNNING))

    def end(self, name: str) -> None:
        self.engine.end(name, 137)

    def lose(self, name: str) -> None:
        self.engine.lose(name)

    def cut_power(self) -> None:
        self.engine.power_cut()

    def stop_registry(self) -> None:
        self.engine.is_registry_down = True

    def start_registry(self) -> None:
        self.engine.is_registry_down = False

    def clean(self) -> None:
        """Nothing outlives the object."""


class PodmanRig(Rig):
    """The adapter over a real Podman. `inside` runs a shell line in a container and answers its output."""

    def __init__(self, node: PodmanNode) -> None:
        self.node = node
        self.image = node.box
        self.missing = f"127.0.0.1:5055/missing@{NOWHERE}"
        self.contents = node.top / "contents"
        self.engine = PodmanEngine(node.url, contents_dir=str(self.contents), proc=node.proc)

    def add_foreign(self, name: str) -> None:
        spec = {"name": name, "image": self.image, "command": list(SLEEP), "labels": {"owner": "somebody"}}
        self.engine.perform(PullImage(self.image))
        self.node.api("post", "/containers/create", body=spec)
        self.node.api("post", f"/containers/{name}/start")

    def put(self, text: str) -> str:
        """Store a config file as the content store does; its digest."""
        data = text.encode()
        path = self.contents / sha256_hex(data)
        path.write_bytes(data)
        path.chmod(0o444)
        return path.name

    def inside(self, name: str, line: str) -> str:
        return self.node.run("podman", "exec", name, "/bin/sh", "-c", line)

    def end(self, name: str) -> None:
        self.node.run("podman", "kill", "-s", "KILL", name)
        self.node.run("podman", "wait", name)

    def kill_monitor(self, name: str) -> None:
        """Kill conmon; the container goes on."""
        self.node.note_containers()
        state = self.node.api("get", f"/containers/{name}/json")["State"]
        self.node.run("kill", "-9", str(state["ConmonPid"]))
        self.node.wait_gone(state["ConmonPid"])

    def lose(self, name: str) -> None:
        """Kill the monitor, then the process, so that nobody can tell Podman of the end."""
        state = self.node.api("get", f"/containers/{name}/json")["State"]
        self.kill_monitor(name)
        self.node.run("kill", "-9", str(state["Pid"]))
        self.node.wait_gone(state["Pid"])

    def cut_power(self) -> None:
        self.engine.close()
        self.node.power_cut()
        self.node.boot()
        self.node.start_registry()
        self.engine = PodmanEngine(self.node.url, contents_dir=str(self.contents), proc=self.node.proc)

    def stop_registry(self) -> None:
        self.node.stop_registry()

    def start_registry(self) -> None:
        self.node.start_registry()

    def clean(self) -> None:
        self.engine.close()
        self.node.clean()


@pytest.fixture(scope="session")
def podman_nodes() -> Iterator[dict[str, PodmanNode]]:
    """One node for each runtime, made when first asked for, gone with the session."""
    nodes: dict[str, PodmanNode] = {}
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [node.close() for node in nodes.values()])
        yield nodes


def podman_rig(nodes: dict[str, PodmanNode], runtime: str) -> PodmanRig:
    """A rig over the session's node of this runtime."""
    if runtime not in nodes:
        node = PodmanNode(runtime)
        nodes[runtime] = node
        node.import_box()
        node.start_registry()
        node.box = node.publish("box")
    return PodmanRig(nodes[runtime])


@pytest.fixture(params=["memory", *RUNTIMES])
def rig(request: pytest.FixtureRequest, podman_nodes: dict[str, PodmanNode]) -> Iterator[MemoryRig | PodmanRig]:
    made = MemoryRig() if request.param == "memory" else podman_rig(podman_nodes, request.param)
    try:
        yield made
    finally:
        made.clean()


@pytest.fixture(params=RUNTIMES)
def podman(request: pytest.FixtureRequest, podman_nodes: dict[str, PodmanNode]) -> Iterator[PodmanRig]:
    made = podman_rig(podman_nodes, request.param)
    try:
        yield made
    finally:
        made.clean()
