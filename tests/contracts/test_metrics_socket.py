"""The page of metrics: whoever reads it, slowly or not at all, keeps nobody else from it."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edgegitops.adapters import metrics_socket
from edgegitops.adapters.metrics_socket import AT_ONCE, LONGEST, serving
from edgegitops.errors import UnavailableError

PAGE = "edgegitops_x 1\n" * 1000


@pytest.fixture(params=["127.0.0.1:0", "localhost:0", "[::1]:0"])
def port(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    host = request.param.rpartition(":")[0]
    if host == "[::1]" and not has_ipv6():
        host = "127.0.0.1"
    with serving(f"{host}:0", lambda: PAGE) as port:
        yield host, port


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def get(place: tuple[str, int], path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{place[0]}:{place[1]}{path}", timeout=20) as answer:
        return answer.read().decode()


def raw(place: tuple[str, int], data: bytes) -> bytes:
    with socket.create_connection((place[0].strip("[]"), place[1]), timeout=20) as caller:
        caller.sendall(data)
        said = b""
        while piece := caller.recv(65536):
            said += piece
        return said


def test_the_page_is_read(port: tuple[str, int]) -> None:
    assert get(port) == PAGE
    assert get(port, "/metrics?x=1") == PAGE


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"\r\n\r\n", b"400"),
        (b"\x00" * LONGEST + b"x", b"400"),
    ],
)
def test_what_is_no_question_gets_a_short_answer(request_: bytes, status: bytes) -> None:
    with serving("127.0.0.1:0", lambda: PAGE) as port:
        assert raw(("127.0.0.1", port), request_).split(b" ")[1] == status


def test_head_has_no_body() -> None:
    with serving("127.0.0.1:0", lambda: PAGE) as port:
        head, _, body = raw(("127.0.0.1", port), b"HEAD /metrics HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert f"Content-Length: {len(PAGE)}".encode() in head
    assert body == b""


def test_callers_that_say_nothing_are_few_and_leave_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_socket, "PATIENCE", 0.5)
    with serving("127.0.0.1:0", lambda: PAGE) as port, ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(AT_ONCE + 2)]
        assert [one.recv(1) for one in silent[AT_ONCE:]] == [b"", b""]  # no room: hung up at once
        assert [one.recv(1) for one in silent[:AT_ONCE]] == [b""] * AT_ONCE  # their time is over
        assert any(is_served(port) for _ in range(50))  # the last of them may be just leaving


def is_served(port: int) -> bool:
    try:
        return get(("127.0.0.1", port)) == PAGE
    except (urllib.error.URLError, ConnectionError):
        return False


def test_a_port_that_is_taken_is_told() -> None:
    with serving("127.0.0.1:0", lambda: PAGE) as port, pytest.raises(UnavailableError, match="in use"):
        serving(f"127.0.0.1:{port}", lambda: PAGE).__enter__()
    with pytest.raises(UnavailableError):
        serving("127.0.0.1:99999", lambda: PAGE).__enter__()
