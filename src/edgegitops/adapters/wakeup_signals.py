"""Law: the main thread sleeps until a time, a hint or a signal; a hint carries no facts.

Signals and other threads write one byte into a pipe that the sleeper waits on, so that no hint is lost between
looking and sleeping. SIGTERM and SIGINT ask the program to stop; nothing else is done in a handler.
"""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

from edgegitops.errors import EdgegitopsError

AGAIN_AFTER = 5.0


class Wakeup:
    """A sleep that can be ended early."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_stopping = False
        self._is_hinted = False
        self._word = ""
        self._is_changed = False

    def install(self) -> None:
        """Let SIGTERM and SIGINT ask for a stop. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self._is_stopping = True
        self._poke()

    def _poke(self) -> None:
        with suppress(BlockingIOError):  # the pipe is full: the sleeper wakes anyway
            os.write(self._write, b"!")

    def hint(self) -> None:
        """Something may have changed; from any thread."""
        self._is_hinted = True
        self._poke()

    def has_hint(self) -> bool:
        """True once after a hint."""
        was, self._is_hinted = self._is_hinted, False
        return was

    def ask(self, word: str) -> None:
        """An operator asks for something; from any thread. `reconcile` includes every other word."""
        self._word = word if self._word != "reconcile" else self._word
        self._poke()

    def files_changed(self) -> None:
        """One of the node's own files was written; from any thread."""
        self._is_changed = True
        self._poke()

    def has_changed_files(self) -> bool:
        """True once after a file was written."""
        was, self._is_changed = self._is_changed, False
        return was

    def asked(self) -> str:
        """What an operator asked for since the last call; empty: nothing."""
        word, self._word = self._word, ""
        return word

    def is_stopping(self) -> bool:
        """True after a stop signal."""
        return self._is_stopping

    def sleep(self, span: timedelta) -> None:
        """Wait at most so long; return at once on a hint or a signal."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, span.total_seconds()))
        if ready:
            with suppress(BlockingIOError):
                while os.read(self._read, 4096):
                    pass

    def follow(self, events: Callable[[], Iterator[object]]) -> None:
        """Hint at every event of a stream, in a thread of its own; a broken stream is opened again after a while."""
        threading.Thread(target=self._follow, args=(events,), name="events", daemon=True).start()

    def _follow(self, events: Callable[[], Iterator[object]]) -> None:
        pause = threading.Event()
        while not self._is_stopping:
            with suppress(EdgegitopsError, OSError):
                for _ in events():
                    self.hint()
            pause.wait(AGAIN_AFTER)
