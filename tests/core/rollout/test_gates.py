"""Tables of the gate: sizes, maintenance, too little evidence, laundering, whose approval counts, failures by wave."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import partial

import pytest
from tests.core.rollout.test_next_release import held, started
from tests.core.rollout.trials import case_at
from tests.core.rollout.world import NOW, SOAK, World, content, page

from edgegitops.core.model.control import ControlKind
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import Approvals, Edition, Editions, Gate, Member, RolloutPolicy, Wave
from edgegitops.core.rollout.blame import Failure, does_concern
from edgegitops.core.rollout.count import Tally, is_too_large, tally, wave_at
from edgegitops.core.rollout.next_release import Own, Start
from edgegitops.core.rollout.road import road_to
from edgegitops.core.rollout.wave_gate import does_trust_anybody

ASKER = "z/9"  # alone in the last wave
HALF = Gate(min_healthy=Fraction(1, 2), max_failures=Fraction(1, 2))


def fleet(canary: int, *, gate: Gate | None = None, approvals: int = 0, **more: object) -> World:
    """So many canaries on sites of their own, and the asker in the rest; all are to go from old to new."""
    policy = RolloutPolicy((Wave("canary", gate=gate or Gate()), Wave("last", approvals=Approvals(count=approvals))))
    policy = replace(policy, **more)  # type: ignore[arg-type]
    where = {f"{chr(97 + at)}/1": 0 for at in range(canary)} | {ASKER: 1}
    return World(
        [page("r1", dict.fromkeys(where, "old"), where, policy), page("r2", dict.fromkeys(where, "new"), where, policy)]
    )


def canaries(world: World) -> list[str]:
    return [name for name in world.pages[0].members if name != ASKER]


def good(world: World, count: int) -> World:
    for name in canaries(world)[:count]:
        world.tell(name, "new", "r2")
    return world


def with_members(world: World, change: Mapping[str, object], *names: str) -> World:
    """These nodes are so at every revision."""
    world.pages = [
        replace(one, members={**one.members, **{name: replace(one.members[name], **change) for name in names}})  # type: ignore[arg-type]
        for one in world.pages
    ]
    return world


# numbers


@pytest.mark.parametrize(
    ("count", "gate", "healthy", "is_open"),
    [
        (3, Gate(), 3, True),
        (3, Gate(), 2, False),
        (3, HALF, 2, True),
        (3, HALF, 1, False),
        (4, HALF, 2, True),
        (4, replace(HALF, min_count=3), 2, False),
        (4, replace(HALF, min_count=3), 3, True),
        (5, Gate(min_healthy=Fraction(3, 5)), 3, True),
        (5, Gate(min_healthy=Fraction(61, 100)), 3, False),
        (5, Gate(min_healthy=Fraction(1, 100)), 0, False),
        (5, Gate(min_healthy=Fraction(1, 100)), 1, True),
    ],
)
def test_as_many_must_be_good_as_the_gate_says_rounded_up(
    count: int, gate: Gate, healthy: int, *, is_open: bool
) -> None:
    found = good(fleet(count, gate=gate), healthy).ask(ASKER, "old")
    assert isinstance(found, Start) is is_open
    if not is_open:
        assert held(found, HoldReason.GATE).wave == "canary"


@pytest.mark.parametrize(
    ("count", "gate", "failed", "is_open"),
    [
        (4, replace(HALF, max_failures=Fraction(1, 4)), 1, True),
        (4, replace(HALF, max_failures=Fraction(1, 4)), 2, False),
        (4, replace(HALF, max_failures=Fraction(24, 100)), 1, False),
        (4, replace(HALF, max_failures=Fraction(1)), 2, True),
        (4, Gate(max_failures=Fraction(1)), 1, False),
        (3, HALF, 1, True),
    ],
)
def test_as_many_may_fail_as_the_gate_says_rounded_down(count: int, gate: Gate, failed: int, *, is_open: bool) -> None:
    world = fleet(count, gate=gate)
    for name in canaries(world)[:failed]:
        world.tell(name, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    for name in canaries(world)[failed:]:
        world.tell(name, "new", "r2")
    found = world.ask(ASKER, "old")
    assert isinstance(found, Start) is is_open
    if not is_open:
        held(found, HoldReason.TOO_MANY_FAILURES)


def test_failures_are_named_up_to_five() -> None:
    world = fleet(7)
    for name in canaries(world)[:6]:
        world.tell(name, "old", "r1", failures=[("r2", "new")])
    detail = held(world.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES).detail
    assert detail == "a/1, b/1, c/1, d/1, e/1 and 1 more failed; wave canary allows 0"
    five = fleet(5)
    for name in canaries(five):
        five.tell(name, "old", "r1", failures=[("r2", "new")])
    assert held(five.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES).detail.startswith(
        "a/1, b/1, c/1, d/1, e/1 failed"
    )


def test_who_is_missing_is_named() -> None:
    detail = held(good(fleet(3), 1).ask(ASKER, "old"), HoldReason.GATE).detail
    assert detail == "wave canary: 1 of 3 good, 3 needed; missing b/1, c/1"


def test_good_one_with_a_failure_that_counts_is_not_good() -> None:
    """Also where the gate allows the failure."""
    world = good(fleet(2, gate=replace(HALF, min_count=2, max_failures=Fraction(1))), 2)
    started(world.ask(ASKER, "old"))
    world = fleet(3, gate=Gate(min_healthy=Fraction(2, 3), max_failures=Fraction(1, 3)))
    good(world, 2)
    started(world.ask(ASKER, "old"))
    world.tell("b/1", "new", "r2", failures=[("r2", "new")])
    held(world.ask(ASKER, "old"), HoldReason.GATE)


@pytest.mark.parametrize(
    ("soaked", "age", "is_good"),
    [
        (SOAK, timedelta(), True),
        (SOAK - timedelta(seconds=1), timedelta(), False),
        (SOAK, timedelta(minutes=45), True),
        (SOAK, timedelta(minutes=45, seconds=1), False),
    ],
)
def test_report_is_good_from_its_soak_on_and_up_to_its_age(soaked: timedelta, age: timedelta, *, is_good: bool) -> None:
    world = fleet(1)
    world.tell("a/1", "new", "r2", soaked_for=soaked)
    world.now = NOW + age
    assert isinstance(world.ask(ASKER, "old"), Start) is is_good


# sizes and maintenance


@pytest.mark.parametrize(
    ("most", "size", "selected", "is_so"),
    [
        (None, 99, 99, False),
        (2, 2, 9, False),
        (2, 3, 9, True),
        (Fraction(1, 4), 3, 9, False),
        (Fraction(1, 4), 4, 9, True),
        (Fraction(1, 100), 1, 9, False),
        (Fraction(1, 100), 2, 9, True),
        (Fraction(0), 1, 0, False),
        (Fraction(0), 2, 0, True),
    ],
)
def test_wave_is_too_large_beyond_its_bound_rounded_up_and_one_at_least(
    most: int | Fraction | None, size: int, selected: int, *, is_so: bool
) -> None:
    assert is_too_large(Wave("w", most=most), size, selected) is is_so


def test_wave_that_is_too_large_shuts_all_that_come_after_it_and_itself() -> None:
    world = good(fleet(3), 3)
    for at in (0, 1):
        policy = replace(world.pages[at].policy, waves=(Wave("canary", most=2), Wave("last")))
        world.pages[at] = replace(world.pages[at], policy=policy)
    for asker in (ASKER, "c/1"):
        shut = held(world.ask(asker, "old"), HoldReason.WAVE_TOO_LARGE)
        assert (shut.wave, shut.detail) == ("canary", "wave canary has 3 nodes and may have 2")


@pytest.mark.parametrize(
    ("count", "resting", "is_open"),
    [(2, 1, True), (5, 1, True), (5, 2, False), (9, 1, True), (9, 2, False), (10, 2, True), (10, 3, False)],
)
def test_few_members_may_be_in_maintenance(count: int, resting: int, *, is_open: bool) -> None:
    """One, or a fifth of those who are enrolled, rounded down."""
    world = fleet(count)
    asleep = canaries(world)[:resting]
    with_members(world, {"is_resting": True}, *asleep)
    for name in canaries(world)[resting:]:
        world.tell(name, "new", "r2")
    found = world.ask(ASKER, "old")
    assert isinstance(found, Start) is is_open
    if not is_open:
        words = f"{resting} of the {count} nodes of wave canary are in maintenance"
        assert (held(found, HoldReason.GATE).detail, found.wave) == (words, "canary")  # type: ignore[union-attr]


def test_share_in_maintenance_is_of_those_who_are_enrolled() -> None:
    world = fleet(10)
    with_members(world, {"is_resting": True}, "a/1", "b/1")
    for name in canaries(world)[2:]:
        world.tell(name, "new", "r2")
    started(world.ask(ASKER, "old"))
    with_members(world, {"is_enrolled": False}, "j/1")
    held(world.ask(ASKER, "old"), HoldReason.GATE)


def test_own_wave_in_maintenance_holds_nobody_of_it() -> None:
    world = fleet(5)
    with_members(world, {"is_resting": True}, "a/1", "b/1", "c/1")
    started(world.ask("d/1", "old"))


def test_failure_of_a_member_in_maintenance_counts() -> None:
    world = fleet(2)
    with_members(world, {"is_resting": True}, "a/1")
    world.tell("b/1", "new", "r2")
    started(world.ask(ASKER, "old"))
    world.tell("a/1", "old", "r1", failures=[("r2", "new")])
    held(world.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES)


def test_tally_tells_what_it_counts() -> None:
    made = Tally(Wave("w", gate=HALF), ("a", "b", "c"), frozenset({"b"}), resting=("d", "e"), fellows=9)
    assert (made.need, made.allowed, made.missing, made.has_too_many_resting) == (2, 1, ("a", "c"), True)
    assert not replace(made, fellows=10).has_too_many_resting
    assert not replace(made, resting=("d",)).has_too_many_resting


def test_waves_are_counted_from_nothing_and_the_rest_comes_last() -> None:
    policy = RolloutPolicy((Wave("one"), Wave("two")))
    assert [wave_at(policy, at).name for at in range(3)] == ["one", "two", "rest"]


# too little evidence


def test_nobody_before_asks_for_an_approval_where_many_would_change() -> None:
    world = fleet(0)
    names = [f"y/{at}" for at in range(5)]
    for at, word in enumerate(("old", "new")):
        there = {**dict.fromkeys(names, word), ASKER: word}
        world.pages[at] = page(f"r{at + 1}", there, dict.fromkeys(there, 1), world.pages[at].policy)
    shut = held(world.ask(ASKER, "old"), HoldReason.TOO_LITTLE_EVIDENCE)
    assert (shut.approvals, shut.wave) == (1, "last")
    assert shut.detail == "wave last waits for 1 approval: earlier waves can show too little for it"
    world.tag(ControlKind.APPROVE, "r2", wave="last")
    started(world.ask(ASKER, "old"))


@pytest.mark.parametrize(("asked", "lacking"), [(0, 1), (1, 1), (3, 3)])
def test_too_little_evidence_asks_for_as_many_as_the_wave_and_for_one_at_least(asked: int, lacking: int) -> None:
    world = good(fleet(1, gate=Gate(min_count=2), approvals=asked), 1)
    assert getattr(world.ask(ASKER, "old"), "approvals") == lacking  # noqa: B009 - of either answer
    for owner in ("rosa", "otto", "anna")[:lacking]:
        world.tag(ControlKind.APPROVE, "r2", wave="last", owner=owner)
    started(world.ask(ASKER, "old"))


def test_too_few_before_have_to_be_good_all_the_same() -> None:
    world = fleet(1, gate=Gate(min_count=2))
    world.tag(ControlKind.APPROVE, "r2", wave="last")
    assert held(world.ask(ASKER, "old"), HoldReason.GATE).detail == "wave canary: 0 of 1 good, 1 needed; missing a/1"


def test_enough_before_need_no_approval() -> None:
    started(good(fleet(2, gate=Gate(min_count=2)), 2).ask(ASKER, "old"))


def test_empty_wave_beside_another_has_passed() -> None:
    world = fleet(2)
    policy = replace(world.pages[0].policy, waves=(Wave("empty"), Wave("canary"), Wave("last")))
    moved = {**dict.fromkeys(canaries(world), 1), ASKER: 2}
    world.pages = [
        page("r1", dict.fromkeys(moved, "old"), moved, policy),
        page("r2", dict.fromkeys(moved, "new"), moved, policy),
    ]
    held(world.ask(ASKER, "old"), HoldReason.GATE)
    started(good(world, 2).ask(ASKER, "old"))


@pytest.mark.parametrize("second", ["sneaky", "old"])
def test_each_change_of_the_own_digest_needs_a_witness_before(second: str) -> None:
    """One that went back and forth between changed it, too."""
    world = fleet(1)
    words = {"a/1": "new", ASKER: second}
    where = {"a/1": 0, ASKER: 1}
    world.pages.append(page("r3", words, where, world.pages[0].policy))
    world.pages.append(page("r4", {"a/1": "last", ASKER: "last"}, where, world.pages[0].policy))
    world.tell("a/1", "last", "r4")
    held(world.ask(Own(ASKER, content("old"))), HoldReason.TOO_LITTLE_EVIDENCE) if second == "sneaky" else None
    world.pages[2] = page("r3", {"a/1": "third", ASKER: second}, where, world.pages[0].policy)
    started(world.ask(ASKER, "old"))


@pytest.mark.parametrize(
    ("names", "most", "is_direct"),
    [
        (("z/1", "z/2", "z/3"), 4, True),
        (("z/1", "z/2", "z/3"), 3, False),
        (("z/1", "z/2"), 3, True),
        (("y/1",), 4, False),
        ((), 1, True),
        ((), 0, False),
    ],
)
def test_few_nodes_of_one_site_go_at_once_where_nobody_is_before(
    names: tuple[str, ...], most: int, *, is_direct: bool
) -> None:
    world = fleet(0, direct_most=most)
    for at, word in enumerate(("old", "new")):
        there = dict.fromkeys((*names, ASKER), word)
        world.pages[at] = page(f"r{at + 1}", there, dict.fromkeys(there, 1), world.pages[at].policy)
    assert isinstance(world.ask(ASKER, "old"), Start) is is_direct


def test_few_are_counted_over_every_revision_on_the_way() -> None:
    """Three by three: none of them is large, both together are."""
    world = fleet(0)
    where = dict.fromkeys([ASKER, *(f"z/{at}" for at in range(5))], 1)
    words = dict.fromkeys(where, "old")
    steps = [{}, {ASKER: "new", "z/0": "new", "z/1": "new"}, {"z/2": "new", "z/3": "new"}]
    world.pages = []
    for at, step in enumerate(steps, 1):
        words = {**words, **step}
        world.pages.append(page(f"r{at}", words, where, fleet(0).pages[0].policy))
    held(world.ask(ASKER, "old"), HoldReason.TOO_LITTLE_EVIDENCE)
    world.pages.pop()
    started(world.ask(ASKER, "old"))


# approvals


def asking(count: int = 1) -> World:
    return good(fleet(1, approvals=count), 1)


@pytest.mark.parametrize(
    ("more", "does_count"),
    [
        ({}, True),
        ({"wave": "canary"}, False),
        ({"roles_now": frozenset({"engineer"})}, False),
        ({"roles_now": frozenset({"engineer", "release-manager"})}, True),
        ({"expires_at": NOW}, False),
    ],
)
def test_approval_is_for_a_wave_by_one_of_its_roles(more: dict[str, object], *, does_count: bool) -> None:
    world = asking()
    shut = held(world.ask(ASKER, "old"), HoldReason.APPROVAL)
    assert (shut.approvals, shut.roles) == (1, ("release-manager",))
    assert shut.detail == "wave last waits for 1 approval: its gate asks for it"
    world.tag(ControlKind.APPROVE, "r2", **{"wave": "last", **more})
    assert isinstance(world.ask(ASKER, "old"), Start) is does_count


@pytest.mark.parametrize(
    ("target", "does_count"), [("r0", False), ("r1", False), ("r2", True), ("r3", True), ("r4", True), ("r9", False)]
)
def test_approval_counts_from_the_last_change_of_the_own_digest_on(target: str, *, does_count: bool) -> None:
    """r3 and r4 change others."""
    world = asking()
    where = {"a/1": 0, ASKER: 1}
    world.pages.insert(0, page("r0", dict.fromkeys(where, "oldest"), where, world.pages[0].policy))
    world.pages += [replace(world.pages[-1], revision=name) for name in ("r3", "r4")]
    world.tag(ControlKind.APPROVE, target, wave="last")
    assert isinstance(world.ask(ASKER, "old"), Start) is does_count


def test_approvals_that_lack_are_counted_and_told() -> None:
    world = asking(3)
    world.tag(ControlKind.APPROVE, "r2", wave="last")
    shut = held(world.ask(ASKER, "old"), HoldReason.APPROVAL)
    assert (shut.approvals, shut.detail) == (2, "wave last waits for 2 approvals: its gate asks for it")


def loosened(count: int, *, then: int = 0, approvals: int = 0) -> World:
    """The candidate's policy has no waves; the one before has them, and asks for so many approvals."""
    world = fleet(count, approvals=approvals)
    free = RolloutPolicy((Wave("last", approvals=Approvals(count=then)),))
    there = dict.fromkeys(world.pages[1].members, "new")
    world.pages[1] = page("r2", there, dict.fromkeys(there, 0), free)
    return world


