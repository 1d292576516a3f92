"""Law: a figure is ours beside a peer's, measured in the same run, as a ratio; its target is said, met or missed.

Every value is a median with its number of runs. A target is either a ratio (ours / theirs is at most `limit`) or an
absolute value in the figure's own unit. Nothing here passes or fails: figures are read by people.
"""

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgegitops.adapters.clock_system import SystemClock

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
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "target": self.target.said if self.target else None,
            "met": self.is_met,
        }


def median(values: Iterable[float]) -> float:
    """The median of some runs."""
    return statistics.median(values)


def line(figure: Figure) -> str:
    """The figure in one line, as soon as it is known."""
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
    }


def write(path: Path, figures: Sequence[Figure], where: Sequence[dict[str, object]]) -> None:
    """The run as a JSON file: the machine before and after, and one row a figure."""
    tree = {"machine": list(where), "figures": [figure.row() for figure in figures]}
    path.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")


def say(sentence: str) -> None:
    """Tell what is being measured, beside the table's own stream."""
    print(f"bench: {sentence}", file=sys.stderr, flush=True)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"
