"""`edgegitops journal`: what a person and a program read of a node's record, with the daemon dead."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.cli.journal import journal as command
from edgegitops.cli.journal import words
from edgegitops.core.model import events as e
from edgegitops.core.model.canonical import canonical_json
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import Health, JobResult, Transition
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.report import ReportedFailure
from edgegitops.core.model.spec import DeploymentSpec
from edgegitops.core.model.trust import Floor
from edgegitops.errors import JournalError

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
EVENTS: list[e.Event] = [
    e.DaemonStarted("0b1e", "0.1.0"),
    e.FloorMoved(Floor("c" * 40, "a" * 64, "b" * 40, 1, AT), "key", "ada", 2),
    e.SnapshotAccepted("c" * 40),
    e.OutcomeRecorded("1", "line", "pull-image", "app@sha256:" + "1" * 64, e.Result.UNAVAILABLE, "image-unavailable"),
    e.PhaseMoved("line", "t1", Phase.PROVING, Phase.REVERTING, "deadline-missed", "evil \x1b[31m\nsecond line"),
    e.OperatorHeld("line", "audit", AT + timedelta(hours=1)),
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    journal = SqliteJournal(tmp_path / "state" / "journal.db")
    for number, event in enumerate(EVENTS):
        journal.append([event], AT + timedelta(seconds=number))
    yield tmp_path / "state"
    journal.close()


def called(*words_: str, state: Path) -> Result:
    return CliRunner().invoke(command, [words_[0], "--state", str(state), *words_[1:]])


def test_show_tells_a_person_when_what_happened_to_whom(state: Path) -> None:
    result = called("show", state=state)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines == [
        "seq time (UTC) deployment what",
        "1 2026-03-01 12:30:00 the agent 0.1.0 started in boot 0b1e",
        "2 2026-03-01 12:30:01 believed 2 commits up to cccccccccccc, signed by ada",
        "3 2026-03-01 12:30:02 manifests of cccccccccccc are valid and in force",
        f"4 2026-03-01 12:30:03 line pull-image unavailable: app@sha256:{'1' * 64}: image-unavailable",
        r"5 2026-03-01 12:30:04 line proving → reverting: deadline-missed (evil \x1b[31m\nsecond line)",
        "6 2026-03-01 12:30:05 line an operator holds line until 2026-03-01 13:30:00: audit",
    ]


def test_show_has_the_newest_lines_that_were_asked_for(state: Path) -> None:
    shown = json.loads(called("show", "--lines", "2", "--json", state=state).output)
    assert [entry["seq"] for entry in shown] == [5, 6]
    assert len(json.loads(called("show", "--lines", "0", "--json", state=state).output)) == len(EVENTS)


def test_export_can_be_proved_by_anybody(state: Path) -> None:
    previous = "0" * 64
    for seq, line in enumerate(called("export", state=state).output.splitlines(), start=1):
        entry = json.loads(line)
        claimed = entry.pop("hash")
        assert hashlib.sha256(canonical_json(entry)).hexdigest() == claimed
        assert (entry["seq"], entry["previous"]) == (seq, previous)
        previous = claimed
    assert seq == len(EVENTS)


def test_export_goes_on_where_the_last_one_ended(state: Path) -> None:
    lines = called("export", "--since", "4", state=state).output.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [5, 6]


def test_verify_says_that_the_chain_holds(state: Path) -> None:
    result = called("verify", state=state)
    assert (result.exit_code, result.output.startswith("The chain holds up to entry 6, ")) == (0, True)
    told = json.loads(called("verify", "--json", state=state).output)
    assert (told["holds"], told["firstBad"], told["seq"]) == (True, None, 6)


def test_verify_ends_with_1_and_names_the_first_changed_entry(state: Path) -> None:
    db = sqlite3.connect(state / "journal.db")
    db.execute("UPDATE entries SET body = replace(body, 'deadline', 'moonlight') WHERE seq = 5")
    db.commit()
    db.close()
    result = called("verify", state=state)
    assert (result.exit_code, "from entry 5 on" in result.output) == (1, True)
    result = called("verify", "--json", state=state)
    assert (result.exit_code, json.loads(result.output)["firstBad"]) == (1, 5)


def test_state_directory_comes_from_the_environment(state: Path) -> None:
    result = CliRunner().invoke(command, ["verify"], env={"EDGEGITOPS_STATE": str(state)})
    assert result.exit_code == 0


def test_node_without_a_journal_is_an_error_with_advice(tmp_path: Path) -> None:
    result = called("show", state=tmp_path / "nothing")
    assert isinstance(result.exception, JournalError)
    assert "check that the directory exists" in str(result.exception)


SPEC = DeploymentSpec("line", {})
OLD = Release("1" * 64, "c" * 40, SPEC, "1.0")
NEW = Release("2" * 64, "d" * 40, SPEC)
FAULT = Fault("sites/a.yaml", FaultCode.UNKNOWN_FIELD, "no field colour")
TOLD: list[tuple[e.Event, str]] = [
    (e.DaemonStarted("0b1e"), "the agent started in boot 0b1e"),
    (e.DaemonStopped(), "the agent stopped cleanly"),
    (e.WorkerStarted(is_revert_only=True), "a worker started, to revert only"),
    (e.WorkerStopped(), "the worker ended cleanly"),
    (e.FloorMoved(Floor("c" * 40, "a", "b", 1, AT)), "believed 1 commit up to cccccccccccc"),
    (e.Reanchored("d" * 40, "rewritten"), "an operator told this node to begin anew at dddddddddddd: rewritten"),
    (e.TipRefused("d" * 40, "c" * 40, "unsigned", ""), "refused dddddddddddd at commit cccccccccccc: unsigned"),
    (e.SnapshotAccepted("c" * 40), "manifests of cccccccccccc are valid and in force"),
    (
        e.SnapshotRefused("c" * 40, 3, (FAULT,)),
        "manifests of cccccccccccc have 3 faults, first: sites/a.yaml: no field colour",
    ),
    (
        e.TransitionBegan("line", Transition("1", OLD, NEW, Phase.PENDING, AT, AT)),
        "sets out from line@111111111111 1.0 to line@222222222222",
    ),
    (e.PhaseMoved("line", "1", Phase.PROVING, Phase.HEALTHY), "proving → healthy"),
    (e.ReleaseRestated("line", OLD), "the same release is now called line@111111111111 1.0; nothing moves"),
    (e.IntentRecorded("1", "line", "pull-image", "app"), "about to pull-image: app"),
    (e.OutcomeRecorded("1", "line", "pull-image", "app", e.Result.DONE), "pull-image done: app"),
    (e.ContainerEnded("line", "line.web.1", AT, 137), "line.web.1 ended with exit code 137"),
    (e.HealthChanged("line", "line.web.1", Health.UNREADY, "status 500"), "line.web.1 is unready: status 500"),
    (e.SoakMarked("line", "1" * 64, timedelta(minutes=3, milliseconds=400)), "healthy for 3 min (111111111111)"),
    (e.Latched("line", "1" * 64, "c", "deadline-missed"), "111111111111 failed here and stays off: deadline-missed"),
    (e.Latched("line", "1" * 64, "c", "regressed", "why"), "111111111111 failed later, and runs on: regressed (why)"),
    (e.Unlatched("line", "1" * 64, "retry"), "111111111111 may be tried again: retry"),
    (e.HoldChanged("line", "paused", "", AT), "held: paused, until 2026-03-01 12:30:00"),
    (e.HoldChanged("line"), "nothing holds it any more"),
    (e.AlarmRaised("stuck", "line", "both failed"), "alarm stuck for line: both failed"),
    (e.AlarmCleared("stuck", "line"), "alarm stuck for line is over"),
    (e.OperatorHeld("", "audit", stops_healing=True), "an operator holds everything, healing too: audit"),
    (e.OperatorReleased("line"), "an operator released line"),
    (e.RetryAsked(), "an operator asked for a look now"),
    (e.JournalPruned(80, "a" * 64), "entries up to 80 were dropped; what they mean is kept"),
    (
        e.ControlTagKept("refs/tags/rollout/line/000001", "a" * 40, "b" * 64),
        "the control tag rollout/line/000001 was believed and is kept for ever",
    ),
    (e.ReportMade(7, "b" * 64), "report 7 was made"),
    (
        e.WordTakenOver(7, "i", {"line": (ReportedFailure("r", "1" * 64, 5, "crashed"),)}),
        "goes on after report 7 of this node, with 1 failure that it told",
    ),
    (e.JobStarted("line", "migrate", "line.migrate.1", "0b1e"), "try 1 of job migrate begins in line.migrate.1"),
    (e.JobEnded("line", "migrate", "line.migrate.1", JobResult.SUCCEEDED, AT), "job migrate succeeded"),
    (e.ScheduleMarked("line", "report", "@daily", AT), "job report: its schedule counts from now on"),
    (e.ReleaseAdopted("line", OLD), "line@111111111111 1.0 was found as it should be after a lost journal; it serves"),
]


@pytest.mark.parametrize(("event", "sentence"), TOLD, ids=[event.kind for event, _ in TOLD])
def test_event_has_its_words(event: e.Event, sentence: str) -> None:
    assert words(event) == sentence


def test_every_kind_of_event_has_its_words() -> None:
    assert {event.kind for event, _ in TOLD} == set(e.KINDS)


def test_show_leaves_out_what_says_nothing_and_tells_of_one_deployment(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "state" / "journal.db")
    journal.append([e.WorkerStarted(), *EVENTS, e.WorkerStopped()], AT)
    journal.close()
    state = tmp_path / "state"
    assert "worker" not in called("show", state=state).output
    assert called("show", "--all", state=state).output.count("worker") == 2
    assert len(json.loads(called("show", "--json", state=state).output)) == len(EVENTS) + 2
    newest = called("show", "--lines", "1", "--deployment", "line", state=state).output
    assert "an operator holds line" in newest
    assert "believed" not in called("show", "--deployment", "line", state=state).output
    assert "says nothing of lime" in called("show", "--deployment", "lime", state=state).output
