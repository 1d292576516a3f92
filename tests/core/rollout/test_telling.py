"""What of a report is news: healthy time counts by steps, and the one that a later wave asks for is one of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.ledger import DeploymentRecord, Ledger
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedState
from edgegitops.core.model.trust import Pin
from edgegitops.core.rollout.telling import Voice, is_news, report_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)


def report(soaked_for: timedelta, state: ReportedState = ReportedState.HEALTHY) -> Report:
    told = ReportedDeployment("c" * 40, "d" * 64, state, soaked_for)
    return Report("urn:f", "plant", "gw", "i", "b", 1, NOW, 1, "c" * 40, {}, {"line": told})


@pytest.mark.parametrize(
    ("before", "after", "asked", "expected"),
    [
        (2 * HOUR, 3 * HOUR, {}, False),
        (2 * HOUR, 3 * HOUR, {"line": 3 * HOUR}, True),
        (2 * HOUR, 3 * HOUR - timedelta(seconds=1), {"line": 3 * HOUR}, False),
        (3 * HOUR, 4 * HOUR, {}, True),
        (3 * HOUR, 3 * HOUR + QUARTER, {"line": 3 * HOUR}, False),
    ],
)
def test_healthy_time_is_news_at_its_steps_and_where_a_gate_waits_for_it(before, after, asked, expected):
    new = replace(report(after), sequence=2, issued_at=NOW + timedelta(minutes=1))
    assert is_news(report(before), new, heartbeat=QUARTER, asked=asked) is expected


def test_heads_are_told_of_deployments_that_the_node_has_and_sixteen_of_each():
    voice = Voice(NodeIdentity("urn:f", "plant", "gw", Pin("urn:f", "0" * 64, "c" * 40)), "i", "b")
    heads = {"line": tuple(f"t{at:02}" for at in range(17)), "other": ("t0",)}
    told = report_of(Ledger(deployments={"line": DeploymentRecord("line")}), voice, heads, sequence=1, now=NOW)
    assert told.heads == {"line": heads["line"][:16]}
