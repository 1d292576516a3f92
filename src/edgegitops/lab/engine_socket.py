"""Law: a node's Podman seen from this machine over its Unix socket: is it there, and what does it hold. Reads only."""

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("podman", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class EngineSocket:
    """Podman's socket of one node."""

    path: Path

    def get(self, path: str, *, seconds: float = 10) -> Any:  # noqa: ANN401 - JSON is whatever it is
        """The JSON answer to `GET /v4.0.0/libpod<path>`; OSError where nobody answers, or not with 200."""
        connection = _UnixConnection(str(self.path), seconds)
        try:
            connection.request("GET", f"/v4.0.0/libpod{path}")
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"{path}: {answer.status} {body[:200].decode(errors='replace')}")
        return json.loads(body) if body.startswith((b"{", b"[")) else body.decode()

    def is_answering(self) -> bool:
        """Whether the service answers within a second."""
        try:
            self.get("/_ping", seconds=1)
        except OSError:
            return False
        return True

    def containers(self) -> dict[str, str]:
        """State of each container by name."""
        return {row["Names"][0]: row["State"] for row in self.get("/containers/json?all=true")}
