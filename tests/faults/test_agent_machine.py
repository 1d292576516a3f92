"""Whatever the machine does, the agent leaves what runs alone, says what is wrong, and goes on when it is over.

One node, with the agent's state and Podman's storage each on a small file system of their own. Each test ends
applications of its own, because one that ends often waits ever longer.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, eventually, planted, simple

from edgegitops.core.model import events as e
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase
from edgegitops.lab.commands import run
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

MIB = 1024**2
BASIC = simple("basic", "node-1")
OTHER = simple("other", "node-1")
MORTAL = [simple(f"mortal-{number}", "node-1") for number in range(16)]
LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("/nowhere"))


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """One node with its applications at 1.0.0."""
    wishes = [BASIC, OTHER, *MORTAL]
    with planted(1, *wishes) as started:
        node = started.nodes[0]
        node.power_cut()
        mounts = {node.state: 200, node.home / "root": 400}
        for place, size in mounts.items():
            place.mkdir(exist_ok=True)
            run(["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=700", "tmpfs", str(place)])
        try:
            node.boot()
            for name in [one.name for one in wishes]:
                eventually(lambda name=name: look.is_serving(node, name, "1.0.0"), name, node, 120)  # type: ignore[misc]
            yield started
        finally:
            node.power_cut()
            for place in mounts:
                run(["umount", "-l", str(place)])


@pytest.fixture
def node(plant: Plant) -> VirtualNode:
    """The node, at rest, with an agent that runs."""
    one = plant.nodes[0]
    one.start_agent()
    eventually(lambda: all(state == "running" for state in look.containers(one).values()), "all runs", one)
    return one


@pytest.fixture(scope="module")
def unspent() -> list[str]:
    """Applications that have not ended yet."""
    return [one.name for one in MORTAL]


@pytest.fixture
def mortal(unspent: list[str]) -> str:
    """An application that may end."""
    return unspent.pop()


@pytest.fixture
def second(unspent: list[str]) -> str:
    """Another one."""
    return unspent.pop()


@contextmanager
def filled(place: Path) -> Iterator[Callable[[], None]]:
    """Not a byte is free in there; call it to take what was freed since."""
    filler = place / "filler"

    def fill() -> None:
        with filler.open("ab", buffering=0) as file, suppress(OSError):
            for size in (MIB, 4096):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    fill()
    try:
        yield fill
    finally:
        filler.unlink()


def kill(node: VirtualNode, name: str) -> None:
    """The application's process ends."""
    node.run(["podman", "kill", "-s", "KILL", look.only(node, name)])


def log(node: VirtualNode) -> str:
    return (node.home / "agent.log").read_text(errors="replace")


def is_running(node: VirtualNode, name: str) -> bool:
    return list(look.containers(node, name).values()) == ["running"]


def require_healed(node: VirtualNode, name: str, seconds: float = 30) -> None:
    """It is killed, and comes back."""
    before = len(look.starts(node, name))
    kill(node, name)
    eventually(
        lambda: len(look.starts(node, name)) > before and is_running(node, name), f"{name} healed", node, seconds
    )


def test_full_disk_frees_the_ballast_then_stops_what_acts_and_goes_on_when_there_is_space(
    node: VirtualNode, mortal: str, second: str
) -> None:
    ballast, agent = node.state / "ballast", look.agent_of(node)
    assert ballast.stat().st_size == 16 * MIB
    before = look.ids(node)
    with filled(node.state) as fill:
        deadline = time.monotonic() + 20
        while "the disk is full" not in log(node) and time.monotonic() < deadline:
            if is_running(node, mortal):
                kill(node, mortal)
            fill()
            time.sleep(0.2)
        assert "the disk is full" in log(node)
        assert not ballast.exists()
        assert is_running(node, "other")
        assert look.agent_of(node) == agent
    eventually(lambda: is_running(node, mortal), "healed with space", node, 30)
    require_healed(node, second)
    eventually(ballast.exists, "the ballast is back", node, 10)
    assert look.ids(node) == before
    assert look.is_chain_whole(node)


def test_disk_without_inodes_stops_nothing(node: VirtualNode, mortal: str, second: str) -> None:
    place = str(node.state)
    run(["mount", "-o", f"remount,nr_inodes={_inodes(node.state) + 3}", place])
    crumbs = []
    try:
        with suppress(OSError):
            for number in range(10):
                crumbs.append(node.state / f"crumb{number}")
                crumbs[-1].touch()
        require_healed(node, mortal)
        assert is_running(node, "other")
    finally:
        for crumb in crumbs:
            crumb.unlink(missing_ok=True)
        run(["mount", "-o", "remount,nr_inodes=100000", place])
    require_healed(node, second)


