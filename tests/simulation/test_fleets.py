"""Law: whole fleets live through drawn weather on the twin; safety first, then liveness.

Safety (invariants 1 to 3 of the rollout): a later wave begins only after enough of the one before has shown to be well,
whatever is lost or away; where a node was seen to fail, nothing of its wave begins any more; and what failed on a node
does not start there again. Liveness: who is well and connected gets there, when approvals are given.
"""

import gc
import os
from datetime import timedelta
from fractions import Fraction
from random import Random

import pytest
from tests.simulation.fleet import found, lived, trial_of, when

from edgegitops.twin.node import Node
from edgegitops.twin.story import FAILED_HERE, OFFLINE, Mark, Story
from edgegitops.twin.weather import Aim, Weather
from edgegitops.workbench_simulate import run

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
COUNT = int(os.environ.get("EDGEGITOPS_SEEDS", "400" if IS_DEEP else "12"))
ONE = os.environ.get("EDGEGITOPS_SEED")
SEEDS = [int(ONE)] if ONE else range(COUNT)
RINGS = {"canary": 3, "pilot": 4, "broad": 5}
SOAK = timedelta(minutes=10)
HEARD_WITHIN = timedelta(minutes=2)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return trial_of(found(tmp_path_factory.mktemp("fleet") / "work", RINGS))


def drawn(seed: int) -> Weather:
    random = Random(seed)
    share = lambda most: Fraction(random.randint(0, most), 100) if random.random() < 0.6 else Fraction(0)  # noqa: E731
    back = timedelta(minutes=random.randint(5, 300)) if random.random() < 0.5 else None
    return Weather(seed, Aim(share(60)), Aim(share(40)), share(70), back_after=back)


def ring(node: str) -> str:
    return node.partition("-")[0]


def well_before(story: Story, name: str, at: timedelta) -> int:
    return len({one.node for one in when(story, Mark.HEALTHY, lambda node: ring(node) == name) if one.after < at})


@pytest.mark.parametrize("seed", SEEDS)
def test_fleet_keeps_the_promises_of_its_gates(trial, seed):
    weather = drawn(seed)
    story = lived(trial, weather)
    for earlier, later in (("canary", "pilot"), ("pilot", "broad")):
        for one in when(story, Mark.STARTED, lambda node, later=later: ring(node) == later):
            assert well_before(story, earlier, one.after) == RINGS[earlier], f"seed {seed}: {one}"
    for name in RINGS:
        failed = when(story, Mark.FAILED, lambda node, name=name: ring(node) == name)
        if failed and not weather.lost:
            heard_at = failed[0].after + HEARD_WITHIN
            began = when(story, Mark.STARTED, lambda node, name=name: ring(node) == name)
            assert [one for one in began if one.after > heard_at] == [], f"seed {seed}"
    starts = [one.node for one in when(story, Mark.STARTED, lambda _: True)]
    assert len(starts) == len(set(starts)), f"seed {seed}: twice"
    if not story.failed and not story.offline and weather.lost < 1:
        assert story.is_through, f"seed {seed}: {story.held}"


def test_run_that_is_told_leaves_no_nodes_to_be_looked_for(trial):
    gc.collect()
    usual = gc.get_threshold()
    gc.set_threshold(0)  # a run switches the collector on again
    try:
        run(trial, Weather(), 1)
        left = [one for one in gc.get_objects() if isinstance(one, Node)]
    finally:
        gc.set_threshold(*usual)
    assert left == []


def test_healthy_fleet_comes_through_and_soaks_between_its_waves(trial):
    story = lived(trial, Weather())
    assert story.is_through
    assert not story.held
    opens = {
        name: min(one.after for one in when(story, Mark.STARTED, lambda n, name=name: ring(n) == name))
        for name in RINGS
    }
    assert opens["pilot"] - opens["canary"] > SOAK
    assert opens["broad"] - opens["pilot"] > SOAK


def test_release_that_fails_on_every_canary_stops_there(trial):
    story = lived(trial, Weather(failing=Aim(Fraction(1))))
    assert {ring(one.node) for one in story.happenings} == {"canary"}
    assert story.failed == story.most_at_once == RINGS["canary"]
    assert {one.reason for one in story.held} == {FAILED_HERE, "too-many-failures"}


def test_canary_that_is_away_holds_until_it_is_back(trial):
    away = Aim(nodes=frozenset({"canary-1/gw"}))
    held = lived(trial, Weather(offline=away))
    assert {(one.wave, one.reason) for one in held.held} == {("canary", OFFLINE), ("pilot", "gate"), ("rest", "gate")}
    assert lived(trial, Weather(offline=away, back_after=timedelta(hours=5))).is_through


def test_reports_that_all_get_lost_hold_and_some_that_do_only_delay(trial):
    held = lived(trial, Weather(lost=Fraction(1)))
    assert {ring(one.node) for one in held.happenings} == {"canary"}
    some = lived(trial, Weather(lost=Fraction(1, 2)))
    assert some.is_through
    assert some.ends_after > lived(trial, Weather()).ends_after


def test_same_seed_is_the_same_story_and_another_one_is_not(trial):
    first, again, other = (lived(trial, Weather(seed, failing=Aim(Fraction(1, 3)))) for seed in (7, 7, 8))
    assert first == again
    assert first.happenings != other.happenings


def test_tolerated_failures_let_later_waves_through(tmp_path):
    gate = '{minHealthy: "50%", maxFailures: "50%"}'
    trial = trial_of(found(tmp_path / "work", {"canary": 4, "pilot": 4, "broad": 2}, gate))
    story = lived(trial, Weather(failing=Aim(nodes=frozenset({"canary-0/gw", "pilot-2/gw"}))))
    assert {(one.wave, one.reason, one.nodes) for one in story.held} == {
        ("canary", FAILED_HERE, ("canary-0/gw",)),
        ("pilot", FAILED_HERE, ("pilot-2/gw",)),
    }
