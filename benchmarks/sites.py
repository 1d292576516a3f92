"""Law: what an engineer waits for: `validate` and `plan` on a clone of so many sites, as processes, beside a process
that only parses the same files.

Cold means a new process; neither command keeps anything between two runs. One site changed: one node is touched. The
application changed: every node is.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from figures import Figure, median, say
from spent import Taken, taken

from edgegitops.lab import fleet as fleets
from edgegitops.lab.commands import run
from edgegitops.lab.fleet import Fleet, site_manifest

PROGRAM = [sys.executable, "-m", "edgegitops"]
PARSE = """
import pathlib, sys, yaml
for path in pathlib.Path(sys.argv[1]).rglob("*.yaml"):
    yaml.load(path.read_bytes(), yaml.CSafeLoader)
"""
IMAGE = f"registry.example/bench/app:1@sha256:{'ab' * 32}"


def commands(folder: Path, sizes: Sequence[int], runs: int) -> Iterator[Figure]:
    """Wall, processor time and peak memory of both commands at each size."""
    for size in sizes:
        say(f"validate and plan of {size:,} sites")
        home = folder / f"fleet-{size}"
        fleet = founded(home, size)
        times = runs if size <= 1000 else max(1, runs // 4)  # noqa: PLR2004 - a long run is a steady one
        told, work = folder / "told.json", str(fleet.work)
        parsed = _typical([taken([sys.executable, "-c", PARSE, work], told) for _ in range(times)])
        for what, words in _asked(fleet, size):
            ours = _typical([taken([*PROGRAM, *words, work], told) for _ in range(times)])
            beside = "parsing alone (yaml.CSafeLoader)"
            yield Figure(f"{what}, {size:,} sites: wall", "s", ours.wall, times, beside, parsed.wall)
            yield Figure(f"{what}, {size:,} sites: CPU", "s", ours.cpu, times, beside, parsed.cpu)
            yield Figure(f"{what}, {size:,} sites: peak RSS", "MiB", ours.peak, times, beside, parsed.peak)


def founded(home: Path, size: int) -> Fleet:
    """A fleet of one application on every node of so many sites; its server is a folder beside it."""
    run(["git", "init", "-q", "--bare", "--initial-branch=main", str(home.with_suffix(".git"))])
    fleet = fleets.found(home, str(home.with_suffix(".git")))
    fleet.commit("inventory: sites", key="inventory", files=site_files(size))
    fleet.commit("engineer: bench", key="engineer", files={"apps/bench/app.yaml": _application("1.0.0")})
    fleet.commit("release-manager: bench", key="release-manager", files={"deployments/bench.yaml": _deployment()})
    return fleet


def site_files(size: int) -> dict[str, str | bytes | None]:
    """Sites of one node each, by file."""
    return {
        f"sites/{at // 500:02}/s{at:05}.yaml": site_manifest(
            f"s{at:05}", [("gw-1", f"10.{100 + at // 62500}.{at // 250 % 250}.{at % 250 + 1}")], {"fleet": "bench"}
        )
        for at in range(size)
    }


def _asked(fleet: Fleet, size: int) -> Iterator[tuple[str, list[str]]]:
    """What to measure; the fleet changes between them."""
    yield "validate", ["validate"]
    changed = f"sites/00/s{min(7, size - 1):05}.yaml"
    text = (fleet.work / changed).read_text()
    fleet.commit("inventory: a site", key="inventory", files={changed: text.replace("fleet:", "zone: a\n    fleet:")})
    yield "validate, one file changed", ["validate"]
    yield "plan, one site changed", ["plan", "HEAD~1..HEAD"]
    fleet.commit("engineer: bench 1.1.0", key="engineer", files={"apps/bench/app.yaml": _application("1.1.0")})
    yield "plan, every node changed", ["plan", "HEAD~1..HEAD"]


def _typical(all_of: Sequence[Taken]) -> Taken:
    return Taken(median(one.wall for one in all_of), median(one.cpu for one in all_of), max(one.peak for one in all_of))


def _application(version: str) -> str:
    container = {"image": IMAGE, "env": {"VERSION": version}}
    return _manifest("Application", {"version": version, "containers": {"web": container}})


def _deployment() -> str:
    return _manifest("Deployment", {"application": "bench", "selector": {"matchTags": {"fleet": "bench"}}})


def _manifest(kind: str, spec: object) -> str:
    tree = {"apiVersion": "edgegitops/v1", "kind": kind, "metadata": {"name": "bench"}, "spec": spec}
    return json.dumps(tree, indent=1) + "\n"
