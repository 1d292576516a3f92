"""Law: what nothing to do costs: a worker that finds nothing, and the resident's look.

The look is one filtered list call and a comparison; beside it stands the same call made bare. The fsyncs of a worker
are counted by strace, which slows nothing that is timed.
"""

import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from figures import Figure, Target, median, say
from gateway import Gateway

from edgegitops.adapters.podman_listing import PodmanListing
from edgegitops.lab.fleet import REPOSITORY

LOOKS = 50
_SYNCS = re.compile(r"\b(?:fsync|fdatasync)\(")


@dataclass(frozen=True, slots=True)
class Nothing:
    """Seconds that nothing to do takes: a worker's wall and processor time, and the processor time of a look."""

    wall: float
    cpu: float
    look_cpu: float


def nothing_to_do(gateway: Gateway, times: int) -> Generator[Figure, None, Nothing]:
    """No-op figures; expects what is wanted to run."""
    count = gateway.count
    say(f"nothing to do, {count}")
    looks, bare = _looks(gateway)
    yield Figure(f"resident's look, {count}", "ms", looks, LOOKS, "the bare list call", bare, Target("<= 2x", 2))
    workers = [gateway.worker(fetch=False) for _ in range(times)]
    yield Figure(f"no-op worker, {count}: fsyncs of the journal", "", _syncs(gateway), 1)
    wall, cpu = median(one.wall for one in workers), median(one.cpu + one.service_cpu for one in workers)
    return Nothing(wall, cpu, _look_cpu(gateway))


def syncs_of_a_change(gateway: Gateway) -> Iterator[Figure]:
    """How often a worker waits for the disk where one container changes: create, stop and start are three steps."""
    gateway.commit(gateway.count, changed="2")
    journal = _syncs(gateway, fetch=True)
    gateway.settle()
    gateway.commit(gateway.count, changed="1")
    gateway.worker()
    gateway.settle()
    target = Target("<= 2 a step: 8", 8, is_ratio=False)
    yield Figure(f"change one of {gateway.count}: fsyncs of the journal", "", journal, 1, target=target)


def _looks(gateway: Gateway) -> tuple[float, float]:
    """Milliseconds of our look and of the bare call, in turns."""
    listing = PodmanListing(str(gateway.node.socket), fleet=REPOSITORY)
    path = f"/containers/json?filters=%7B%22label%22%3A%5B%22io.edgegitops.fleet%3D{REPOSITORY}%22%5D%7D"
    ours, bare = [], []
    for _ in range(LOOKS):
        begin = time.perf_counter()
        dict(listing.running())
        middle = time.perf_counter()
        gateway.raw.ask("GET", path)
        ours.append((middle - begin) * 1000)
        bare.append((time.perf_counter() - middle) * 1000)
    return median(ours), median(bare)


def _look_cpu(gateway: Gateway) -> float:
    """Seconds of processor of one look, Podman's service included."""
    listing = PodmanListing(str(gateway.node.socket), fleet=REPOSITORY)
    before = gateway.service_cpu() + time.process_time()
    for _ in range(LOOKS):
        dict(listing.running())
    return (gateway.service_cpu() + time.process_time() - before) / LOOKS


def _syncs(gateway: Gateway, *, fetch: bool = False) -> int:
    """How often the disk is waited for on the journal's files, by the worker (its Git child has files of its own)."""
    trace = gateway.node.home / "bench.strace"
    trace.unlink(missing_ok=True)
    gateway.worker(fetch=fetch, before=["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace)])
    return sum(1 for line in trace.read_text().splitlines() if _SYNCS.search(line) and "/journal.db" in line)
