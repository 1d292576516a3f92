"""The fleet from reports: who is in trouble, who is silent, and that a large one is still read at a glance."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgegitops.cli.fleet_status import _lines, _tree
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.overview.fleet import Course, Post, Question, Row, Standing, rows_of, shares
from edgegitops.core.rollout.evidence import Evidence
from edgegitops.workbench_fleet import Fleet

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = "a" * 64, "b" * 64
WELL = ReportedDeployment("r2", NEW, ReportedState.HEALTHY, timedelta(hours=1))


def post(name: str = "a/gw", *, has_key: bool = True) -> Post:
    return Post(name, {"ring": "canary"}, has_key, is_resting=False, wanted={"line": NEW})


def report(name: str = "a/gw", told: ReportedDeployment = WELL, *, age: int = 1, **more: object) -> Statement:
    site, _, node = name.partition("/")
    at = NOW - timedelta(minutes=age)
    made = Report("fleet", site, node, "one", "boot", 1, at, 1, "r2", deployments={"line": told})
    made = replace(made, **more)  # type: ignore[arg-type] # what a test says of a report
    return Statement(made, f"{name} {age} {told.state}")


def row(*said: Statement, of: Post | None = None, **more: object) -> Row:
    asked = Question(NOW, **more)  # type: ignore[arg-type] # what a test asks
    (found,) = rows_of([of or post()], Evidence(frozenset(said)), asked)
    return found


@pytest.mark.parametrize(
    ("told", "course", "standing"),
    [
        (WELL, Course.AS_WANTED, Standing.AS_WANTED),
        (replace(WELL, digest=OLD), Course.WAITING, Standing.UNDER_WAY),
        (replace(WELL, state=ReportedState.CHANGING), Course.CHANGING, Standing.UNDER_WAY),
        (replace(WELL, state=ReportedState.UNHEALTHY), Course.UNHEALTHY, Standing.TROUBLE),
        (replace(WELL, state=ReportedState.STUCK), Course.FAILED, Standing.TROUBLE),
        (replace(WELL, holds=("operator",)), Course.AS_WANTED, Standing.UNDER_WAY),
        (
            replace(WELL, digest=OLD, failures=(ReportedFailure("r2", NEW, 1, "deadline-missed"),)),
            Course.FAILED,
            Standing.TROUBLE,
        ),
    ],
)
def test_how_a_node_is_follows_from_its_report(told: ReportedDeployment, course: Course, standing: Standing) -> None:
    found = row(report(told=told))
    assert (found.placed[0].course, found.standing) == (course, standing)


def test_who_reported_nothing_for_too_long_is_silent_and_never_well() -> None:
    assert row().standing is Standing.SILENT
    assert row(report(age=44)).standing is Standing.AS_WANTED
    assert row(report(age=46)).standing is Standing.SILENT
    assert row(report(age=46), silent_after=timedelta(hours=1)).standing is Standing.AS_WANTED
    assert row(of=post(has_key=False)).standing is Standing.VOICELESS


def test_trouble_of_a_silent_node_stays_trouble() -> None:
    assert row(report(told=replace(WELL, state=ReportedState.UNHEALTHY), age=300)).standing is Standing.TROUBLE


def test_alarm_future_lie_and_refusal_are_trouble() -> None:
    assert row(report(alarms=("regressed",))).standing is Standing.TROUBLE
    assert row(report(age=-6)).doubts == ("its report is from the future: is its clock right?",)
    assert row(report(age=-4)).standing is Standing.AS_WANTED
    assert "two things" in row(report(), report(age=2)).doubts[0]
    assert "key-unknown" in row(refused={"a/gw": "key-unknown: x"}).doubts[0]
    assert row(report(), refused={"a/gw": "key-unknown: x"}).standing is Standing.TROUBLE


def test_deployment_that_is_not_wanted_any_more_is_told_to_leave() -> None:
    gone = replace(post(), wanted={})
    assert row(report(), of=gone).placed[0].course is Course.LEAVING
    nothing = replace(post(), wanted={})
    assert row(report(told=ReportedDeployment("", "0" * 64, ReportedState.ABSENT)), of=nothing).standing is not None


def large(count: int = 500) -> Fleet:
    """One failed, two are silent, forty wait, all others are well."""
    posts = [post(f"plant-{at:03}/gateway-line-{at % 7}") for at in range(count)]
    said = []
    for at, one in enumerate(posts):
        told = WELL if at >= 43 else replace(WELL, digest=OLD, holds=("gate",))
        if at == 42:
            told = replace(told, failures=(ReportedFailure("r2", NEW, 1, "deadline-missed"),))
        if at > 1:
            said.append(report(one.name, told))
    rows = rows_of(posts, Evidence(frozenset(said)), Question(NOW))
    versions = {("line", NEW): "2.0.0", ("line", OLD): "1.0.0"}
    return Fleet(NOW, "r2", "", rows, versions, {"r1": 0, "r2": 1})


@pytest.mark.parametrize("width", [80, 120])
def test_large_fleet_is_read_at_a_glance(width: int) -> None:
    lines = [line.plain for line in _lines(large(), width=width, is_all=False)]
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()).startswith(
        "500 nodes of 500 sites at r2: 1 in trouble, 2 silent, 40 under way, 457 as wanted deployment"
    )
    assert len(lines) < 25
    assert next(at for at, line in enumerate(lines) if "plant-042" in line and "min ago" in line) < next(
        at for at, line in enumerate(lines) if "plant-000" in line and "none" in line
    )
    assert lines[-1] == "497 more nodes: --all tells each of them"


def test_sums_of_what_runs_name_only_who_differs() -> None:
    first, *others = shares(large().rows)
    assert (first.course, len(first.nodes)) == (Course.AS_WANTED, 457)
    assert {(one.course, one.hold) for one in others} == {(Course.WAITING, "gate"), (Course.FAILED, "gate")}


def test_tree_tells_every_node() -> None:
    tree = _tree(large())
    assert len(tree["nodes"]) == 500  # type: ignore[arg-type] # a list
    assert tree["sums"] == {"trouble": 1, "silent": 2, "under-way": 40, "as-wanted": 457, "no-report-key": 0}
