"""A node's own gate in plain words: whose reports count, who is missing and why, which approvals would help."""

from datetime import timedelta

import pytest
from tests.core.overview.test_views import NODES, P1, P2, R1, WHERE, C, situation
from tests.core.rollout.world import NOW, World, page

from edgegitops.cli import explain_gate
from edgegitops.cli.explain_gate import Gate
from edgegitops.core.model.control import ControlKind
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import Approvals, RolloutPolicy, Wave
from edgegitops.core.overview.own_gate import OwnGate, own_gate
from edgegitops.core.overview.waves import Force, Lack
from edgegitops.core.rollout.next_release import Own, Question

WAVES = RolloutPolicy((Wave("canary"), Wave("pilot", approvals=Approvals(count=2))))


@pytest.fixture
def world() -> World:
    made = World(
        [page(name, dict.fromkeys(NODES, word), WHERE, WAVES) for name, word in (("r1", "old"), ("r2", "new"))]
    )
    for node in NODES:
        made.tell(node, "old", "r1")
    return made


def gate(world: World, node: str = P1) -> OwnGate:
    seen = situation(world)
    found = own_gate(Question(Own(node, seen.running(node)), seen.chain, seen.log, seen.reading))
    assert found is not None
    return found


def said(found: OwnGate) -> str:
    return "\n".join(explain_gate.lines(Gate(found, {"release-manager": ("rosa", "rick")}), "app"))


def test_who_is_missing_is_told_with_how_far_it_is(world: World) -> None:
    world.tell(C, "new", "r2", soaked_for=timedelta(minutes=4))
    found = gate(world)
    assert [(one.node, one.lack) for one in found.waves[0].missing] == [(C, Lack.SOAKING)]
    assert [one.is_own for one in found.waves] == [False, True]
    assert f"missing: {C}: soaked for 4 min of 10 min" in said(found)


def test_stale_report_is_told_with_its_age(world: World) -> None:
    world.tell(C, "new", "r2")
    world.now = NOW + timedelta(hours=1)
    assert "its last report is 1 h old, and counts for 45 min" in said(gate(world))


def test_reports_that_count_and_the_approvals_that_would_help_are_named(world: World) -> None:
    world.tell(C, "new", "r2")
    text = said(gate(world))
    assert f"these reports count: {C}" in text
    assert (
        "would help now: 2 approvals by release-manager (rick, rosa): edgegitops rollout approve app --wave pilot"
        in text
    )
    world.tag(ControlKind.APPROVE, "r2", wave="pilot", owner="rosa")
    found = gate(world)
    assert [tag.owner for tag in found.given] == ["rosa"]
    assert found.shut is not None
    assert found.shut.approvals == 1
    world.tag(ControlKind.APPROVE, "r2", wave="pilot", owner="rick")
    found = gate(world)
    assert (found.shut, found.cause) == (None, "gate")
    assert "open (gate)" in said(found)


def test_approval_of_an_older_release_is_told_as_one_that_does_not_count(world: World) -> None:
    world.tell(C, "new", "r2")
    lapsed = world.tag(ControlKind.APPROVE, "r1", wave="pilot", owner="rosa")
    found = gate(world)
    assert (found.given, found.lapsed) == ((), ((lapsed, Force.LAPSED),))
    assert "does not count here: lapsed: a later commit changed what its nodes would run" in said(found)


def test_approval_by_a_key_without_the_role_is_told_as_such(world: World) -> None:
    world.tell(C, "new", "r2")
    world.tag(ControlKind.APPROVE, "r2", wave="pilot", owner="eva", roles_now=frozenset({"engineer"}))
    assert "does not count here: without effect: the key does not hold the role" in said(gate(world))


def test_failure_that_concerns_the_node_is_named(world: World) -> None:
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    found = gate(world, R1)
    assert [(one.node, one.revision) for one in found.failures] == [(C, "r2")]
    assert f"failure that concerns this node: {C} at r2" in said(found)
    assert "shut: it failed on more nodes than its waves allow (too-many-failures)" in said(found)


def test_node_that_runs_what_it_should_has_no_gate_to_tell(world: World) -> None:
    world.tell(P2, "new", "r2")
    seen = situation(world)
    assert own_gate(Question(Own(P2, seen.running(P2)), seen.chain, seen.log, seen.reading)) is None
