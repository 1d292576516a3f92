"""Stories of one deployment on six nodes of six sites: canary 1, pilot 2, rest 3."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from tests.core.rollout.world import NODES, NOW, P1, P2, R1, R2, R3, WAVES, WHERE, C, World, all_run, content, page

from edgegitops.core.model.control import ControlKind, Forgiven
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import Approvals, Gate, RolloutPolicy, Wave
from edgegitops.core.rollout.next_release import Cause, Own, Settled, Start
from edgegitops.core.rollout.wave_gate import Shut


def held(answer: object, reason: HoldReason) -> Shut:
    assert isinstance(answer, Shut), answer
    assert answer.reason is reason
    return answer


def started(answer: object, cause: Cause = Cause.GATE) -> Start:
    assert isinstance(answer, Start), answer
    assert answer.cause is cause
    return answer


def test_first_wave_goes_at_once_and_the_others_wait_for_it(world: World) -> None:
    assert started(world.ask(C, "old")).digest == content("new")
    for node in (P1, P2, R1):
        assert held(world.ask(node, "old"), HoldReason.GATE).wave == "canary"


def test_who_runs_what_is_wanted_is_settled(world: World) -> None:
    assert isinstance(world.ask(C, "new"), Settled)


def test_wave_opens_only_when_the_one_before_has_soaked(world: World) -> None:
    world.tell(C, "new", "r2", soaked_for=timedelta(minutes=9))
    held(world.ask(P1, "old"), HoldReason.GATE)
    world.tell(C, "new", "r2")
    started(world.ask(P1, "old"))
    assert held(world.ask(R1, "old"), HoldReason.GATE).wave == "pilot"
    world.tell(P1, "new", "r2")
    assert P2 in held(world.ask(R1, "old"), HoldReason.GATE).detail
    world.tell(P2, "new", "r2")
    started(world.ask(R1, "old"))


def test_old_good_news_opens_nothing(world: World) -> None:
    world.tell(C, "new", "r2")
    world.now = NOW + timedelta(minutes=46)
    held(world.ask(P1, "old"), HoldReason.GATE)


def test_untrusted_clock_opens_nothing(world: World) -> None:
    world.tell(C, "new", "r2")
    world.is_clock_trusted = False
    held(world.ask(P1, "old"), HoldReason.GATE)


def test_failure_in_the_canary_stops_all_waves(world: World) -> None:
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    for node in (P1, R1):
        assert held(world.ask(node, "old"), HoldReason.TOO_MANY_FAILURES).wave == "canary"


def test_failure_in_the_own_wave_stops_it_too(world: World) -> None:
    world.tell(C, "new", "r2")
    world.tell(P1, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    held(world.ask(P2, "old"), HoldReason.TOO_MANY_FAILURES)


def test_fix_that_changes_both_lets_through_again(world: World) -> None:
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    world.pages.append(page("r3", all_run("fixed"), WHERE))
    started(world.ask(C, "old"))
    world.tell(C, "fixed", "r3")
    started(world.ask(P1, "old"))


def test_relabelling_everybody_to_canary_opens_nothing(world: World) -> None:
    world.pages.append(page("r3", all_run("new"), dict.fromkeys(NODES, 0)))
    for node in (P1, R1):
        held(world.ask(node, "old"), HoldReason.GATE)
    started(world.ask(C, "old"))


def test_looser_policy_after_a_release_opens_nothing(world: World) -> None:
    loose = RolloutPolicy(())
    world.pages.append(page("r3", all_run("new"), dict.fromkeys(NODES, 0), loose))
    shut = held(world.ask(R1, "old"), HoldReason.GATE)
    assert shut.is_about_policy
    assert shut.approvals == 1
    world.tag(ControlKind.APPROVE, "r3", wave="rest", is_for_current_policy=True)
    started(world.ask(R1, "old"))


def test_dead_canary_is_passed_with_an_approval_of_the_current_policy(world: World) -> None:
    gone = {node: word for node, word in all_run("new").items() if node != C}
    moved = {**WHERE, P1: 0}
    world.pages.append(page("r3", gone, moved))
    world.tell(P1, "new", "r3")
    held(world.ask(P2, "old"), HoldReason.GATE)
    world.tag(ControlKind.APPROVE, "r3", wave="pilot", is_for_current_policy=True)
    started(world.ask(P2, "old"))


def test_halt_holds_and_resume_lets_go_on(world: World) -> None:
    halt = world.tag(ControlKind.HALT, "r2", owner="anna", roles=frozenset())
    held(world.ask(C, "old"), HoldReason.HALTED)
    world.tag(ControlKind.RESUME, "r2", resumes=halt.payload)
    started(world.ask(C, "old"))


def test_deleting_the_halt_blocks_what_was_built_on_it(world: World) -> None:
    halt = world.tag(ControlKind.HALT, "r2")
    world.pages.append(page("r3", all_run("newer"), WHERE, replace(WAVES, waves=(_asking("canary"), Wave("pilot")))))
    world.tag(ControlKind.APPROVE, "r3", wave="canary")
    world.tags.remove(halt)
    held(world.ask(C, "old"), HoldReason.APPROVAL)


def _asking(name: str, count: int = 1) -> Wave:
    return Wave(name, approvals=Approvals(count=count))


def test_approvals_count_owners_and_only_since_the_release(world: World) -> None:
    policy = RolloutPolicy((Wave("canary"), _asking("pilot", 2)))
    world.pages = [page("r1", all_run("old"), WHERE, policy), page("r2", all_run("new"), WHERE, policy)]
    world.tell(C, "new", "r2")
    world.tag(ControlKind.APPROVE, "r2", wave="pilot")
    world.tag(ControlKind.APPROVE, "r2", wave="pilot")
    assert held(world.ask(P1, "old"), HoldReason.APPROVAL).approvals == 1
    world.tag(ControlKind.APPROVE, "r1", wave="pilot", owner="otto")
    held(world.ask(P1, "old"), HoldReason.APPROVAL)
    world.tag(ControlKind.APPROVE, "r2", wave="pilot", owner="otto")
    started(world.ask(P1, "old"))


def test_change_that_no_earlier_wave_sees_needs_an_approval(world: World) -> None:
    only_rest = {node: "new" if WHERE[node] == 2 else "old" for node in NODES}
    world.pages[1] = page("r2", only_rest, WHERE, replace(WAVES, direct_most=2))
    held(world.ask(R1, "old"), HoldReason.TOO_LITTLE_EVIDENCE)
    world.tag(ControlKind.APPROVE, "r2", wave="rest")
    started(world.ask(R1, "old"))


def test_few_nodes_of_one_site_go_directly(world: World) -> None:
    here = {"x/1": 2, "x/2": 2, C: 0}
    world.pages = [
        page("r1", {**dict.fromkeys(here, "old")}, here),
        page("r2", {"x/1": "new", "x/2": "new", C: "old"}, here),
    ]
    started(world.ask("x/1", "old"))


def test_laundering_through_a_second_commit_is_too_little_evidence(world: World) -> None:
    world.tell(C, "new", "r2")
    for node in (P1, P2):
        world.tell(node, "new", "r2")
    sneaky = {node: "sneaky" if node == R1 else "new" for node in NODES}
    world.pages.append(page("r3", sneaky, WHERE))
    held(world.ask(R1, "old"), HoldReason.TOO_LITTLE_EVIDENCE)


def test_superseded_release_never_starts(world: World) -> None:
    world.pages.append(page("r3", all_run("newer"), WHERE))
    world.tell(C, "new", "r2")
    held(world.ask(P1, "old"), HoldReason.GATE)


def test_latched_release_waits_for_a_retry_that_names_it(world: World) -> None:
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    own = Own(C, content("old"), latched={content("new"): 2})
    held(world.ask(own), HoldReason.LATCHED)
    world.tag(ControlKind.RETRY, "r2", forgives=(Forgiven(C, 2),))
    started(world.ask(own))


def test_retry_forgives_no_failure_of_a_revision_after_the_one_that_it_names(world: World) -> None:
    """A node whose sequences began anew told it under a number that was forgiven before."""
    world.pages.append(page("r3", all_run("newer"), WHERE))
    own = Own(C, content("old"), latched={content("newer"): 2}, failed_at={content("newer"): "r3"})
    for target in ("r1", "r2"):
        world.tag(ControlKind.RETRY, target, forgives=(Forgiven(C, 2),))
        held(world.ask(own), HoldReason.LATCHED)
    world.tag(ControlKind.RETRY, "r3", forgives=(Forgiven(C, 2),))
    started(world.ask(own))


@pytest.mark.parametrize(("failed", "target"), [("unknown", "r1"), ("r2", "unknown")])
def test_retry_whose_place_nobody_knows_forgives_what_it_names(world: World, failed: str, target: str) -> None:
    own = Own(C, content("old"), latched={content("new"): 2}, failed_at={content("new"): failed})
    world.tag(ControlKind.RETRY, target, forgives=(Forgiven(C, 2),))
    started(world.ask(own))


def test_revert_commit_goes_at_once_to_those_that_ran_the_release(world: World) -> None:
    world.pages.append(page("r3", all_run("old"), WHERE))
    back = Own(C, content("new"), predecessor=content("old"), left_at=NOW - timedelta(hours=1))
    world.tag(ControlKind.HALT, "r2")
    assert started(world.ask(back), Cause.RETURN).digest == content("old")
    assert isinstance(world.ask(P1, "old"), Settled)
    held(world.ask(replace(back, left_badly=frozenset({content("old")}))), HoldReason.HALTED)
    held(world.ask(replace(back, left_at=NOW - timedelta(days=8))), HoldReason.HALTED)
    held(world.ask(replace(back, is_reversible=False)), HoldReason.HALTED)


def test_rollback_moves_away_and_bars_the_release_until_a_retry(world: World) -> None:
    own = Own(C, content("new"), kept=(content("old"),))
    world.tag(ControlKind.ROLLBACK, "r2", to="r1")
    world.tag(ControlKind.HALT, "r2")
    assert started(world.ask(own), Cause.ROLLBACK).digest == content("old")
    held(world.ask(C, "old"), HoldReason.EXCLUDED)
    held(world.ask(P1, "old"), HoldReason.EXCLUDED)
    world.tags.pop()
    world.tag(ControlKind.RETRY, "r2")
    started(world.ask(C, "old"))


def test_hotfix_needs_two_owners_and_skips_the_waves(world: World) -> None:
    soon = NOW + timedelta(hours=2)
    world.tag(ControlKind.HOTFIX, "r2", expires_at=soon)
    held(world.ask(R1, "old"), HoldReason.GATE)
    world.tag(ControlKind.HOTFIX, "r2", expires_at=soon, owner="otto")
    started(world.ask(R1, "old"), Cause.HOTFIX)
    world.now = soon
    held(world.ask(R1, "old"), HoldReason.GATE)


def test_fresh_node_takes_what_its_fellows_run_well(world: World) -> None:
    started(world.ask(R3, "-"), Cause.FELLOWS)
    assert world.ask(R3, "-").digest == content("old")  # type: ignore[union-attr]


def test_fresh_node_is_told_that_its_fellows_do_not_run_enough_well(world: World) -> None:
    for node in (R1, R2):
        world.tell(node, "old", "r1", soaked_for=timedelta(seconds=1))
    assert "half of the other nodes of this wave" in held(world.ask(R3, "-"), HoldReason.GATE).detail
    assert "half" not in held(world.ask(R3, "old"), HoldReason.GATE).detail


def test_fresh_node_of_a_fresh_fleet_waits_for_its_gate(world: World) -> None:
    world.said.clear()
    started(world.ask(C, "-"))
    held(world.ask(P1, "-"), HoldReason.GATE)


def test_removal_of_many_waits_for_an_approval(world: World) -> None:
    world.pages.append(page("r3", {}, WHERE))
    held(world.ask(R1, "new"), HoldReason.APPROVAL)
    world.tag(ControlKind.APPROVE, "r3", wave="rest")
    started(world.ask(R1, "new"), Cause.REMOVAL)
    world.tag(ControlKind.HALT, "r3")
    held(world.ask(R1, "new"), HoldReason.HALTED)


def test_removal_of_a_few_goes_at_once(world: World) -> None:
    fewer = {node: word for node, word in all_run("new").items() if node != R1}
    world.pages.append(page("r3", fewer, WHERE))
    started(world.ask(R1, "new"), Cause.REMOVAL)


def test_too_large_wave_never_opens(world: World) -> None:
    policy = RolloutPolicy((Wave("canary", most=Fraction(1, 10)), Wave("pilot", most=1)))
    world.pages = [page("r1", all_run("old"), WHERE, policy), page("r2", all_run("new"), WHERE, policy)]
    started(world.ask(C, "old"))
    held(world.ask(P1, "old"), HoldReason.WAVE_TOO_LARGE)


def test_paused_candidate_starts_nowhere(world: World) -> None:
    world.pages[1] = page("r2", all_run("new"), WHERE, replace(WAVES, is_paused=True))
    held(world.ask(C, "old"), HoldReason.PAUSED)


def test_canary_in_maintenance_leaves_its_wave_without_a_word(world: World) -> None:
    resting = [
        page(one.revision, all_run(word), WHERE, resting=[C])
        for one, word in zip(world.pages, ("old", "new"), strict=True)
    ]
    world.pages = resting
    held(world.ask(P1, "old"), HoldReason.TOO_LITTLE_EVIDENCE)


def test_equivocation_voids_good_news_and_keeps_failures(world: World) -> None:
    """Red where core/rollout/evidence.py has `if False:` for `if seen.setdefault(place, one.payload) !=
    one.payload:`.
    """
    said = world.tell(C, "new", "r2")
    world.said.append(replace(said, payload="another"))
    held(world.ask(P1, "old"), HoldReason.GATE)


def test_share_of_failures_that_a_wave_allows(world: World) -> None:
    gate = Gate(min_healthy=Fraction(1, 2), max_failures=Fraction(1, 2))
    policy = RolloutPolicy((Wave("canary"), Wave("pilot", gate=gate)))
    world.pages = [page("r1", all_run("old"), WHERE, policy), page("r2", all_run("new"), WHERE, policy)]
    world.tell(C, "new", "r2")
    world.tell(P1, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    started(world.ask(P2, "old"))
    world.tell(P2, "new", "r2")
    started(world.ask(R1, "old"))


def hotfixed(world: World) -> World:
    """Two owners ask for the newest revision at once."""
    for owner in ("rosa", "otto"):
        world.tag(ControlKind.HOTFIX, "r2", owner=owner, expires_at=NOW + timedelta(hours=2))
    return world


def test_hotfix_does_not_beat_a_halt(world: World) -> None:
    started(hotfixed(world).ask(R1, "old"), Cause.HOTFIX)
    world.tag(ControlKind.HALT, "r2")
    held(world.ask(R1, "old"), HoldReason.HALTED)


def test_hotfix_does_not_beat_failures(world: World) -> None:
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    held(hotfixed(world).ask(R1, "old"), HoldReason.TOO_MANY_FAILURES)


def test_return_asks_for_the_approvals_of_what_it_leaves_too(world: World) -> None:
    """A revert that drops the approvals in the same commit does not spare them."""
    strict = RolloutPolicy((_asking("canary"), Wave("pilot")))
    world.pages[1] = page("r2", all_run("new"), WHERE, strict)
    world.pages.append(page("r3", all_run("old"), WHERE))
    back = Own(C, content("new"), predecessor=content("old"), left_at=NOW - timedelta(hours=1))
    assert held(world.ask(back), HoldReason.APPROVAL).is_about_policy
    world.tag(ControlKind.APPROVE, "r3", wave="canary")
    started(world.ask(back), Cause.RETURN)


def test_return_asks_for_the_shorter_of_two_spans(world: World) -> None:
    """The commit that goes back does not lengthen the time in which it may."""
    world.pages[1] = page("r2", all_run("new"), WHERE, replace(WAVES, revert_within=timedelta(hours=1)))
    world.pages.append(page("r3", all_run("old"), WHERE))
    world.said.clear()
    back = Own(P1, content("new"), predecessor=content("old"), left_at=NOW - timedelta(hours=2))
    held(world.ask(back), HoldReason.GATE)


def test_fresh_node_runs_what_its_fellows_run_while_the_candidate_is_excluded_or_paused(world: World) -> None:
    world.tag(ControlKind.ROLLBACK, "r2", to="r1")
    assert started(world.ask(R3, "-"), Cause.FELLOWS).digest == content("old")
    world.tags.clear()
    world.pages[1] = page("r2", all_run("new"), WHERE, replace(WAVES, is_paused=True))
    assert started(world.ask(R3, "-"), Cause.FELLOWS).digest == content("old")


def test_fresh_node_does_not_trust_a_fellow_that_failed(world: World) -> None:
    """A release that failed on a fellow and runs there now is not what runs well there, where failures are allowed."""
    bold = RolloutPolicy((Wave("canary", gate=Gate(min_healthy=Fraction(1, 3), max_failures=Fraction(2, 3))),))
    here = {C: 0, P1: 0, R1: 0}
    world.pages = [page("r1", dict.fromkeys(here, "old"), here, bold)]
    world.said.clear()
    world.tell(P1, "old", "r1", failures=[("r1", "old")])
    started(world.ask(C, "-"))
    world.tell(R1, "old", "r1")
    started(world.ask(C, "-"), Cause.FELLOWS)


def test_rollback_does_not_go_to_what_failed_here(world: World) -> None:
    world.tag(ControlKind.ROLLBACK, "r2")
    own = Own(C, content("new"), kept=(content("old"),), latched={content("old"): 7})
    held(world.ask(own), HoldReason.EXCLUDED)
    world.tag(ControlKind.RETRY, "r1", forgives=(Forgiven(C, 7),))
    assert isinstance(world.ask(own), Settled)


def test_revocation_that_cannot_move_does_not_hide_the_rollback_that_can(world: World) -> None:
    """The key of the revocation is not valid any more: it still excludes, and the move is the rollback's."""
    world.tag(ControlKind.REVOKE, "r2", roles_now=frozenset())
    world.tag(ControlKind.ROLLBACK, "r2")
    own = Own(C, content("new"), kept=(content("old"),))
    assert started(world.ask(own), Cause.ROLLBACK).digest == content("old")


