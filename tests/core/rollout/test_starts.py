"""Invariants 3, 5, 13, 14 and 15: what a node may start at all, whatever history and tags say."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.rollout.small_worlds import (
    KINDS,
    Scene,
    scenes,
)
from tests.core.rollout.trials import case_at
from tests.core.rollout.world import NOW, World

from edgegitops.core.model.control import ControlKind
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.next_release import Cause, Own, Settled, Start
from edgegitops.core.rollout.road import road_to
from edgegitops.core.rollout.wave_gate import tallies


@given(scenes())
def test_only_releases_of_the_chain_start_and_superseded_ones_only_by_their_two_rules(scene: Scene) -> None:
    world, tip = scene.world, scene.world.pages[-1]
    for node, own in scene.owns.items():
        found = world.ask(own)
        if isinstance(found, Start):
            at = world.chain.position(found.revision)
            assert at is not None
            assert world.pages[at].digest(node) == found.digest != own.running
            assert (found.digest == ABSENT) == (found.cause is Cause.REMOVAL)
            if found.cause is Cause.FELLOWS:
                assert own.running == ABSENT
            elif found.cause is Cause.ROLLBACK:
                assert found.digest in own.kept
                assert any(tag.kind in {ControlKind.ROLLBACK, ControlKind.REVOKE} for tag in world.tags)
            else:
                assert found.revision == tip.revision
        elif isinstance(found, Settled):
            assert tip.digest(node) == own.running
        else:
            assert found.detail


@given(scenes(kinds=tuple(kind for kind in KINDS if kind is not ControlKind.RETRY)))
def test_what_failed_here_never_starts_here_again_without_a_retry(scene: Scene) -> None:
    for own in scene.owns.values():
        found = scene.world.ask(own)
        assert not (isinstance(found, Start) and found.digest in own.latched and found.digest != ABSENT)


def with_hotfix(scene: Scene) -> World:
    """The log begins anew with a hotfix of the newest revision by two owners."""
    world = scene.other(tags=[])
    for owner in ("rosa", "otto"):
        world.tag(ControlKind.HOTFIX, scene.tip, owner=owner, expires_at=NOW + timedelta(hours=2))
    return world


@given(scenes(), st.sampled_from([ControlKind.HALT, ControlKind.REVOKE, ControlKind.ROLLBACK]))
def test_hotfix_never_beats_a_halt_or_a_revocation(scene: Scene, kind: ControlKind) -> None:
    world = with_hotfix(scene)
    world.tag(kind, scene.tip)
    road = {node: road_to(world.chain, node, own.running, len(world.pages) - 1) for node, own in scene.owns.items()}
    for node, own in scene.owns.items():
        found = world.ask(own)
        is_touched = len(world.pages) - 1 in road[node].own_changes
        if kind is ControlKind.HALT or is_touched:
            assert not (isinstance(found, Start) and found.cause is Cause.HOTFIX)


@given(scenes())
def test_hotfix_never_beats_failures_or_the_latch(scene: Scene) -> None:
    world = with_hotfix(scene)
    for own in scene.owns.values():
        found, case = world.ask(own), case_at(world, own)
        if isinstance(found, Start) and found.cause is Cause.HOTFIX:
            assert found.digest not in own.latched
            counted = [one for edition in (case.road.before, case.road.after) for one in tallies(case, edition)]
            assert all(len(one.failed) <= one.allowed for one in counted)
            assert not case.road.after.policy.is_paused


@settings(parent=settings.default, max_examples=5 * settings.default.max_examples)  # two tags that meet are rare
@given(scenes(kinds=(ControlKind.REVOKE, ControlKind.ROLLBACK, ControlKind.ROLLBACK)), st.data())
def test_rollback_ends_in_one_move(scene: Scene, data: st.DataObject) -> None:
    """A node that does what it is told, cycle after cycle, comes to rest, and never where it left, nor at anything else
    that was taken back. Some have come to the tip, and have kept all that they were ever given.
    """
    for own in scene.owns.values():
        gave = [one.digest(own.node) for one in scene.world.pages]
        is_long_here = gave[-1] != ABSENT and data.draw(st.integers(0, 3)) > 0
        kept = data.draw(st.permutations(sorted({*gave} - {gave[-1], ABSENT}))) if is_long_here else own.kept
        me = replace(own, running=gave[-1], kept=tuple(kept)) if is_long_here else own
        left = []
        causes = []
        for _ in range(6):
            found = scene.world.ask(me)
            if not isinstance(found, Start):
                break
            causes.append(found.cause)
            assert found.digest not in left
            assert found.digest == ABSENT or found.digest not in taken_back(scene, own.node)
            left.append(me.running)
            me = follow(me, found)
        else:
            raise AssertionError(f"no rest: {causes}")
        assert causes.count(Cause.ROLLBACK) <= 1


def taken_back(scene: Scene, node: str) -> set[str]:
    """What the targets of those who may take back gave a node."""
    pages = scene.world.pages
    targets = {tag.target for tag in scene.world.tags if "release-manager" in tag.roles}
    steps = [at for at, one in enumerate(pages) if one.revision in targets]
    gave = [(pages[at - 1].digest(node) if at else ABSENT, pages[at].digest(node)) for at in steps]
    return {after for before, after in gave if before != after}


def follow(own: Own, start: Start) -> Own:
    """The node after it has done so, well."""
    badly = own.left_badly | {own.running} if start.cause in {Cause.ROLLBACK, Cause.RETURN} else own.left_badly
    kept = tuple(dict.fromkeys((start.digest, *own.kept))) if start.digest != ABSENT else own.kept
    return replace(
        own, running=start.digest, kept=kept, predecessor=own.running, left_at=NOW, left_badly=frozenset(badly)
    )
