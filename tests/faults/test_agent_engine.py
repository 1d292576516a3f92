"""Whatever Podman does, answers or forgets, nothing is doubled, nothing healthy is restarted, and it ends as wanted."""

import json
import signal
import time
from collections.abc import Iterator

import pytest
from tests.faults.bad_proxy import BadProxy, Mischief
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, drawn, eventually, planted, simple, wait_for_rows

from edgegitops.core.model import events as e
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.release import Phase
from edgegitops.lab import processes
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

CREATE, START, STOP = r"POST \S*/containers/create", r"POST \S*/start\b", r"POST \S*/stop\b"
LIST, INSPECT = r"GET \S*/containers/json", r"GET \S*/containers/[^/]+/json"
STRIKES = [
    ("500", CREATE, 1),
    ("500", START, 1),
    ("500", STOP, 2),
    ("500", LIST, 6),
    ("409", CREATE, 1),
    ("409", STOP, 1),
    ("nonsense", LIST, 4),
    ("nonsense", CREATE, 1),
    ("lost", CREATE, 1),
    ("lost", START, 1),
    ("lost", STOP, 1),
    ("lost", LIST, 4),
]
NAMES = ("quiet", "lost", "struck", "imageless", "hung")


@pytest.fixture(scope="module")
def proxy(plant: Plant) -> BadProxy:
    """What the agent takes for Podman."""
    node = plant.nodes[0]
    return PROXIES[node.name]


PROXIES: dict[str, BadProxy] = {}


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """One node with its applications at 1.0.0, whose agent meets Podman through the proxy."""
    with planted(1, *(simple(name, "node-1") for name in NAMES)) as started:
        node = started.nodes[0]
        between = BadProxy(node.home / "bad.sock", node.socket)
        PROXIES[node.name] = between
        config = node.home / "node.yaml"
        config.write_text(config.read_text().replace(json.dumps(str(node.socket)), json.dumps(f"{node.home}/bad.sock")))
        between.start()
        node.start_agent()
        for name in NAMES:
            eventually(lambda name=name: look.is_serving(node, name, "1.0.0"), name, node)  # type: ignore[misc]
        yield started
        between.stop()


@pytest.fixture
def node(plant: Plant) -> VirtualNode:
    """The node."""
    return plant.nodes[0]


@pytest.mark.parametrize(("how", "pattern", "times"), STRIKES, ids=[f"{one[0]} {one[1]}" for one in STRIKES])
def test_answer_that_is_wrong_or_lost_ends_where_a_right_one_would(
    plant: Plant, node: VirtualNode, proxy: BadProxy, how: str, pattern: str, times: int
) -> None:
    version = f"1.{STRIKES.index((how, pattern, times)) + 1}.0"
    quiet = look.ids(node, "quiet")
    proxy.mischief = Mischief(how, pattern, times)
    try:
        plant.wish(simple("struck", "node-1").at(version))
        eventually(lambda: look.is_serving(node, "struck", version), f"{version} through it", node, 40)
        assert proxy.mischief.struck
    finally:
        proxy.mischief = None
    assert look.starts(node, "struck").count(version) == 1
    assert look.ids(node, "quiet") == quiet
    assert len(look.starts(node, "quiet")) == 1
    assert look.is_chain_whole(node)


def test_socket_that_is_gone_stops_nothing_and_is_used_once_it_is_back(node: VirtualNode, proxy: BadProxy) -> None:
    agent, before = look.agent_of(node), look.ids(node)
    proxy.stop()
    try:
        node.run(["podman", "kill", "-s", "KILL", look.only(node, "lost")])
        time.sleep(15)
        running = look.containers(node)
        assert sorted(running.values()) == ["exited"] + ["running"] * (len(running) - 1)
    finally:
        proxy.start()
    eventually(lambda: look.is_serving(node, "lost", "1.0.0"), "healed once it is back", node, 25)
    assert (look.agent_of(node), look.ids(node)) == (agent, before)


@pytest.mark.parametrize("seed", [1, 2])
def test_engine_that_hangs_in_an_update_delays_it_and_nothing_is_done_twice(
    plant: Plant, node: VirtualNode, seed: int
) -> None:
    service, version = processes.read(node.home / "podman.pid"), f"2.{seed}.0"
    assert service is not None
    quiet, since = look.ids(node, "quiet"), look.ledger(node).seq
    plant.wish(simple("hung", "node-1").at(version))
    rows, moment = drawn(seed, 12)
    wait_for_rows(node, since, rows, "hung")
    time.sleep(moment)
    service.signal(signal.SIGSTOP)
    try:
        time.sleep(15)
    finally:
        service.signal(signal.SIGCONT)
    eventually(lambda: look.is_serving(node, "hung", version), f"{version} after it", node)
    assert look.starts(node, "hung").count(version) == 1
    assert (look.ids(node, "quiet"), len(look.starts(node, "quiet"))) == (quiet, 1)


def test_release_whose_way_back_was_removed_is_stuck_and_does_not_flap(plant: Plant, node: VirtualNode) -> None:
    old = look.only(node, "imageless")
    image = node.run(["podman", "inspect", "--format", "{{.Image}}", old]).strip()
    since = look.ledger(node).seq
    plant.wish(simple("imageless", "node-1", soak="10s").at("2.0.0", FAIL_AFTER="4"))
    eventually(lambda: look.record(node, "imageless").phase is Phase.PROVING, "proving", node)
    node.run(["podman", "rm", "-f", old])
    node.run(["podman", "rmi", "-f", image])
    eventually(lambda: look.record(node, "imageless").phase is Phase.STUCK, "stuck", node)
    assert f"{Alarm.STUCK} imageless" in look.ledger(node).alarms
    time.sleep(5)
    began = [one for one in look.happened(node, since) if isinstance(one, e.TransitionBegan)]
    assert len(began) == 1
    assert look.is_serving(node, "quiet", "1.0.0")
