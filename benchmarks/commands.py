"""Law: the command line is one process start; it stands beside Python's own and that of its one library."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, Target, median, say

TOP = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-m", "edgegitops"]
# (what, our command, name of the floor, its command, target)
PAIRS = (
    (
        "edgegitops --help",
        ["--help"],
        "python -c 'import click'",
        "import click",
        Target("<= 60 ms", 60, is_ratio=False),
    ),
    (
        "validate, example fleet",
        ["validate", "fleet-repo-example"],
        "python -c 'import yaml, jsonschema'",
        "import yaml, jsonschema",
        None,
    ),
)


def starts(runs: int) -> Iterator[Figure]:
    """Both sides in turns, after one run each that does not count."""
    say("the command line")
    for what, words, beside, statement, target in PAIRS:
        ours, peer = [*PROGRAM, *words], [sys.executable, "-c", statement]
        _milliseconds(ours)
        _milliseconds(peer)
        pairs = [(_milliseconds(ours), _milliseconds(peer)) for _ in range(runs)]
        mine, theirs = (median(side) for side in zip(*pairs, strict=True))
        yield Figure(what, "ms", mine, runs, beside, theirs, target)


def _milliseconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, cwd=TOP, check=True, capture_output=True)
    return (time.perf_counter() - begin) * 1000
