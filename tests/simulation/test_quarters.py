"""Law: whether the nodes of a fleet live in one process or in two, the story is the same, to the byte."""

import json
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from tests.simulation.fleet import PUSHED, found, trial_of
from tests.simulation.test_fleets import drawn

from edgegitops.cli.simulate_words import tree
from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.report import Report, Statement
from edgegitops.errors import BrokenInvariantError
from edgegitops.twin.node import Node, Waiting
from edgegitops.twin.quarter import Answer, Call, Errand, Reply, Standing, Turn
from edgegitops.twin.quarters import Quarters
from edgegitops.twin.story import Mark, Marked
from edgegitops.twin.weather import Aim, Weather
from edgegitops.workbench_simulate import Trial, is_worth_parting, run

# Who runs the tests may have threads of its own, which Python from 3.12 on warns of at a fork.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
SPAN = timedelta(minutes=15, microseconds=1)
TAG = ControlTag("app 1", 1, "app", ControlKind.APPROVE, "c" * 40, "anna", roles=frozenset({"owner", "plant"}))
RINGS = {"canary": 3, "pilot": 5, "broad": 6}
WEATHERS = {
    "well": Weather(),
    "failing": Weather(failing=Aim(Fraction(1, 3))),
    "a canary that fails": Weather(failing=Aim(nodes=frozenset({"canary-1/gw"}))),
    "away for good": Weather(offline=Aim(Fraction(1, 4))),
    "away for a while": Weather(offline=Aim(Fraction(1, 2)), back_after=timedelta(hours=3)),
    "half of the reports lost": Weather(lost=Fraction(1, 2)),
    "all reports lost": Weather(lost=Fraction(1)),
    "approved": Weather(approved_after=timedelta(minutes=7)),
    "approved at once": Weather(approved_after=timedelta()),
    "all of it": Weather(
        failing=Aim(Fraction(1, 10)),
        offline=Aim(Fraction(1, 5)),
        lost=Fraction(1, 4),
        back_after=timedelta(hours=1),
        approved_after=timedelta(minutes=30),
    ),
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return trial_of(found(tmp_path_factory.mktemp("fleet") / "work", RINGS))


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """Both waves need two owners, and some failures are tolerated."""
    gate = '{minHealthy: "50%", maxFailures: "20%"}\n        approvals: {count: 2}'
    return trial_of(found(tmp_path_factory.mktemp("gated") / "work", RINGS, gate))


def is_same(trial: Trial, weather: Weather, seed: int) -> bool:
    alone, parted = (run(trial, weather, seed, is_parted=is_parted) for is_parted in (False, True))
    assert json.dumps(tree(trial, [parted])) == json.dumps(tree(trial, [alone]))
    return alone == parted


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", WEATHERS)
def test_two_processes_tell_the_story_of_one(trial, gated, name, seed):
    assert is_same(trial, WEATHERS[name], seed)
    assert is_same(gated, WEATHERS[name], seed)


@pytest.mark.parametrize("seed", range(8))
def test_drawn_weather_is_the_same_in_two_processes(trial, seed):
    assert is_same(trial, drawn(seed), seed)


@pytest.mark.parametrize("is_parted", [False, True])
def test_approvals_are_heard_wherever_a_node_lives(gated, is_parted):
    """Each gate asks for two owners, who say yes seven minutes later."""
    story = run(gated, WEATHERS["approved"], 1, is_parted=is_parted)
    assert story.is_through
    assert [one.wave for one in story.given] == ["canary", "pilot"]


class Recorder:
    """A quarter whose nodes always have something to say."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def ask(self, call: Call) -> None:
        self.calls.append(call)

    def reply(self) -> Reply:
        last = self.calls[-1]
        return Reply(tuple(Answer(Statement(report(one.name, last.at), one.name)) for one in last.turns))

    def end(self) -> None:
        pass


def report(name: str, at: datetime) -> Report:
    return Report("urn:x", name, "gw", name, "boot", 1, at, 1, "")


def test_quarter_hears_of_another_what_was_said_before_this_second_and_once() -> None:
    one, two = Recorder(), Recorder()
    quarters = Quarters([one, two], ["a", "b", "c", "d"])
    assert [quarters.answers(PUSHED, [Turn(name)])[0].said.payload for name in "bad"] == ["b", "a", "d"]
    assert [call.said for call in (*one.calls, *two.calls)] == [(), (), ()]
    quarters.deliver()
    quarters.tag(TAG)
    answers = quarters.answers(PUSHED + timedelta(seconds=1), [Turn("d"), Turn("c"), Turn("b")])
    assert [answer.said.payload for answer in answers] == ["d", "c", "b"]
    assert [[said.payload for said in quarter.calls[-1].said] for quarter in (one, two)] == [["b", "d"], ["a"]]
    assert [quarter.calls[-1].tags for quarter in (one, two)] == [(TAG,), (TAG,)]
    quarters.answers(PUSHED + timedelta(seconds=1), [Turn("d"), Turn("c")])
    assert [(quarter.calls[-1].said, quarter.calls[-1].tags) for quarter in (one, two)] == [((), ()), ((), ())]
    assert quarters.heard == 1


def test_call_and_reply_are_the_same_after_they_were_text() -> None:
    said = Statement(report("a/gw", PUSHED + timedelta(microseconds=7)), "a/gw 1")
    call = Call(PUSHED, (Turn("a/gw", Errand.FETCH), Turn("a/gw")), (said,), (TAG,))
    standing = Standing("app", "gate", PUSHED, "wave pilot")
    marks, waits = (Marked("app", Mark.STARTED),), (Waiting("app", "gate"),)
    reply = Reply((Answer(said, marks, waits, PUSHED, True, True, SPAN, (standing,)), Answer()))
    for value in (call, reply):
        again = from_tree(type(value), json.loads(json.dumps(to_tree(value))))
        assert again == value
        assert repr(again) == repr(value)


def test_small_fleet_is_not_worth_a_second_process(trial):
    assert not is_worth_parting(trial)


@pytest.mark.parametrize("is_parted", [False, True])
def test_bug_that_a_node_meets_ends_the_run_wherever_the_node_lives(trial, monkeypatch, is_parted):
    """The second node lives in the second process."""
    usual = Node.look

    def look(self):
        if self.name == "broad-1/gw":
            raise BrokenInvariantError(f"{self.name}: no rest")
        return usual(self)

    monkeypatch.setattr(Node, "look", look)
    with pytest.raises(BrokenInvariantError, match="broad-1/gw: no rest"):
        run(trial, Weather(), 1, is_parted=is_parted)
