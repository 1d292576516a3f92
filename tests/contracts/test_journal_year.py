"""A year on one node: the journal stays small, its chain holds, and nothing that counts is forgotten."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from click.testing import CliRunner

from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.bootstrap_worker import KEPT_ENTRIES
from edgegitops.cli.journal import journal as command
from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import Health, Transition
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import ContainerSpec, CreateSpec, DeploymentSpec

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
LINES = [f"line-{number}" for number in range(5)]
FLAPS = 24  # of each of two containers a day
WAKES = 24  # of a worker a day, with an intent and an outcome each
MOST = 48 * 1024 * 1024


def release(line: str, day: int) -> Release:
    image = f"registry.example/{line}:{day}@sha256:{day:064x}"
    containers = {
        name: ContainerSpec(CreateSpec(image=image, env={f"SETTING_{at}": "x" * 20 for at in range(20)}))
        for name in ("web", "db")
    }
    spec = DeploymentSpec(line, containers)
    return Release(spec.digest(), f"{day:040x}", spec)


def update(line: str, day: int) -> list[e.Event]:
    """A release that comes, fails every fourth time, and is healthy otherwise."""
    new, old = release(line, day), release(line, day - 7) if day >= 7 else None
    at = NEW_YEAR + timedelta(days=day)
    roads = [Phase.PENDING, Phase.PREPARING, Phase.READY, Phase.SWITCHING, Phase.PROVING]
    fails = (day // 7) % 4 == 3 and old is not None
    ends = [Phase.REVERTING, Phase.REVERTED] if fails else [Phase.HEALTHY]
    said: list[e.Event] = [e.TransitionBegan(line, Transition(f"{line}/{day}", old, new, Phase.PENDING, at, at))]
    if fails:
        said.append(e.Latched(line, new.digest, new.revision, "deadline-missed", "not ready"))
    whole = [*roads, *ends]
    return said + [e.PhaseMoved(line, f"{line}/{day}", *pair) for pair in pairwise(whole)]


def a_day(day: int) -> list[e.Event]:
    said: list[e.Event] = []
    for hour in range(WAKES):
        key = f"{day}.{hour}"
        said += [
            e.WorkerStarted(False),
            e.IntentRecorded(key, LINES[0], "pull-image", "app"),
            e.OutcomeRecorded(key, LINES[0], "pull-image", "app", e.Result.UNAVAILABLE, "image-unavailable"),
            e.WorkerStopped(),
        ]
    for flap in range(FLAPS):
        health = Health.READY if flap % 2 else Health.UNREADY
        said += [e.HealthChanged(LINES[1], f"{LINES[1]}.{name}.0123456789ab", health) for name in ("web", "db")]
    if day % 7 == 0:
        said += [event for line in LINES for event in update(line, day)]
    return said


def test_journal_of_a_year_is_small_whole_and_remembers(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.append([e.AlarmRaised(Alarm.STUCK, LINES[4], "since new year")], NEW_YEAR)
    sizes, dropped = [], 0
    for day in range(365):
        at = NEW_YEAR + timedelta(days=day)
        journal.append(a_day(day), at)
        if day % 5 == 0:  # as each worker does
            dropped += journal.prune(KEPT_ENTRIES, at)
            sizes.append(sum(one.stat().st_size for one in tmp_path.iterdir() if one.name.startswith("journal.db")))
    assert dropped >= KEPT_ENTRIES
    assert max(sizes) < MOST
    assert max(sizes) == max(sizes[: len(sizes) * 9 // 10]), "it had stopped growing long before the end"
    assert journal.verify() is None
    ledger = journal.ledger()
    assert ledger.alarms[f"{Alarm.STUCK} {LINES[4]}"].since == NEW_YEAR
    assert ledger.deployments[LINES[2]].serving == release(LINES[2], 364)
    assert journal.ledger().seq == ledger.seq
    journal.close()

    runner = CliRunner()
    told = runner.invoke(command, ["verify", "--state", str(tmp_path)])
    assert told.exit_code == 0
    assert f"Entries 1 to {dropped} were dropped" in told.output
    assert (
        json.loads(runner.invoke(command, ["verify", "--state", str(tmp_path), "--json"]).output)["pruned"] == dropped
    )
    exported = runner.invoke(command, ["export", "--state", str(tmp_path), "--since", str(ledger.seq - 3)])
    assert len(exported.stdout.splitlines()) == 3
    assert exported.stderr == ""
    whole = runner.invoke(command, ["export", "--state", str(tmp_path)])
    assert f"Entries 1 to {dropped} were dropped" in whole.stderr
    assert json.loads(whole.stdout.splitlines()[0])["seq"] == dropped + 1
