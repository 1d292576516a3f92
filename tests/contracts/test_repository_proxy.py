"""A proxy between node and repository: the fetch and the poll both go through it, and what it refuses is told."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.git_server import FleetSource, HttpServer, make_certificate

from edgegitops.adapters.repository_mirror import GitCredentials, GitRepository
from edgegitops.adapters.tip_listing import list_tip
from edgegitops.errors import UnavailableError

TIMEOUT = timedelta(seconds=20)


class _Proxy(socketserver.ThreadingTCPServer):
    """An HTTP proxy that makes tunnels; what it was asked for is kept. `is_closed` refuses all."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_closed = False
        super().__init__(("127.0.0.1", 0), _Way)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Way(socketserver.BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        method, target, _ = self._line().decode().split()
        self.server.asked.append(f"{method} {target}")
        while self._line() not in (b"\r\n", b""):
            pass
        if self.server.is_closed:
            self.request.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pour, args=(server, self.request), daemon=True)
            back.start()
            _pour(self.request, server)
            back.join()

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (one := self.request.recv(1)):
            line += one
        return line


def _pour(here: socket.socket, there: socket.socket) -> None:
    try:
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)
    except OSError:
        return


@contextmanager
def running() -> Iterator[_Proxy]:
    with _Proxy() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


@pytest.fixture
def source(tmp_path: Path) -> FleetSource:
    return FleetSource(tmp_path / "remote")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path / "server.pem")


def test_fetch_and_poll_go_through_the_proxy(source: FleetSource, tmp_path: Path, certificate: Path) -> None:
    ca_file = str(certificate.with_suffix(".crt"))
    with HttpServer(source.folder, certificate=certificate) as server, running() as proxy:
        mirror = GitRepository(
            str(tmp_path / "mirror.git"), server.url, credentials=GitCredentials(ca_file=ca_file, proxy=proxy.url)
        )
        assert mirror.fetch() == source.tip
        fetched = len(proxy.asked)
        assert fetched
        assert list_tip(server.url, "main", timeout=TIMEOUT, ca_file=ca_file, proxy=proxy.url) == source.tip
        assert len(proxy.asked) == fetched + 1
        assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{server.port}"}


def test_proxy_that_says_no_is_a_typed_failure(source: FleetSource, certificate: Path) -> None:
    with HttpServer(source.folder, certificate=certificate) as server, running() as proxy:
        proxy.is_closed = True
        with pytest.raises(UnavailableError, match="407"):
            list_tip(server.url, "main", timeout=TIMEOUT, proxy=proxy.url)
