"""Invariants 1, 2 and 9: failures stop who they concern, and no commit loosens the rule that judges it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.rollout.small_worlds import (
    Scene,
    scenes,
)
from tests.core.rollout.trials import covered_of, moved, tale, trials
from tests.core.rollout.world import D, content

from edgegitops.core.model.control import ControlKind
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.count import allowed, needed, wave_at
from edgegitops.core.rollout.next_release import Start
from edgegitops.core.rollout.road import road_to


@settings(parent=settings.default, max_examples=4 * settings.default.max_examples)  # most trials end at a failure
@given(trials(), st.data())
def test_no_later_wave_starts_what_too_many_of_an_earlier_one_failed(
    trial: tuple[Scene, dict[str, ReportedState | None]], data: st.DataObject
) -> None:
    """Whatever of the reports arrives, and whatever is committed afterwards to relabel the nodes."""
    scene, outcomes = trial
    world = scene.world
    policy, members = world.pages[0].policy, world.pages[0].members
    groups = [covered_of(scene, wave) for wave in range(len(policy.waves) + 1)]
    if data.draw(st.booleans()):
        world.pages.append(moved(world.pages[1], data))
    for node in scene.nodes:
        for wave, covered in enumerate(groups[: members[node].wave]):
            need = min(needed(wave_at(policy, wave).gate, len(covered)), len(covered))
            failed = [one for one in covered if outcomes[one] is not ReportedState.HEALTHY]
            if len(failed) > len(covered) - need:
                assert not isinstance(world.ask(scene.owns[node]), Start)


@given(trials())
def test_nobody_starts_after_one_failure_too_many_of_its_own_wave(
    trial: tuple[Scene, dict[str, ReportedState | None]],
) -> None:
    scene, _ = trial
    world = scene.world
    policy, members = world.pages[0].policy, world.pages[0].members
    told = {one.report.name for one in world.said if one.report.deployments[D].failures}
    for node in scene.nodes:
        for wave in range(members[node].wave + 1):
            covered = covered_of(scene, wave)
            if len(told.intersection(covered)) > allowed(wave_at(policy, wave).gate, len(covered)):
                assert not isinstance(world.ask(scene.owns[node]), Start)


@given(trials(), st.data())
def test_failure_is_mended_only_by_a_commit_that_changes_both(
    trial: tuple[Scene, dict[str, ReportedState | None]], data: st.DataObject
) -> None:
    """Two more commits edit some nodes, and then all that failed run well what they were given."""
    scene, outcomes = trial
    world, first = scene.world, scene.world.pages[0]
    outcomes = {**outcomes, data.draw(st.sampled_from(scene.nodes)): ReportedState.REVERTED}
    takers = [node for node in scene.nodes if scene.is_new(node)]  # who was not to change comes from a later base
    failed = {node for node in takers if outcomes[node] is ReportedState.REVERTED}
    world.said = [one for node in failed for one in tale(node, "r2", "new", ReportedState.REVERTED)]
    edits = [data.draw(st.frozensets(st.sampled_from(scene.nodes))) for _ in range(2)]
    for at, edited in enumerate(edits, 3):
        digests = {node: content(f"w{at}") if node in edited else one for node, one in world.pages[-1].digests.items()}
        world.pages.append(replace(world.pages[-1], revision=f"r{at}", digests=digests))
    words = {node: "w4" if node in edits[1] else "w3" if node in edits[0] else "new" for node in scene.nodes}
    world.said += [one for node in scene.nodes for one in tale(node, "r4", words[node], ReportedState.HEALTHY, 3)]
    for node in takers:
        blamed = {one for one in failed if not any({node, one} <= edited for edited in edits)}
        for wave in range(first.members[node].wave + 1):
            covered = covered_of(scene, wave)
            if len(blamed.intersection(covered)) > allowed(wave_at(first.policy, wave).gate, len(covered)):
                assert not isinstance(world.ask(scene.owns[node]), Start)


@given(trials(), st.data())
def test_no_relabel_and_no_looser_policy_opens_what_was_shut(
    trial: tuple[Scene, dict[str, ReportedState | None]], data: st.DataObject
) -> None:
    scene, _ = trial
    world = scene.world
    before = {node: world.ask(own) for node, own in scene.owns.items()}
    after = replace(world, pages=[*world.pages, moved(world.pages[1], data)])
    for node, own in scene.owns.items():
        assert isinstance(before[node], Start) or not isinstance(after.ask(own), Start)


@given(trials())
def test_good_news_by_an_untrusted_clock_is_none(trial: tuple[Scene, dict[str, ReportedState | None]]) -> None:
    """A wave whose gate asks for anything does not start while the clock is not trusted."""
    scene, _ = trial
    world = replace(scene.world, is_clock_trusted=False)
    for node, own in scene.owns.items():
        earlier = range(scene.world.pages[0].members[node].wave)
        if any(covered_of(scene, wave) for wave in earlier):
            assert not isinstance(world.ask(own), Start)


@given(scenes(kinds=(ControlKind.APPROVE, ControlKind.HALT), most_commits=3), st.data())
def test_no_later_commit_opens_a_gate_that_the_old_policy_shuts(scene: Scene, data: st.DataObject) -> None:
    """The release comes under the policy and the waves of what runs; then anything but releases is committed."""
    world = scene.world
    for node, own in scene.owns.items():
        road = road_to(world.chain, node, own.running, len(world.pages) - 1)
        if own.running == ABSENT or road.is_from_nothing or world.pages[-1].digest(node) in {ABSENT, own.running}:
            continue
        quiet = replace(own, left_at=None)
        before = road.before
        rest = len(before.policy.waves)  # who is new makes no wave of the old policy too large
        members = {name: before.members.get(name, replace(one, wave=rest)) for name, one in road.after.members.items()}
        judged = replace(road.after, policy=replace(before.policy, is_paused=False), members=members)
        first = replace(world, pages=[*world.pages[:-1], judged])
        if isinstance(first.ask(quiet), Start):
            continue
        tags = [replace(tag, is_for_current_policy=False) for tag in world.tags]
        second = replace(first, pages=[*first.pages, moved(judged, data, node)], tags=tags)
        assert not isinstance(second.ask(quiet), Start)