@pytest.mark.parametrize(("approvals", "lacking"), [(0, 1), (1, 1), (2, 2)])
def test_current_policy_alone_decides_where_as_many_say_so_as_the_old_one_asks_for(
    approvals: int, lacking: int
) -> None:
    world = loosened(2, approvals=approvals)
    shut = held(world.ask(ASKER, "old"), HoldReason.GATE)
    assert (shut.approvals, shut.is_about_policy, shut.wave, shut.roles) == (
        lacking,
        True,
        "last",
        ("release-manager",),
    )
    assert shut.detail.startswith("under the policy that this revision replaces: wave canary: 0 of 2 good")
    for owner in ("rosa", "otto")[:lacking]:
        held(world.ask(ASKER, "old"), HoldReason.GATE)
        world.tag(ControlKind.APPROVE, "r2", wave="last", owner=owner, is_for_current_policy=True)
    started(world.ask(ASKER, "old"))


@pytest.mark.parametrize(
    "more",
    [
        {"is_for_current_policy": False},
        {"wave": "canary"},
        {"roles_now": frozenset({"engineer"})},
        {"target": "r1"},
        {"target": "unknown"},
    ],
)
def test_word_for_the_current_policy_is_for_this_wave_and_change(more: dict[str, object]) -> None:
    world = loosened(1)
    world.tag(ControlKind.APPROVE, **{"target": "r2", "wave": "last", "is_for_current_policy": True, **more})  # type: ignore[arg-type]
    held(world.ask(ASKER, "old"), HoldReason.GATE)


