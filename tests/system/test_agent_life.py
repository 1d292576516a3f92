"""The agent from start to stop: it converges, puts right what was changed, takes away what is withdrawn, and touches
nothing else.
"""

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import FOREIGN, Plant, Wish, eventually, planted, side_by_side, simple

from edgegitops.core.model import events as e
from edgegitops.core.model.release import Phase
from edgegitops.lab import processes
from edgegitops.lab.images import App
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

DRIFTS = ("kill", "stop", "rm", "rename", "pause", "cut-off")
LINE = Wish("line", ("node-1", "node-2"), {"web": App("plant/line", "1.0.0"), "side": App("plant/side", "1.0.0")})
STAYING = Wish("staying", ("node-2",), {"web": App("plant/staying", "1.0.0")})
GOING = Wish("going", ("node-2",), {"web": App("plant/going", "1.0.0")}, prune="delete")


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """Two nodes with a foreign container each; no agent has run on the first, one runs on the second."""
    drifting = [simple(f"drift-{name}", "node-2") for name in DRIFTS]
    with planted(2, LINE, STAYING, GOING, *drifting) as started:
        first, second = started.nodes
        tagged, _, digest = started.lab.registry.publish(App("foreign", "1")).partition("@")
        image = f"{tagged.rpartition(':')[0]}@{digest}"
        for node in started.nodes:
            node.run(["podman", "run", "-d", "--name", FOREIGN, image])
        second.start_agent()
        for one in (LINE, STAYING, GOING, *drifting):
            eventually(partial(look.is_serving, second, one.name, "1.0.0"), one.name, second)
        foreign = {node.name: look.ids(node)[FOREIGN] for node in (first, second)}
        yield started
        for node in started.nodes:
            assert look.ids(node)[FOREIGN] == foreign[node.name]
            assert look.containers(node)[FOREIGN] == "running"


def once(node: VirtualNode) -> "subprocess.CompletedProcess[bytes]":
    return node.attempt(["edgegitops", "agent", "run", "--once"], seconds=90)


def test_run_once_converges_and_does_nothing_the_second_time(plant: Plant) -> None:
    node = plant.nodes[0]
    done = once(node)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()
    assert look.is_serving(node, "line", "1.0.0")
    before, since = look.ids(node), look.ledger(node).seq
    assert once(node).returncode == 0
    kinds = [type(one) for one in look.happened(node, since)]
    assert set(kinds) <= {
        e.DaemonStarted,
        e.WorkerStarted,
        e.WorkerStopped,
        e.DaemonStopped,
        e.HealthChanged,
        e.SoakMarked,
    }
    assert look.ids(node) == before


def test_run_once_says_no_where_a_release_failed(plant: Plant) -> None:
    node = plant.nodes[0]
    plant.wish(replace(LINE.at("1.1.0", NEVER_READY="1"), deadline="3s"))
    assert once(node).returncode == 1
    assert look.record(node, "line").phase is Phase.REVERTED
    assert once(node).returncode == 1


def test_second_daemon_names_the_first(plant: Plant) -> None:
    node = plant.nodes[1]
    second = node.attempt(["edgegitops", "agent", "run"], seconds=30)
    inside = node.run(["cat", str(node.state / "agent.lock")]).strip()
    assert second.returncode == 5
    assert f"process {inside}".encode() in second.stderr
    assert b"agent.lock" in second.stderr
    assert node.is_agent_running()


