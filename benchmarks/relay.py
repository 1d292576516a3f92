"""Law: a relay stands between a client and a server, changes nothing, and counts: the bytes of each way, and when a
request of some kind was first seen. Over TCP or a unix socket; a thread for each way, so it is for counting, not for
timing short things.
"""

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

Place = tuple[str, int] | Path
CHUNK = 64 * 1024


@dataclass(slots=True)
class Relay:
    """Listens at `here` while inside and passes everything on to `there`. `mark` is what to look out for in requests;
    `marked_at` is when it was first seen, in seconds since 1970.
    """

    here: Place
    there: Place
    mark: bytes = b""
    up: int = 0
    down: int = 0
    marked_at: float | None = None
    _server: socket.socket = field(init=False)

    def __enter__(self) -> Self:
        self._server = socket.socket(_family(self.here), socket.SOCK_STREAM)
        self._server.bind(_address(self.here))
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    @property
    def port(self) -> int:
        """The TCP port that it listens at."""
        return int(self._server.getsockname()[1])

    def reset(self) -> None:
        """Count from zero."""
        self.up = self.down = 0

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            server = socket.socket(_family(self.there), socket.SOCK_STREAM)
            server.connect(_address(self.there))
            for ends in ((caller, server, True), (server, caller, False)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:  # noqa: FBT001 - which way
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if is_up:
                    self.up += len(data)
                    if self.mark and self.marked_at is None and self.mark in data:
                        self.marked_at = time.time()
                else:
                    self.down += len(data)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _family(place: Place) -> socket.AddressFamily:
    return socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET


def _address(place: Place) -> str | tuple[str, int]:
    return str(place) if isinstance(place, Path) else place