def test_current_policy_does_not_beat_failures_or_a_halt() -> None:
    world = loosened(1)
    world.tag(ControlKind.APPROVE, "r2", wave="last", is_for_current_policy=True)
    started(world.ask(ASKER, "old"))
    world.tell("a/1", "old", "r1", failures=[("r2", "new")])
    held(world.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES)


@pytest.mark.parametrize("what", ["policy", "waves", "maintenance", "releases"])
def test_word_for_the_current_policy_lapses_when_policy_or_members_change(what: str) -> None:
    """Also where a later change takes that back."""
    world = loosened(1)
    world.tag(ControlKind.APPROVE, "r2", wave="last", is_for_current_policy=True)
    last = world.pages[-1]
    changed = {
        "policy": replace(last, policy=replace(last.policy, direct_most=9)),
        "waves": replace(last, members={**last.members, "a/1": Member(1)}),
        "maintenance": replace(last, members={**last.members, "a/1": Member(0, is_resting=True)}),
        "releases": replace(last, digests={**last.digests, "a/1": content("other")}),
    }
    world.pages += [replace(changed[what], revision="r3"), replace(last, revision="r4")]
    found = world.ask(ASKER, "old")
    assert isinstance(found, Start) is (what == "releases")
    world.tag(ControlKind.APPROVE, "r4", wave="last", is_for_current_policy=True)
    started(world.ask(ASKER, "old"))


