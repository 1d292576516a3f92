"""`make bench`: every figure stands beside a peer or the floor, measured in the same run, as a ratio.

Each row is one command beside its floor, run in turns (so that a slow moment of the machine meets both), the median of
`--runs`. Prints a table; `--json FILE` writes the same rows. Nothing here passes or fails: figures are read by people.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

TOP = Path(__file__).parents[1]
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; times in milliseconds of wall time."""

    what: str
    ours_ms: float
    floor: str
    floor_ms: float

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.ours_ms / self.floor_ms


# (what, our command, name of the floor, its command)
PAIRS = (
    (
        "edgegitops --help",
        [PYTHON, "-m", "edgegitops", "--help"],
        "python -c 'import click'",
        [PYTHON, "-c", "import click"],
    ),
    (
        "edgegitops validate, example fleet",
        [PYTHON, "-m", "edgegitops", "validate", "fleet-repo-example"],
        "python -c 'import yaml, jsonschema'",
        [PYTHON, "-c", "import yaml, jsonschema"],
    ),
)


def wall_ms(command: list[str]) -> float:
    """Milliseconds of one run; CalledProcessError where it fails."""
    begin = time.perf_counter()
    subprocess.run(command, cwd=TOP, check=True, capture_output=True)
    return (time.perf_counter() - begin) * 1000


def measured(what: str, ours: list[str], floor: str, peer: list[str], *, runs: int) -> Row:
    """Both sides in turns, after one run each that does not count."""
    wall_ms(ours)
    wall_ms(peer)
    pairs = [(wall_ms(ours), wall_ms(peer)) for _ in range(runs)]
    ours_ms, floor_ms = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Row(what, round(ours_ms, 1), floor, round(floor_ms, 1))


def main() -> None:
    """Measure every pair and print the table."""
    options = argparse.ArgumentParser(description="Benchmarks of edgegitops beside their floors.")
    options.add_argument("--runs", type=int, default=15, help="runs of each side (default 15)")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    chosen = options.parse_args()
    rows = [measured(*pair, runs=chosen.runs) for pair in PAIRS]
    print(f"{'what':<38} {'ms':>8}  {'floor':<38} {'ms':>8} {'ratio':>7}")
    for row in rows:
        print(f"{row.what:<38} {row.ours_ms:>8.1f}  {row.floor:<38} {row.floor_ms:>8.1f} {row.ratio:>6.2f}x")
    if chosen.json:
        table = [{**asdict(row), "ratio": round(row.ratio, 2)} for row in rows]
        chosen.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
