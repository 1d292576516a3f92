"""Law: what is done again and again beside the loop has one thread, which holds up neither the loop nor the end."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta


@contextlib.contextmanager
def recurring(name: str, turn: Callable[[], timedelta]) -> Iterator[Callable[[], None]]:
    """Call `turn` while inside, each time after the span that it asked for, or when what is yielded is called."""
    news, is_over = threading.Event(), threading.Event()

    def go_on() -> None:
        while not is_over.is_set():
            news.clear()
            news.wait(turn().total_seconds())

    threading.Thread(target=go_on, name=name, daemon=True).start()
    try:
        yield news.set
    finally:
        is_over.set()
        news.set()
