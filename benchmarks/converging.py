"""Law: converging is measured from the start of whoever does it to the start of the last container, as the engine says.

First converge: nothing there but the images. Change one: one of N gets another image. Commit to start: one container
gets another image, beside `git fetch` and the raw API's create, stop, start. Probes and soak are nobody's work here:
the worker leaves them to the resident.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compose import Compose
from figures import Figure, Target, median, say
from gateway import Gateway
from raw_engine import converge

from edgegitops.lab.commands import run

FOUR = 4
FEW = 5


@dataclass(frozen=True, slots=True)
class Runs:
    """How often everything is done, and whether podman-compose takes part."""

    times: int
    with_compose: bool = True

    def of_compose(self, count: int) -> int:
        """How often podman-compose goes through it: it sleeps a second a container."""
        return self.times if count <= FEW else max(1, self.times // 3)


def measured(gateway: Gateway, count: int, runs: Runs) -> Iterator[Figure]:
    """All figures for so many containers; leaves them running, healthy, at version 1."""
    say(f"first converge of {count}")
    gateway.commit(count)
    yield from _first(gateway, runs)
    gateway.forget()
    gateway.worker()
    gateway.settle()
    say(f"change one of {count}")
    yield from _change(gateway, runs)


def _first(gateway: Gateway, runs: Runs) -> Iterator[Figure]:
    count = gateway.count
    gateway.forget()
    gateway.worker()
    requests, network = gateway.requests(), gateway.network()
    names = [request["name"] for request in requests]
    compose = Compose(gateway)
    compose.write(dict.fromkeys(gateway.services, gateway.images["1"]))
    ours: list[float] = []
    one: list[float] = []
    four: list[float] = []
    peer: list[float] = []
    for at in range(runs.times):
        gateway.forget()
        spent = gateway.worker()
        ours.append(gateway.last_start(names) - spent.began_at)
        for connections, kept in ((1, one), (FOUR, four)):
            gateway.raw.clear()
            kept.append(_timed(lambda connections=connections: converge(gateway.raw, requests, network, connections)))  # type: ignore[misc]
        if runs.with_compose and at < runs.of_compose(count):
            gateway.raw.clear()
            spent = compose.up()
            peer.append(gateway.last_start([compose.container(name) for name in gateway.services]) - spent.began_at)
    gateway.raw.clear()
    mine = median(ours)
    what = f"first converge, {count}"
    yield Figure(what, "s", mine, runs.times, "raw API, 1 connection", median(one))
    yield Figure(what, "s", mine, runs.times, "raw API, 4 connections", median(four), Target("<= 1.15x", 1.15))
    if peer:
        yield Figure(what, "s", mine, runs.times, "podman-compose", median(peer), Target(">= 3x faster", 1 / 3))


def _change(gateway: Gateway, runs: Runs) -> Iterator[Figure]:
    """Commit to and fro between two versions of the first container."""
    count, ours, raw, fetches, peer = gateway.count, [], [], [], []
    for at in range(runs.times):
        gateway.commit(count, changed="2" if at % 2 == 0 else "1")
        spent = gateway.worker()
        names = gateway.names()
        ours.append(gateway.last_start(names) - spent.began_at)
        raw.append(_replaced(gateway))
        fetches.append(_git_fetch(gateway))
        gateway.settle()
    if runs.with_compose:
        peer = list(_compose_changes(gateway, runs.times))  # what it made is what it finds when nothing is to do
    mine, floor = median(ours), median(raw)
    what = f"change one of {count}"
    yield Figure(what, "s", mine, runs.times, "raw API create, stop, start", floor, Target("<= 1.3x", 1.3))
    if peer:
        yield Figure(what, "s", mine, runs.times, "podman-compose", median(peer), Target(">= 4x faster", 0.25))
    if count == 1:
        beside = "git fetch + raw API"
        whole = floor + median(fetches)
        yield Figure("commit to started, poll excluded", "s", mine, runs.times, beside, whole, Target("<= 1.3x", 1.3))


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


def _compose_changes(gateway: Gateway, times: int) -> Iterator[float]:
    compose, service = Compose(gateway), gateway.services[0]
    image = dict.fromkeys(gateway.services, gateway.images["1"])
    compose.write(image)
    compose.up()
    for at in range(times):
        compose.write(image | {service: gateway.images["2" if at % 2 == 0 else "1"]})
        spent = compose.up(service)
        yield gateway.last_start([compose.container(service)]) - spent.began_at


def _timed(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin
