"""Law: what is watched stands where it stood before: a screen is written over, never wiped and never scrolled.

On a terminal the last view stays when the watching ends, and what does not fit is counted. Where nobody sees a screen
only what changed is said, line by line. What cannot be looked at for now is said, and looked at again. Ctrl-C ends it.
"""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import ndiff
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from edgegitops.errors import OutsideError

EVERY_SECONDS = 5
_TERMINATED = 143


@dataclass(frozen=True, slots=True)
class View:
    """One look: its instant, its lines, and what it says apart from time that passes; equal keys are no news."""

    at: datetime
    lines: Sequence[Text]
    key: str


def watch(look: Callable[[], View], *, title: str, as_lines: bool = False) -> NoReturn:
    """Look again every few seconds until Ctrl-C. `as_lines`: a view that differs is printed whole (a line of JSON)."""
    signal.signal(signal.SIGTERM, _end)
    first = look()  # what is wrong from the beginning ends the command
    if sys.stdout.isatty() and not as_lines:
        _on_screen(look, first, title)
    _in_lines(look, first, as_lines=as_lines)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    sys.exit(_TERMINATED)


def _again(look: Callable[[], View], last: View) -> tuple[View, str]:
    """The next look; the last one and what went wrong where there is none."""
    try:
        return look(), ""
    except OutsideError as error:
        return last, f"{error}; looking again"


def _on_screen(look: Callable[[], View], view: View, title: str) -> NoReturn:
    console = Console(highlight=False)
    wrong = ""
    try:
        with console.screen(hide_cursor=True) as screen:
            while True:
                screen.update(_Page(title, view, wrong))
                time.sleep(EVERY_SECONDS)
                view, wrong = _again(look, view)
    finally:
        for line in view.lines:
            console.print(line, soft_wrap=False)


@dataclass(frozen=True, slots=True)
class _Page:
    """A view in the size of the screen of now."""

    title: str
    view: View
    wrong: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        head = Text(f"{self.title}   {self.view.at:%H:%M:%S} UTC   every {EVERY_SECONDS} s, Ctrl-C ends", "dim")
        head.truncate(options.max_width, overflow="ellipsis")
        rows = [head, *([Text(self.wrong, "red")] if self.wrong else [])]
        for line in self.view.lines:
            rows += line.wrap(console, options.max_width) if line.plain else [Text()]
        room = max(1, console.height - 1)
        if len(rows) > room:
            left = len(rows) - room + 1
            rows = [*rows[: room - 1], Text(f"{left} more lines: a taller window shows them", "dim")]
        yield Text("\n").join(rows)


def _in_lines(look: Callable[[], View], view: View, *, as_lines: bool) -> NoReturn:
    said = ""
    click.echo("\n".join(line.plain for line in view.lines))
    while True:
        sys.stdout.flush()
        time.sleep(EVERY_SECONDS)
        new, wrong = _again(look, view)
        if wrong and wrong != said:
            click.echo(wrong, err=True)
        said = wrong
        if new.key != view.key:
            texts = [[line.plain for line in one.lines] for one in (view, new)]
            click.echo("\n".join(texts[1] if as_lines else [f"{new.at:%Y-%m-%d %H:%M:%S} UTC", *_changes(*texts)]))
            view = new


def _changes(old: list[str], new: list[str]) -> list[str]:
    """The lines that went (`-`) and came (`+`)."""
    return [row for row in ndiff(old, new) if row[0] in "+-"]
