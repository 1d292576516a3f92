"""A proxy before Podman's socket that can misbehave: answer in its place, answer nonsense, or lose an answer.

A `Mischief` strikes requests whose first line matches, so many times; all others pass through untouched.
"""

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ANSWERS = {
    "500": b'HTTP/1.1 500 Internal Server Error\r\n\r\n{"cause":"boom","message":"boom","response":500}',
    "409": b'HTTP/1.1 409 Conflict\r\n\r\n{"cause":"conflict","message":"conflict","response":409}',
    "nonsense": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[{"Id": 7, <html>',
}
REQUEST = re.compile(rb"(GET|POST|DELETE|HEAD|PUT) (\S+) HTTP/1\.[01]\r\n")


@dataclass
class Mischief:
    """`how`: a key of ANSWERS, or `lost`: it is done, and nobody hears of it."""

    how: str
    pattern: str
    times: int
    struck: list[str] = field(default_factory=list)


class BadProxy:
    """Listens at `path` and passes on to `real`."""

    def __init__(self, path: Path, real: Path) -> None:
        self._path, self._real = path, real
        self._guard = threading.Lock()
        self.mischief: Mischief | None = None
        self._server: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        """Listen."""
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self._path))
        self._server.listen(64)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def stop(self) -> None:
        """The socket is gone, and with it every connection."""
        if self._server is not None:
            self._server.close()
            self._path.unlink()
            self._server = None
        for one in list(self._open):
            _end(one)

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        self._open |= {client, engine}
        lost = threading.Event()
        with suppress(OSError):
            engine.connect(str(self._real))
            threading.Thread(target=self._answers, args=(engine, client, lost), daemon=True).start()
            while data := client.recv(65536):
                strike = self._strike(data)
                if strike in ANSWERS:
                    client.sendall(ANSWERS[strike])
                    break
                if strike == "lost":
                    lost.set()
                engine.sendall(data)
        _end(client)
        _end(engine)
        self._open -= {client, engine}

    def _answers(self, engine: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while (data := engine.recv(65536)) and not lost.is_set():
                client.sendall(data)
        _end(client)
        _end(engine)

    def _strike(self, data: bytes) -> str:
        found = REQUEST.match(data)
        with self._guard:
            one = self.mischief
            if found is None or one is None or one.times <= len(one.struck):
                return ""
            line = f"{found[1].decode()} {found[2].decode()}"
            if re.search(one.pattern, line) is None:
                return ""
            one.struck.append(line)
            return one.how


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