def _inodes(place: Path) -> int:
    room = os.statvfs(place)
    return room.f_files - room.f_ffree


def test_full_disk_of_images_holds_the_release_and_keeps_the_old_one(plant: Plant, node: VirtualNode) -> None:
    with filled(node.home / "root"):
        plant.wish(BASIC.at("2.0.0"))
        held = (HoldReason.DISK_FULL, HoldReason.IMAGE_UNAVAILABLE, HoldReason.BACK_OFF)
        eventually(lambda: look.record(node, "basic").hold_reason in held, "a hold for the disk", node)
        assert look.record(node, "basic").hold_reason == HoldReason.DISK_FULL
        assert is_running(node, "basic")
    node.run(["edgegitops", "reconcile"])
    eventually(lambda: look.is_serving(node, "basic", "2.0.0"), "the release once there is space", node)


def test_disk_of_images_without_inodes_holds_the_release_and_keeps_the_old_one(plant: Plant, node: VirtualNode) -> None:
    place = node.home / "root"
    run(["mount", "-o", f"remount,nr_inodes={_inodes(place) + 20}", str(place)])
    try:
        plant.wish(OTHER.at("2.0.0"))
        eventually(lambda: look.record(node, "other").hold_reason == HoldReason.DISK_FULL, "a hold for the disk", node)
        assert is_running(node, "other")
    finally:
        run(["mount", "-o", "remount,nr_inodes=1000000", str(place)])
    node.run(["edgegitops", "reconcile"])
    eventually(lambda: look.is_serving(node, "other", "2.0.0"), "the release once there are inodes", node)


def test_deleted_journal_begins_anew_over_the_same_containers_and_the_same_floor(node: VirtualNode) -> None:
    before, floor = look.ids(node), look.ledger(node).floor
    node.stop_agent()
    for file in node.state.glob("journal.db*"):
        file.unlink()
    node.unplug()
    try:
        node.start_agent()
        for name in ("basic", "other"):
            eventually(lambda name=name: look.record(node, name).phase is Phase.HEALTHY, name, node)  # type: ignore[misc]
    finally:
        node.plug()
    assert look.ids(node) == before
    known = look.ledger(node).floor
    assert known is not None
    assert known == floor
    steps = {one.step for one in look.happened(node) if isinstance(one, e.IntentRecorded)}
    assert not steps & {"stop-container", "create-container", "remove-container"}


def spoil(file: Path) -> None:
    """A disk that lost what it was given."""
    with file.open("r+b") as journal:
        journal.seek(4096)
        journal.write(os.urandom(64 * 1024))


def date_later(file: Path) -> None:
    """As a version of years to come would leave it."""
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version = 999")
    db.close()


@pytest.mark.parametrize(
    ("change", "words"), [(spoil, "damaged"), (date_later, "written by a newer edgegitops")], ids=["damaged", "newer"]
)
def test_journal_that_cannot_be_believed_is_refused_and_left_as_it_is(
    node: VirtualNode, change: Callable[[Path], None], words: str
) -> None:
    node.stop_agent()
    before, journal = (look.ids(node), look.containers(node)), node.state / "journal.db"
    for beside in ("-wal", "-shm"):  # a clean end leaves none; a copy that is put back must not meet them
        journal.with_name(f"{journal.name}{beside}").unlink(missing_ok=True)
    whole = journal.read_bytes()
    change(journal)
    changed = journal.read_bytes()
    try:
        refused = node.attempt(["edgegitops", "agent", "run"], seconds=30)
        assert (refused.returncode, words.encode() in refused.stderr) == (6, True), refused.stderr
        assert str(journal).encode() in refused.stderr
        assert journal.read_bytes() == changed
        assert (look.ids(node), look.containers(node)) == before
    finally:
        for file in node.state.glob("journal.db*"):
            file.unlink()
        journal.write_bytes(whole)


def test_locks_of_the_dead_are_no_obstacle(node: VirtualNode, mortal: str) -> None:
    node.stop_agent(patience=0)
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name in ("agent.lock", "worker.lock"):
        (node.state / name).write_text(f"{dead.pid}\n")
    for name in ("HEAD.lock", "config.lock", "packed-refs.lock"):
        (node.state / "mirror.git" / name).touch()
    node.start_agent()
    require_healed(node, mortal)
    assert not (node.state / "mirror.git" / "HEAD.lock").exists()


