"""A page of text for one kind of caller: `GET /metrics` on a loopback address, in threads of its own.

1. Whoever calls costs the resident's loop nothing: the page is made from what was published last.
2. A caller has `PATIENCE` for the whole of it and may send `LONGEST` bytes; more than `AT_ONCE` callers are hung up on.
3. Nothing but loopback is listened on: the page is not protected.

Written on sockets, because http.server would cost the resident more memory than all its own code.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from edgegitops.errors import UnavailableError

PATIENCE: Final = 3.0
LONGEST: Final = 8192
AT_ONCE: Final = 4
_KIND: Final = "text/plain; version=0.0.4; charset=utf-8"
_LAST_PORT: Final = 65535
_END: Final = b"\r\n\r\n"


@contextlib.contextmanager
def serving(address: str, page: Callable[[], str]) -> Iterator[int]:
    """Answer while inside; the port. UnavailableError where nobody can listen there."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if int(port) > _LAST_PORT:
        raise UnavailableError("metrics", "listen", f"{address}: there is no such port")
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        server = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise UnavailableError("metrics", "listen", f"{address}: {error}") from error
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(place)
        server.listen(AT_ONCE)
    except OSError as error:
        server.close()
        raise UnavailableError("metrics", "listen", f"{address}: {error}") from error
    threading.Thread(target=_accept, args=(server, page), name="metrics", daemon=True).start()
    try:
        yield int(server.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def _accept(server: socket.socket, page: Callable[[], str]) -> None:
    places = threading.BoundedSemaphore(AT_ONCE)
    while True:
        try:
            caller, _ = server.accept()
        except OSError:
            if server.fileno() < 0:
                return  # closed
            time.sleep(PATIENCE / 10)  # out of descriptors: those that are served give some back
            continue
        if not places.acquire(blocking=False):
            caller.close()
            continue
        threading.Thread(target=_serve, args=(caller, page, places), name="scrape", daemon=True).start()


def _serve(caller: socket.socket, page: Callable[[], str], places: threading.BoundedSemaphore) -> None:
    try:
        with caller, contextlib.suppress(OSError):
            ends_at = time.monotonic() + PATIENCE
            answer = _answer(_request(caller, ends_at), page)
            while answer:
                caller.settimeout(_left(ends_at))
                answer = answer[caller.send(answer) :]
    finally:
        places.release()


def _request(caller: socket.socket, ends_at: float) -> bytes:
    """The head of the request; what is too long or breaks off is no request."""
    head = b""
    while _END not in head:
        caller.settimeout(_left(ends_at))
        piece = caller.recv(LONGEST)
        head += piece
        if not piece or len(head) > LONGEST:
            return b""
    return head


def _answer(head: bytes, page: Callable[[], str]) -> bytes:
    method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        return _said("405 Method Not Allowed" if method else "400 Bad Request", "only GET is answered\n")
    if path != b"/metrics":
        return _said("404 Not Found", "see /metrics\n")
    return _said("200 OK", page(), has_body=method == b"GET")


def _said(status: str, text: str, *, has_body: bool = True) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {_KIND}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (body if has_body else b"")


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


__all__ = ["serving"]
