"""Moves that skip the gate (return, rollback, hotfix, removal, what fellows run) ask for all that they do not skip."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from tests.core.rollout.test_next_release import held, started
from tests.core.rollout.world import (
    NODES,
    NOW,
    P1,
    P2,
    R1,
    R2,
    R3,
    SOAK,
    WAVES,
    WHERE,
    C,
    World,
    all_run,
    content,
    page,
)

from edgegitops.core.model.control import ControlKind, Forgiven
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import Approvals, Gate, RolloutPolicy, Wave
from edgegitops.core.rollout.next_release import Cause, Own, Settled, Start

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
BACK = Own(P1, content("new"), predecessor=content("old"), left_at=NOW - HOUR)


@pytest.fixture
def reverted(world: World) -> World:
    """The new release ran at the canary and one pilot, and is taken back."""
    world.pages.append(page("r3", all_run("old"), WHERE))
    world.said.clear()
    return world


def under(policy: RolloutPolicy, world: World, *at: int) -> None:
    """These revisions have another policy."""
    for one in at:
        world.pages[one] = replace(world.pages[one], policy=policy)


# the way back to the predecessor


def test_return_asks_neither_for_evidence_nor_for_failures(reverted: World) -> None:
    reverted.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new"), ("r3", "old")])
    assert started(reverted.ask(BACK), Cause.RETURN).revision == "r3"


@pytest.mark.parametrize(
    ("left_for", "within", "is_back"),
    [(WEEK, WEEK, True), (WEEK + HOUR, WEEK, False), (HOUR, HOUR, True), (2 * HOUR, HOUR, False)],
)
def test_return_is_a_matter_of_days(reverted: World, left_for: timedelta, within: timedelta, *, is_back: bool) -> None:
    under(replace(WAVES, revert_within=within), reverted, 2)
    found = reverted.ask(replace(BACK, left_at=NOW - left_for))
    assert (isinstance(found, Start) and found.cause is Cause.RETURN) is is_back


def test_return_by_a_clock_that_nobody_trusts_is_none(reverted: World) -> None:
    reverted.is_clock_trusted = False
    held(reverted.ask(BACK), HoldReason.GATE)


@pytest.mark.parametrize(
    "change",
    [
        {"left_at": None},
        {"predecessor": content("older")},
        {"left_badly": frozenset({content("old")})},
        {"is_reversible": False},
    ],
)
def test_return_is_to_what_was_left_well_and_may_be_undone(reverted: World, change: dict[str, object]) -> None:
    held(reverted.ask(replace(BACK, **change)), HoldReason.GATE)  # type: ignore[arg-type]


def test_return_does_not_skip_a_pause(reverted: World) -> None:
    under(replace(WAVES, is_paused=True), reverted, 2)
    held(reverted.ask(BACK), HoldReason.PAUSED)


def test_return_does_not_skip_an_exclusion_or_the_latch(reverted: World) -> None:
    held(reverted.ask(replace(BACK, latched={content("old"): 3})), HoldReason.LATCHED)
    reverted.tag(ControlKind.ROLLBACK, "r3")
    held(reverted.ask(BACK), HoldReason.EXCLUDED)


@pytest.mark.parametrize(("most", "is_open"), [(None, True), (2, True), (1, False), (Fraction(1, 3), True)])
def test_return_does_not_skip_the_bound_of_the_own_wave(
    reverted: World, most: int | Fraction | None, *, is_open: bool
) -> None:
    """Two pilots of six. That an earlier wave is too large says nothing of this one."""
    bounded = RolloutPolicy((Wave("canary", most=Fraction(1, 1000)), Wave("pilot", most=most)))
    under(bounded, reverted, 1, 2)
    found = reverted.ask(BACK)
    if is_open:
        started(found, Cause.RETURN)
    else:
        assert held(found, HoldReason.WAVE_TOO_LARGE).wave == "pilot"


def test_bound_that_a_revert_widens_holds_it_until_an_approval(reverted: World) -> None:
    under(RolloutPolicy((Wave("canary"), Wave("pilot", most=1))), reverted, 1)
    assert held(reverted.ask(BACK), HoldReason.WAVE_TOO_LARGE).is_about_policy
    reverted.tag(ControlKind.APPROVE, "r3", wave="pilot", is_for_current_policy=True)
    started(reverted.ask(BACK), Cause.RETURN)


# removals


def gone(world: World, *nodes: str) -> World:
    """A third revision takes the deployment from these nodes."""
    world.pages.append(page("r3", {node: "-" if node in nodes else "new" for node in NODES}, WHERE))
    return world


@pytest.mark.parametrize(("most", "is_held"), [(4, False), (3, False), (2, True)])
def test_removal_from_a_few_nodes_goes_at_once(world: World, most: int, *, is_held: bool) -> None:
    """How many are a few is said before the removal, not by it."""
    gone(world, R1, R2, R3)
    under(replace(WAVES, direct_most=most), world, 1)
    under(replace(WAVES, direct_most=6 - most), world, 2)
    found = world.ask(R1, "new")
    if is_held:
        assert (held(found, HoldReason.APPROVAL).approvals, found.wave) == (1, "rest")  # type: ignore[union-attr]
    else:
        started(found, Cause.REMOVAL)


def test_removal_of_many_asks_for_the_approvals_of_the_wave_that_it_was_in(world: World) -> None:
    under(RolloutPolicy((Wave("canary"), Wave("pilot", approvals=Approvals(("security",), 2))), 0), world, 1)
    gone(world, *NODES)
    world.pages[2] = replace(world.pages[2], policy=RolloutPolicy())
    assert held(world.ask(P1, "new"), HoldReason.APPROVAL).roles == ("security",)
    for owner in ("rosa", "otto"):
        world.tag(ControlKind.APPROVE, "r3", wave="pilot", owner=owner, roles_now=frozenset({"security"}))
    started(world.ask(P1, "new"), Cause.REMOVAL)


def test_who_never_had_it_loses_nothing(world: World) -> None:
    """Only nodes that have it at the base are counted."""
    world.pages[0] = page("r1", {**all_run("old"), R2: "-", R3: "-"}, WHERE)
    under(replace(WAVES, direct_most=4), world, 0)
    world.pages[1] = page("r2", {}, WHERE)
    started(world.ask(R1, "old"), Cause.REMOVAL)


def test_neither_failures_nor_a_pause_hold_a_removal(world: World) -> None:
    gone(world, R1)
    under(replace(WAVES, is_paused=True), world, 2)
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    started(world.ask(R1, "new"), Cause.REMOVAL)


def test_halt_holds_a_removal(world: World) -> None:
    gone(world, R1)
    world.tag(ControlKind.HALT, "r3", owner="anna", reason="wait")
    assert held(world.ask(R1, "new"), HoldReason.HALTED).detail == "halted by anna: wait"


def test_removal_that_is_rolled_back_is_held_until_a_retry(world: World) -> None:
    gone(world, R1)
    world.tag(ControlKind.ROLLBACK, "r3", reason="too early")
    assert held(world.ask(R1, "new"), HoldReason.EXCLUDED).detail.endswith("excludes it: too early")
    world.tag(ControlKind.RETRY, "r3")
    started(world.ask(R1, "new"), Cause.REMOVAL)


# what fellows run


def test_fresh_node_takes_the_candidate_that_its_fellows_run_while_it_is_paused(world: World) -> None:
    """A pause holds those who would go from one release to another; who was made anew runs what its wave runs."""
    under(replace(WAVES, is_paused=True), world, 1)
    for node in (R1, R2):
        world.tell(node, "new", "r2")
    assert started(world.ask(R3, "-"), Cause.FELLOWS).revision == "r2"


@pytest.mark.parametrize(("good", "is_enough"), [((), False), ((R1,), True), ((R1, R2), True)])
def test_half_of_the_fellows_are_enough(world: World, good: tuple[str, ...], *, is_enough: bool) -> None:
    world.said = [one for one in world.said if one.report.name not in {R1, R2} - set(good)]
    for node in {R1, R2} - set(good):
        world.tell(node, "old", "r1", ReportedState.UNHEALTHY)
    found = world.ask(R3, "-")
    assert (isinstance(found, Start) and found.cause is Cause.FELLOWS) is is_enough


def test_less_than_half_of_the_fellows_are_not_enough(world: World) -> None:
    here = dict.fromkeys(NODES, 0)
    world.pages = [page("r1", all_run("old"), here, RolloutPolicy((Wave("all"),)))]
    for node in (C, P1, P2):
        world.tell(node, "old", "r1", ReportedState.UNHEALTHY)
    started(world.ask(R3, "-"))
    world.tell(P2, "old", "r1")
    started(world.ask(R3, "-"), Cause.FELLOWS)


def test_fellows_that_never_ran_it_rest_or_are_not_enrolled_do_not_count(world: World) -> None:
    """Of three fellows one runs it well: enough if the others say nothing."""
    world.said = [one for one in world.said if one.report.name != R2]
    started(world.ask(R3, "-"), Cause.FELLOWS)
    world.tell(R2, "old", "r1", ReportedState.UNHEALTHY)
    world.tell(P2, "old", "r1", ReportedState.UNHEALTHY)
    moved = {**WHERE, P2: 2}
    world.pages = [page(one.revision, all_run("old"), moved) for one in world.pages]
    found = world.ask(R3, "-")
    assert not (isinstance(found, Start) and found.cause is Cause.FELLOWS)
    resting = [page(one.revision, all_run("old"), moved, resting=[R2]) for one in world.pages]
    assert started(replace(world, pages=resting).ask(R3, "-"), Cause.FELLOWS)
    away = [
        replace(one, members={**one.members, R2: replace(one.members[R2], is_enrolled=False)}) for one in world.pages
    ]
    assert started(replace(world, pages=away).ask(R3, "-"), Cause.FELLOWS)


def test_fresh_node_takes_the_newest_that_they_run_well(world: World) -> None:
    world.pages.append(page("r3", all_run("newer"), WHERE))
    world.tell(R1, "new", "r2")
    assert started(world.ask(R3, "-"), Cause.FELLOWS).revision == "r2"


@pytest.mark.parametrize("bad", [ControlKind.ROLLBACK, ControlKind.HALT, ControlKind.REVOKE])
def test_fresh_node_takes_nothing_that_is_halted_or_excluded(world: World, bad: ControlKind) -> None:
    """A halt holds all of them."""
    for node in (R1, R2):
        world.tell(node, "new", "r2")
    world.tag(bad, "r2")
    if bad is ControlKind.HALT:
        held(world.ask(R3, "-"), HoldReason.HALTED)
    else:
        held(world.ask(R3, "-"), HoldReason.EXCLUDED)


def test_fresh_node_takes_nothing_that_failed_on_it(world: World) -> None:
    own = Own(R3, latched={content("old"): 5})
    held(world.ask(own), HoldReason.GATE)
    world.tag(ControlKind.RETRY, "r1", forgives=(Forgiven(R3, 5),))
    started(world.ask(own), Cause.FELLOWS)


def test_fellows_are_asked_by_the_gate_of_their_wave_now_and_of_that_release(world: World) -> None:
    """By its name, not by its place: a wave that is put before the others changes nobody's gate."""
    patient = Gate(soak=2 * SOAK)
    first = RolloutPolicy((Wave("canary", gate=patient), Wave("pilot")))
    second = RolloutPolicy((Wave("lab"), Wave("canary", gate=patient), Wave("pilot")))
    world.pages = [
        page("r1", all_run("old"), WHERE, first),
        page("r2", all_run("new"), {node: wave + 1 for node, wave in WHERE.items()}, second),
    ]
    started(world.ask(P2, "-"), Cause.FELLOWS)
    under(replace(second, waves=(*second.waves[:2], Wave("pilot", gate=patient))), world, 1)
    held(world.ask(P2, "-"), HoldReason.GATE)
    world.tell(P1, "old", "r1", soaked_for=2 * SOAK)
    started(world.ask(P2, "-"), Cause.FELLOWS)
    under(replace(first, waves=(first.waves[0], Wave("pilot", gate=Gate(soak=3 * SOAK)))), world, 0)
    held(world.ask(P2, "-"), HoldReason.GATE)


