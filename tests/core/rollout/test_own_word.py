"""What a node tells of itself: what serves or is proven, how that is, what failed; and when that is news."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.core.reconcile.stage import DAWN, app

from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.ledger import AlarmRecord, DeploymentRecord, Latch, Ledger, Transition
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState
from edgegitops.core.model.trust import Floor, Pin
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.telling import STATES, Voice, is_news, report_of, soaks_asked
from edgegitops.core.trust.reports import SIZE_MOST, payload_of

ONE, TWO = app("1"), app("2")
SECOND = timedelta(seconds=1)
BEAT = timedelta(minutes=15)
VOICE = Voice(NodeIdentity("urn:f", "plant", "press", Pin("urn:f", "0" * 64, "c" * 40)), "i1", "b1")
FLOOR = Floor("c" * 40, "p", "t", 3, DAWN)


def report(*records: DeploymentRecord, sequence: int = 7, now: object = DAWN, **more: object) -> Report:
    ledger = Ledger(deployments={one.name: one for one in records}, **more)  # type: ignore[arg-type]
    return report_of(ledger, VOICE, {"line": ("t1",), "empty": ()}, sequence=sequence, now=now)  # type: ignore[arg-type]


def told(record: DeploymentRecord) -> ReportedDeployment:
    return report(record).deployments["line"]


def test_every_phase_has_its_word() -> None:
    assert set(STATES) == set(Phase)


def test_report_says_who_speaks_and_what_it_knows() -> None:
    alarms = {f"{code} fleet": AlarmRecord(code, "fleet", "words", DAWN) for code in (Alarm.STALE, Alarm.BUG)}
    found = report(DeploymentRecord("line"), floor=FLOOR, alarms=alarms)
    assert (found.fleet, found.name, found.installation, found.boot) == ("urn:f", "plant/press", "i1", "b1")
    assert (found.sequence, found.issued_at, found.root_version, found.floor) == (7, DAWN, 3, "c" * 40)
    assert (found.heads, found.alarms) == ({"line": ("t1",)}, tuple(sorted([str(Alarm.STALE), str(Alarm.BUG)])))


def test_tags_without_end_make_no_report_that_is_longer_than_it_may_be() -> None:
    """By one key, a revoked one too: else it could silence the fleet.

    Red where core/rollout/telling.py has `several for name` for `several[:HEADS_MOST] for name`.
    """
    ledger = Ledger(deployments={"line": DeploymentRecord("line")})
    split = tuple(f"{at:064x}" for at in range(5_000))
    heads = {"line": split} | {f"never-{at}": (f"{at:064x}",) for at in range(5_000)}
    found = report_of(ledger, VOICE, heads, sequence=1, now=DAWN)
    assert len(payload_of(found)) < SIZE_MOST / 8
    assert set(found.heads["line"]) <= set(split)


def test_node_without_a_floor_knows_no_root() -> None:
    assert (report().root_version, report().floor) == (0, "")


def _serving(phase: Phase, release: Release | None = ONE, **more: object) -> DeploymentRecord:
    made = DeploymentRecord("line", phase=phase, serving=release, soaked_for=600 * SECOND)
    return replace(made, **more)  # type: ignore[arg-type]


def test_what_serves_is_told_with_its_soak() -> None:
    found = told(_serving(Phase.HEALTHY))
    assert (found.revision, found.digest, found.state) == (ONE.revision, ONE.digest, ReportedState.HEALTHY)
    assert found.soaked_for == 600 * SECOND


def test_what_is_not_there_is_told_as_absent_and_has_no_soak() -> None:
    found = told(_serving(Phase.ABSENT, None))
    assert (found.revision, found.digest, found.soaked_for) == ("", ABSENT, timedelta())


@pytest.mark.parametrize(
    ("soaked", "waited", "state"),
    [
        (SECOND, SECOND, ReportedState.HEALTHY),
        (timedelta(), timedelta(), ReportedState.HEALTHY),
        (timedelta(), SECOND, ReportedState.UNHEALTHY),
    ],
)
def test_what_waits_for_a_change_is_as_healthy_as_what_serves(
    soaked: timedelta, waited: timedelta, state: ReportedState
) -> None:
    for phase in (Phase.READY, Phase.REFUSED, Phase.CANCELLED):
        assert told(_serving(phase, soaked_for=soaked, waited_for=waited)).state is state
        assert told(_serving(phase, None, soaked_for=soaked, waited_for=waited)).state is ReportedState.WAITING
    assert told(_serving(Phase.STUCK, soaked_for=soaked, waited_for=waited)).state is ReportedState.STUCK


@pytest.mark.parametrize(
    ("phase", "told_of"),
    [(Phase.READY, ONE), (Phase.SWITCHING, TWO), (Phase.PROVING, TWO), (Phase.REVERTING, ONE), (Phase.REMOVING, ONE)],
)
def test_release_is_told_of_from_its_switch_on(phase: Phase, told_of: Release) -> None:
    way = Transition("t1", ONE, TWO, phase, DAWN, DAWN)
    assert told(_serving(phase, transition=way)).digest == told_of.digest


def test_removal_is_told_by_what_goes_until_it_is_gone() -> None:
    way = Transition("t1", ONE, None, Phase.SWITCHING, DAWN, DAWN)
    assert told(_serving(Phase.SWITCHING, transition=way)).digest == ABSENT


def test_hold_is_told() -> None:
    assert told(_serving(Phase.HEALTHY, hold_reason="window")).holds == ("window",)
    assert told(_serving(Phase.HEALTHY)).holds == ()


def _latch(digest: str, at: timedelta = timedelta(), **more: object) -> Latch:
    return replace(Latch(digest, "r1", "crashed", DAWN + at), **more)  # type: ignore[arg-type]


def test_failures_are_told_in_order_with_the_sequence_that_first_told_them() -> None:
    latches = (_latch("b"), _latch("a"), _latch("c", -SECOND, told_in=4), _latch("d", is_refusal=True))
    found = told(_serving(Phase.REVERTED, latches={one.digest: one for one in latches}))
    assert [(one.digest, one.sequence) for one in found.failures] == [("c", 4), ("a", 7), ("b", 7)]
    assert found.failures[0] == ReportedFailure("r1", "c", 4, "crashed", DAWN - SECOND)


OLD = report(_serving(Phase.HEALTHY), floor=FLOOR)


@pytest.mark.parametrize(
    ("after", "is_due"), [(timedelta(), False), (BEAT - SECOND, False), (BEAT, True), (-SECOND, True)]
)
def test_report_is_due_after_a_heartbeat_and_when_the_clock_went_back(after: timedelta, is_due: bool) -> None:
    new = replace(OLD, sequence=8, issued_at=DAWN + after)
    assert is_news(OLD, new, heartbeat=BEAT) is is_due


def test_first_report_is_news() -> None:
    assert is_news(None, OLD, heartbeat=BEAT)


@pytest.mark.parametrize("change", [{"boot": "b2"}, {"alarms": ("bug",)}, {"root_version": 4}, {"deployments": {}}])
def test_anything_that_differs_is_news(change: dict[str, object]) -> None:
    assert is_news(OLD, replace(OLD, **change), heartbeat=BEAT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "is_new"),
    [(0, 0.5, False), (0, 1, True), (1, 1.5, False), (599, 600, True), (600, 899, False), (86400, 999999, False)],
)
def test_of_a_soak_that_goes_on_round_spans_are_news(before: float, after: float, is_new: bool) -> None:
    old, new = (report(_serving(Phase.HEALTHY, soaked_for=one * SECOND)) for one in (before, after))
    assert is_news(old, new, heartbeat=BEAT) is is_new


def test_gates_ask_for_a_soak_of_what_serves() -> None:
    records = {"line": _serving(Phase.HEALTHY), "gone": replace(_serving(Phase.ABSENT, None), name="gone")}
    assert soaks_asked(Ledger(deployments=records)) == {"line": ONE.policy.gate_soak}


STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 2700, 3600, 7200, 14400, 28800, 43200, 86400)


@pytest.mark.parametrize(("before", "step"), pairwise((0, *STEPS)))
def test_soak_is_news_at_its_steps_and_nowhere_between(before: int, step: int) -> None:
    spans = (before * SECOND, step * SECOND - timedelta(milliseconds=1), step * SECOND)
    first, almost, there = (report(_serving(Phase.HEALTHY, soaked_for=one)) for one in spans)
    assert not is_news(first, almost, heartbeat=BEAT)
    assert is_news(almost, there, heartbeat=BEAT)