def drift(node: VirtualNode, how: str) -> None:
    """Change one deployment behind the agent's back, and see it put right."""
    deployment = f"drift-{how}"
    name = look.only(node, deployment)
    before = look.ids(node, deployment)[name]
    started = len(look.starts(node, deployment))
    match how:
        case "kill":
            node.run(["podman", "kill", "-s", "KILL", name])
        case "stop":
            node.run(["podman", "stop", "-t", "3", name])
        case "rm":
            node.run(["podman", "rm", "-f", "-t", "0", name])
        case "rename":
            node.run(["podman", "rename", name, "somebody-renamed-it"])
        case "pause":
            node.run(["podman", "pause", name])
        case "cut-off":
            (net,) = node.run(
                ["podman", "inspect", "--format", "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}", name]
            ).split()
            node.run(["podman", "network", "disconnect", "-f", net, name])
    eventually(lambda: len(look.starts(node, deployment)) > started, f"started again after {how}", node)
    eventually(lambda: look.is_serving(node, deployment, "1.0.0"), f"{how} put right", node)
    is_same = look.ids(node, deployment)[name] == before
    assert is_same == (how in ("kill", "stop", "pause"))


def test_what_was_changed_by_hand_is_put_right(plant: Plant) -> None:
    node = plant.nodes[1]
    side_by_side(*(partial(drift, node, how) for how in DRIFTS))
    assert "somebody-renamed-it" not in look.containers(node)


def test_update_replaces_only_what_changed_and_removal_keeps_what_it_should(plant: Plant) -> None:
    node = plant.nodes[1]
    before = look.ids(node)
    plant.wish(Wish("line", LINE.seats, {**LINE.containers, "side": App("plant/side", "2.0.0")}, version="2.0.0"))
    plant.withdraw("staying", "going")
    eventually(lambda: look.is_serving(node, "line", "2.0.0"), "the update", node)
    for gone in ("staying", "going"):
        eventually(lambda gone=gone: look.record(node, gone).phase is Phase.ABSENT, f"{gone} is gone", node)  # type: ignore[misc]
        assert not look.containers(node, gone)
        assert gone not in node.run(["podman", "network", "ls", "--format", "{{.Name}}"])
    after = look.ids(node)
    kept = {name for name in before if not name.startswith(("line.side.", "staying.", "going."))}
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    volumes = node.run(["podman", "volume", "ls", "--quiet"]).split()
    assert "staying.data" in volumes
    assert "going.data" not in volumes


def test_healing_goes_on_while_the_git_server_hangs(plant: Plant) -> None:
    node, lab = plant.nodes[1], plant.lab
    server = processes.read(lab.directory / "git/pid")
    assert server is not None
    server.signal(signal.SIGSTOP)
    try:
        time.sleep(2)  # a question to the server is under way
        node.run(["podman", "kill", "-s", "KILL", look.only(node, "drift-rm")])
        eventually(lambda: look.is_serving(node, "drift-rm", "1.0.0"), "healed meanwhile", node, seconds=20)
    finally:
        server.signal(signal.SIGCONT)


def test_agent_outlives_an_engine_that_hangs(plant: Plant) -> None:
    node = plant.nodes[1]
    service, agent = processes.read(node.home / "podman.pid"), look.agent_of(node)
    assert service is not None
    before = look.containers(node)
    service.signal(signal.SIGSTOP)
    try:
        time.sleep(4)  # longer than the agent waits for some answers
    finally:
        service.signal(signal.SIGCONT)
    node.run(["podman", "kill", "-s", "KILL", look.only(node, "drift-rename")])
    eventually(lambda: look.is_serving(node, "drift-rename", "1.0.0"), "healed after the engine came back", node)
    assert look.agent_of(node) == agent
    assert look.containers(node) == before


def test_stop_is_clean_and_leaves_the_containers_running(plant: Plant) -> None:
    node = plant.nodes[1]
    before = look.ids(node), look.containers(node)
    agent = look.agent_of(node)
    assert agent is not None
    agent.signal(signal.SIGTERM)
    eventually(lambda: not agent.is_alive(), "the end of the agent", node, seconds=10)
    assert look.happened(node)[-1] == e.DaemonStopped()
    assert look.ledger(node).is_worker_clean
    assert (look.ids(node), look.containers(node)) == before
    assert look.status(node)["daemon"] == "not running"
