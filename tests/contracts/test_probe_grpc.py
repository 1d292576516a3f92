"""gRPC health over real sockets: SERVING is True, every other answer False, and silence ends with the timeout."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from edgegitops.adapters.probe_grpc import ask_grpc
from edgegitops.adapters.probe_http import NetworkProber
from edgegitops.core.model.spec import Probe

HERE = "127.0.0.1"
SERVING, NOT_SERVING = b"\0\0\0\0\2\x08\1", b"\0\0\0\0\2\x08\2"
LONG = "qa." + "x" * 300


class Server:
    """Answers each call as its service is named in `answers`: a status and a message; None is silence."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, bytes] | None] = {}
        self.asked: list[dict[str, str]] = []
        self.listener = socket.create_server((HERE, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                with sock, suppress(OSError):
                    self._answer(sock)

    def _answer(self, sock: socket.socket) -> None:
        http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        body = b""
        while received := sock.recv(65536):
            for event in http.receive_data(received):
                if isinstance(event, RequestReceived):
                    self.asked.append(dict(event.headers))
                if isinstance(event, DataReceived):
                    body += event.data
                if isinstance(event, StreamEnded):
                    self._say(http, body)
            sock.sendall(http.data_to_send())

    def _say(self, http: H2Connection, body: bytes) -> None:
        service = next((name for name in self.answers if name and name.encode() in body), "")
        answer = self.answers[service]
        if answer is None:
            return
        status, message = answer
        http.send_headers(1, [(":status", "200"), ("content-type", "application/grpc")])
        http.send_data(1, message)
        http.send_headers(1, [("grpc-status", status)], end_stream=True)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.listener.close()


def ask(port: int, service: str = "", timeout: timedelta = timedelta(seconds=20)) -> bool | None:
    probe = Probe(grpc_port=port, grpc_service=service, timeout=timeout)
    return NetworkProber(lambda *_: False, ask_grpc).ask(probe, "c1", HERE)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("0", SERVING), True),
        (("0", NOT_SERVING), False),
        (("0", b"\0\0\0\0\0"), False),
        (("5", b""), False),
        (("12", SERVING), False),
        (("0", b"\1\0\0\0\2\x08\1"), False),
    ],
)
def test_only_serving_is_well(server: Server, answer: tuple[str, bytes], expected: bool) -> None:
    server.answers[""] = answer
    assert ask(server.port) is expected
    assert server.asked[0][":path"] == "/grpc.health.v1.Health/Check"


def test_each_service_is_asked_by_its_name(server: Server) -> None:
    server.answers |= {LONG: ("0", SERVING), "": ("0", NOT_SERVING)}
    assert ask(server.port, LONG) is True
    assert ask(server.port) is False


def test_silence_ends_with_the_timeout(server: Server) -> None:
    server.answers[""] = None
    assert ask(server.port, timeout=timedelta(milliseconds=300)) is False


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\0\0\0\4\0\0\0\0\0" + b"\xff" * 40])
def test_what_speaks_no_http2_is_not_well(words: bytes) -> None:
    with closing(socket.create_server((HERE, 0))) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(64)
                sock.sendall(words)

        threading.Thread(target=serve, daemon=True).start()
        assert ask(listener.getsockname()[1]) is False


def test_resident_without_grpc_probes_does_not_load_its_library() -> None:
    words = "import sys, edgegitops.adapters.probe_http, edgegitops.bootstrap; print('h2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
