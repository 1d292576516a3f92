"""Law: the small resident asks Podman with the standard library alone: what of ours runs, what happens, how it is.

1. Only containers with our ownership label count; one whose process is gone does not run, whatever Podman says, as
   far as its processes can be seen from here.
2. Events are hints: they name what happened, carry no truth, and may be missed. A stream that ends raises
   UnavailableError; the caller opens the next one.
3. An exec probe has one hard deadline over everything. What hangs is killed where its process can be seen from here,
   else left behind. A command that is not in the image fails the probe; any other error is the prober's own.
4. Nothing here changes a container.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from edgegitops.adapters.engine_podman_process import ProcessTable, is_same_machine, kill_stray
from edgegitops.adapters.engine_podman_socket import Head, PodmanSocket
from edgegitops.core.model import naming
from edgegitops.core.model.observed import mark
from edgegitops.core.model.reasons import HoldReason
from edgegitops.errors import UnavailableError

API: Final = "/v4.0.0/libpod"
OK: Final = 200
BAD_REQUEST: Final = 400
ANSWER_WITHIN: Final = timedelta(seconds=30)
KEPT_OUTPUT: Final = 4096
NOT_THERE: Final = ("not found", "no such file", "permission denied", "not a directory")


@dataclass(frozen=True, slots=True)
class Seen:
    """A container of ours, as the list tells it. `digest` is its container digest, from its label; `mark` changes with
    it and with the networks that it is on, exactly as that of the engine's own look does.
    """

    id: str
    state: str
    pid: int
    digest: str
    mark: str


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened to the container `name`: Podman's word for it (`start`, `died`, `remove` …)."""

    name: str
    action: str