def test_without_waves_all_go_at_once_unless_halted_or_failed(world: World) -> None:
    world.pages = [page("r1", all_run("old"), dict.fromkeys(NODES, 0), RolloutPolicy())]
    world.pages.append(page("r2", all_run("new"), dict.fromkeys(NODES, 0), RolloutPolicy()))
    world.said.clear()
    for node in NODES:
        started(world.ask(node, "old"))
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    assert held(world.ask(R1, "old"), HoldReason.TOO_MANY_FAILURES).wave == "rest"
    world.said.clear()
    world.tag(ControlKind.HALT, "r2")
    held(world.ask(R1, "old"), HoldReason.HALTED)


@pytest.mark.parametrize(
    ("names", "is_direct"),
    [(("x/1", "x/2", "x/3", "x/4"), True), (("x/1", "x/2", "x/3", "x/4", "x/5"), False), (("x/1", "y/2"), False)],
)
def test_few_are_four_of_one_site(names: tuple[str, ...], *, is_direct: bool) -> None:
    waves = dict.fromkeys(names, 2)
    made = World([page("r1", dict.fromkeys(names, "old"), waves), page("r2", dict.fromkeys(names, "new"), waves)])
    assert isinstance(made.ask("x/1", "old"), Start) is is_direct


@pytest.mark.parametrize(("most", "is_open"), [(2, True), (1, False), (Fraction(1, 3), True), (Fraction(1, 10), False)])
def test_bound_of_a_wave_is_a_number_or_a_share_rounded_up(
    world: World, most: int | Fraction, *, is_open: bool
) -> None:
    """The pilots are two of six."""
    policy = RolloutPolicy((Wave("canary"), Wave("pilot", most=most)))
    world.pages = [page("r1", all_run("old"), WHERE, policy), page("r2", all_run("new"), WHERE, policy)]
    world.tell(C, "new", "r2")
    assert isinstance(world.ask(P1, "old"), Start) is is_open


def test_two_commits_that_mend_one_node_each_mend_nothing(world: World) -> None:
    """Red where core/rollout/blame.py has `return False` for `return at in road.span and not is_mended(failure.node,
    at, road)`.
    """
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    world.pages.append(page("r3", {**all_run("new"), C: "c3"}, WHERE))
    world.pages.append(page("r4", {**all_run("new"), C: "c3", P1: "p4"}, WHERE))
    world.tell(C, "c3", "r4")
    held(world.ask(P1, "old"), HoldReason.TOO_MANY_FAILURES)
