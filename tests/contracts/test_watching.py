"""`--watch` in a real terminal: the screen is written over and never wiped, and what is left is the last view.

Without a terminal only what changed is said.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.rollout_desk import APP, RolloutDesk

PATIENCE = timedelta(seconds=60)


@pytest.fixture
def desk(tmp_path: Path) -> RolloutDesk:
    """2.0.0 has just been pushed."""
    made = RolloutDesk(tmp_path)
    for site in "abcd":
        made.tell(site, made.first)
    made.second = made.release("2.0.0")  # type: ignore[attr-defined] # of this story only
    return made


def argv(desk: RolloutDesk, *words: str) -> list[str]:
    return [sys.executable, "-m", "edgegitops", *words, "--reports", str(desk.reports), "--watch"]


class Terminal:
    """A program on a terminal of 100 columns and 24 lines, and all that it wrote."""

    def __init__(self, words: list[str], folder: Path) -> None:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "24", "GIT_CONFIG_GLOBAL": os.devnull}
        self.child = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.handle = ours
        self.said = ""

    def until(self, text: str) -> None:
        """Read until it has written this after what was read before."""
        since, ends_at = len(self.said), time.monotonic() + PATIENCE.total_seconds()
        while text not in self.said[since:]:
            assert time.monotonic() < ends_at, f"{text!r} does not come: {self.said[since:]!r}"
            if select.select([self.handle], [], [], 1)[0]:
                self.said += os.read(self.handle, 65536).decode(errors="replace")

    def end(self) -> int:
        """Ctrl-C; the exit code."""
        os.killpg(self.child.pid, signal.SIGINT)
        while True:
            try:
                data = os.read(self.handle, 65536)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            self.said += data.decode(errors="replace")
        return self.child.wait(timeout=PATIENCE.total_seconds())


@pytest.mark.parametrize("words", [("rollout", "status", APP), ("fleet", "status")], ids=" ".join)
def test_screen_is_written_over_until_ctrl_c(desk: RolloutDesk, words: tuple[str, ...]) -> None:
    screen = Terminal(argv(desk, *words), desk.fleet.work)
    screen.until("Ctrl-C ends")
    screen.until("a/gw")
    desk.tell("a", desk.second, soaked_for=timedelta(minutes=4))  # type: ignore[attr-defined] # of this story
    screen.until("4 min")
    assert "\x1b[2J" not in screen.said.partition("Ctrl-C ends")[2], "the screen is wiped, so it flickers"
    assert screen.end() == 130
    begin, alternate, shown = screen.said.partition("\x1b[?1049h")
    assert alternate, begin
    _, back, left = shown.rpartition("\x1b[?1049l")
    assert back
    assert "4 min" in left, "the last view stays"
    assert "Traceback" not in left
    assert "\x1b[?25h" in screen.said, "the cursor is shown again"


def test_without_a_terminal_only_what_changed_is_said(desk: RolloutDesk, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("w") as file:
        child = subprocess.Popen(
            argv(desk, "rollout", "status", APP), cwd=desk.fleet.work, stdout=file, stderr=file, start_new_session=True
        )
    wait_for(out, "missing: a/gw: does not run it yet")
    desk.tell("a", desk.second)  # type: ignore[attr-defined] # of this story
    wait_for(out, "+   wave canary: 1 node, 1 covered, 1 of 1 needed good")
    os.killpg(child.pid, signal.SIGTERM)
    assert child.wait(timeout=60) == 143
    text = out.read_text(encoding="utf-8")
    assert text.count("line at") == 1
    assert "\x1b" not in text
    assert "-     missing: a/gw: does not run it yet" in text


def test_source_that_goes_away_is_said_and_looked_at_again(desk: RolloutDesk, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("w") as file:
        child = subprocess.Popen(
            argv(desk, "fleet", "status"), cwd=desk.fleet.work, stdout=file, stderr=file, start_new_session=True
        )
    wait_for(out, "4 under way")
    desk.reports.rename(tmp_path / "away")
    wait_for(out, "looking again")
    (tmp_path / "away").rename(desk.reports)
    desk.tell("a", desk.second)  # type: ignore[attr-defined] # of this story
    wait_for(out, "3 under way")
    os.killpg(child.pid, signal.SIGTERM)
    child.wait(timeout=60)


def wait_for(out: Path, text: str) -> None:
    ends_at = time.monotonic() + PATIENCE.total_seconds()
    while text not in out.read_text(encoding="utf-8"):
        assert time.monotonic() < ends_at, out.read_text(encoding="utf-8")
        time.sleep(0.2)