# failures by wave


def test_failure_counts_in_the_wave_of_its_name_wherever_that_is_now() -> None:
    """A wave that is put before the others does not move an old failure into an earlier wave."""
    world = fleet(1)
    first = {"a/1": 0, "y/1": 1, ASKER: 1}
    then = {"a/1": 0, "y/1": 2, ASKER: 1}
    policy = RolloutPolicy((Wave("canary"), Wave("last")))
    longer = RolloutPolicy((Wave("canary"), Wave("new"), Wave("last")))
    world.pages = [
        page("r1", dict.fromkeys(first, "old"), then, longer),
        page("r2", dict.fromkeys(first, "new"), first, policy),
        page("r3", dict.fromkeys(first, "new"), then, longer),
    ]
    world.tell("a/1", "new", "r3")
    world.tell("y/1", "old", "r1", failures=[("r2", "new")])
    started(world.ask(ASKER, "old"))


@pytest.mark.parametrize("names", [("one",), ("other",), ()])
def test_failure_in_a_wave_that_is_gone_is_not_forgotten(names: tuple[str, ...]) -> None:
    """Who failed is removed, and so is its wave: it counts where that stood, in the rest at the latest."""
    few = RolloutPolicy(tuple(Wave(name) for name in names))
    many = RolloutPolicy((Wave("one"), Wave("two"), Wave("three")))
    last = len(names)
    world = World(
        [
            page("r1", {ASKER: "old"}, {ASKER: last}, few),
            page("r2", {ASKER: "new", "z/1": "new"}, {ASKER: 3, "z/1": 2}, many),
            page("r3", {ASKER: "new"}, {ASKER: last}, few),
        ]
    )
    started(world.ask(ASKER, "old"))
    world.tell("z/1", "-", "r2", ReportedState.REVERTED, failures=[("r2", "new")])
    held(world.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES)


