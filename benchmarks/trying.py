"""Law: what a release manager waits for: `simulate` of a change that touches every node of a fleet with three waves, as
a process of its own.

The release is well everywhere, so every node goes the whole way: it fetches, waits for its gate, changes and soaks.
A large fleet lives in two processes. Their processor time is told together, and of their memory twice what the larger
one took: they share some of it, so both together take less.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import sites
from figures import Figure, Target, say
from spent import taken

WAVES = [
    {"name": "canary", "percent": 1, "gate": {"minHealthy": "95%", "maxFailures": "5%"}},
    {"name": "pilot", "percent": 10, "gate": {"minHealthy": "95%", "maxFailures": "5%"}},
]


def trials(folder: Path, nodes: int) -> Iterator[Figure]:
    """Wall, processor time and peak memory of one run."""
    fleet = sites.founded(folder / f"twin-{nodes}", nodes)
    text = json.loads((fleet.work / "deployments/bench.yaml").read_text())
    text["spec"]["rollout"] = {"waves": WAVES}
    fleet.commit("release-manager: waves", key="release-manager", files={"deployments/bench.yaml": json.dumps(text)})
    app = (fleet.work / "apps/bench/app.yaml").read_text().replace("1.0.0", "1.1.0")
    fleet.commit("engineer: bench 1.1.0", key="engineer", files={"apps/bench/app.yaml": app})
    say(f"simulate a release on {nodes:,} nodes")
    words = ["simulate", "HEAD~1..HEAD", str(fleet.work), "--at", "2026-01-05T10:00"]
    took = taken([sys.executable, "-m", "edgegitops", *words], folder / "told.json")
    what = f"simulate, three waves, {nodes:,} nodes"
    yield Figure(f"{what}: wall", "s", took.wall, 1, target=Target("<= 60 s", 60, is_ratio=False))
    yield Figure(f"{what}: CPU", "s", took.cpu, 1)
    yield Figure(
        f"{what}: peak RSS, twice the larger process",
        "MiB",
        2 * took.peak,
        1,
        target=Target("<= 1 GiB", 1024, is_ratio=False),
    )
