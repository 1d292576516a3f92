"""One question to `grpc.health.v1.Health/Check` over plain HTTP/2, until one instant; h2 knows the protocol, not time.

True: the answer is SERVING. False: any other answer, a refusal, a broken protocol, or a server that knows no such
service. What the socket raises goes to the caller, TimeoutError when the instant is over.
"""

import socket
import time
from collections.abc import Iterable
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

PATH: Final = "/grpc.health.v1.Health/Check"
SERVING: Final = b"\x08\x01"
"""The first field of a HealthCheckResponse, `status`, with the value SERVING."""
HEAD: Final = 5
LARGEST: Final = 64 * 1024
CONTINUES: Final = 128
"""A byte of a protobuf number that is not its last one is this or more."""


def ask_grpc(sock: socket.socket, service: str, ends_at: float) -> bool:
    """Whether the service (empty: the whole server) behind a connected socket says that it serves."""
    try:
        return _Question(sock, ends_at).ask(service)
    except H2Error:
        return False


class _Question:
    """One stream of one connection."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self._sock = sock
        self._ends_at = ends_at
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._answer = b""
        self._statuses: dict[str, str] = {}

    def ask(self, service: str) -> bool:
        self._http.initiate_connection()
        authority = "{}:{}".format(*self._sock.getpeername()[:2])
        self._http.send_headers(
            1,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", PATH),
                (":authority", authority),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                ("user-agent", "edgegitops-probe"),
            ],
        )
        self._http.send_data(1, _message(service), end_stream=True)
        while True:
            self._sock.settimeout(self._left())
            self._sock.sendall(self._http.data_to_send())
            self._sock.settimeout(self._left())
            received = self._sock.recv(65536)
            if not received or self._is_over(self._http.receive_data(received)):
                return self._is_serving()

    def _is_over(self, events: Iterable[Event]) -> bool:
        for event in events:
            match event:
                case ResponseReceived() | TrailersReceived():
                    self._statuses |= {str(name): str(value) for name, value in event.headers or ()}
                case DataReceived():
                    self._answer += event.data or b""
                    self._http.acknowledge_received_data(event.flow_controlled_length or 0, 1)
                case StreamEnded() | StreamReset() | ConnectionTerminated():
                    return True
                case _:
                    pass
        return len(self._answer) > LARGEST

    def _is_serving(self) -> bool:
        is_fine = (self._statuses.get(":status"), self._statuses.get("grpc-status")) == ("200", "0")
        return is_fine and self._answer[:1] == b"\0" and self._answer[HEAD:].startswith(SERVING)

    def _left(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _message(service: str) -> bytes:
    """A HealthCheckRequest behind the head of a gRPC message: not compressed, and its length."""
    name = service.encode()
    length, left = bytearray(), len(name)
    while left >= CONTINUES:
        length.append(left % CONTINUES + CONTINUES)
        left //= CONTINUES
    body = b"\x0a" + bytes([*length, left]) + name if name else b""
    return b"\0" + len(body).to_bytes(4, "big") + body