class EventStream:
    """Container events as they come, for one reader. `close` from another thread ends the iteration."""

    def __init__(self, connection: PodmanSocket, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._is_closed = False
        self._is_read = False

    def __iter__(self) -> Iterator[Hint]:
        self._is_read = True
        try:
            for line in self._connection.lines(self._head):
                event = json.loads(line)
                attributes = (event.get("Actor") or {}).get("Attributes") or {}
                yield Hint(name=str(attributes.get("name", "")), action=str(event.get("Action", "")))
        except (OSError, ValueError) as broken:
            if not self._is_closed:
                raise _unavailable("events", broken) from broken
        finally:
            self._connection.close()
        if not self._is_closed:
            raise _unavailable("events", "the stream ended")

    def close(self) -> None:
        """End the stream; an iteration that waits comes back, and lets the socket go."""
        self._is_closed = True
        with suppress(OSError):  # the other side was faster
            self._connection.shut()
        if not self._is_read:
            self._connection.close()


class PodmanListing:
    """A light door to the Podman service at a unix socket; `fleet` narrows "ours" to one fleet."""

    def __init__(self, socket_path: str, *, fleet: str = "", proc: str | None = None) -> None:
        self._path = socket_path
        self._fleet = fleet
        self._proc = proc

    def running(self) -> Mapping[str, Seen]:
        """Our containers that run, by engine name. UnavailableError: Podman did not answer."""
        label = f"{naming.LABEL_FLEET}={self._fleet}" if self._fleet else naming.LABEL_FLEET
        filters = quote(json.dumps({"label": [label], "status": ["running"]}))
        status, body = self._ask("GET", f"/containers/json?filters={filters}", within=ANSWER_WITHIN)
        if status != OK:
            raise _unavailable("list", _text(body))
        rows = [(str((row.get("Names") or [""])[0]), _seen(row)) for row in _json(body) or []]
        table = ProcessTable(self._proc or "/proc") if self._proc or is_same_machine(self._path) else None
        return {name: seen for name, seen in rows if table is None or table.is_running(seen.pid, seen.id)}

    def info(self) -> Mapping[str, Any]:
        """Podman's account of itself: `version`, `host`, `store`. UnavailableError: Podman did not answer."""
        status, body = self._ask("GET", "/info", within=ANSWER_WITHIN)
        if status != OK:
            raise _unavailable("info", _text(body))
        tree: Mapping[str, Any] = _json(body)
        return tree

    def events(self) -> EventStream:
        """Container events from now on. UnavailableError: Podman does not answer."""
        filters = quote(json.dumps({"type": ["container"]}))
        connection = None
        try:
            connection = PodmanSocket(self._path, patience=None)
            return EventStream(connection, connection.ask("GET", f"{API}/events?stream=true&filters={filters}"))
        except OSError as broken:
            if connection is not None:
                connection.close()
            raise _unavailable("events", broken) from broken

    def probe_exec(self, container: str, argv: Sequence[str], timeout: timedelta) -> bool:
        """Run argv in a running container: True where it ends with 0 within `timeout`. UnavailableError: the prober
        failed, which says nothing of the container.
        """
        ends_at = time.monotonic() + timeout.total_seconds()
        body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True}
        status, made = self._ask("POST", f"/containers/{quote(container)}/exec", body=body, within=ANSWER_WITHIN)
        if status >= BAD_REQUEST:
            raise _unavailable("exec", _text(made))
        session = _json(made)["Id"]
        left = timedelta(seconds=max(0.05, ends_at - time.monotonic()))
        try:
            status, output = self._ask("POST", f"/exec/{session}/start", body={"Detach": False}, within=left)
        except UnavailableError:
            if time.monotonic() < ends_at:
                raise
            self._give_up(session)
            return False
        if status >= BAD_REQUEST:
            return _judge_start(_text(output))
        tree = self._exec_state(session)
        return not tree.get("Running") and tree.get("ExitCode") == 0

    def _give_up(self, session: str) -> None:
        tree = self._exec_state(session)
        if tree.get("Running"):
            kill_stray(int(tree.get("Pid") or 0), str(tree.get("ContainerID") or session))

    def _exec_state(self, session: str) -> Mapping[str, Any]:
        status, body = self._ask("GET", f"/exec/{session}/json", within=ANSWER_WITHIN)
        if status != OK:
            raise _unavailable("exec", _text(body))
        tree: Mapping[str, Any] = _json(body)
        return tree

    def _ask(self, method: str, path: str, *, within: timedelta, body: object = None) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body, or UnavailableError at the deadline."""
        data = None if body is None else json.dumps(body).encode()
        is_output = path.endswith("/start")
        span, read = within.total_seconds(), b""
        try:
            with closing(PodmanSocket(self._path, patience=span, within=span)) as connection:
                head = connection.ask(method, API + path, data)
                for piece in connection.pieces(head):
                    read = (read + piece)[-KEPT_OUTPUT:] if is_output else read + piece
        except OSError as broken:
            raise _unavailable(f"{method} {path.partition('?')[0]}", broken) from broken
        return head.status, read


def _seen(row: Mapping[str, Any]) -> Seen:
    digest = str((row.get("Labels") or {}).get(naming.LABEL_DIGEST, ""))
    return Seen(
        id=str(row["Id"]),
        state=str(row.get("State", "")),
        pid=int(row.get("Pid") or 0),
        digest=digest,
        mark=mark(digest, row.get("Networks") or ()),
    )


def _judge_start(text: str) -> bool:
    if any(words in text.lower() for words in NOT_THERE):
        return False
    raise _unavailable("exec", text)


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON is what it is
    try:
        return json.loads(body)
    except ValueError as broken:
        raise _unavailable("read an answer", f"it is no JSON: {body[:80]!r}") from broken


def _text(body: bytes) -> str:
    """The cause inside an error answer."""
    try:
        tree = json.loads(body)
    except ValueError:
        return body.decode(errors="replace").strip()
    return str(tree.get("message") or tree.get("cause") or tree) if isinstance(tree, dict) else str(tree)


def _unavailable(action: str, cause: object) -> UnavailableError:
    message = str(cause) or type(cause).__name__
    return UnavailableError("engine", action, message, reason=HoldReason.ENGINE_UNAVAILABLE)
