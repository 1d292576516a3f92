"""Just enough HTTP: bodies of every size are read to their end, and what is not whole is an error, never an answer."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.adapters.engine_podman_socket import PodmanSocket
from edgegitops.adapters.engine_podman_wire import Wire
from edgegitops.errors import UnavailableError

OK = b"HTTP/1.1 200 OK\r\n"


class Server:
    """Answers the requests of one connection after another with the bytes that a test gives, in the pieces given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(8)

    def answer(self, *connections: list[list[bytes]], closes: bool = True) -> None:
        """In a thread: each connection is a list of answers, each answer a list of pieces."""
        threading.Thread(target=self._serve, args=(connections, closes), daemon=True).start()

    def _serve(self, connections: tuple[list[list[bytes]], ...], closes: bool) -> None:
        kept = []
        for answers in connections:
            sock, _ = self._listener.accept()
            for pieces in answers:
                self.asked.append(sock.recv(65536))
                for piece in pieces:
                    sock.sendall(piece)
            if closes:
                sock.close()
            kept.append(sock)
        time.sleep(0 if closes else 5)
        for sock in kept:
            sock.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "s")
    yield made
    made.close()


def read(server: Server, **more: float) -> tuple[int, bytes]:
    with closing(PodmanSocket(str(server.path), patience=5, **more)) as connection:
        head = connection.ask("GET", "/x")
        return head.status, b"".join(connection.pieces(head))


WHOLE = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", b"hello"),
    "trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", b"hello"),
    "until closed": (OK + b"Content-Type: text/plain\r\n\r\nhello", b"hello"),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "after a hint": (b"HTTP/1.1 103 Early\r\n\r\n" + OK + b"content-length: 2\r\n\r\nok", b"ok"),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_body_is_read_to_its_end_however_it_comes(server: Server, name: str, size: int) -> None:
    raw, body = WHOLE[name]
    server.answer([[raw[at : at + size] for at in range(0, len(raw), size)]])
    assert read(server) == (204 if name == "nothing" else 200, body)


BROKEN = {
    "short": OK + b"Content-Length: 6\r\n\r\nhello",
    "no last chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "size that is none": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "length that is none": OK + b"Content-Length: +5\r\n\r\nhello",
    "half a head": b"HTTP/1.1 200 OK\r\nConte",
    "other words": b"SSH-2.0-x\r\n\r\n",
    "silence": b"",
    "endless head": OK + b"X: y\r\n" * 20_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_whole_is_no_answer(server: Server, name: str) -> None:
    server.answer([[BROKEN[name]]])
    with pytest.raises(OSError, match=r"."):
        read(server)


def test_answer_without_an_end_ends_at_the_deadline(server: Server) -> None:
    server.answer([[OK + b"Content-Length: 5\r\n\r\nh"]], closes=False)
    with pytest.raises(TimeoutError):
        read(server, within=0.2)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_chunks_come_back_as_they_were(chunks: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"
        theirs.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        connection = PodmanSocket.__new__(PodmanSocket)
        connection._sock, connection._unread, connection._is_spent = ours, b"", False
        connection.hurry(5, 5)
        head = connection.ask("GET", "/x")
        assert b"".join(connection.pieces(head)) == b"".join(chunks)
        assert connection.is_reusable()


def test_connection_is_kept_until_the_server_closes_it(server: Server) -> None:
    one = [OK + b"Content-Length: 2\r\n\r\n[]"]
    server.answer([one, one], [one])
    wire = Wire(f"unix://{server.path}", timeout=timedelta(seconds=5))
    for _ in range(3):
        assert wire.ask("GET", "/x", params={"a": "b c"}).json() == []
        time.sleep(0.05)
    wire.close()
    assert [asked.split(b"\r\n")[0] for asked in server.asked] == [b"GET /v4.0.0/libpod/x?a=b+c HTTP/1.1"] * 3


def test_request_is_never_sent_twice(server: Server) -> None:
    server.answer([[OK + b"Content-Length: 2\r\n\r\n[]"], [b""]], [[OK + b"Content-Length: 0\r\n\r\n"]])
    wire = Wire(f"unix://{server.path}", timeout=timedelta(seconds=5))
    wire.ask("GET", "/x")
    with pytest.raises(UnavailableError):
        wire.ask("POST", "/create", body={"a": 1})
    assert len(server.asked) == 2
    wire.close()


def test_engine_is_loaded_without_what_only_a_pull_needs() -> None:
    probe = (
        "import sys, edgegitops.adapters.engine_podman\n"
        "print(sorted({'podman', 'requests', 'urllib3', 'http.client', 'ssl', 'email'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