def test_failure_of_nobody_we_know_counts_in_the_first_wave() -> None:
    world = good(fleet(1), 1)
    started(world.ask(ASKER, "old"))
    world.tell("q/1", "-", "r2", failures=[("unknown", "new")])
    assert held(world.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES).wave == "canary"


def test_node_that_never_had_the_deployment_has_no_vote_on_it() -> None:
    """Else any one stolen report key would halt every deployment of the fleet.

    Red where core/rollout/count.py has `{0} if True else` for `{0} if then is None else`.
    """
    world = good(fleet(1), 1)
    world.tell("q/1", "-", "r2", failures=[("r2", "new")])
    started(world.ask(ASKER, "old"))


def test_later_waves_failures_hold_no_earlier_wave() -> None:
    world = fleet(2)
    world.tell(ASKER, "old", "r1", failures=[("r2", "new")])
    started(world.ask("a/1", "old"))
    held(world.ask(Own(ASKER, content("old"))), HoldReason.TOO_MANY_FAILURES)


def test_relabelled_node_s_failure_counts_where_it_is_and_where_it_was() -> None:
    world = fleet(2)
    where = {"a/1": 1, "b/1": 0, ASKER: 1}
    world.pages.append(page("r3", dict.fromkeys(where, "new"), where, world.pages[0].policy))
    world.tell("b/1", "new", "r3")
    world.tell("a/1", "old", "r1", failures=[("r2", "new")])
    assert held(world.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES).wave == "canary"
    assert held(world.ask("b/1", "old"), HoldReason.TOO_MANY_FAILURES).wave == "canary"


