"""Whoever is killed at whatever instant of an update, the node ends wholly at the old or the new release and says so.

Instants are drawn as "so many journal entries after the update began, and a moment more", so that they fall into every
phase on a fast and on a slow machine. The nodes of the lab are played on side by side.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, Wish, drawn, eventually, planted, side_by_side, simple, wait_for_rows

from edgegitops.core.model import events as e
from edgegitops.core.model.reasons import Refusal
from edgegitops.core.model.release import Phase
from edgegitops.lab import processes
from edgegitops.lab.node import VirtualNode
from edgegitops.lab.processes import Process

pytestmark = pytest.mark.system

ROWS = 22  # about as many entries as an update writes
Strike = Callable[[VirtualNode], None]
REST = (Phase.HEALTHY, Phase.REVERTED)


def app(seat: str) -> Wish:
    """Each node has an application of its own; two containers, of which one depends on the other."""
    wish = simple(f"app-{seat}", seat, soak="2s")
    web = {"image": wish.containers["web"], "dependsOn": {"store": "ready"}}
    return Wish(wish.name, wish.seats, {"store": wish.containers["web"], "web": web}, soak="2s")


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """Four nodes at 1.0.0."""
    with planted(4, *(app(f"node-{number}") for number in range(1, 5))) as started:
        for node in started.nodes:
            node.start_agent()
        for node in started.nodes:
            eventually(partial(look.is_serving, node, name(node), "1.0.0"), "the first release", node)
        yield started


def name(node: VirtualNode) -> str:
    return f"app-{node.name}"


def serving(node: VirtualNode) -> str:
    """The version that the node's journal says serves."""
    release = look.record(node, name(node)).serving
    return release.version if release else ""


def require_whole(node: VirtualNode, *versions: str) -> None:
    """At rest at one of these, running exactly it, with the volume's data from the beginning and an intact journal."""

    def is_whole() -> bool:
        known = look.record(node, name(node))
        return known.phase in REST and look.is_serving(node, name(node), serving(node), known.phase)

    eventually(is_whole, f"wholly at one of {versions}", node)
    assert serving(node) in versions
    assert look.is_chain_whole(node)
    assert look.starts(node, name(node))[0] == "1.0.0"


def play(plant: Plant, scene: Strike | None = None, *, version: str, seed: int, **faults: str) -> None:
    """Update every node, and strike each at an instant of its own."""

    def on(node: VirtualNode, number: int) -> None:
        old = serving(node)
        since = look.ledger(node).seq
        plant.wish(app(node.name).at(version, **faults))
        rows, moment = drawn(seed + number, ROWS)
        wait_for_rows(node, since, rows, name(node))
        time.sleep(moment)
        if scene is not None:
            scene(node)
        require_whole(node, *([old] if faults else [old, version]))
        if not faults:
            eventually(lambda: serving(node) == version or bool(look.record(node, name(node)).latches), "an end", node)

    side_by_side(*(partial(on, node, number) for number, node in enumerate(plant.nodes)))


def cut(node: VirtualNode) -> None:
    node.power_cut()
    node.boot()


def kill_worker(node: VirtualNode) -> None:
    worker = look.worker_of(node)
    if worker is not None:
        worker.end()


def kill_agent(node: VirtualNode) -> None:
    agent, worker = look.agent_of(node), look.worker_of(node)
    assert agent is not None
    agent.end()
    if worker is not None:
        eventually(lambda: not worker.is_alive(), "the worker dies with the resident", node, seconds=5)
    node.start_agent()


def kill_podman(node: VirtualNode) -> None:
    service = processes.read(node.home / "podman.pid")
    assert service is not None
    service.end()
    node.start_podman()


