"""A prober over real sockets: what answers is True, what answers wrongly or not is False, our own trouble is None."""

import errno
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.contracts.git_server import RawServer, free_port, make_certificate

from edgegitops.adapters.probe_grpc import ask_grpc
from edgegitops.adapters.probe_http import NetworkProber
from edgegitops.core.model.spec import Probe
from edgegitops.errors import DeniedError, UnavailableError

HERE = "127.0.0.1"
SHORT = timedelta(milliseconds=300)
LONG = timedelta(seconds=20)


class _Answer(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/hang":
            self.server.is_over.wait()
            return
        status = int(path[1:]) if path[1:].isdigit() else 200
        body = {"/big": b"x" * 70_000 + b"needle", "/early": b"needle" + b"x" * 70_000}.get(path, b"all is well")
        if path == "/key":
            status = 200 if self.headers.get("X-Key") == "k" else 403
        if path == "/host":
            body = self.headers["Host"].encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if 300 <= status < 400:
            self.send_header("Location", "/500")
        self.end_headers()
        if path == "/drip":
            while not self.server.is_over.wait(0.05):
                self.wfile.write(b"x")
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A prober that goes away is what tests are about."""


def serve(folder: Path | None = None) -> Iterator[int]:
    server = _Server((HERE, 0), _Answer)
    server.is_over = threading.Event()
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(make_certificate(folder / "server.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_address[1]
    server.is_over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def port() -> Iterator[int]:
    yield from serve()


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    yield from serve(tmp_path)


def never(_container: str, _argv: Sequence[str], _timeout: timedelta) -> bool:
    raise AssertionError("no command was to be run")


def ask(address: str = HERE, **fields: object) -> bool | None:
    return NetworkProber(never, ask_grpc).ask(Probe(**{"timeout": LONG} | fields), "c1", address)


@pytest.mark.parametrize(
    ("status", "accepted", "answer"),
    [
        (200, (), True),
        (204, (), True),
        (301, (), True),
        (399, (), True),
        (404, (), False),
        (500, (), False),
        (404, (404,), True),
        (200, (404, 503), False),
        (301, (200,), False),
    ],
)
def test_the_status_decides(port: int, status: int, accepted: tuple[int, ...], answer: object) -> None:
    assert ask(http_port=port, http_path=f"/{status}", http_status=accepted) is answer


def test_headers_are_sent_and_the_host_may_be_named(port: int) -> None:
    assert ask(http_port=port, http_path="/key", http_headers={"X-Key": "k"}) is True
    assert ask(http_port=port, http_path="/key") is False
    assert ask(http_port=port, http_path="/host", http_headers={"Host": "shop"}, http_body_contains="shop") is True
    assert ask(http_port=port, http_path="/host", http_body_contains=f"{HERE}:{port}") is True


def test_the_body_is_searched_in_its_first_64_kib(port: int) -> None:
    assert ask(http_port=port, http_body_contains="is well") is True
    assert ask(http_port=port, http_body_contains="is ill") is False
    assert ask(http_port=port, http_path="/early", http_body_contains="needle") is True
    assert ask(http_port=port, http_path="/big", http_body_contains="needle") is False


def test_an_unknown_certificate_is_no_obstacle(tls_port: int) -> None:
    assert ask(http_port=tls_port, http_scheme="https", http_body_contains="all is well") is True


def test_certificate_is_judged_where_the_probe_asks_for_it(
    tls_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = {"http_port": tls_port, "http_scheme": "https", "http_tls_verify": True}
    assert ask(**probe) is False
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.crt"))
    assert ask(**probe) is True
    assert ask(**probe, http_headers={"host": "shop.example:443"}) is False


def test_tls_asked_in_plain_and_plain_asked_in_tls_are_wrong_answers(port: int, tls_port: int) -> None:
    assert ask(http_port=tls_port) is False
    assert ask(http_port=port, http_scheme="https") is False


def test_silence_is_an_answer_after_the_timeout(port: int) -> None:
    assert ask(http_port=port, http_path="/hang", timeout=SHORT) is False


def test_dripping_does_not_stretch_the_deadline(port: int) -> None:
    assert ask(http_port=port, http_path="/drip", http_body_contains="needle", timeout=SHORT) is False


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 1000, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000]
)
def test_what_is_not_http_is_a_wrong_answer(answer: bytes) -> None:
    with RawServer(answer) as server:
        assert ask(http_port=server.port) is False


def test_a_body_that_breaks_off_is_judged_by_what_came() -> None:
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nneedle") as server:
        assert ask(http_port=server.port, http_body_contains="needle") is True
        assert ask(http_port=server.port, http_body_contains="thread") is False


def test_tcp_is_a_connection_and_a_refused_one_is_false(port: int) -> None:
    assert ask(tcp_port=port) is True
    assert ask(tcp_port=free_port()) is False
    assert ask(http_port=free_port()) is False


def test_ipv6_addresses_are_asked() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert ask("::1", tcp_port=server.getsockname()[1]) is True


@pytest.mark.parametrize("address", ["", "not an address", "256.1.1.1"])
def test_an_address_that_is_none_says_nothing_of_the_container(address: str) -> None:
    assert ask(address, tcp_port=80) is None


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENETUNREACH, errno.ENOMEM])
def test_our_own_trouble_says_nothing_of_the_container(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, "ours")

    monkeypatch.setattr(socket, "socket", fail)
    assert ask(tcp_port=80) is None
    assert ask(http_port=80) is None


@pytest.mark.parametrize("answer", [True, False])
def test_commands_are_run_by_the_engine(answer: object) -> None:
    asked = []

    def run(container: str, argv: Sequence[str], timeout: timedelta) -> bool:
        asked.append((container, argv, timeout))
        return bool(answer)

    assert NetworkProber(run, ask_grpc).ask(Probe(exec=("check", "--now"), timeout=SHORT), "c1", "") is answer
    assert asked == [("c1", ("check", "--now"), SHORT)]


@pytest.mark.parametrize("error", [UnavailableError, DeniedError])
def test_an_engine_that_cannot_run_commands_says_nothing_of_the_container(error: type[Exception]) -> None:
    def run(*_: object) -> bool:
        raise error("engine", "exec", "no socket")

    assert NetworkProber(run, ask_grpc).ask(Probe(exec=("check",)), "c1", "") is None
