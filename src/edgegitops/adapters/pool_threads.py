"""Law: a pool whose threads hold up nobody: a task that hangs for ever delays neither the others nor the end.

The standard library's pool waits for its threads when the process ends (threading._register_atexit), so that one probe
that hangs would keep a stopped agent alive. Threads here are daemons, made when they are needed, at most `most`; each
ends when it has had nothing to do for a while.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

IDLE_FOR = 60.0  # seconds


class DaemonPool(Executor):
    """`concurrent.futures.Executor` over daemon threads."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._idle = 0
        self._alive = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 - as the library's
        """Do it in one of the threads, as soon as one is free."""
        future: Future[Any] = Future()
        with self._guard:
            self._tasks.put((future, lambda: fn(*args, **kwargs)))
            if self._idle >= self._tasks.qsize() or self._alive >= self._most:
                return future
            self._alive += 1
        threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._guard:
                self._idle += 1
            try:
                future, task = self._tasks.get(timeout=IDLE_FOR)
            except queue.Empty:
                future = None
            with self._guard:
                self._idle -= 1
                if future is None and self._tasks.empty():
                    self._alive -= 1
                    return
            if future is not None and future.set_running_or_notify_cancel():
                _do(future, task)


def _do(future: Future[Any], task: Callable[[], Any]) -> None:
    try:
        future.set_result(task())
    except BaseException as error:  # noqa: BLE001 - a pool hands over whatever was raised
        future.set_exception(error)