def test_forgiven_failure_does_not_count_and_another_of_the_same_node_does() -> None:
    from edgegitops.core.model.control import Forgiven

    world = fleet(1)
    world.tell("a/1", "old", "r1", failures=[("r2", "new")])
    world.tag(ControlKind.RETRY, "r2", forgives=(Forgiven("a/1", 1), Forgiven("z/9", 2)))
    started(world.ask("a/1", "old"))
    world.tell("a/1", "old", "r1", failures=[("r2", "new")])
    held(world.ask("a/1", "old"), HoldReason.TOO_MANY_FAILURES)


def test_failure_under_a_sequence_that_was_forgiven_for_an_older_revision_counts() -> None:
    from edgegitops.core.model.control import Forgiven

    world = fleet(1)
    world.tag(ControlKind.RETRY, "r1", forgives=(Forgiven("a/1", 1),))
    world.tell("a/1", "old", "r1", failures=[("r2", "new")])
    held(world.ask("a/1", "old"), HoldReason.TOO_MANY_FAILURES)
    world.tag(ControlKind.RETRY, "r2", forgives=(Forgiven("a/1", 1),))
    started(world.ask("a/1", "old"))


def test_failure_of_a_node_that_was_no_member_then_counts_where_it_is_now() -> None:
    """Its report may tell of a revision that it never should have run."""
    world = fleet(2)
    names = [ASKER, "a/1"]
    world.pages[1] = page("r2", dict.fromkeys(names, "new"), {ASKER: 1, "a/1": 0}, world.pages[0].policy)
    world.pages.append(page("r3", {**dict.fromkeys(names, "new"), "b/1": "new"}, {ASKER: 1, "a/1": 0, "b/1": 0}))
    world.pages[2] = replace(world.pages[2], policy=world.pages[0].policy)
    for name in ("a/1", "b/1"):
        world.tell(name, "new", "r3")
    started(world.ask(ASKER, "old"))
    world.tell("b/1", "old", "r1", failures=[("r2", "new")])
    assert held(world.ask(ASKER, "old"), HoldReason.TOO_MANY_FAILURES).wave == "canary"


