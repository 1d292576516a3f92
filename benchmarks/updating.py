"""Law: downtime is what a client sees who asks a published port every millisecond: the longest time between two answers
while one container gives way to another. Beside it stand the two ways to do the same by hand over the raw API.

A rollback begins where the journal says that the release is reverted, and ends where the engine says that the
retained container has started; the raw API stops and starts two such containers.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from figures import Figure, Target, median, say
from gateway import Gateway

from edgegitops import bootstrap
from edgegitops.core.model.events import PhaseMoved
from edgegitops.core.model.release import Phase
from edgegitops.errors import UnavailableError
from edgegitops.lab.commands import until
from edgegitops.lab.images import App

PORT = 18080
ASK = b"GET /version HTTP/1.0\r\n\r\n"
CONNECT_PATIENCE, ANSWER_PATIENCE, PERIOD = 0.02, 0.5, 0.001
HANDLER = 0.5  # a TERM before the program has its handler is lost
READY = {"http": {"path": "/healthz", "port": 8080}, "interval": "1s", "startPeriod": "1s"}


@dataclass(slots=True)
class Client:
    """Asks all the time; `answers` are the instants of good ones, of a monotonic clock."""

    place: tuple[str, int]
    answers: list[float] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask while inside, from a first answer to a last one."""
        over = threading.Event()
        thread = threading.Thread(target=self._ask, args=(over,), daemon=True)
        thread.start()
        self._await_answer()
        try:
            yield
            self._await_answer()
        finally:
            over.set()
            thread.join()

    def gap(self) -> float:
        """The longest time between two answers, in milliseconds."""
        return max(later - earlier for earlier, later in pairwise(self.answers)) * 1000

    def _await_answer(self) -> None:
        seen, ends_at = len(self.answers), time.monotonic() + 30
        while len(self.answers) < seen + 2:
            if time.monotonic() > ends_at:
                raise UnavailableError("bench", f"ask {self.place}", "no answer for 30 s")
            time.sleep(0.01)

    def _ask(self, over: threading.Event) -> None:
        while not over.is_set():
            try:
                with socket.create_connection(self.place, CONNECT_PATIENCE) as sock:
                    sock.settimeout(ANSWER_PATIENCE)
                    sock.sendall(ASK)
                    if b" 200 " in sock.recv(4096):
                        self.answers.append(time.monotonic())
            except OSError:
                pass
            time.sleep(PERIOD)


def updates(gateway: Gateway, times: int) -> Iterator[Figure]:
    """Downtime of an update."""
    say("downtime of an update")
    policy = gateway.node.home / "policy.yaml"
    policy.write_text(policy.read_text() + f"  ports: [{PORT}]\n")
    gateway.count = 1
    gateway.forget()
    _want(gateway, "1", "1.0.0")
    gateway.worker()
    gateway.settle()
    requests = [gateway.requests()[0]]
    ours = []
    for at in range(times):
        version = "21"[at % 2]
        _want(gateway, version, f"{version}.0.{at + 1}")
        ours.append(_gap(gateway, gateway.worker))
        gateway.settle()
        requests.append(gateway.requests()[0])
    network = gateway.network()
    gateway.forget()
    gateway.raw.ask("POST", "/networks/create", network)
    pair = [requests[0] | {"name": "raw-0"}, requests[1] | {"name": "raw-1"}]
    for beside, replace, target in (
        ("raw API: stop, remove, create, start", _made_anew, Target("<= 1.1x", 1.1)),
        ("raw API: create, stop, start", _made_before, None),
    ):
        theirs = [_raw_gap(gateway, pair, replace) for _ in range(times)]
        yield Figure("update: downtime at a client", "ms", median(ours), times, beside, median(theirs), target)


