"""A fork answers lines, says what it meets, ends with whoever asks, and nobody waits for one that is gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgegitops.adapters.line_fork import ForkedLine
from edgegitops.errors import BrokenInvariantError, UnavailableError

# Who runs the tests may have threads of its own, which Python from 3.12 on warns of at a fork.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
LONG = 1_000_000
ASKS_ONE_THAT_SLEEPS = """
import time
from edgegitops.adapters.line_fork import ForkedLine

line = ForkedLine(lambda text: time.sleep(600) or text)
print(line.pid, flush=True)
try:
    line.send("sleep")
    line.receive()
finally:
    {at_the_end}
"""


@contextmanager
def line_to(answer: Callable[[str], str]) -> Iterator[ForkedLine]:
    line = ForkedLine(answer)
    try:
        yield line
    finally:
        line.close()
        with pytest.raises(ProcessLookupError):
            os.kill(line.pid, 0)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(") ")[2][0] != "Z"  # one that is dead and that nobody waits for


def is_gone(pid: int) -> bool:
    for _ in range(200):
        if not is_alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_fork_answers_line_by_line_with_what_was_known_when_it_was_made() -> None:
    known = ["before"]
    with line_to(lambda text: f"{known[0]} {text[::-1]}") as line:
        known[0] = "after"
        for text in ("one", "zwölf", "", "x" * LONG):
            line.send(text)
            assert line.receive() == f"before {text[::-1]}"


def test_what_it_learned_by_one_line_it_knows_in_the_next() -> None:
    heard: list[str] = []
    with line_to(lambda text: heard.append(text) or " ".join(heard)) as line:
        for text in ("one", "two"):
            line.send(text)
        assert (line.receive(), line.receive()) == ("one", "one two")
    assert heard == []


def test_error_of_the_answer_is_told_and_is_our_bug() -> None:
    with line_to(lambda text: str(int(text))) as line:
        line.send("four\nteen".replace("\n", " "))
        with pytest.raises(BrokenInvariantError, match="ValueError: invalid literal"):
            line.receive()
        line.send("4")
        assert line.receive() == "4"


def test_fork_that_was_killed_is_told_of_and_not_waited_for() -> None:
    def answer(text: str) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return text

    with line_to(answer) as line:
        line.send("go")
        with pytest.raises(UnavailableError, match="was killed by signal 9"):
            line.receive()


def test_asking_one_that_is_gone_says_so() -> None:
    with line_to(str) as line:
        os.kill(line.pid, signal.SIGKILL)
        os.waitid(os.P_PID, line.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(UnavailableError, match="the second process"):
            line.send("x" * LONG)


def test_exit_of_the_fork_is_told_of_too() -> None:
    def answer(text: str) -> str:
        sys.exit(f"no {text}")

    with line_to(answer) as line:
        line.send("go")
        with pytest.raises(UnavailableError, match="the second process"):
            line.receive()


@pytest.mark.parametrize(("how", "at_the_end"), [(signal.SIGINT, "line.close()"), (signal.SIGKILL, "pass")])
def test_no_fork_outlives_who_asks(how: signal.Signals, at_the_end: str) -> None:
    """As a terminal does, Ctrl-C is sent to both. The fork is in the middle of an answer."""
    code = ASKS_ONE_THAT_SLEEPS.format(at_the_end=at_the_end)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as asker:
        assert asker.stdout is not None
        fork = int(asker.stdout.readline())
        (os.killpg if how is signal.SIGINT else os.kill)(asker.pid, how)
        asker.wait(10)
        assert is_gone(fork)
