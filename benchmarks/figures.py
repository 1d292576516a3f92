"""Law: a figure is ours beside a peer's, measured in the same run, as a ratio; its target is said, met or missed.

Every value is a median with its number of runs. A target is either a ratio (ours / theirs is at most `limit`) or an
absolute value in the figure's own unit. Nothing here passes or fails: figures are read by people.
"""

import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgegitops.adapters.clock_system import SystemClock

_VERSION = re.compile(r"(?:podman version|git version|composer? version|core)\s+v?(\d[\d.]*\d)")
COLUMNS = ("what", "ours", "unit", "beside", "theirs", "ratio", "target", "")


@dataclass(frozen=True, slots=True)
class Target:
    """What quality asks for: `said` are its words."""

    said: str
    limit: float
    is_ratio: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `theirs` None: it stands alone, beside an absolute target or none."""

    what: str
    unit: str
    ours: float
    runs: int
    beside: str = ""
    theirs: float | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Ours / theirs."""
        return self.ours / self.theirs if self.theirs else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        judged = self.ratio if self.target.is_ratio else self.ours
        return judged is not None and judged <= self.target.limit

    def row(self) -> dict[str, object]:
        """The figure as JSON."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "runs": self.runs,
            "beside": self.beside,
            "theirs": None if self.theirs is None else round(self.theirs, 4),
            "ratio": None if self.ratio is None else float(f"{self.ratio:.4g}"),
            "target": self.target.said if self.target else None,
            "met": self.is_met,
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What could not be measured on this machine, and why."""

    what: str
    why: str

    def row(self) -> dict[str, object]:
        """As JSON."""
        return {"what": self.what, "why": self.why}


def median(values: Iterable[float]) -> float:
    """The median of some runs."""
    return statistics.median(values)


def line(figure: Figure | LeftOut) -> str:
    """The figure in one line, as soon as it is known."""
    if isinstance(figure, LeftOut):
        return f"{figure.what} is left out: {figure.why}"
    return " · ".join(word for word in _words(figure) if word)


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    rows = [_words(figure) for figure in figures]
    widths = [max(len(row[at]) for row in (COLUMNS, *rows)) for at in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in (COLUMNS, *rows)
    )


def _words(figure: Figure) -> tuple[str, ...]:
    verdicts = {None: "", True: "met", False: "MISSED"}
    return (
        figure.what,
        _number(figure.ours),
        figure.unit,
        figure.beside,
        "" if figure.theirs is None else _number(figure.theirs),
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        figure.target.said if figure.target else "",
        verdicts[figure.is_met],
    )


def machine() -> dict[str, object]:
    """Where and under which load this run was made."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "at": SystemClock().now().isoformat(timespec="seconds"),
        "cpu": cpus[0] if cpus else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "programs": _programs(),
    }


@cache
def _programs() -> dict[str, str]:
    """Versions of the engine and of the peers that this machine has."""
    found = {}
    for name in ("podman", "git", "podman-compose", "ansible-pull"):
        if path := shutil.which(name):
            done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            number = _VERSION.search(done.stdout)
            found[name] = number[1] if number else "?"
    return found


def say(sentence: str) -> None:
    """Tell what is being measured, beside the table's own stream."""
    print(f"bench: {sentence}", file=sys.stderr, flush=True)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"
