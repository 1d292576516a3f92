"""Law: the floor is Podman's own work and nothing else: the same create requests as the product sends, over its socket
with the standard library alone, one connection or several side by side.

Times are the engine's own: a container has started at the instant that inspect says.
"""

import http.client
import json
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

API = "/v4.0.0/libpod"
ERROR = 400


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("podman", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class RawEngine:
    """Podman at a unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = _Connection(path)

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON is what it is
        """The JSON answer (None where it is empty); OSError where it is an error."""
        data = None if body is None else json.dumps(body)
        self._connection.request(method, API + path, data, {"Content-Type": "application/json"} if data else {})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= ERROR:
            raise OSError(f"{method} {path}: {answer.status} {text[:300].decode(errors='replace')}")
        return json.loads(text) if text else None

    def names(self) -> list[str]:
        """All containers."""
        return [row["Names"][0] for row in self.ask("GET", "/containers/json?all=true")]

    def started(self, names: Iterable[str]) -> dict[str, float]:
        """When these containers were started, in seconds since 1970."""
        return {name: _instant(self.ask("GET", f"/containers/{name}/json")["State"]["StartedAt"]) for name in names}

    def create(self, request: dict[str, Any]) -> None:
        """Create a container."""
        self.ask("POST", "/containers/create", request)

    def start(self, name: str) -> None:
        """Start it."""
        self.ask("POST", f"/containers/{name}/start")

    def stop(self, name: str) -> None:
        """Stop it, gracefully."""
        self.ask("POST", f"/containers/{name}/stop?timeout=10")

    def remove(self, name: str) -> None:
        """Remove it by force."""
        self.ask("DELETE", f"/containers/{name}?force=true&timeout=0")

    def clear(self) -> None:
        """Remove all pods, all containers and all networks but Podman's own."""
        for pod in self.ask("GET", "/pods/json") or []:
            self.ask("DELETE", f"/pods/{pod['Name']}?force=true")
        self.side_by_side(4, [partial(RawEngine.remove, name=name) for name in self.names()])
        for network in self.ask("GET", "/networks/json"):
            if network["name"] != "podman":
                self.ask("DELETE", f"/networks/{network['name']}")

    def side_by_side(self, connections: int, acts: Sequence["Callable[[RawEngine], None]"]) -> None:
        """Do all of them, on so many connections."""
        shares = [acts[at::connections] for at in range(connections)]

        def do(share: "Sequence[Callable[[RawEngine], None]]") -> None:
            engine = RawEngine(self._path)
            for act in share:
                act(engine)

        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(do, shares))


def converge(engine: RawEngine, requests: Sequence[dict[str, Any]], network: object, connections: int) -> None:
    """Create the network, then create and start each container."""
    engine.ask("POST", "/networks/create", network)

    def bring(one: RawEngine, request: dict[str, Any]) -> None:
        one.create(request)
        one.start(request["name"])

    engine.side_by_side(connections, [partial(bring, request=request) for request in requests])


def _instant(text: str) -> float:
    """Podman's RFC 3339 with nanoseconds, cut to microseconds."""
    whole, _, rest = text.partition(".")
    digits = rest.rstrip("Z")
    digits, sign, zone = digits.partition("+") if "+" in digits else digits.partition("-")
    return datetime.fromisoformat(
        f"{whole}.{digits[:6]:0<6}{sign}{zone}" if sign else f"{whole}.{digits[:6]:0<6}+00:00"
    ).timestamp()
