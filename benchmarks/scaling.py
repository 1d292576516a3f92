"""Law: a node's cost does not grow with the fleet: the same change of one container, with more and more sites that are
nothing to it. The peak is that of the worker's largest process, as the kernel counts it.
"""

from collections.abc import Iterator, Sequence

import spent
from figures import Figure, Target, median, say
from gateway import Gateway
from sites import site_files

MB = 2**20 / 1e6


def of_a_large_fleet(gateway: Gateway, sizes: Sequence[int], times: int) -> Iterator[Figure]:
    """Commit to start, and the peak of a worker, at each number of sites."""
    gateway.commit(1)
    gateway.forget()
    gateway.worker()
    gateway.settle()
    alone = _changes(gateway, times)
    had = 0
    for size in sizes:
        say(f"commit to start with {size:,} sites")
        files = dict(list(site_files(size).items())[had:])
        gateway.fleet.commit(f"inventory: {size} sites", key="inventory", files=files)
        gateway.fleet.push()
        had = size
        first = _peak(gateway)
        gateway.settle()
        change, target = _changes(gateway, times), Target("flat: <= 1.1x", 1.1)
        for what, mine, theirs in zip(("commit to started", "CPU of that worker"), change, alone, strict=True):
            yield Figure(f"{what}, {size:,} sites", "s", mine, times, "the same with one site", theirs, target)
        gateway.commit(1, changed="2")
        one = _peak(gateway)
        gateway.settle()
        gateway.forget()
        cold = _peak(gateway)
        gateway.settle()
        most = Target("<= 80 MB", 80, is_ratio=False)
        for when, peak in (("after all sites came", first), ("one file changed", one), ("nothing kept", cold)):
            yield Figure(f"worker's peak memory, {size:,} sites, {when}", "MB", peak, 1, target=most)


def _changes(gateway: Gateway, times: int) -> tuple[float, float]:
    """Seconds from the start of a worker to that of the changed container, and of its processor time; medians. It ends
    at version 1.
    """
    seconds, cpu = [], []
    for at in range(2 * ((times + 1) // 2)):
        gateway.commit(1, changed="21"[at % 2])
        began = gateway.worker()
        seconds.append(gateway.last_start(gateway.names()) - began.began_at)
        cpu.append(began.cpu)
        gateway.settle()
    return median(seconds), median(cpu)


def _peak(gateway: Gateway) -> float:
    """MB of a worker that fetches."""
    told = gateway.node.home / "spent.json"
    gateway.worker(before=spent.launcher(told))
    return spent.read(told).peak * MB
