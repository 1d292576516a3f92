"""Law: converging is measured from the start of whoever does it to the start of the last container, as the engine says.

First converge: nothing there but the images. Change one: one of N gets another image. Commit to start: one container
gets another image, beside `git fetch` and the raw API's create, stop, start. Probes and soak are nobody's work here:
the worker leaves them to the resident.
"""

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from figures import Figure, LeftOut, Target, median, say
from gateway import Gateway, Spent
from idle import LOOKS, Nothing, nothing_to_do, syncs_of_a_change
from peers import Peer, present
from raw_engine import converge

from edgegitops.lab.commands import run

FOUR = 4
FEW = 5


TARGETS = {"podman-compose up -d": (Target(">= 3x faster", 1 / 3), Target(">= 4x faster", 0.25))}


@dataclass(frozen=True, slots=True)
class Runs:
    """How often everything is done, and with which peers; slow ones go through much of it once."""

    times: int
    peers: tuple[Peer, ...] = ()

    def of_peer(self, peer: Peer, count: int) -> int:
        """How often a peer goes through it."""
        return max(1, self.times // 3) if peer.is_slow and count > FEW else self.times


@dataclass(frozen=True, slots=True)
class Ours:
    """What ours took where peers are compared with it: seconds of a change of one, how often, and nothing to do."""

    change: float
    times: int
    nothing: Nothing


def gathered(gateway: Gateway, times: int, names: Sequence[str]) -> tuple[Runs, list[LeftOut]]:
    """The runs with those peers that this machine has, and the others."""
    found = list(present(gateway, names))
    others = [LeftOut(*one) for one in found if isinstance(one, tuple)]
    return Runs(times, tuple(one for one in found if not isinstance(one, tuple))), others


def measured(gateway: Gateway, count: int, runs: Runs) -> Iterator[Figure]:
    """All figures for so many containers; leaves them running, healthy, at version 1."""
    say(f"first converge of {count}")
    gateway.commit(count)
    yield from _first(gateway, runs)
    gateway.forget()
    gateway.worker()
    gateway.settle()
    say(f"change one of {count}")
    seconds = yield from _change(gateway, runs)
    nothing = yield from nothing_to_do(gateway, runs.times)
    yield from syncs_of_a_change(gateway)
    for peer in runs.peers:
        say(f"change one of {count}, and nothing to do: {peer.name}")
        yield from _beside(gateway, peer, runs.of_peer(peer, count), Ours(seconds, runs.times, nothing))


def _beside(gateway: Gateway, peer: Peer, times: int, ours: "Ours") -> Iterator[Figure]:
    """A peer's change of one and its nothing to do, without ours beside it."""
    count = gateway.count
    seconds, idle = changes_and_nothing(gateway, peer, times)
    target = TARGETS.get(peer.name, (None, None))[1]
    yield Figure(f"change one of {count}", "s", ours.change, times, peer.name, median(seconds), target)
    wall, cpu = median(one.wall for one in idle), median(one.cpu + one.service_cpu for one in idle)
    yield Figure(f"no-op worker, {count}: wall", "s", ours.nothing.wall, times, peer.name, wall)
    yield Figure(f"no-op worker, {count}: CPU", "s", ours.nothing.cpu, times, peer.name, cpu)
    target = Target(">= 50x less", 1 / 50) if peer.name in TARGETS else None
    yield Figure(f"no-op cycle (the look), {count}: CPU", "s", ours.nothing.look_cpu, LOOKS, peer.name, cpu, target)


def _first(gateway: Gateway, runs: Runs) -> Iterator[Figure]:
    count = gateway.count
    gateway.forget()
    gateway.worker()
    requests, network = gateway.requests(), gateway.network()
    names = [request["name"] for request in requests]
    for peer in runs.peers:
        peer.write(dict.fromkeys(gateway.services, gateway.images["1"]))
    ours: list[float] = []
    one: list[float] = []
    four: list[float] = []
    theirs: dict[str, list[float]] = {peer.name: [] for peer in runs.peers}
    for at in range(runs.times):
        gateway.forget()
        spent = gateway.worker()
        ours.append(gateway.last_start(names) - spent.began_at)
        for connections, kept in ((1, one), (FOUR, four)):
            gateway.raw.clear()
            kept.append(_timed(lambda connections=connections: converge(gateway.raw, requests, network, connections)))  # type: ignore[misc]
        for peer in runs.peers:
            if at < runs.of_peer(peer, count):
                gateway.raw.clear()
                spent = peer.up()
                started = gateway.last_start([peer.container(name) for name in gateway.services])
                theirs[peer.name].append(started - spent.began_at)
    gateway.raw.clear()
    mine = median(ours)
    what = f"first converge, {count}"
    yield Figure(what, "s", mine, runs.times, "raw API, 1 connection", median(one))
    yield Figure(what, "s", mine, runs.times, "raw API, 4 connections", median(four), Target("<= 1.15x", 1.15))
    for name, times in theirs.items():
        yield Figure(what, "s", mine, len(times), name, median(times), TARGETS.get(name, (None, None))[0])


def _change(gateway: Gateway, runs: Runs) -> Generator[Figure, None, float]:
    """Commit to and fro between two versions of the first container; the median."""
    count, ours, raw, fetches = gateway.count, [], [], []
    for at in range(runs.times):
        gateway.commit(count, changed="2" if at % 2 == 0 else "1")
        spent = gateway.worker()
        names = gateway.names()
        ours.append(gateway.last_start(names) - spent.began_at)
        raw.append(_replaced(gateway))
        fetches.append(_git_fetch(gateway))
        gateway.settle()
    mine, floor = median(ours), median(raw)
    what = f"change one of {count}"
    yield Figure(what, "s", mine, runs.times, "raw API create, stop, start", floor, Target("<= 1.3x", 1.3))
    if count == 1:
        beside = "git fetch + raw API"
        whole = floor + median(fetches)
        yield Figure("commit to started, poll excluded", "s", mine, runs.times, beside, whole, Target("<= 1.3x", 1.3))
    return mine


def _replaced(gateway: Gateway) -> float:
    """The raw API puts another container in the place of one like ours; the stop is graceful."""
    request = gateway.requests()[0] | {"name": "raw-old"}
    gateway.raw.create(request)
    gateway.raw.start("raw-old")
    time.sleep(0.3)  # a TERM before the program has its handler is lost
    new = request | {"name": "raw-new"}

    def replace() -> None:
        gateway.raw.create(new)
        gateway.raw.stop("raw-old")
        gateway.raw.start("raw-new")

    try:
        return _timed(replace)
    finally:
        gateway.raw.remove("raw-old")
        gateway.raw.remove("raw-new")


def _git_fetch(gateway: Gateway) -> float:
    """Seconds that git needs to fetch the newest commit into a clone that lacks it."""
    clone = gateway.node.home / "bench" / "clone.git"
    shutil.rmtree(clone, ignore_errors=True)
    run(["git", "clone", "-q", "--bare", gateway.lab.git_url, str(clone)])
    run(["git", "-C", str(clone), "update-ref", "refs/heads/main", "refs/heads/main~1"])
    run(["git", "-C", str(clone), "gc", "-q", "--prune=now"])
    return _timed(lambda: run(["git", "-C", str(clone), "fetch", "-q", gateway.lab.git_url, "main"]))


def changes_and_nothing(gateway: Gateway, peer: Peer, times: int) -> tuple[list[float], list[Spent]]:
    """A peer brings another image of the first service so many times, and then has nothing to do as often. Seconds to
    the start, and what nothing took. It leaves nothing.
    """
    service, image = gateway.services[0], dict.fromkeys(gateway.services, gateway.images["1"])
    gateway.raw.clear()
    peer.write(image)
    peer.up()
    seconds = []
    for at in range(times):
        peer.write(image | {service: gateway.images["2" if at % 2 == 0 else "1"]})
        spent = peer.change(service)
        seconds.append(gateway.last_start([peer.container(service)]) - spent.began_at)
    idle = [peer.up() for _ in range(times)]
    gateway.raw.clear()
    return seconds, idle


def _timed(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin
