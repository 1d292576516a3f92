"""Invariant 19. Whatever the history, a fleet of honest and healthy nodes comes to the newest release, where every
approval is given that is asked for, and nothing else is done: by the words of the nodes, and by `rollout status` alone,
which names every node that is not through, and what it waits for.

Every life of one node in two commits, and some of two to five; all of them with `EDGEGITOPS_DEEP=1`. Of four and five
nodes that do not change their wave; those who do are drawn.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import combinations_with_replacement, islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.rollout.small_worlds import NODES, chains
from tests.core.rollout.trials import judge_of
from tests.core.rollout.world import D, World, content, page

from edgegitops.core.model.control import ControlKind
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import ABSENT, Approvals, Edition, Gate, RolloutPolicy, Wave
from edgegitops.core.overview.situation import Situation
from edgegitops.core.overview.waves import view_of
from edgegitops.core.rollout.next_release import Own, Settled, Start
from edgegitops.core.rollout.wave_gate import Shut

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
TURNS = 60
STEPS = {1: 1, 2: 23, 3: 997, 4: 499, 5: 2003}  # of the lives of so many nodes; primes, so that they meet everything
PLAIN = RolloutPolicy((Wave("canary"), Wave("pilot")))
STRICT = RolloutPolicy(
    (
        Wave("canary", approvals=Approvals(count=1)),
        Wave("pilot", gate=Gate(min_count=2), approvals=Approvals(("security",), 2)),
    ),
    direct_most=0,
)
NAMES = {content(word): word for word in ("A", "B", "C", "-")}


class Fleet:
    """Nodes that do what they may, at once and well, and managers who give what is asked for."""

    def __init__(self, world: World, nodes: tuple[str, ...]) -> None:
        self.world = world
        self.owns = {node: Own(node) for node in nodes}
        self.given = 0

    def step(self, nodes: Collection[str]) -> None:
        """These nodes do what they may."""
        answers = {node: self.world.ask(self.owns[node]) for node in sorted(nodes)}
        self.move({node: one for node, one in answers.items() if isinstance(one, Start)})

    def settle(self, *, is_by_status: bool = False) -> None:
        """Until all run what is newest; an error tells who waits for what. `is_by_status`: managers look at nothing but
        the rollout as it is shown to them.
        """
        for _ in range(TURNS):
            answers = {node: self.world.ask(own) for node, own in self.owns.items()}
            moves = {node: one for node, one in answers.items() if isinstance(one, Start)}
            shut = [one for one in answers.values() if isinstance(one, Shut)]
            if moves:
                self.move(moves)
            elif shut:
                self.approve(self.told(set(answers)) if is_by_status else shut)
            else:
                assert all(isinstance(one, Settled) for one in answers.values())
                tip = self.world.pages[-1]
                assert all(own.running == tip.digest(node) for node, own in self.owns.items())
                return
        raise AssertionError(f"no end: {answers}")

    def move(self, moves: Mapping[str, Start]) -> None:
        for node, start in moves.items():
            own = self.owns[node]
            kept = (start.digest, *own.kept) if start.digest != ABSENT else own.kept
            self.owns[node] = replace(
                own, running=start.digest, kept=kept, predecessor=own.running, left_at=self.world.now
            )
            state = ReportedState.HEALTHY if start.digest != ABSENT else ReportedState.ABSENT
            self.world.tell(node, NAMES[start.digest], start.revision, state)

    def told(self, nodes: set[str]) -> list[Shut]:
        """What `rollout status` says, of every node that is not through, and of no other."""
        log, reading = judge_of(self.world)
        view = view_of(Situation(D, self.world.chain, log, reading))
        groups = [*view.leaving, *(group for wave in view.waves for group in wave.waiting)]
        tip = self.world.pages[-1]
        late = sorted(node for node in nodes if self.owns[node].running != tip.digest(node))
        assert sorted(node for group in groups for node in group.nodes) == late
        assert not view.is_through
        shut = [group.shut for group in groups if group.shut is not None]
        assert all(one.detail for one in shut)
        return shut

    def approve(self, shut: list[Shut]) -> None:
        """The first approval that any answer names."""
        wanted = next((one for one in shut if one.approvals), None)
        assert wanted is not None, f"nobody can help: {shut}"
        assert wanted.wave
        assert wanted.roles
        self.given += 1
        self.world.tag(
            ControlKind.APPROVE,
            self.world.pages[-1].revision,
            wave=wanted.wave,
            owner=f"owner {self.given}",
            roles_now=frozenset(wanted.roles),
            is_for_current_policy=wanted.is_about_policy,
        )


Way = tuple[int, int, str, str]  # its waves in the two commits, then its releases
Life = tuple[tuple[Way, ...], tuple[RolloutPolicy, RolloutPolicy]]
WAYS: tuple[Way, ...] = tuple(product(range(3), range(3), ("A", "-"), ("A", "B", "-")))
STAYING = tuple(way for way in WAYS if way[0] == way[1])


def lives(nodes: tuple[str, ...]) -> Iterator[Life]:
    """All that may be said of so many nodes in two commits; which node of equal ones is which makes no other life."""
    ways = WAYS if len(nodes) < 4 else STAYING
    every = product(combinations_with_replacement(ways, len(nodes)), product((PLAIN, STRICT), repeat=2))
    return islice(every, 0, None, 1 if IS_DEEP else STEPS[len(nodes)])


def play(nodes: tuple[str, ...], life: Life, *, has_settled: bool, is_by_status: bool = False) -> None:
    """`has_settled`: all had come to the first commit before the second one."""
    ways, (policy, after) = life
    members = dict(zip(nodes, ways, strict=True))
    first = {node: way[0] for node, way in members.items()}
    then = {node: way[1] for node, way in members.items()}
    fleet = Fleet(World([page("r1", {node: way[2] for node, way in members.items()}, first, policy)]), nodes)
    if has_settled:
        fleet.settle()
    fleet.world.pages.append(page("r2", {node: way[3] for node, way in members.items()}, then, after))
    try:
        fleet.settle(is_by_status=is_by_status)
    except AssertionError as error:
        error.add_note(f"{nodes} {life}")
        raise


FLEETS = [
    ("a/1",),
    ("a/1", "a/2"),
    ("a/1", "b/2"),
    ("a/1", "a/2", "a/3"),
    ("a/1", "b/2", "c/3"),
    ("a/1", "b/2", "c/3", "d/4"),
    ("a/1", "b/2", "c/3", "d/4", "e/5"),
]


@pytest.mark.timeout(6 * 3600 if IS_DEEP else 300)
@pytest.mark.parametrize("nodes", FLEETS, ids="-".join)
@pytest.mark.parametrize("has_settled", [True, False], ids=["after", "during"])
def test_few_nodes_come_to_the_newest_release(nodes: tuple[str, ...], *, has_settled: bool) -> None:
    for life in lives(nodes):
        play(nodes, life, has_settled=has_settled)


@pytest.mark.timeout(6 * 3600 if IS_DEEP else 300)
@pytest.mark.parametrize("nodes", FLEETS, ids="-".join)
def test_status_names_what_is_missing_and_whose_word_would_help(nodes: tuple[str, ...]) -> None:
    step = 1 if IS_DEEP else 7 if len(nodes) == 1 else 3
    for life in islice(lives(nodes), 0, None, step):
        play(nodes, life, has_settled=True, is_by_status=True)


@given(st.data())
def test_any_fleet_comes_to_the_newest_release(data: st.DataObject) -> None:
    """Up to five nodes and four commits; some of what may be done is done between the commits."""
    nodes = NODES[: data.draw(st.integers(1, 5))]
    pages = [_open(one) for one in data.draw(chains(nodes))]
    fleet = Fleet(World([]), nodes)
    for one in pages:
        fleet.world.pages.append(one)
        for _ in range(data.draw(st.integers(0, 3))):
            fleet.step(data.draw(st.frozensets(st.sampled_from(nodes))))
    fleet.settle()


def _open(edition: Edition) -> Edition:
    """Without what holds on purpose: a pause, a wave that is too large, maintenance."""
    waves = tuple(replace(wave, most=None) for wave in edition.policy.waves)
    members = {name: replace(one, is_resting=False) for name, one in edition.members.items()}
    return replace(edition, policy=replace(edition.policy, waves=waves, is_paused=False), members=members)
