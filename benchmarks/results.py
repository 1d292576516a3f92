"""Law: the runs of a day are a JSON file, and each table of docs/benchmarks.md is of the newest day that has its part.

`python benchmarks/results.py` writes the tables again. A part that is run alone replaces its own table and leaves the
others; each says of which day it is, and how loaded the machine was before and after it.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from figures import Figure, LeftOut

HOME = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
HEAD = ("what", "ours", "beside", "theirs", "ratio", "target", "")
VERDICT = {None: "", True: "met", False: "**missed**"}
BUSY = "**The machine was busy with other work: these figures state nothing, not even by their ratios.**"
TITLES = {
    "commands": "The command line",
    "documents": "Reading manifests",
    "fleet": "Validate and plan",
    "twin": "A release tried out on a large fleet",
    "trust": "Believing commits",
    "gate": "A gate over a large fleet",
    "journal": "The journal",
    "poll": "One poll",
    "converge": "Converging, beside its peers",
    "update": "Downtime and rollback",
    "boot": "After a power cut",
    "scale": "A node of a large fleet",
    "resident": "The resident",
}

Tree = dict[str, Any]


def tree_of(rows: Sequence[Figure | LeftOut], where: Sequence[Mapping[str, object]]) -> Tree:
    """One part of a run: the machine before and after, its figures, and what could not be measured."""
    return {
        "machine": list(where),
        "figures": [row.row() for row in rows if isinstance(row, Figure)],
        "left_out": [row.row() for row in rows if isinstance(row, LeftOut)],
    }


def write(path: Path, parts: Mapping[str, Tree]) -> None:
    """Write parts into a run's file; parts that it has besides stay."""
    kept = json.loads(path.read_text())["parts"] if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"parts": {**kept, **parts}}, indent=1) + "\n", encoding="utf-8")


def newest(folder: Path = HOME) -> dict[str, tuple[str, Tree]]:
    """Each part as it was measured last, with its day."""
    days = [(file.stem, json.loads(file.read_text())["parts"]) for file in sorted(folder.glob("*.json"))]
    return {name: (day, part) for day, parts in days for name, part in parts.items()}


def page(text: str, parts: Mapping[str, tuple[str, Tree]]) -> str:
    """The page with the tables of these parts between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(_tables(parts))
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def publish() -> None:
    """Write what was measured last into docs/benchmarks.md."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), newest()), encoding="utf-8")


def _tables(parts: Mapping[str, tuple[str, Tree]]) -> Iterator[str]:
    day, last = max(parts.values(), key=lambda one: one[0])
    yield f"## As of {day}\n"
    yield f"{_machine(last['machine'][0])}\n"
    for name in (name for name in TITLES if name in parts):
        day, part = parts[name]
        yield f"### {TITLES[name]}\n"
        loads = [str(one["load"][0]) for one in part["machine"]]
        told = f"`--only {name}` on {day}; load of the last minute {' before, '.join(loads)} after."
        yield f"{told}{_warning(part['machine'])}\n"
        yield f"| {' | '.join(HEAD)} |\n| {' | '.join('---' for _ in HEAD)} |"
        yield from (f"| {' | '.join(_cells(row))} |" for row in part["figures"])
        yield ""
        yield from (f"Not measured: {row['what']}: {row['why']}\n" for row in part["left_out"])


def _machine(one: Mapping[str, Any]) -> str:
    programs = ", ".join(f"{name} {version}" for name, version in one["programs"].items())
    where = f"{one['cpu']}, {one['cores']} cores, {one['memory_gib']} GiB, kernel {one['kernel']}"
    return f"{where}, Python {one['python']}, {programs}. Medians."


def _warning(machine: Sequence[Mapping[str, Any]]) -> str:
    """What is to be said where others used the machine; a part alone leaves a load of about its cores."""
    is_busy = machine[0]["load"][0] > 2 * machine[0]["cores"]
    return f" {BUSY}" if is_busy else ""


def _cells(row: Tree) -> tuple[str, ...]:
    unit = f" {row['unit']}" if row["unit"] else ""
    theirs = "" if row["theirs"] is None else f"{_number(row['theirs'])}{unit}"
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
    what = row["what"].replace("|", "\\|")
    verdict = VERDICT[row["met"]]
    return what, f"{_number(row['ours'])}{unit}", row["beside"], theirs, ratio, row["target"] or "", verdict


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2g}"  # noqa: PLR2004 - three digits are enough


if __name__ == "__main__":
    publish()
    sys.exit(0)