def test_shut_gate_that_no_approval_opens_asks_for_none() -> None:
    shut = held(fleet(1).ask(ASKER, "old"), HoldReason.GATE)
    assert (shut.approvals, shut.roles, shut.is_about_policy) == (0, (), False)


def test_first_halt_is_told() -> None:
    world = fleet(1)
    for owner in ("anna", "otto"):
        world.tag(ControlKind.HALT, "r2", owner=owner)
    assert held(world.ask(ASKER, "old"), HoldReason.HALTED).detail == "halted by anna"


def test_last_wave_is_counted_only_where_somebody_waits_for_it_or_failed() -> None:
    world = good(fleet(2), 2)
    case = case_at(world, Own("a/1", content("old")))
    ask = partial(tally, case.road, case.road.after, 0, case.reading)
    assert ask() == [Tally(world.pages[1].policy.waves[0], size=2)]
    (whole,) = ask(is_whole=True)
    assert (whole.covered, whole.good, whole.size, whole.fellows) == (("a/1", "b/1"), {"a/1", "b/1"}, 2, 2)
    world.tell("b/1", "old", "r1", failures=[("r2", "new")])
    case = case_at(world, Own("a/1", content("old")))
    (failed,) = tally(case.road, case.road.after, 0, case.reading)
    assert (failed.covered, failed.failed) == (("a/1", "b/1"), {"b/1"})


def three_waves(first: int, second: int, gate: Gate | None = None) -> World:
    """So many nodes in two waves before the asker's."""
    policy = RolloutPolicy((Wave("one"), Wave("two", gate=gate or Gate()), Wave("last")))
    where = {f"a/{at}": 0 for at in range(first)} | {f"b/{at}": 1 for at in range(second)} | {ASKER: 2}
    pages = [page(f"r{at}", dict.fromkeys(where, word), where, policy) for at, word in ((1, "old"), (2, "new"))]
    return World(pages)


def test_wave_that_is_too_small_has_to_be_good_also_beside_an_empty_one() -> None:
    world = three_waves(0, 1, Gate(min_count=2))
    world.tag(ControlKind.APPROVE, "r2", wave="last")
    assert held(world.ask(ASKER, "old"), HoldReason.GATE).wave == "two"
    world.tell("b/0", "new", "r2")
    started(world.ask(ASKER, "old"))


def test_every_earlier_wave_is_asked() -> None:
    world = three_waves(1, 1)
    assert held(world.ask(ASKER, "old"), HoldReason.GATE).wave == "one"
    world.tell("a/0", "new", "r2")
    assert held(world.ask(ASKER, "old"), HoldReason.GATE).wave == "two"
    world.tell("b/0", "new", "r2")
    started(world.ask(ASKER, "old"))


def test_maintenance_is_counted_in_every_earlier_wave() -> None:
    world = three_waves(1, 5)
    with_members(world, {"is_resting": True}, "b/0", "b/1")
    for name in ("a/0", "b/2", "b/3", "b/4"):
        world.tell(name, "new", "r2")
    assert held(world.ask(ASKER, "old"), HoldReason.GATE).wave == "two"


def test_one_wave_that_is_too_small_is_too_little_beside_one_that_is_not() -> None:
    world = three_waves(2, 1, Gate(min_count=2))
    for name in ("a/0", "a/1", "b/0"):
        world.tell(name, "new", "r2")
    held(world.ask(ASKER, "old"), HoldReason.TOO_LITTLE_EVIDENCE)


def test_one_witness_of_a_change_is_enough() -> None:
    """Of two canaries one was given the second change."""
    world = good(fleet(2), 2)
    words = {"a/1": "newer", "b/1": "new", ASKER: "newer"}
    world.pages.append(page("r3", words, {"a/1": 0, "b/1": 0, ASKER: 1}, world.pages[0].policy))
    world.tell("a/1", "newer", "r3")
    started(world.ask(ASKER, "old"))