def rollbacks(gateway: Gateway, times: int) -> Iterator[Figure]:
    """From the decision to the start of the retained container; expects `updates` before."""
    say("rollback")
    bad = gateway.lab.registry.publish(App("bench/app", "bad", {"NEVER_READY": "1"}))
    gateway.have(bad)
    gateway.forget()
    _want(gateway, "1", "3.0.0")
    gateway.worker()
    gateway.settle()
    (name,) = gateway.names()
    requests, network = gateway.requests(), gateway.network()
    ours, began_at = [], 0.0
    for at in range(times):
        _want(gateway, bad, f"3.1.{at}")
        began_at = _reverted_at(gateway, began_at)
        ours.append((gateway.raw.started([name])[name] - began_at) * 1000)
    gateway.forget()
    gateway.raw.ask("POST", "/networks/create", network)
    theirs = [_raw_rollback(gateway, requests[0]) for _ in range(times)]
    what, beside = "rollback: decision to start", "raw API: stop, start the retained one"
    yield Figure(what, "ms", median(ours), times, beside, median(theirs), Target("<= 1.2x", 1.2))


def _want(gateway: Gateway, image: str, version: str) -> None:
    """One container behind a port, with its version in its environment so that each update is one."""
    container = {
        "image": gateway.images.get(image, image),
        "ports": [{"container": 8080, "host": PORT}],
        "env": {"RELEASE": version},
        "probes": {"ready": READY},
    }
    gateway.want({"version": version, "update": {"minReady": "0s"}, "containers": {"c00": container}}, deadline="6s")


def _gap(gateway: Gateway, update: Callable[[], object]) -> float:
    client = Client((gateway.node.address, PORT))
    with client.asking():
        update()
    return client.gap()


def _raw_gap(
    gateway: Gateway, pair: list[dict[str, Any]], replace: Callable[[Gateway, str, dict[str, Any]], None]
) -> float:
    old, new = pair
    gateway.raw.create(old)
    gateway.raw.start(old["name"])
    time.sleep(HANDLER)
    try:
        return _gap(gateway, lambda: replace(gateway, old["name"], new))
    finally:
        for name in gateway.raw.names():
            gateway.raw.remove(name)


def _made_anew(gateway: Gateway, old: str, new: dict[str, Any]) -> None:
    gateway.raw.stop(old)
    gateway.raw.remove(old)
    gateway.raw.create(new)
    gateway.raw.start(new["name"])


def _made_before(gateway: Gateway, old: str, new: dict[str, Any]) -> None:
    gateway.raw.create(new)
    gateway.raw.stop(old)
    gateway.raw.start(new["name"])


def _raw_rollback(gateway: Gateway, request: dict[str, Any]) -> float:
    """Milliseconds from the stop of one to the start of another that was stopped before, as the engine says."""
    raw = gateway.raw
    for name in ("raw-retained", "raw-new"):
        raw.create(request | {"name": name})
        raw.start(name)
        time.sleep(HANDLER)
        if name == "raw-retained":
            raw.stop(name)
    began_at = time.time()
    raw.stop("raw-new")
    raw.start("raw-retained")
    took = raw.started(["raw-retained"])["raw-retained"] - began_at
    for name in ("raw-new", "raw-retained"):
        raw.remove(name)
    return took * 1000


def _reverted_at(gateway: Gateway, before: float) -> float:
    """When the agent decided to revert what cannot become ready, once it has; a later instant than `before`."""
    gateway.node.start_agent()
    try:
        until(
            lambda: _reverting_at(gateway) > before and gateway.phase() is Phase.REVERTED, "the rollback", seconds=120
        )
    finally:
        gateway.node.stop_agent()
    return _reverting_at(gateway)


def _reverting_at(gateway: Gateway) -> float:
    """When the last revert was decided, in seconds since 1970."""
    journal = bootstrap.read_journal(gateway.node.state)
    try:
        moves = [entry for entry in journal.entries(0) if isinstance(entry.event, PhaseMoved)]
    finally:
        journal.close()
    return max(
        (entry.at.timestamp() for entry in moves if getattr(entry.event, "new", None) is Phase.REVERTING), default=0.0
    )
