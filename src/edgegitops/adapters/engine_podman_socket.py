"""Law: just enough HTTP/1.1 to speak to Podman's own socket, and not a word more. http.client brings e-mail and TLS.

1. A connection is for one thread, and carries one request after another where the server lets it. One that was kept
   is used only while nothing has come on it since; a request is never sent a second time.
2. `patience` is for every silence, `within` for the whole of an answer (seconds; None: for ever). TimeoutError beyond.
3. What is not HTTP, or breaks off before its end, is an OSError. Heads are limited, bodies are not: the engine is ours.

Sizes of bodies: RFC 9112, section 6.3.
"""

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_HEAD: Final = 64 * 1024
_PIECE: Final = 64 * 1024
_BODILESS: Final = frozenset({204, 304})
_END_OF_HEAD: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers (names in lower case) of an answer."""

    status: int
    headers: Mapping[str, str]


class PodmanSocket:
    """One connection to the server at a unix socket. `ask`, then read `pieces` (or `lines`) to their end."""

    def __init__(self, path: str, *, patience: float | None, within: float | None = None) -> None:
        """Connect. OSError where nobody listens."""
        self._path = path
        self._unread = b""
        self._is_spent = False
        self.hurry(patience, within)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._sock.settimeout(self._left())
            self._sock.connect(path)
        except BaseException:
            self._sock.close()
            raise

    def hurry(self, patience: float | None, within: float | None = None) -> None:
        """The deadlines of what follows."""
        self._patience = patience
        self._ends_at = None if within is None else time.monotonic() + within

    def is_reusable(self) -> bool:
        """Whether the last answer was read to its end, and the server has neither closed nor said more since."""
        if self._is_spent or self._unread:
            return False
        try:
            self._sock.settimeout(0)
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def ask(self, method: str, target: str, body: bytes | None = None, *, kind: str = "application/json") -> Head:
        """Send a request and read the head of its answer."""
        kind = f"Content-Type: {kind}\r\n" if body else ""
        size = "" if method == "GET" else f"Content-Length: {len(body or b'')}\r\n"
        head = f"{method} {target} HTTP/1.1\r\nHost: podman\r\n{kind}{size}\r\n"
        self._is_spent = True
        self._sock.settimeout(self._left())
        self._sock.sendall(head.encode("ascii") + (body or b""))
        answer = self._head()
        while answer.status < 200:  # noqa: PLR2004 - what comes before the answer
            answer = self._head()
        return answer

    def pieces(self, head: Head) -> Iterator[bytes]:
        """The body as it comes."""
        if head.status in _BODILESS:
            self._is_spent = "close" in head.headers.get("connection", "")
            return
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif "content-length" in head.headers:
            yield from self._exactly(_number(head.headers["content-length"], 10))
        else:
            yield from self._rest()
            return
        self._is_spent = "close" in head.headers.get("connection", "").lower()

    def lines(self, head: Head) -> Iterator[bytes]:
        """The lines of the body as they come."""
        kept = b""
        for piece in self.pieces(head):
            *whole, kept = (kept + piece).split(b"\n")
            yield from whole
        if kept:
            yield kept

    def shut(self) -> None:
        """Let another thread that reads come back."""
        self._is_spent = True
        self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the connection up."""
        self._is_spent = True
        self._sock.close()

    def _head(self) -> Head:
        while _END_OF_HEAD not in self._unread:
            if len(self._unread) > LONGEST_HEAD:
                raise OSError("the head of the answer has no end")
            self._unread += self._some() or _broken_off()
        text, _, self._unread = self._unread.partition(_END_OF_HEAD)
        first, *rows = text.decode("latin-1").split("\r\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdecimal():
            raise OSError(f"the answer is not HTTP: {first[:80]!r}")
        fields = (row.partition(":") for row in rows)
        return Head(int(status[:3]), {name.strip().lower(): value.strip() for name, _, value in fields})

    def _chunks(self) -> Iterator[bytes]:
        while size := _number(self._line().partition(b";")[0].decode("latin-1"), 16):
            yield from self._exactly(size)
            self._line()
        while self._line():
            pass

    def _line(self) -> bytes:
        while b"\r\n" not in self._unread:
            if len(self._unread) > LONGEST_HEAD:
                raise OSError("the answer is not HTTP: a line without an end")
            self._unread += self._some() or _broken_off()
        line, _, self._unread = self._unread.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._unread[:size] or self._some() or _broken_off()
            piece, self._unread = piece[:size], (self._unread or piece)[size:]
            size -= len(piece)
            yield piece

    def _rest(self) -> Iterator[bytes]:
        piece, self._unread = self._unread, b""
        while piece or (piece := self._some()):
            yield piece
            piece = b""

    def _some(self) -> bytes:
        self._sock.settimeout(self._left())
        return self._sock.recv(_PIECE)

    def _left(self) -> float | None:
        if self._ends_at is None:
            return self._patience
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("no end of the answer in time")
        return left if self._patience is None else min(left, self._patience)


def _number(text: str, base: int) -> int:
    digits = text.strip()
    if not digits.isalnum():
        raise OSError(f"the answer is not HTTP: {text[:40]!r} is no size")
    try:
        return int(digits, base)
    except ValueError as wrong:
        raise OSError(f"the answer is not HTTP: {text[:40]!r} is no size") from wrong


def _broken_off() -> bytes:
    raise ConnectionResetError("the answer breaks off")
