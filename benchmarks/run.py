"""`make bench`: every figure stands beside a peer or the floor, measured in the same run, as a ratio to its target.

Needs root, as the lab does; peers that are not installed are left out and said so. Prints the tables; `--json FILE`
writes the rows and the machine, `--publish` writes them into benchmarks/results and docs/benchmarks.md. Nothing here
passes or fails: figures are read by people.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import commands
import converging
import gating
import peers
import polling
import power
import reading
import residing
import results
import scaling
import sites
import storage
import trying
import updating
from figures import Figure, LeftOut, line, machine, say, table
from gateway import opened

from edgegitops.adapters.clock_system import SystemClock
from edgegitops.errors import EdgegitopsError

_Chosen = argparse.Namespace
Rows = Iterator[Figure | LeftOut]


def main() -> int:
    """Measure what is asked for and print it."""
    chosen = _options().parse_args()
    failed = False
    for name in chosen.only or PARTS:
        before, rows = machine(), []
        try:
            with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # a disk, where /tmp may be memory
                for row in PARTS[name](chosen, Path(folder)):
                    rows.append(row)
                    say(f"  {line(row)}")
        except EdgegitopsError as error:
            failed = True
            rows.append(LeftOut(f"the rest of {name}", str(error)))
            print(f"bench: {error}", file=sys.stderr)
        _tell(name, rows, (before, machine()), chosen)
    return 1 if failed else 0


def _tell(name: str, rows: Sequence[Figure | LeftOut], where: Sequence[Mapping[str, object]], chosen: _Chosen) -> None:
    """Print a part, and write it where it is asked for: a run that is interrupted has what it had."""
    print(f"\n{results.TITLES[name]} (--only {name})")
    print(table([row for row in rows if isinstance(row, Figure)]))
    for row in rows:
        if isinstance(row, LeftOut):
            print(line(row))
    for told, one in zip(("before", "after"), where, strict=True):
        print(f"{told}: {', '.join(f'{key} {value}' for key, value in one.items())}", flush=True)
    part = {name: results.tree_of(rows, where)}
    if chosen.json:
        results.write(chosen.json, part)
    if chosen.publish:
        results.write(results.HOME / f"{SystemClock().now().date().isoformat()}.json", part)
        results.publish()


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description="Benchmarks of edgegitops beside their peers and floors.")
    options.add_argument("--only", choices=list(PARTS), action="append", help="one part of it; may be said again")
    options.add_argument("--runs", type=int, default=5, help="runs of each side (default 5)")
    options.add_argument("--sizes", type=_numbers, default=[1, 30], help="numbers of containers (default 1,30)")
    options.add_argument("--sites", type=_numbers, default=[100, 1000, 10000], help="sizes of fleets")
    options.add_argument("--nodes", type=int, default=10_000, help="nodes that a gate asks (default 10,000)")
    options.add_argument("--refs", type=_numbers, default=[10, 10_000, 100_000], help="refs of the polled repository")
    options.add_argument("--idle", type=float, default=40, metavar="SECONDS", help="how long the resident is watched")
    options.add_argument("--cycles", type=int, default=1000, help="cycles of the resident whose memory is compared")
    options.add_argument("--peers", default=",".join(peers.KNOWN), help="peers, or none")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    options.add_argument("--publish", action="store_true", help="write the day's results and docs/benchmarks.md")
    return options


def _numbers(text: str) -> list[int]:
    return sorted(int(word) for word in text.split(","))


def _converge(chosen: _Chosen, _: Path) -> Rows:
    names = peers.named([] if chosen.peers == "none" else chosen.peers.split(","))
    for at, count in enumerate(chosen.sizes):
        # Only compose goes through all sizes: the others would take a quarter of an hour by themselves.
        here = names if at == len(chosen.sizes) - 1 else [name for name in names if name == "podman-compose"]
        with opened() as gateway:
            runs, lacking = converging.gathered(gateway, chosen.runs, here)
            yield from lacking
            yield from converging.measured(gateway, count, runs)


def _update(chosen: _Chosen, _: Path) -> Rows:
    with opened() as gateway:
        yield from updating.updates(gateway, chosen.runs)
        yield from updating.rollbacks(gateway, chosen.runs)


def _boot(chosen: _Chosen, _: Path) -> Rows:
    with opened() as gateway:
        yield from power.cold_starts(gateway, chosen.sizes[-1], max(1, chosen.runs // 2))


def _scale(chosen: _Chosen, _: Path) -> Rows:
    with opened() as gateway:
        sizes = [size for size in chosen.sites if size >= 1000] or chosen.sites  # noqa: PLR2004 - less is no fleet
        yield from scaling.of_a_large_fleet(gateway, sizes, chosen.runs)


def _resident(chosen: _Chosen, _: Path) -> Rows:
    with opened() as gateway:
        yield from residing.resident(gateway, chosen.sizes[-1], chosen.idle, chosen.cycles)


PARTS: Mapping[str, Callable[[_Chosen, Path], Rows]] = {
    "commands": lambda chosen, _: commands.starts(max(3, chosen.runs * 2)),
    "documents": lambda _, __: reading.manifests(),
    "fleet": lambda chosen, folder: sites.commands(folder, chosen.sites, chosen.runs),
    "twin": lambda chosen, folder: trying.trials(folder, chosen.nodes),
    "trust": lambda _, folder: reading.signatures(folder),
    "gate": lambda chosen, folder: gating.gates(folder, chosen.nodes, chosen.runs),
    "journal": lambda _, folder: storage.journal_commit(folder),
    "poll": lambda chosen, folder: polling.polls(folder, chosen.refs),
    "converge": _converge,
    "update": _update,
    "boot": _boot,
    "scale": _scale,
    "resident": _resident,
}


if __name__ == "__main__":
    sys.exit(main())
