"""Law: one request, one answer, one deadline; and the text of a cause decides what the caller may hope for.

1. This is the one door to podman-py, which is used for its connection: requests go out below /v4.0.0/libpod, which
   Podman 4 and 5 serve alike, and bodies are libpod's own JSON.
2. A connection is used by one thread at a time; a request that fails gives its connection up.
3. No answer in time, no socket, or an answer that is no JSON: UnavailableError, reason `engine-unavailable`.
4. Podman answers 500 for nearly everything, so causes are told apart by their words (`CAUSES`, first match wins).
"""

import json
import queue
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from podman import PodmanClient
from podman.errors import PodmanError

from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.errors import DeniedError, OutsideError, UnavailableError

PORT = "engine"
API_VERSION = "4.0.0"

NOT_FOUND = 404
NOT_MODIFIED = 304
BAD_REQUEST = 400
JSON_TYPE = {"Content-Type": "application/json"}
TAR_TYPE = {"Content-Type": "application/x-tar"}

Params: TypeAlias = Mapping[str, str]

# Words of causes and messages, in lower case, and what they mean. The first match wins.
CAUSES: tuple[tuple[str, HoldReason | Refusal], ...] = (
    ("no space left on device", HoldReason.DISK_FULL),
    ("disk quota exceeded", HoldReason.DISK_FULL),
    ("digest did not match", Refusal.IMAGE_DIGEST_WRONG),
    ("does not match expected manifest digest", Refusal.IMAGE_DIGEST_WRONG),
    ("manifest does not match provided manifest digest", Refusal.IMAGE_DIGEST_WRONG),
    ("unauthorized", HoldReason.CREDENTIAL_DENIED),
    ("authentication required", HoldReason.CREDENTIAL_DENIED),
    ("requested access to the resource is denied", HoldReason.CREDENTIAL_DENIED),
    ("invalid username/password", HoldReason.CREDENTIAL_DENIED),
    ("403 (forbidden)", HoldReason.CREDENTIAL_DENIED),
    ("address already in use", Refusal.PORT_TAKEN),
    ("port is already allocated", Refusal.PORT_TAKEN),
    ("network not found", HoldReason.DEPENDENCY),
    ("image not known", Refusal.IMAGE_UNKNOWN),
    ("no such image", Refusal.IMAGE_UNKNOWN),
    ("invalid reference format", Refusal.IMAGE_UNKNOWN),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of one answer, read to its end."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Done, or nothing to do."""
        return self.status < BAD_REQUEST

    def json(self) -> Any:  # noqa: ANN401 - JSON is what it is
        """The decoded body; UnavailableError where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as broken:
            raise unavailable("read an answer", f"the answer is no JSON: {self.body[:80]!r}") from broken

    def text(self) -> str:
        """Cause and message of an error answer in one line, or the body itself."""
        try:
            tree = json.loads(self.body)
        except ValueError:
            return self.body.decode(errors="replace").strip()
        if not isinstance(tree, dict):
            return str(tree)
        parts = dict.fromkeys(str(tree[key]) for key in ("message", "cause", "error") if tree.get(key))
        return ": ".join(parts)


def unavailable(action: str, message: str, reason: HoldReason = HoldReason.ENGINE_UNAVAILABLE) -> UnavailableError:
    """The error for what may work later."""
    return UnavailableError(PORT, action, message, reason=reason)


def denied(action: str, message: str, reason: Refusal) -> DeniedError:
    """The error for what will not work by trying again."""
    return DeniedError(PORT, action, message, reason=reason)


def judged(action: str, message: str, otherwise: HoldReason | Refusal) -> OutsideError:
    """The error that a cause's words ask for; `otherwise` where they are none of `CAUSES`."""
    words = message.lower()
    reason = next((meaning for part, meaning in CAUSES if part in words), otherwise)
    if isinstance(reason, HoldReason):
        return unavailable(action, message, reason)
    return denied(action, message, reason)


def partial_error(answer: Answer) -> str:
    """The error inside of a 200 answer to a removal: a list of things with an `Err` each."""
    with suppress(ValueError):
        rows = json.loads(answer.body or b"[]")
        return "; ".join(str(row["Err"]) for row in rows if isinstance(row, dict) and row.get("Err"))
    return ""


class Wire:
    """A pool of connections to one Podman service."""

    def __init__(self, url: str, *, timeout: timedelta) -> None:
        self._url = url
        self._timeout = timeout.total_seconds()
        self._idle: queue.LifoQueue[PodmanClient] = queue.LifoQueue()

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    @contextmanager
    def _client(self, action: str) -> Iterator[PodmanClient]:
        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = self._connect(action)
        try:
            yield client
        except (PodmanError, OSError) as broken:
            client.close()
            raise unavailable(action, f"{self._url}: {_root(broken)}") from broken
        except BaseException:
            client.close()
            raise
        self._idle.put(client)

    def _connect(self, action: str) -> PodmanClient:
        """A new client of a service that is there: podman-py leaks a socket where nobody listens."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(self._timeout)
            try:
                probe.connect(self._url.removeprefix("unix://"))
            except OSError as absent:
                raise unavailable(action, f"{self._url}: {absent}") from absent
        return PodmanClient(base_url=self._url, version=API_VERSION)

    def ask(
        self, method: str, path: str, *, params: Params | None = None, body: object = None, within: float | None = None
    ) -> Answer:
        """One request; `within` seconds for connecting and for every silence, the whole in twice that."""
        action = f"{method.upper()} {path}"
        return Answer(*self._gather(action, params, body, within or self._timeout))

    def _gather(self, action: str, params: Params | None, body: object, within: float) -> tuple[int, bytes]:
        chunks = []
        status = 0
        for status, chunk in self.stream(action, params=params, body=body, within=within):  # noqa: B007
            chunks.append(chunk)
        return status, b"".join(chunks)

    def stream(
        self, action: str, *, params: Params | None = None, body: object = None, within: float
    ) -> Iterator[tuple[int, bytes]]:
        """`METHOD /path` -> (status, chunk) until the answer ends, an empty chunk first; all in twice `within`."""
        method, path = action.split(" ", 1)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        kind = TAR_TYPE if isinstance(body, bytes) else JSON_TYPE
        end = time.monotonic() + 2 * within
        with self._client(action) as client:
            answer = getattr(client.api, method.lower())(
                path, params=params, data=data, headers=kind if data else None, timeout=within, stream=True
            )
            try:
                yield answer.status_code, b""
                for chunk in answer.iter_content(65536):
                    yield answer.status_code, chunk
                    if time.monotonic() > end:
                        raise TimeoutError(f"no end of the answer within {2 * within:.0f} s")
            finally:
                answer.close()


def _root(error: BaseException) -> str:
    """The innermost cause: the outer ones only say that a request failed."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
