"""Disks that fail as disks do: the kernel turns one read-only, or the power takes what was not synced.

One node, with the agent's state and Podman's storage each on an ext4 file system of its own. What stands between the
two is never a container that was stopped for it, and never half a release.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest
from tests.faults.loop_disk import LoopDisk
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, drawn, eventually, planted, simple, wait_for_rows

from edgegitops.lab.commands import run
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

NAMES = ("steady", "changing", "mortal")
ROWS = 22


class Machine:
    """A node and its two disks."""

    def __init__(self, node: VirtualNode) -> None:
        self.node = node
        self.state = LoopDisk(node.home / "state.img", node.state, 200)
        self.root = LoopDisk(node.home / "root.img", node.home / "root", 500)

    def plug_in(self) -> None:
        for disk in (self.state, self.root):
            disk.mount()

    def pull_out(self) -> None:
        for disk in (self.root, self.state):
            disk.unmount()

    def lose_power(self) -> None:
        """Every process is gone at once, then what no disk was told to keep; then it is on again."""
        self.node.power_cut()
        for disk in (self.state, self.root):
            disk.lose_power()
        self.pull_out()
        self.plug_in()
        self.node.boot()


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """One node; no agent has run."""
    with planted(1, *(simple(name, "node-1", soak="2s") for name in NAMES)) as started:
        yield started


@pytest.fixture(scope="module")
def machine(plant: Plant) -> Iterator[Machine]:
    """The node on its two disks, with everything at 1.0.0."""
    (node,) = plant.nodes
    node.power_cut()
    one = Machine(node)
    one.plug_in()
    try:
        node.boot()
        for name in NAMES:
            eventually(partial(look.is_serving, node, name, "1.0.0"), name, node)
        yield one
    finally:
        with suppress(OSError):  # who sweeps up after it reads a disk that may have failed
            node.power_cut()
        one.pull_out()


def log(node: VirtualNode) -> str:
    return (node.home / "agent.log").read_text(errors="replace")


def is_running(node: VirtualNode, name: str) -> bool:
    return list(look.containers(node, name).values()) == ["running"]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_power_loss_that_takes_all_that_was_not_synced_leaves_the_old_or_the_new_release(
    plant: Plant, machine: Machine, seed: int
) -> None:
    node, version = machine.node, f"1.{seed}.0"
    old, since, before = look.record(node, "changing").serving, look.ledger(node).seq, look.ids(node, "steady")
    assert old is not None
    plant.wish(simple("changing", "node-1", soak="2s").at(version))
    rows, moment = drawn(seed, ROWS)
    wait_for_rows(node, since, rows, "changing")
    time.sleep(moment)
    machine.lose_power()
    eventually(partial(look.is_serving, node, "changing", version), f"{version} after {old.version}", node)
    assert look.is_chain_whole(node)
    assert look.ids(node, "steady") == before
    assert look.is_serving(node, "steady", "1.0.0")


def test_disk_of_the_state_that_turns_read_only_ends_what_acts_and_nothing_else(machine: Machine) -> None:
    node, agent = machine.node, look.agent_of(machine.node)
    told, workers = log(node).count('"journal-failed"'), log(node).count('"reasons"')
    machine.state.turn_read_only()
    node.run(["podman", "kill", "-s", "KILL", look.only(node, "mortal")])
    eventually(lambda: log(node).count('"journal-failed"') > told, "the journal that failed", node, 25)
    time.sleep(15)
    assert not is_running(node, "mortal")
    assert is_running(node, "steady")
    assert log(node).count('"reasons"') - workers <= 7  # pauses that double
    told_status = node.run(["edgegitops", "status"])
    assert "Read-only file system" in told_status
    repaired = machine.state.repaired()
    repaired.mount()
    node.run(["mount", repaired.device, str(repaired.place)])
    try:
        eventually(lambda: is_running(node, "mortal"), "healed on the repaired disk", node, 30)
        assert look.agent_of(node) == agent
        assert is_running(node, "steady")
        assert look.is_chain_whole(node)
        assert "Read-only" not in node.run(["edgegitops", "status"])
    finally:
        node.power_cut()
        repaired.unmount()
        machine.pull_out()
        repaired.image.rename(machine.state.image)
        machine.plug_in()
        node.boot()
    for name in NAMES:
        eventually(partial(is_running, node, name), f"{name} after it", node)


def test_disk_of_podman_that_turns_read_only_stops_nothing_and_the_update_comes_on_the_repaired_one(
    plant: Plant, machine: Machine
) -> None:
    node, agent = machine.node, look.agent_of(machine.node)
    processes = [look.pid_of(node, look.only(node, name)) for name in NAMES]
    workers = log(node).count('"reasons"')
    run(["sync", "-f", str(machine.root.place)])  # what Podman had not synced would be torn, and it cannot mend itself
    machine.root.turn_read_only()
    plant.wish(simple("changing", "node-1", soak="2s").at("3.0.0"))
    time.sleep(30)
    assert [node.attempt(["kill", "-0", pid]).returncode for pid in processes] == [0, 0, 0]
    assert look.agent_of(node) == agent
    assert log(node).count('"reasons"') - workers <= 8
    shown = look.status(node)
    assert not shown["isAsWanted"]

    repaired = machine.root.repaired()
    with suppress(OSError):
        node.power_cut()
    machine.pull_out()
    repaired.image.rename(machine.root.image)
    machine.plug_in()
    node.boot()
    eventually(partial(look.is_serving, node, "changing", "3.0.0"), "the update on the repaired disk", node, 90)
    eventually(partial(look.is_serving, node, "steady", "1.0.0"), "what did not change runs again", node)
    assert look.is_chain_whole(node)
