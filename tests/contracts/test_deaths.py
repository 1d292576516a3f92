"""The end of a process that was named is a hint, at once and once; the end of any other is none."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgegitops.adapters.deaths_pidfd import Deaths


class Heard:
    """Counts hints, and waits for the next."""

    def __init__(self) -> None:
        self.times = 0
        self._news = threading.Semaphore(0)

    def __call__(self) -> None:
        self.times += 1
        self._news.release()

    def is_next(self, within: float = 20) -> bool:
        return self._news.acquire(timeout=within)


@pytest.fixture
def sleepers() -> Iterator[list["subprocess.Popen[bytes]"]]:
    made = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
    yield made
    for one in made:
        one.kill()
        one.wait()


def test_end_of_a_named_process_is_a_hint_once(sleepers: list["subprocess.Popen[bytes]"]) -> None:
    heard = Heard()
    Deaths(heard).watch([one.pid for one in sleepers[:2]])
    sleepers[2].kill()
    assert not heard.is_next(0.2)
    sleepers[0].kill()
    assert heard.is_next()
    assert not heard.is_next(0.2)
    sleepers[1].kill()
    assert heard.is_next()


def test_process_that_is_named_no_more_may_end_in_silence(sleepers: list["subprocess.Popen[bytes]"]) -> None:
    heard = Heard()
    deaths = Deaths(heard)
    before = len(list(Path("/proc/self/fd").iterdir()))
    deaths.watch([one.pid for one in sleepers])
    deaths.watch([sleepers[0].pid])
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    sleepers[1].kill()
    assert not heard.is_next(0.2)
    sleepers[0].kill()
    assert heard.is_next()


def test_process_that_is_gone_when_it_is_named_is_a_hint(sleepers: list["subprocess.Popen[bytes]"]) -> None:
    heard = Heard()
    sleepers[0].kill()
    sleepers[0].wait()
    Deaths(heard).watch([sleepers[0].pid, sleepers[1].pid])
    assert heard.is_next()
