"""Law: on a terminal the rollout stands below what is told and changes in place; elsewhere its changes are printed.

A claim waits until it is seen, at most so long; what cannot be asked does not hold. Every claim is remembered.
"""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edgegitops.cli.demo.pen import Pen
from edgegitops.errors import EdgegitopsError
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

PATIENCE = 90.0
_PIPE = 120
_COLOURS = (
    ("    held:", "yellow"),
    ("    failed:", "red"),
    ("    may start", "green"),
    ("    goes back", "green"),
    ("  wave", "bold"),
)
_SPAN = re.compile(r"soaked for [^,;]*? of |has soaked at [-:. 0-9]*")


class Screen:
    """What the audience sees. `show` takes the rollout view; what passes by itself in it is no change of a pipe."""

    def __init__(self) -> None:
        self._console = Console()
        if not self._console.is_terminal:
            self._console = Console(width=_PIPE)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._shown = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        if self._console.is_terminal:
            self._live.stop()

    def clock(self) -> str:
        """Seconds since the start."""
        return f"{time.monotonic() - self._began:6.1f} s"

    def say(self, text: str, style: str = "", *, mark: str = "") -> None:
        """One line, after the clock and a coloured mark."""
        line = Text(f"{self.clock()}  ", style=style)
        if mark:
            line.append(f"{mark}  ", style="green" if mark == "seen" else "bold red")
        line.append(text, style=style)
        self._console.print(line, soft_wrap=not self._console.is_terminal)

    def quote(self, lines: Sequence[str], style: str = "dim") -> None:
        """What a command answered."""
        for line in lines:
            self._console.print(Text(f"            {line}", style=style), soft_wrap=not self._console.is_terminal)

    def gap(self) -> None:
        """An empty line."""
        self._console.print()

    def show(self, lines: Sequence[str]) -> None:
        """The rollout as it stands."""
        if self._console.is_terminal:
            self._live.update(Panel(_coloured(lines), title=f"rollout status, {self.clock().strip()}"))
            return
        told = _SPAN.sub("soaked … ", "\n".join(lines))
        if told != self._shown:
            self._shown = told
            self.quote([f"| {line}" for line in lines])

    def table(self, title: str, rows: Sequence[tuple[str, bool]]) -> None:
        """What was observed."""
        table = Table("claim", "observed", title=title)
        for sentence, is_seen in rows:
            table.add_row(sentence, "[green]yes[/]" if is_seen else "[red]no[/]")
        self._console.print(table)


def _coloured(lines: Sequence[str]) -> Text:
    text = Text()
    for line in lines:
        text.append(f"{line}\n", next((style for head, style in _COLOURS if line.startswith(head)), ""))
    return text


@dataclass(slots=True)
class Stage:
    """The lab, the pen of those who commit, and the list of what was observed so far."""

    screen: Screen
    lab: Lab
    pen: Pen
    observed: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def is_all_seen(self) -> bool:
        """Whether something was claimed, and all of it was observed."""
        return bool(self.observed) and all(is_seen for _, is_seen in self.observed)

    def node(self, name: str) -> VirtualNode:
        """A node by its name in the lab."""
        return self.lab.nodes[name]

    def act(self, sentence: str) -> None:
        """Say what happens now."""
        self.screen.gap()
        self.screen.say(sentence, "bold cyan")

    def claim(self, sentence: str, holds: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
        """Wait until the claim is observed, at most so long, and remember whether it was."""
        is_seen = until(holds, seconds)
        self.screen.say(sentence, mark="seen" if is_seen else "NOT SEEN")
        self.observed.append((sentence, is_seen))


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again until it holds; False when the time is over. What cannot be asked does not hold."""
    ends_at = time.monotonic() + seconds
    while True:
        with suppress(EdgegitopsError, OSError, ValueError):
            if holds():
                return True
        if time.monotonic() >= ends_at:
            return False
        time.sleep(0.3)