def test_fellows_release_is_looked_for_beyond_an_absence_of_the_own(world: World) -> None:
    world.pages.insert(1, page("r1b", {**all_run("old"), R3: "-"}, WHERE))
    assert started(world.ask(R3, "-"), Cause.FELLOWS).revision == "r1"


def test_node_that_is_no_member_has_no_fellows(world: World) -> None:
    world.pages.append(page("r3", {node: "new" for node in NODES if node != R3}, WHERE))
    assert isinstance(world.ask(R3, "-"), Settled)


# hotfixes


def hotfixed(world: World, *targets: str, **more: object) -> World:
    for owner, target in zip(("rosa", "otto"), targets, strict=True):
        world.tag(ControlKind.HOTFIX, target, owner=owner, expires_at=NOW + HOUR, **more)
    return world


def test_hotfix_is_for_what_the_node_was_given_since(world: World) -> None:
    """Said of a revision that came after the one that changed it, it is said of that change, too."""
    world.pages.append(page("r3", all_run("new"), WHERE))
    started(hotfixed(world, "r2", "r3").ask(R1, "old"), Cause.HOTFIX)
    world.pages.append(page("r4", all_run("newer"), WHERE))
    held(world.ask(R1, "old"), HoldReason.GATE)


def test_hotfix_of_what_ran_before_is_none_for_now(world: World) -> None:
    held(hotfixed(world, "r1", "r1").ask(R1, "old"), HoldReason.GATE)