@pytest.mark.parametrize(
    ("strike", "version", "seed"),
    [(kill_worker, "1.1.0", 10), (kill_agent, "1.2.0", 20), (kill_podman, "1.3.0", 30), (cut, "1.4.0", 40)],
    ids=["worker", "agent", "podman", "power"],
)
def test_one_death_does_not_keep_the_new_release_from_coming(
    plant: Plant, strike: Strike, version: str, seed: int
) -> None:
    play(plant, strike, version=version, seed=seed)
    assert [serving(node) for node in plant.nodes] == [version] * 4


def test_power_cut_while_a_bad_release_comes_or_goes_ends_at_the_old_one(plant: Plant) -> None:
    before = {node.name: serving(node) for node in plant.nodes}
    play(plant, cut, version="1.5.0", seed=50, FAIL_AFTER="2")
    for node in plant.nodes:
        assert look.record(node, name(node)).phase is Phase.REVERTED
        assert serving(node) == before[node.name]


def test_worker_that_dies_twice_while_a_release_starts_only_reverts(plant: Plant) -> None:
    first = plant.nodes[0]
    plant.wish(app(first.name).at("1.6.0", IGNORE_TERM="1"))  # it takes its time to stop, so that a worker is met
    eventually(lambda: serving(first) == "1.6.0", "a release that stops slowly", first)
    since = look.ledger(first).seq
    plant.wish(app(first.name).at("1.7.0"))
    killed: list[int] = []  # the journal's length at each death

    def is_killed() -> bool:
        known, events = look.record(first, name(first)), look.happened(first, killed[-1] if killed else since)
        transition, worker = known.transition, look.worker_of(first)
        is_begun = transition is not None and transition.phase in (Phase.SWITCHING, Phase.PROVING)
        has_acted = bool(events) and isinstance(events[-1], e.IntentRecorded)
        if is_begun and has_acted and worker is not None:
            worker.end()
            killed.append(look.ledger(first).seq)
        return len(killed) == 2

    eventually(is_killed, "two dead workers", first)
    require_whole(first, "1.6.0")
    assert any(isinstance(one, e.WorkerStarted) and one.is_revert_only for one in look.happened(first, since))
    latches = look.record(first, name(first)).latches.values()
    assert [one.reason for one in latches if one.reason == Refusal.ATTEMPTS_EXHAUSTED]


def test_revert_ends_with_the_cable_pulled(plant: Plant) -> None:
    second = plant.nodes[1]
    old = serving(second)
    plant.wish(app(second.name).at("1.8.0", FAIL_AFTER="4"))
    begun = {Phase.SWITCHING, Phase.PROVING}  # where the machine is slow, it fails before it proves
    eventually(lambda: look.record(second, name(second)).phase in begun, "the new one has begun", second)
    second.unplug()
    try:
        eventually(lambda: look.record(second, name(second)).phase is Phase.REVERTED, "reverted offline", second)
        require_whole(second, old)
    finally:
        second.plug()


def test_power_cut_at_rest_with_the_cable_pulled_brings_the_same_containers_back(plant: Plant) -> None:
    third = plant.nodes[2]
    before, known, since = look.ids(third, name(third)), look.record(third, name(third)), look.ledger(third).seq
    version = serving(third)
    third.unplug()
    third.power_cut()
    third.power_on()
    third.unplug()  # the wire is new after a power-on
    third.boot()
    try:
        eventually(lambda: look.is_serving(third, name(third), version, known.phase), "all is back", third)
        assert look.ids(third, name(third)) == before
        steps = {one.step for one in look.happened(third, since) if isinstance(one, e.IntentRecorded)}
        assert steps == {"start-container"}
    finally:
        third.plug()


def test_no_process_of_the_agent_outlives_its_end(plant: Plant) -> None:
    fourth = plant.nodes[3]
    agent = look.agent_of(fourth)
    assert agent is not None
    family = [agent, *_descendants(agent)]
    fourth.stop_agent()
    assert not [one for one in family if one.is_alive()]
    assert set(look.containers(fourth, name(fourth)).values()) == {"running"}


def _descendants(process: Process) -> list[Process]:
    found = [processes.find(pid) for pid in processes._children(process.pid)]
    return [one for one in found if one is not None]
