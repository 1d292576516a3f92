"""Invariants 10 and 11: waves are total, disjoint and stable; what is needed is rounded up, what may fail down."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.rollout.small_worlds import (
    NODES,
    Scene,
    scenes,
)
from tests.core.rollout.trials import judge_of
from tests.core.rollout.world import D

from edgegitops.core.desired.membership import is_in_share, wave_of
from edgegitops.core.model.selector import Requirement, Selector
from edgegitops.core.model.waves import Gate, RolloutPolicy, Wave
from edgegitops.core.rollout.count import allowed, needed, tally
from edgegitops.core.rollout.road import road_to

TAGS = {"ring": ("canary", "pilot", "other"), "line": ("1", "2")}


@given(st.data())
def test_waves_are_total_disjoint_and_stable(data: st.DataObject) -> None:
    selectors = st.sampled_from(
        [Selector((Requirement(key, "In", (value,)),)) for key, values in TAGS.items() for value in values]
    )
    by_tag = st.builds(Wave, st.just("a"), selector=selectors)
    by_share = st.builds(Wave, st.just("b"), percent=st.integers(1, 100))
    policy = RolloutPolicy(tuple(data.draw(st.lists(by_tag | by_share, max_size=3))))
    tags = {name: {key: data.draw(st.sampled_from(TAGS[key])) for key in TAGS} for name in NODES}
    placed = {name: wave_of(policy, D, name, tags[name]) for name in NODES}
    assert set(placed.values()) <= set(range(len(policy.waves) + 1))
    for name, at in placed.items():
        taken = [_takes(wave, name, tags[name]) for wave in policy.waves]
        assert at == (taken.index(True) if True in taken else len(policy.waves))


def _takes(wave: Wave, name: str, tags: dict[str, str]) -> bool:
    if wave.selector is not None:
        return all(tags[one.key] in one.values for one in wave.selector.requirements)
    return is_in_share(D, name, wave.percent or 0)


@given(st.text(max_size=8), st.integers(0, 100), st.integers(0, 100))
def test_larger_share_keeps_all_of_the_smaller_one(seat: str, one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert is_in_share(D, seat, more) or not is_in_share(D, seat, less)
    assert is_in_share(D, seat, 100)
    assert not is_in_share(D, seat, 0)


@pytest.mark.parametrize(
    ("seat", "least"), [("a/gw", 6), ("goteborg-1/gw-vision", 83), ("brno-1/gw-line", 44), ("plant-4/press-2", 13)]
)
def test_share_takes_the_same_nodes_in_every_version(seat: str, least: int) -> None:
    """Nodes of different versions have to agree on who is in a wave: never write other numbers over these."""
    assert [percent for percent in range(101) if is_in_share("app", seat, percent)] == list(range(least, 101))


@given(scenes())
def test_every_member_is_counted_in_one_wave(scene: Scene) -> None:
    _, reading = judge_of(scene.world)
    for node, own in scene.owns.items():
        road = road_to(scene.world.chain, node, own.running, len(scene.world.pages) - 1)
        for edition in (road.before, road.after):
            counted = tally(road, edition, len(edition.policy.waves), reading, is_whole=True)
            assert sum(one.size for one in counted) == len(edition.members)
            names = [name for one in counted for name in (*one.covered, *one.resting)]
            assert len(names) == len(set(names))
            assert all(one.good <= set(one.covered) for one in counted)


def test_rounding_is_up_for_what_must_be_good_and_down_for_what_may_fail() -> None:
    shares = [Fraction(percent, 100) for percent in range(101)]
    for covered in range(1, 51):
        for percent, share in enumerate(shares[1:], 1):
            gate = Gate(min_healthy=share)
            need = needed(gate, covered)
            assert need == max(1, -(-percent * covered // 100))
            assert needed(replace(gate, min_count=3), covered) == max(3, need)
            for most in (0, 1, 10, 33, 50, 99, 100):
                may = allowed(replace(gate, max_failures=shares[most]), covered)
                assert may == max(0, min(most * covered // 100, covered - need))
                assert 0 <= may <= max(0, covered - need)
