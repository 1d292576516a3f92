"""Can this machine be a node? A table of machines, and what each is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgegitops.daemon.checkup import GIB, MIB, Machine, Verdict, findings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENGINE = {
    "version": {"Version": "5.4.0"},
    "host": {"cgroupVersion": "v2", "cgroupControllers": ["cpu", "memory", "pids"]},
}
GOOD = Machine(
    now=NOW,
    is_clock_synced=True,
    engine=ENGINE,
    state_free=8 * GIB,
    store_free=8 * GIB,
    tip="c" * 40,
    is_agent_running=True,
    is_enrolled=True,
)


def told(machine: Machine) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in findings(machine) if one.verdict is not Verdict.OK}


def test_good_machine_is_fit() -> None:
    assert told(GOOD) == {}


@pytest.mark.parametrize(
    ("machine", "name", "verdict"),
    [
        (replace(GOOD, engine={}, engine_problem="no socket"), "podman", Verdict.FAIL),
        (replace(GOOD, engine={**ENGINE, "version": {"Version": "3.4.4"}}), "podman", Verdict.FAIL),
        (replace(GOOD, engine={**ENGINE, "version": {}}), "podman", Verdict.FAIL),
        (replace(GOOD, engine={**ENGINE, "host": {"cgroupVersion": "v1"}}), "cgroups", Verdict.WARN),
        (replace(GOOD, is_clock_synced=False), "clock", Verdict.WARN),
        (replace(GOOD, now=datetime(1970, 1, 1, tzinfo=UTC)), "clock", Verdict.FAIL),
        (replace(GOOD, floor_at=NOW + timedelta(minutes=6)), "clock", Verdict.FAIL),
        (replace(GOOD, state_free=10 * MIB), "disk of the state", Verdict.FAIL),
        (replace(GOOD, state_free=100 * MIB), "disk of the state", Verdict.WARN),
        (replace(GOOD, store_free=700 * MIB), "disk of the images", Verdict.WARN),
        (replace(GOOD, state_problem="read-only"), "state", Verdict.FAIL),
        (replace(GOOD, journal_problem="damaged"), "state", Verdict.FAIL),
        (replace(GOOD, policy_problem="unknown-field"), "policy", Verdict.FAIL),
        (replace(GOOD, files={"repository.keyFile": "gone"}), "repository.keyFile", Verdict.FAIL),
        (replace(GOOD, tip=None), "repository", Verdict.FAIL),
        (replace(GOOD, tip=None, tip_problem="no route"), "repository", Verdict.FAIL),
        (replace(GOOD, is_enrolled=False), "seat", Verdict.WARN),
        (replace(GOOD, is_agent_running=False), "agent", Verdict.WARN),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fault_of_a_machine_is_the_one_that_is_told(machine: Machine, name: str, verdict: Verdict) -> None:
    assert told(machine) == {name: verdict}


def test_whatever_is_not_ok_says_what_to_do() -> None:
    worst = Machine(now=datetime(1970, 1, 1, tzinfo=UTC), engine_problem="x", state_problem="x", tip_problem="x")
    worst = replace(worst, files={"a": "x"}, policy_problem="x", state_free=0, is_enrolled=False)
    assert all(one.advice for one in findings(worst) if one.verdict is not Verdict.OK)
    assert len(told(worst)) == 9


def test_clock_that_is_a_little_behind_the_floor_is_right() -> None:
    assert told(replace(GOOD, floor_at=NOW + timedelta(minutes=4))) == {}
