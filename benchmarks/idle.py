"""Law: what nothing to do costs: a worker that finds nothing, the resident's look, and a minute of the resident.

The look is one filtered list call and a comparison; beside it stands the same call made bare. The resident's share
counts its own processor time, its children's and that of Podman's service; the fsyncs of a worker are counted by
strace, which slows nothing that is timed.
"""

import re
import time
from collections.abc import Iterator

from compose import Compose
from converging import Runs
from figures import Figure, Target, median, say
from gateway import Gateway, cpu_of, memory_of

from edgegitops.adapters.podman_listing import PodmanListing
from edgegitops.lab.commands import until
from edgegitops.lab.fleet import REPOSITORY

LOOKS = 50
_SYNCS = re.compile(r"\b(?:fsync|fdatasync)\(")


def nothing_to_do(gateway: Gateway, runs: Runs) -> Iterator[Figure]:
    """No-op figures; expects what is wanted to run, both ours and podman-compose's."""
    count = gateway.count
    say(f"nothing to do, {count}")
    looks, bare = _looks(gateway)
    yield Figure(f"resident's look, {count}", "ms", looks, LOOKS, "the bare list call", bare, Target("<= 2x", 2))
    workers = [gateway.worker(fetch=False) for _ in range(runs.times)]
    wall, cpu = median(one.wall for one in workers), median(one.cpu + one.service_cpu for one in workers)
    yield Figure(f"no-op worker, {count}: fsyncs of the journal", "", _syncs(gateway), 1)
    if not runs.with_compose:
        return
    compose = Compose(gateway)
    idle = [compose.up() for _ in range(runs.of_compose(count))]
    for name in gateway.services:
        gateway.raw.remove(compose.container(name))
    peer, peer_cpu = median(one.wall for one in idle), median(one.cpu + one.service_cpu for one in idle)
    yield Figure(f"no-op worker, {count}: wall", "s", wall, runs.times, "podman-compose up -d", peer)
    yield Figure(f"no-op worker, {count}: CPU", "s", cpu, runs.times, "podman-compose up -d", peer_cpu)
    look_cpu = _look_cpu(gateway)
    beside = "podman-compose up -d"
    target = Target(">= 50x less", 1 / 50)
    yield Figure(f"no-op cycle (the look), {count}: CPU", "s", look_cpu, LOOKS, beside, peer_cpu, target)


def resident(gateway: Gateway, seconds: float) -> Iterator[Figure]:
    """The resident beside running, probed containers."""
    count = gateway.count
    say(f"the resident with {count} containers, {seconds:g} s")
    gateway.commit(count, probe=True)
    gateway.worker()
    gateway.settle()
    gateway.node.start_agent()
    try:
        until((gateway.node.home / "agent.pid").exists, "the agent")
        time.sleep(15)  # its first worker has come and gone
        agent, service = gateway.agent_pid(), gateway.service_pid()
        before, began = (cpu_of(agent), cpu_of(service)), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        own, whole = cpu_of(agent) - before[0], cpu_of(agent) - before[0] + cpu_of(service) - before[1]
        rss, pss = memory_of(agent)
        service_rss, _ = memory_of(service)
    finally:
        gateway.node.stop_agent()
    what = f"resident idle, {count} probed"
    yield Figure(
        f"{what}: RSS", "MiB", rss, 1, "Podman's service", service_rss, Target("<= 25 MiB", 25, is_ratio=False)
    )
    yield Figure(f"{what}: PSS", "MiB", pss, 1)
    yield Figure(f"{what}: CPU, alone", "% core", 100 * own / passed, 1)
    target = Target("<= 0.1 %", 0.1, is_ratio=False)
    yield Figure(f"{what}: CPU, with Podman", "% core", 100 * whole / passed, 1, target=target)


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
