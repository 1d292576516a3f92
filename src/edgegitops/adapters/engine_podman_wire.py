"""Law: one request, one answer, one deadline; and the text of a cause decides what the caller may hope for.

1. Requests go out below /v4.0.0/libpod, which Podman 4 and 5 serve alike, and bodies are libpod's own JSON.
2. A connection is used by one thread at a time; a request that fails gives its connection up.
3. No answer in time, no socket, or an answer that is no JSON: UnavailableError, reason `engine-unavailable`.
4. Podman answers 500 for nearly everything, so causes are told apart by their words (`CAUSES`, first match wins). A
   disk that turned read-only is no fault of a manifest; what a runtime may not write to inside of a container is.
"""

import json
import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode

from edgegitops.adapters.engine_podman_socket import PodmanSocket
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.errors import DeniedError, OutsideError, UnavailableError

PORT = "engine"
API = "/v4.0.0/libpod"

NOT_FOUND = 404
NOT_MODIFIED = 304
BAD_REQUEST = 400
JSON_TYPE = "application/json"
TAR_TYPE = "application/x-tar"

Params: TypeAlias = Mapping[str, str]

BROKEN_DISK = ("read-only file system", "readonly database", "input/output error", "structure needs cleaning")
RUNTIME = "oci runtime"

# Words of causes and messages, in lower case, and what they mean. The first match wins.
CAUSES: tuple[tuple[str, HoldReason | Refusal], ...] = (
    ("no space left on device", HoldReason.DISK_FULL),
    ("disk quota exceeded", HoldReason.DISK_FULL),
    *((words, HoldReason.DISK_FAILED) for words in BROKEN_DISK),
    ("rejected by policy", Refusal.ADMISSION_DENIED),
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
    is_inside = RUNTIME in words
    causes = (meaning for part, meaning in CAUSES if part in words and not (is_inside and part in BROKEN_DISK))
    reason = next(causes, otherwise)
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
        self.url = url
        self._timeout = timeout.total_seconds()
        self._idle: queue.LifoQueue[PodmanSocket] = queue.LifoQueue()

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def ask(
        self, method: str, path: str, *, params: Params | None = None, body: object = None, within: float | None = None
    ) -> Answer:
        """One request, its body a tar where it is bytes; `within` seconds for connecting and for every silence, the
        whole in twice that.
        """
        target = f"{API}{path}{'?' if params else ''}{urlencode(params or {})}"
        is_tar = isinstance(body, bytes)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with self._connection(within or self._timeout) as connection:
                head = connection.ask(method, target, data, kind=TAR_TYPE if is_tar else JSON_TYPE)
                return Answer(head.status, b"".join(connection.pieces(head)))
        except OSError as broken:
            words = str(broken) or type(broken).__name__
            raise unavailable(f"{method} {path}", f"{self.url}: {words}") from broken

    @contextmanager
    def _connection(self, within: float) -> Iterator[PodmanSocket]:
        """A connection that was kept, or a new one; it is kept where all went well."""
        connection = self._kept() or PodmanSocket(self.url.removeprefix("unix://"), patience=within)
        try:
            connection.hurry(within, 2 * within)
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable():
            self._idle.put(connection)
        else:
            connection.close()

    def _kept(self) -> PodmanSocket | None:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return None
            if connection.is_reusable():
                return connection
            connection.close()