def test_hotfix_does_not_beat_a_pause_or_the_latch(world: World) -> None:
    hotfixed(world, "r2", "r2")
    held(world.ask(Own(R1, content("old"), latched={content("new"): 2})), HoldReason.LATCHED)
    under(replace(WAVES, is_paused=True), world, 1)
    held(world.ask(R1, "old"), HoldReason.PAUSED)


def test_hotfix_does_not_beat_a_halt_by_failures_under_either_policy(world: World) -> None:
    """More failures than allowed are a halt, too; that the candidate allows more does not count."""
    bold = RolloutPolicy((Wave("canary", gate=Gate(min_healthy=Fraction(1, 9), max_failures=Fraction(1))),))
    world.pages[1] = page("r2", all_run("new"), {**WHERE, P1: 0, P2: 0, R1: 1, R2: 1, R3: 1}, bold)
    started(hotfixed(world, "r2", "r2").ask(P1, "old"), Cause.HOTFIX)
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    held(world.ask(P1, "old"), HoldReason.TOO_MANY_FAILURES)


def test_hotfix_waits_until_a_node_knows_what_failed_on_it(world: World) -> None:
    hotfixed(world, "r2", "r2")
    held(world.ask(Own(R1, content("old"), is_sure=False)), HoldReason.EVIDENCE)
    started(world.ask(Own(R1, content("old"))), Cause.HOTFIX)