@pytest.mark.parametrize("errors", ["fdatasync,fsync:error=EIO", "pwrite64,ftruncate,openat:error=EROFS"])
def test_disk_that_fails_ends_what_acts_and_nothing_else(node: VirtualNode, errors: str, mortal: str) -> None:
    agent, since = look.agent_of(node), look.ledger(node).seq
    assert agent is not None
    calls = errors.partition(":")[0]
    only = ["-P", str(node.state / "journal.db"), "-P", str(node.state / "journal.db-wal")]
    words = ["strace", "-f", "-qq", "-o", "/dev/null", *only, "-e", f"trace={calls}", "-e", f"inject={errors}"]
    told = log(node).count('"journal-failed"')
    tracer = subprocess.Popen([*words, "-p", str(agent.pid)])
    try:
        time.sleep(0.5)
        kill(node, mortal)
        eventually(lambda: log(node).count('"journal-failed"') > told, "the journal that failed", node, 25)
        time.sleep(2)
        assert not is_running(node, mortal)
        assert is_running(node, "other")
    finally:
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(10)
    assert look.agent_of(node) == agent
    eventually(lambda: is_running(node, mortal), "healed by a disk that works", node, 30)
    assert any(isinstance(one, e.DaemonStarted) for one in look.happened(node, since))
    assert look.is_chain_whole(node)


def test_log_that_nobody_reads_holds_up_nothing(node: VirtualNode, mortal: str, second: str) -> None:
    node.stop_agent()
    fifo = node.home / "log.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(writer, bytes(4096))
        words = f"exec {sys.executable} -m edgegitops agent run --config {node.home}/node.yaml 2>>{fifo}"
        node.start_agent(["sh", "-c", words])
        require_healed(node, mortal)
        require_healed(node, second)
        require_ends_when_told(node)
    finally:
        node.stop_agent()
        os.close(reader)
        os.close(writer)
        fifo.unlink()


def require_ends_when_told(node: VirtualNode) -> None:
    agent = look.agent_of(node)
    assert agent is not None
    agent.signal(signal.SIGTERM)
    eventually(lambda: not agent.is_alive(), "the end of the agent", node, 12)


DEAF = """import socket, time
held = [socket.create_connection(("127.0.0.1", 9464)) for _ in range(40)]
for one in held[::2]:
    one.sendall(b"GET /metrics HTTP/1.1\\r\\n")
time.sleep(1000)
"""


def test_hook_that_hangs_and_scrapers_that_say_and_read_nothing_hold_up_nothing(
    node: VirtualNode, mortal: str, second: str
) -> None:
    node.stop_agent()
    hooks, config = "/etc/edgegitops/hooks", node.home / "node.yaml"
    usual = config.read_text()
    hang = f"mkdir -p {hooks}; printf '#!/bin/sh\ntouch /run/told\nsleep 1000\n' >{hooks}/page; chmod 755 {hooks}/page"
    node.run(["sh", "-c", hang])
    config.write_text(f'{usual}  notify: {{exec: ["{hooks}/page"]}}\n  metrics: {{listen: "127.0.0.1:9464"}}\n')
    deaf = None
    try:
        node.start_agent()
        eventually(lambda: look.is_at_rest(node), "rest", node)
        deaf = subprocess.Popen(node.inside([sys.executable, "-I", "-c", DEAF]))
        node.unplug()  # something to tell
        eventually(lambda: node.attempt(["test", "-e", "/run/told"]).returncode == 0, "a notice under way", node)
        require_healed(node, mortal)
        node.plug()
        require_healed(node, second)
        require_ends_when_told(node)
    finally:
        node.plug()
        node.stop_agent()
        config.write_text(usual)
        if deaf is not None:
            deaf.kill()
            deaf.wait()


@pytest.mark.parametrize("both", [False, True], ids=["conmon", "conmon and all"])
def test_container_without_its_monitor_is_kept_while_it_lives_and_replaced_when_it_does_not(
    node: VirtualNode, mortal: str, both: bool
) -> None:
    container = look.only(node, mortal)
    shown = json.loads(node.run(["podman", "inspect", container]))[0]
    monitor = node.run(["cat", shown["ConmonPidFile"]]).strip()
    pid = str(shown["State"]["Pid"])
    node.run(["kill", "-9", monitor])
    if not both:
        time.sleep(5)
        assert node.attempt(["kill", "-0", pid]).returncode == 0, "what lives is not touched"
        assert len(look.starts(node, mortal)) == 1
    node.attempt(["kill", "-9", pid])
    eventually(lambda: len(look.starts(node, mortal)) == 2, "started anew", node, 40)
    eventually(lambda: look.is_serving(node, mortal, "1.0.0"), "repaired", node)
    assert look.ids(node, mortal)[container] != shown["Id"]