@pytest.mark.parametrize(("target", "does_count"), [("r2", False), ("r3", True)])
def test_approval_counts_since_the_last_change_not_since_the_first(target: str, *, does_count: bool) -> None:
    world = asking()
    where = {"a/1": 0, ASKER: 1}
    world.pages.append(page("r3", dict.fromkeys(where, "newer"), where, world.pages[0].policy))
    world.tell("a/1", "newer", "r3")
    for is_for_current_policy in (True, False):
        world.tag(ControlKind.APPROVE, target, wave="last", is_for_current_policy=is_for_current_policy)
    assert isinstance(world.ask(ASKER, "old"), Start) is does_count
    loose = loosened(1)
    loose.pages.append(replace(loose.pages[1], revision="r3", digests=dict.fromkeys(where, content("newer"))))
    loose.tag(ControlKind.APPROVE, target, wave="last", is_for_current_policy=True)
    assert isinstance(loose.ask(ASKER, "old"), Start) is does_count


def test_approval_of_an_unknown_revision_is_not_one_of_the_first() -> None:
    world = asking()
    world.pages = world.pages[1:]
    world.tag(ControlKind.APPROVE, "unknown", wave="last")
    world.said.clear()
    good(world, 1)
    held(world.ask(ASKER, "-"), HoldReason.APPROVAL)
    world.tag(ControlKind.APPROVE, "r2", wave="last")
    started(world.ask(ASKER, "-"))


def test_policy_that_is_looser_for_the_very_same_members_opens_nothing() -> None:
    world = fleet(1)
    loose = RolloutPolicy((Wave("canary", gate=Gate(soak=timedelta())), Wave("last")))
    world.pages[1] = replace(world.pages[1], policy=loose, members=world.pages[0].members)
    world.tell("a/1", "new", "r2", soaked_for=timedelta())
    assert held(world.ask(ASKER, "old"), HoldReason.GATE).is_about_policy


def test_few_of_one_site_do_not_go_at_once_where_somebody_comes_before() -> None:
    """Also where another wave before them is empty."""
    policy = RolloutPolicy((Wave("one"), Wave("two", gate=Gate(min_count=2)), Wave("last")))
    where = {"z/1": 1, ASKER: 2}
    world = World([page(f"r{at}", dict.fromkeys(where, word), where, policy) for at, word in ((1, "old"), (2, "new"))])
    world.tell("z/1", "new", "r2")
    held(world.ask(ASKER, "old"), HoldReason.TOO_LITTLE_EVIDENCE)


def test_failures_without_end_of_one_node_cost_one_walk_over_the_chain() -> None:
    """Who has a node's key may tell of as many as a report holds, at every look of a fresh node."""

    class Counting(Editions):
        asked = 0

        def edition(self, position: int) -> Edition:
            Counting.asked += 1
            return super().edition(position)

    pages = [page(f"r{at}", {"a/1": "old", "b/1": f"w{at}"}, {"a/1": 0, "b/1": 0}) for at in range(50)]
    road = road_to(Counting(tuple(pages)), ASKER, "-", 49)
    told = [Failure("b/1", f"r{at % 49}", content(f"x{at}"), at) for at in range(1, 1000)]
    assert all(does_concern(one, road) for one in told)
    assert Counting.asked < 10 * len(told)


@pytest.mark.parametrize("where", ["both", "the old one", "the new one", "neither"])
def test_good_word_of_an_earlier_wave_is_trusted_under_either_policy(where: str) -> None:
    """The own wave asks for nobody's good word, also where a failure in it has it counted."""
    world = good(fleet(3, gate=HALF), 2)
    world.tell(canaries(world)[2], "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    for at, name in enumerate(("the old one", "the new one")):
        if where not in {"both", name}:
            world.pages[at] = with_all_in_one_wave(world.pages[at])
    assert does_trust_anybody(case_at(world, Own(ASKER, content("old")))) is (where != "neither")


def with_all_in_one_wave(one: Edition) -> Edition:
    """The asker and all others stand in the first wave."""
    return replace(one, members={name: replace(member, wave=0) for name, member in one.members.items()})
