"""The control socket: how a person's command reaches the agent that runs. A word in, a word back.

1. The socket's file has mode 0600, and who connects must be root or the agent's own user (SO_PEERCRED).
2. A request is one word of `WORDS`; it causes a look, nothing else. What was ordered stands in the journal, so a lost
   word delays and never loses. The answer is `ok`, or `refused`.
3. A file that a dead agent left is replaced; the caller holds the lock that says that no other agent lives.
4. A caller is answered within a moment or dropped; many callers wait in the kernel's short queue.

Paths of sockets are short (107 bytes), so both sides go through a descriptor of the directory.
"""

import contextlib
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from edgegitops.errors import DeniedError, UnavailableError

WORDS: Final = frozenset({"look", "reconcile"})
PATIENCE: Final = 5.0
_LONGEST: Final = 64
_CREDENTIALS: Final = struct.Struct("3i")


@contextlib.contextmanager
def listening(path: str | Path, on_word: Callable[[str], None]) -> Iterator[None]:
    """Answer in a thread of its own while inside. UnavailableError where the socket cannot be made."""
    place = Path(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _directory(place) as here:
            name = f"/proc/self/fd/{here}/{place.name}"
            _clear(place)
            before = os.umask(0o177)
            try:
                server.bind(name)
            finally:
                os.umask(before)
        server.listen(8)
    except OSError as error:
        server.close()
        raise UnavailableError("control", "listen", f"{place}: {error.strerror or error}") from error
    threading.Thread(target=_answer_all, args=(server, on_word), name="control", daemon=True).start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        _clear(place)


def say(path: str | Path, word: str) -> None:
    """Tell the agent a word. UnavailableError: nobody listens there; DeniedError: it does not take it from us."""
    place = Path(path)
    try:
        with _directory(place) as here, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(PATIENCE)
            caller.connect(f"/proc/self/fd/{here}/{place.name}")
            caller.sendall(f"{word}\n".encode())
            answer = caller.recv(_LONGEST).decode("ascii", "replace").strip()
    except PermissionError as error:
        raise DeniedError("control", word, f"{place}: only root and the agent's user may ask it") from error
    except OSError as error:
        raise UnavailableError("control", word, f"no agent listens at {place}: {error.strerror or error}") from error
    if answer != "ok":
        raise DeniedError("control", word, f"the agent answered {answer or 'nothing'!r}")


def _clear(place: Path) -> None:
    """Remove the socket of a dead agent, and nothing else."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(place.lstat().st_mode):
            place.unlink()


@contextlib.contextmanager
def _directory(place: Path) -> Iterator[int]:
    here = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield here
    finally:
        os.close(here)


def _answer_all(server: socket.socket, on_word: Callable[[str], None]) -> None:
    while True:
        try:
            caller, _ = server.accept()
        except OSError:
            return  # closed
        with caller, contextlib.suppress(OSError):
            caller.settimeout(PATIENCE)
            _answer(caller, on_word)


def _answer(caller: socket.socket, on_word: Callable[[str], None]) -> None:
    _, uid, _ = _CREDENTIALS.unpack(caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if uid not in {0, os.geteuid()}:
        caller.sendall(b"refused\n")
        return
    word = caller.recv(_LONGEST).decode("ascii", "replace").strip()
    if word not in WORDS:
        caller.sendall(b"refused\n")
        return
    on_word(word)
    caller.sendall(b"ok\n")
