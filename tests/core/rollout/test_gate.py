"""The gate: the plant has the last word, and the first reason is told."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.core.reconcile.stage import LINE, app, with_policy

from edgegitops.core.model.facts import Hold, Proceed
from edgegitops.core.model.ledger import OperatorHold
from edgegitops.core.model.plant import FixedZones, Plant, Window, WindowKind
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.rollout.gate import Calendar, Local, is_in_window, may_start

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DENIED = NodePolicy(updates=False)


def ask(*holds: OperatorHold, paused=False, policy=None, maintenance=False, removal=False) -> Proceed | Hold:
    target = None if removal else with_policy(app("1"), paused=paused)
    local = Local(NOW, {one.deployment: one for one in holds}, policy or NodePolicy(), maintenance)
    return may_start(LINE, target, local)


def held(deployment=LINE, until=None) -> OperatorHold:
    return OperatorHold(deployment, f"hold of {deployment or 'all'}", NOW - HOUR, until)


def reason(answer: Proceed | Hold) -> str:
    return answer.reason if isinstance(answer, Hold) else ""


def test_nothing_against_it_proceeds():
    assert ask() == Proceed()


@pytest.mark.parametrize("deployment", [LINE, ""])
def test_operator_holds_one_deployment_or_all(deployment):
    answer = ask(held(deployment, NOW + HOUR))
    assert answer == Hold(HoldReason.OPERATOR, f"hold of {deployment or 'all'}", NOW + HOUR)


def test_hold_of_another_deployment_is_none():
    assert ask(held("other")) == Proceed()


@pytest.mark.parametrize(("until", "is_held"), [(None, True), (NOW + HOUR, True), (NOW, False), (NOW - HOUR, False)])
def test_operators_hold_expires(until, is_held):
    assert isinstance(ask(held(LINE, until)), Hold) is is_held


def test_expired_hold_does_not_hide_the_one_of_all():
    assert ask(held(LINE, NOW - HOUR), held("")) == Hold(HoldReason.OPERATOR, "hold of all", None)


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({"paused": True}, HoldReason.PAUSED),
        ({"paused": True, "policy": DENIED}, HoldReason.OPERATOR),
        ({"paused": True, "policy": DENIED, "maintenance": True}, HoldReason.MAINTENANCE),
    ],
)
def test_first_reason_in_order_is_told(asked, first):
    assert reason(ask(**asked)) == first


def test_policy_that_denies_updates_names_its_file():
    answer = ask(policy=NodePolicy(updates=False, file="/etc/policy.yaml"))
    assert isinstance(answer, Hold)
    assert "/etc/policy.yaml" in answer.detail


@pytest.mark.parametrize(("asked", "is_held"), [({"policy": DENIED}, True), ({"maintenance": True}, True), ({}, False)])
def test_removal_asks_too_and_is_not_paused_by_a_manifest_that_is_gone(asked, is_held):
    assert isinstance(ask(removal=True, **asked), Hold) is is_held


def test_clock_that_is_not_trusted_is_looked_at_again_in_a_minute():
    plant = Plant((Window("night", "sites/a.yaml", WindowKind.ALLOW, "* * * * *", HOUR),), ())
    found = is_in_window(plant, None, Calendar(NOW, is_trusted=False, zones=FixedZones()))
    assert isinstance(found, Hold)
    assert (found.reason, found.until) == (HoldReason.CLOCK, NOW + timedelta(minutes=1))
