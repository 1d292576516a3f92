"""A node's state as an agent leaves it behind, for stories about the commands of its operator: a mirror with the
example fleet, and a journal in which one deployment is healthy and another failed and was undone. No engine answers.
"""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from edgegitops import bootstrap, bootstrap_node
from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import Health, Transition
from edgegitops.core.model.naming import container_name
from edgegitops.core.model.reasons import Alarm, Doubt, Refusal
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.trust import Floor

FLEET = Path(__file__).parents[2] / "fleet-repo-example"
SITE, NODE = "goteborg-1", "gw-line"
ROAD = (Phase.PENDING, Phase.PREPARING, Phase.READY, Phase.SWITCHING, Phase.PROVING)


def prepare(folder: Path) -> None:
    """Write node.yaml, mirror and journal below `folder`; the newest event is some seconds old."""
    state = folder / "state"
    commit, tree = mirror(state / "mirror.git")
    (folder / "node.yaml").write_text(config_text(state, folder / "podman.sock"), encoding="utf-8")
    config = bootstrap.read_config(str(folder / "node.yaml"))
    floor = Floor(commit, "a" * 64, tree, 1, datetime(2026, 1, 1, tzinfo=UTC))
    journal = SqliteJournal(state / "journal.db")
    now = bootstrap_node.now()
    opening = [
        e.DaemonStarted("0b1e", "0.1.0"),
        e.FloorMoved(floor, "ab" * 32, "release-manager", 3),
        e.SnapshotAccepted(commit, tree),
    ]
    journal.append(opening, now - timedelta(hours=2, minutes=5, seconds=30))
    desired = bootstrap_node.wanted(config, journal.ledger())
    assert desired is not None
    broker, data = desired.releases["broker"], desired.releases["machine-data-assembly"]
    for at, events in [(-120, goes_well(broker)), (-100, goes_well(older(data))), (-40, goes_wrong(older(data), data))]:
        for number, event in enumerate(events):
            journal.append([event], now + timedelta(minutes=at, seconds=number - 30))
    journal.append([e.DaemonStopped()], now - timedelta(minutes=3, seconds=30))
    journal.close()


def refuse_a_commit(folder: Path) -> None:
    """The newest commit was not signed by who must."""
    journal = SqliteJournal(folder / "state" / "journal.db")
    detail = f"{Doubt.ROLE_MISSING}: commit {'e' * 12}: apps/machine-data/app.yaml needs engineer; bob holds none"
    refused = [
        e.TipRefused(
            "f" * 40, "e" * 40, Doubt.ROLE_MISSING, "apps/machine-data/app.yaml needs engineer; bob holds none"
        ),
        e.AlarmRaised(Alarm.REVISION_REFUSED, "fleet", detail),
    ]
    journal.append(refused, bootstrap_node.now() - timedelta(minutes=1, seconds=30))
    journal.close()


def older(release: Release) -> Release:
    """The release before this one, which was called 1.0.0."""
    spec = replace(release.spec, attempt=release.spec.attempt + 7)
    return replace(release, spec=spec, digest=spec.digest(), version="1.0.0")


def goes_well(release: Release) -> list[e.Event]:
    """From nothing to healthy."""
    name, begin = release.deployment, f"{release.deployment}/1"
    ready = [e.HealthChanged(name, one, Health.READY) for one in names(release)]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    moves = [e.PhaseMoved(name, begin, old, new) for old, new in pairwise(ROAD)]
    return [
        e.TransitionBegan(name, Transition(begin, None, release, Phase.PENDING, at, at)),
        *moves,
        *ready,
        e.PhaseMoved(name, begin, Phase.PROVING, Phase.HEALTHY),
    ]


def goes_wrong(old: Release, new: Release) -> list[e.Event]:
    """The new release misses its deadline and is undone."""
    name, begin = new.deployment, f"{new.deployment}/2"
    at = datetime(2026, 1, 1, tzinfo=UTC)
    detail = "not ready within 300 s: collector (status 500)"
    moves = [e.PhaseMoved(name, begin, one, next_) for one, next_ in pairwise(ROAD)]
    return [
        e.TransitionBegan(name, Transition(begin, old, new, Phase.PENDING, at, at)),
        *moves,
        e.Latched(name, new.digest, new.revision, Refusal.DEADLINE_MISSED, detail),
        e.AlarmRaised(Alarm.RELEASE_FAILED, name, f"{new.short} failed: {Refusal.DEADLINE_MISSED}: {detail}"),
        e.PhaseMoved(name, begin, Phase.PROVING, Phase.REVERTING, Refusal.DEADLINE_MISSED, detail),
        e.PhaseMoved(name, begin, Phase.REVERTING, Phase.REVERTED),
        *(e.HealthChanged(name, one, Health.READY) for one in names(old)),
        e.HoldChanged(name, "latched", f"{new.short}: {Refusal.DEADLINE_MISSED}: {detail}"),
    ]


def names(release: Release) -> list[str]:
    """Engine names of a release's containers."""
    spec = release.spec
    return [container_name(release.deployment, one, spec.container_digest(one)) for one in spec.containers]


def mirror(path: Path) -> tuple[str, str]:
    """A bare repository with the example fleet in one commit, always the same: (commit, tree)."""
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in WHO.items()}
    environment = {**os.environ, **who, "GIT_DIR": str(path), "GIT_CONFIG_GLOBAL": "/dev/null"}

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], check=True, env=environment, cwd=FLEET, capture_output=True, text=True)
        return done.stdout.strip()

    path.mkdir(parents=True)
    git("init", "-q", "--bare")
    git("--work-tree", str(FLEET), "add", "--all", "--force", ".")
    tree = git("write-tree")
    commit = git("commit-tree", tree, "-m", "the example fleet")
    git("update-ref", "refs/heads/main", commit)
    return commit, tree


WHO = {"NAME": "story", "EMAIL": "story@example.com", "DATE": "2026-01-01T00:00:00Z"}


def config_text(state: Path, socket: Path) -> str:
    """node.yaml of the story's node."""
    return f"""apiVersion: edgegitops/v1
kind: NodeConfig
spec:
  site: {SITE}
  node: {NODE}
  stateDirectory: {state}
  policyFile: {state.parent}/policy.yaml
  repository:
    url: file://{state.parent}/nowhere.git
  pin:
    repository: urn:uuid:6f4bb5b1-6d6c-4b3a-9d4e-1f6f4bb5b16d
    rootSha256: {"0" * 64}
    checkpoint: {"0" * 40}
  engine:
    socket: {socket}
"""
