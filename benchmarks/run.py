"""`make bench`: every figure stands beside a peer or the floor, measured in the same run, as a ratio to its target.

Needs root, as the lab does, and podman-compose for the peer's side. Prints the table; `--json FILE` writes the rows
and the machine. Nothing here passes or fails: figures are read by people.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import commands
import compose
import converging
import idle
import reading
import storage
from converging import Runs
from figures import Figure, line, machine, say, table, write
from gateway import opened

from edgegitops.errors import EdgegitopsError

PARTS = ("commands", "journal", "documents", "trust", "node")


def main() -> int:
    """Measure everything and print the table."""
    chosen = _options().parse_args()
    before = machine()
    figures: list[Figure] = []
    try:
        for figure in _measured(chosen):
            figures.append(figure)
            say(f"  {line(figure)}")
    except EdgegitopsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    where = (before, machine())
    print(table(figures))
    for told, one in zip(("before", "after"), where, strict=True):
        print(f"{told}: {', '.join(f'{key} {value}' for key, value in one.items())}")
    if chosen.json:
        write(chosen.json, figures, where)
    return 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description="Benchmarks of edgegitops beside their peers and floors.")
    options.add_argument("--runs", type=int, default=5, help="runs of each side (default 5)")
    options.add_argument("--sizes", default="1,10,30", help="numbers of containers (default 1,10,30)")
    options.add_argument("--idle", type=float, default=60, metavar="SECONDS", help="how long the resident is watched")
    options.add_argument("--only", choices=PARTS, help="one part of it; all but `node` run in this process")
    options.add_argument("--without-compose", action="store_true", help="leave podman-compose out")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    return options


def _measured(chosen: argparse.Namespace) -> Iterator[Figure]:
    for part in [chosen.only] if chosen.only else PARTS:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # a disk, where /tmp may be memory
            yield from _part(part, chosen, Path(folder))


def _part(part: str, chosen: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    match part:
        case "commands":
            yield from commands.starts(max(3, chosen.runs * 2))
        case "journal":
            yield from storage.journal_commit(folder)
        case "documents":
            yield from reading.manifests()
        case "trust":
            yield from reading.signatures(folder)
        case _:
            yield from _on_a_node(chosen)


def _on_a_node(chosen: argparse.Namespace) -> Iterator[Figure]:
    runs = Runs(chosen.runs, not chosen.without_compose)
    if runs.with_compose:
        compose.require()
    sizes = sorted(int(word) for word in chosen.sizes.split(","))
    with opened() as gateway:
        for count in sizes:
            yield from converging.measured(gateway, count, runs)
            yield from idle.nothing_to_do(gateway, runs)
            if count == sizes[-1]:
                yield from idle.syncs_of_a_change(gateway)
                yield from idle.resident(gateway, chosen.idle)


if __name__ == "__main__":
    sys.exit(main())