@pytest.mark.parametrize(("said", "ignores"), [((True, True), True), ((True, False), False), ((False, False), False)])
def test_hotfix_ignores_windows_only_where_all_of_its_owners_say_so(
    world: World, said: tuple[bool, bool], *, ignores: bool
) -> None:
    for owner, one in zip(("rosa", "otto"), said, strict=True):
        world.tag(ControlKind.HOTFIX, "r2", owner=owner, expires_at=NOW + HOUR, ignores_windows=one)
    assert started(world.ask(R1, "old"), Cause.HOTFIX).ignores_windows is ignores


# rollbacks


def test_rollback_goes_to_the_release_that_it_names_else_to_the_newest_kept(world: World) -> None:
    world.pages = [page(f"r{at}", all_run(word), WHERE) for at, word in enumerate(("older", "old", "new"), 1)]
    own = Own(C, content("new"), kept=(content("new"), content("old"), content("older")))
    world.tag(ControlKind.ROLLBACK, "r3")
    assert started(world.ask(own), Cause.ROLLBACK).revision == "r2"
    world.tag(ControlKind.ROLLBACK, "r3", to="r1")
    assert started(world.ask(own), Cause.ROLLBACK).revision == "r1"
    world.tag(ControlKind.ROLLBACK, "r3", to="r9")
    assert started(world.ask(own), Cause.ROLLBACK).revision == "r2"


