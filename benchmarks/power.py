"""Law: a power cut ends everything at once; time runs from the start of the agent on a node whose Podman answers again.

The first look is the first list of containers that Podman is asked for, seen by a relay in a boot of its own. All are
running when the last of them has started, as the engine says; beside it stand the raw API's starts of the very same
containers after the same kind of cut, and `podman start --all`, which is what podman-restart.service does.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from figures import Figure, median, say
from gateway import Gateway
from raw_engine import RawEngine
from relay import Relay

from edgegitops.lab.commands import until

CONNECTIONS = 4
LIST = b"/containers/json"


def cold_starts(gateway: Gateway, count: int, times: int) -> Iterator[Figure]:
    """From the start of the agent to the first look, and to so many containers running."""
    gateway.commit(count)
    gateway.forget()
    gateway.worker()
    gateway.settle()
    names = gateway.names()
    say(f"power cuts with {count} containers")
    looks = [_first_look(gateway) for _ in range(times)]
    python = [_python(gateway) for _ in range(times)]
    yield Figure("boot: agent's start to its first look", "s", median(looks), times, "python -c pass", median(python))
    ours = [_after_cut(gateway, names, gateway.node.start_agent) for _ in range(times)]
    what, mine = f"power cut: agent's start to all {count} running", median(ours)
    for beside, act in (
        ("raw API starts, 4 connections", partial(_raw_starts, gateway, names)),
        ("podman start --all", partial(gateway.node.run, ["podman", "start", "--all"], seconds=300)),
    ):
        theirs = [_after_cut(gateway, names, act) for _ in range(times)]
        yield Figure(what, "s", mine, times, beside, median(theirs))


def _cut(gateway: Gateway) -> None:
    """Cut the power, and bring back all but the agent."""
    gateway.node.power_cut()
    gateway.node.boot(agent=False)
    gateway.raw = RawEngine(gateway.node.socket)


def _after_cut(gateway: Gateway, names: list[str], act: Callable[[], object]) -> float:
    _cut(gateway)
    began_at = time.time()
    act()
    wanted = set(names)

    def is_running() -> bool:
        rows = gateway.raw.ask("GET", "/containers/json?all=true")
        return wanted <= {row["Names"][0] for row in rows if row["State"] == "running"}

    until(is_running, "all containers", seconds=180)
    took = gateway.last_start(names) - began_at
    gateway.node.stop_agent()
    return took


def _raw_starts(gateway: Gateway, names: list[str]) -> None:
    gateway.raw.side_by_side(CONNECTIONS, [partial(RawEngine.start, name=name) for name in names])


def _first_look(gateway: Gateway) -> float:
    """Seconds until the engine is asked for its containers; the agent reaches it through a relay."""
    _cut(gateway)
    config, here = gateway.node.home / "node.yaml", gateway.node.home / "relay.sock"
    usual = config.read_text()
    config.write_text(usual.replace(str(gateway.node.socket), str(here)))
    try:
        with Relay(here, Path(gateway.node.socket), mark=LIST) as relay:
            began_at = time.time()
            gateway.node.start_agent()
            until(lambda: relay.marked_at is not None, "the agent's first look", seconds=60)
            gateway.node.stop_agent()
            return (relay.marked_at or began_at) - began_at
    finally:
        here.unlink(missing_ok=True)
        config.write_text(usual)


def _python(gateway: Gateway) -> float:
    return gateway.timed([sys.executable, "-c", "pass"]).wall