class Clock:
    """The clock of a node's agent, as far from the true one as it is told."""

    def __init__(self, node: VirtualNode) -> None:
        self.node = node
        self.file = node.home / "faketime"
        self.file.write_text("+0\n")
        node.stop_agent()
        settings = {
            "LD_PRELOAD": str(LIBFAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # with it Python's threads wait for one another by running in circles
            "NO_FAKE_STAT": "1",
        }
        words = [f"{key}={value}" for key, value in settings.items()]
        python = [sys.executable, "-m", "edgegitops", "agent", "run", "--config", str(node.home / "node.yaml")]
        node.start_agent(["env", *words, *python])

    def step(self, span: timedelta) -> None:
        """Set it so far from the true one."""
        self.file.write_text(f"{span.total_seconds():+.0f}\n")

    def entry_at(self) -> datetime:
        """When the newest entry of the journal was written, by this clock."""
        return max(look.entries_of(self.node, look.ledger(self.node).seq - 1), key=lambda one: one.seq).at


@pytest.fixture
def clock(node: VirtualNode) -> Iterator[Clock]:
    """A clock that can be set, of an agent that is at rest."""
    assert LIBFAKETIME.exists()
    fake = Clock(node)
    yield fake
    node.stop_agent()


@pytest.mark.parametrize("years", [-56, 10], ids=["1970", "ten years on"])
def test_clock_that_is_years_wrong_stops_nothing_and_heals_as_ever(
    node: VirtualNode, clock: Clock, mortal: str, years: int
) -> None:
    eventually(lambda: look.is_at_rest(node), "rest", node)
    before, since = look.ids(node), look.ledger(node).seq
    clock.step(timedelta(days=365 * years))
    require_healed(node, mortal)
    assert abs(clock.entry_at() - datetime.now(UTC)) > timedelta(days=3000)  # noqa: TID251 - the test's own clock
    clock.step(timedelta())
    require_healed(node, mortal)
    assert look.ids(node) == before
    stopped = [one for one in look.happened(node, since) if isinstance(one, e.IntentRecorded)]
    assert {one.step for one in stopped} == {"start-container"}


def test_clock_that_steps_an_hour_in_a_soak_neither_shortens_nor_breaks_it(
    plant: Plant, node: VirtualNode, clock: Clock
) -> None:
    plant.wish(simple("other", "node-1", soak="6s").at("3.0.0"))
    eventually(lambda: look.record(node, "other").phase is Phase.PROVING, "proving", node)
    began = time.monotonic()
    clock.step(timedelta(hours=1))
    time.sleep(3)
    clock.step(-timedelta(hours=1))
    eventually(lambda: look.is_serving(node, "other", "3.0.0"), "the release", node, 30)
    assert time.monotonic() - began > 5
    assert look.record(node, "other").latches == {}


def test_window_stays_shut_while_the_clock_is_not_believed(plant: Plant, node: VirtualNode, clock: Clock) -> None:
    clock.step(-timedelta(days=365 * 30))
    window = {"always": {"kind": "allow", "schedule": "* * * * *", "duration": "1h", "timeZone": "UTC"}}
    path = plant.lab.fleet.work / "deployments/basic.yaml"
    tree = json.loads(path.read_text())
    tree["spec"]["windows"] = window
    plant.commit("a window", "release-manager", {"deployments/basic.yaml": json.dumps(tree, indent=2) + "\n"})
    app = BASIC.at("4.0.0")
    text = plant._application(app, publish=True)
    plant.commit("basic 4.0.0", "engineer", {"apps/basic/app.yaml": text})
    eventually(lambda: look.record(node, "basic").hold_reason == HoldReason.CLOCK, "a hold for the clock", node)
    assert sorted(look.containers(node, "basic").values()) == ["created", "running"]
    clock.step(timedelta())
    node.run(["edgegitops", "reconcile"])
    eventually(lambda: look.is_serving(node, "basic", "4.0.0"), "the release by a clock that is right", node)
