"""Law: the kernel says at once that a process ended (pidfd_open(2)); it is a hint, and the list says what it means.

Nothing is asked meanwhile: waiting for thirty containers costs nothing, where Podman's event stream has Podman look at
a file four times a second. What was not seen to begin cannot be seen to end, so the caller names what runs after each
look. A process that is gone already when it is named is a hint too.
"""

import os
import select
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

MOST: Final = 256  # each costs a file descriptor; the list sees the others end


class Deaths:
    """Calls `on_death`, from a thread of its own, when one of the processes that were named last ends."""

    def __init__(self, on_death: Callable[[], None]) -> None:
        self._on_death = on_death
        self._ends = select.epoll()
        self._held: dict[int, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._wait, name="deaths", daemon=True).start()

    def watch(self, processes: Collection[int]) -> None:
        """Wait for these from now on, and for no others."""
        wanted = set(sorted(processes)[:MOST])
        with self._lock:
            for gone in self._held.keys() - wanted:
                self._let_go(gone)
            held = [self._hold(pid) for pid in wanted - self._held.keys()]
        if not all(held):
            self._on_death()

    def _hold(self, pid: int) -> bool:
        """False where it has ended already. Where there is no descriptor left, the list has to do."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        self._held[pid] = handle
        self._ends.register(handle, select.EPOLLIN)
        return True

    def _let_go(self, pid: int) -> None:
        handle = self._held.pop(pid, None)
        if handle is not None:
            with suppress(OSError):
                self._ends.unregister(handle)
            os.close(handle)

    def _wait(self) -> None:
        while True:
            ended = {handle for handle, _ in self._ends.poll()}
            with self._lock:
                for pid in [pid for pid, handle in self._held.items() if handle in ended]:
                    self._let_go(pid)
            self._on_death()
