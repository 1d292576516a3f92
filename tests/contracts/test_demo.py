"""The demo without its lab: what it makes of the example fleet, how claims are remembered, what a pipe is told."""

import re
from typing import Any

import pytest

from edgegitops.cli.demo.__main__ import EXAMPLE, SEATS
from edgegitops.cli.demo.pen import impatient
from edgegitops.cli.demo.stage import Screen, Stage
from edgegitops.workbench import view_directory


def test_the_fleet_of_the_demo_is_the_example_with_seconds_for_minutes() -> None:
    with impatient(EXAMPLE) as copy:
        view = view_directory(copy)
        deployments = "".join(path.read_text() for path in copy.glob("deployments/*.yaml"))
        assert set(re.findall(r"(?:soak|deadline): (\S+)", deployments)) == {"5s", "40s"}
        waves = {
            seat.site.name: seat.tags["ring"]
            for seat in view.seats()
            if (seat.site.name, seat.node.name) in SEATS.values()
        }
        assert waves == {"goteborg-1": "canary", "brno-1": "pilot", "monterrey-1": "broad", "toledo-1": "broad"}
        (policy,) = {
            release.policy.min_ready.total_seconds()
            for seat in view.seats("goteborg-1")
            for release in view.releases(seat)[0].values()
        }
        assert policy == 1
    assert not copy.exists()


@pytest.mark.parametrize(("holds", "expected"), [([], False), ([True], True), ([True, False], False)])
def test_the_demo_is_content_only_where_every_claim_was_seen(holds: list[bool], expected: bool) -> None:
    nothing: Any = None
    stage = Stage(Screen(), nothing, nothing)
    for one in holds:
        stage.claim("a claim", lambda one=one: one, seconds=0)  # type: ignore[misc]
    assert stage.is_all_seen is expected


def test_a_claim_that_cannot_be_asked_does_not_hold() -> None:
    nothing: Any = None
    stage = Stage(Screen(), nothing, nothing)

    def broken() -> bool:
        raise OSError("no route")

    stage.claim("a page answers", broken, seconds=0)
    assert stage.observed == [("a page answers", False)]


def test_a_pipe_is_told_of_a_change_and_not_of_time_that_passes(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    lines = ["line at 1: under way", "    missing: a/gw: soaked for {} of 10 s"]
    for span in ("2 s", "3 s"):
        screen.show([line.format(span) for line in lines])
    assert capsys.readouterr().out.count("under way") == 1
    screen.show(["line at 1: every node runs what it should"])
    assert "every node" in capsys.readouterr().out