def test_rollback_takes_a_release_from_the_newest_revision_that_has_it(world: World) -> None:
    world.pages.insert(1, page("r1b", all_run("old"), WHERE))
    world.tag(ControlKind.ROLLBACK, "r2")
    assert started(world.ask(Own(C, content("new"), kept=(content("old"),))), Cause.ROLLBACK).revision == "r1b"


def test_rollback_does_not_go_to_what_is_excluded_too(world: World) -> None:
    world.tag(ControlKind.ROLLBACK, "r1")
    world.tag(ControlKind.ROLLBACK, "r2")
    own = Own(C, content("new"), kept=(content("old"), content("unknown")))
    assert held(world.ask(own), HoldReason.EXCLUDED).detail.startswith("what runs here is excluded")


def test_what_excludes_is_told_by_its_short_revision(world: World) -> None:
    world.pages[1] = replace(world.pages[1], revision="0123456789abcdef")
    world.tag(ControlKind.REVOKE, "0123456789abcdef")
    assert held(world.ask(C, "old"), HoldReason.EXCLUDED).detail == "a revoke by rosa of 0123456789ab excludes it"


def test_gate_ignores_no_windows(world: World) -> None:
    assert not started(world.ask(C, "old")).ignores_windows


def test_rollback_by_a_key_that_may_not_any_more_excludes_and_moves_nobody(world: World) -> None:
    world.tag(ControlKind.ROLLBACK, "r2", roles_now=frozenset())
    assert isinstance(world.ask(Own(C, content("new"), kept=(content("old"),))), Settled)
    held(world.ask(C, "old"), HoldReason.EXCLUDED)


def test_who_runs_nothing_is_not_moved(world: World) -> None:
    world.pages.append(page("r3", {}, WHERE))
    world.tag(ControlKind.ROLLBACK, "r3")
    assert isinstance(world.ask(Own(C, kept=(content("old"),))), Settled)


def test_node_that_has_not_read_its_own_reports_starts_nothing_through_a_gate(world: World) -> None:
    held(world.ask(Own(C, content("old"), is_sure=False)), HoldReason.EVIDENCE)
    held(world.ask(Own(R3, is_sure=False)), HoldReason.EVIDENCE)


def test_empty_history_wants_nothing() -> None:
    assert isinstance(World().ask(C, "old"), Settled)


def test_rollback_takes_a_kept_release_from_the_candidate_where_that_has_it(world: World) -> None:
    """The candidate goes back already, but may not be started: it is paused."""
    world.pages.append(page("r3", all_run("old"), WHERE, replace(WAVES, is_paused=True)))
    world.tag(ControlKind.ROLLBACK, "r2")
    found = started(world.ask(Own(C, content("new"), kept=(content("old"),))), Cause.ROLLBACK)
    assert found.revision == "r3"
