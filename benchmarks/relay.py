"""Law: a relay stands between a client and a server, changes nothing, and counts: the bytes of each way, and when a
request of some kind was first seen. Over TCP or a unix socket, for TLS where it has a context. It is for counting, not
for timing short things.
"""

import select
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
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
    tls: ssl.SSLContext | None = None
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
            threading.Thread(target=self._join, args=(caller,), daemon=True).start()

    def _join(self, caller: socket.socket) -> None:
        """Pass on what comes from either side, in one thread, as TLS wants it; the end of one side is that of both."""
        with suppress(OSError), ExitStack() as stack:
            near = stack.enter_context(self.tls.wrap_socket(caller, server_side=True) if self.tls else caller)
            far = stack.enter_context(socket.socket(_family(self.there), socket.SOCK_STREAM))
            far.connect(_address(self.there))
            while True:
                is_waiting = isinstance(near, ssl.SSLSocket) and near.pending()
                for source in [near] if is_waiting else select.select([near, far], [], [])[0]:
                    data = source.recv(CHUNK)
                    if not data:
                        return
                    self._count(data, is_up=source is near)
                    (far if source is near else near).sendall(data)

    def _count(self, data: bytes, *, is_up: bool) -> None:
        if not is_up:
            self.down += len(data)
            return
        self.up += len(data)
        if self.mark and self.marked_at is None and self.mark in data:
            self.marked_at = time.time()


def _family(place: Place) -> socket.AddressFamily:
    return socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET


def _address(place: Place) -> str | tuple[str, int]:
    return str(place) if isinstance(place, Path) else place
