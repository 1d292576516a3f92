"""Invariants 6, 7, 8 and 12: statements are a set; bad news only shuts; forged, lost and repeated ones open nothing."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import TypeVar

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.core.rollout.small_worlds import (
    NODES,
    POSITIVES,
    Scene,
    more_tags,
    scenes,
    statements,
)
from tests.core.rollout.trials import assert_opens_nothing, case_at
from tests.core.rollout.world import NOW, SOAK, D

from edgegitops.core.model.control import NEGATIVES, ControlTag
from edgegitops.core.model.report import ReportedFailure, ReportedState, Statement
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.evidence import Evidence, word_of
from edgegitops.core.rollout.next_release import Cause
from edgegitops.core.rollout.wave_gate import tallies

Value = TypeVar("Value")


@given(scenes(), st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_decision(scene: Scene, chance: Random) -> None:
    said, tags = scene.world.said * 2, list(scene.world.tags) * 2
    chance.shuffle(said)
    chance.shuffle(tags)
    pages = [
        replace(one, members=shuffled(one.members, chance), digests=shuffled(one.digests, chance))
        for one in scene.world.pages
    ]
    for own in scene.owns.values():
        assert scene.world.ask(own) == scene.other(said=said, tags=tags, pages=pages).ask(own)


def shuffled(table: Mapping[str, Value], chance: Random) -> dict[str, Value]:
    keys = list(table)
    chance.shuffle(keys)
    return {key: table[key] for key in keys}


@given(st.lists(statements(NODES[:1], ["r1", "r2"]), max_size=6), st.randoms(use_true_random=False))
def test_word_of_a_node_does_not_depend_on_the_order_in_which_it_came(said: list[Statement], chance: Random) -> None:
    """Red where core/rollout/evidence.py takes the first statement for the newest."""
    assert word_of(said) == word_of(chance.sample(said * 2, 2 * len(said)))


@given(*[st.lists(statements(NODES, ["r1", "r2"]), max_size=4)] * 3)
def test_evidence_is_a_set(one: list[Statement], two: list[Statement], three: list[Statement]) -> None:
    a, b, c = (Evidence(frozenset(some)) for some in (one, two, three))
    assert a.with_more(b.statements) == b.with_more(a.statements)
    left, right = a.with_more(b.statements).with_more(c.statements), a.with_more(b.with_more(c.statements).statements)
    assert left == right
    assert left.with_more(left.statements) == left
    assert (left.latest, left.liars, left.failures(D)) == (right.latest, right.liars, right.failures(D))


@given(scenes(), st.data())
def test_more_bad_reports_open_nothing(scene: Scene, data: st.DataObject) -> None:
    revisions = [one.revision for one in scene.world.pages]
    word = data.draw(statements(scene.nodes, revisions))
    told = word.report.deployments[D]
    failure = ReportedFailure(data.draw(st.sampled_from(revisions)), told.digest, 5, "crashed")
    bad = replace(told, state=ReportedState.UNHEALTHY, failures=(*told.failures, failure))
    report = replace(word.report, sequence=data.draw(st.integers(1, 6)), deployments={D: bad})
    assert_opens_nothing(scene, scene.other(said=[*scene.world.said, Statement(report, "bad")]))


@given(scenes(), st.data())
def test_more_bad_tags_open_nothing_but_the_way_back(scene: Scene, data: st.DataObject) -> None:
    revisions = [one.revision for one in scene.world.pages]
    made = data.draw(more_tags(scene.world.tags, revisions, tuple(NEGATIVES)))
    other = scene.other(tags=[*scene.world.tags, made])
    assert_opens_nothing(scene, other, frozenset({Cause.ROLLBACK}))


@given(scenes())
def test_untrusted_clock_opens_nothing(scene: Scene) -> None:
    assert_opens_nothing(scene, scene.other(is_clock_trusted=False))


@given(scenes(), st.data())
def test_fork_opens_nothing(scene: Scene, data: st.DataObject) -> None:
    """A second tag on an old place, good or bad, makes none of the others count that did not."""
    assume(scene.world.tags)
    revisions = [one.revision for one in scene.world.pages]
    made = data.draw(more_tags(scene.world.tags, revisions))
    old, new = (ControlLog(frozenset(tags), NOW) for tags in (scene.world.tags, [*scene.world.tags, made]))
    for tag in scene.world.tags:
        assert old.counts(tag) or not new.counts(tag)
    assert made.payload not in old.heads
    rooted = [one for one in new.tags if not any(new.missing & {*two.previous} for two in road_of(new, one))]
    assert {one.payload for one in new.tags if new.counts(one)} <= {one.payload for one in rooted}
    for one in new.tags:
        if any(one not in road_of(new, two) and two not in road_of(new, one) for two in rooted):
            assert not new.counts(one)
    if not new.counts(made):
        assert_opens_nothing(scene, scene.other(tags=[*scene.world.tags, made]))


def road_of(log: ControlLog, tag: ControlTag) -> set[ControlTag]:
    """A tag and all that it continues."""
    found, waiting = {tag}, [tag]
    while waiting:
        before = {log.by_payload[one] for one in waiting.pop().previous if one in log.by_payload}
        waiting += before - found
        found |= before
    return found


@given(scenes(), st.data())
def test_tag_that_is_taken_away_voids_what_was_built_on_it(scene: Scene, data: st.DataObject) -> None:
    assume(scene.world.tags)
    lost = data.draw(st.sampled_from(scene.world.tags))
    whole = ControlLog(frozenset(scene.world.tags), NOW)
    rest = ControlLog(whole.tags - {lost}, NOW)
    for tag in rest.tags:
        if whole.stands_after(tag, lost):
            assert not rest.counts(tag)


@given(scenes(), st.data())
def test_stolen_node_key_fakes_its_own_vote_only(scene: Scene, data: st.DataObject) -> None:
    thief = data.draw(st.sampled_from(scene.nodes))
    revisions = [one.revision for one in scene.world.pages]
    forged = data.draw(st.lists(statements([thief], revisions), max_size=4))
    other = scene.other(said=[*scene.world.said, *forged])
    for own in scene.owns.values():
        before, after = (case_at(one, own) for one in (scene.world, other))
        for edition in (before.road.before, before.road.after):
            for old, new in zip(tallies(before, edition), tallies(after, edition), strict=True):
                assert old.failed ^ new.failed <= {thief}
                if new.covered and old.covered:
                    assert old.good ^ new.good <= {thief}


@given(scenes(), st.data())
def test_reports_of_another_deployment_change_nothing(scene: Scene, data: st.DataObject) -> None:
    """They carry good news and bad of the same digests, from nodes that say nothing else."""
    revisions = [one.revision for one in scene.world.pages]
    made = data.draw(st.lists(statements(["z/9", "z/8"], revisions), max_size=3))
    astray = [
        Statement(replace(one.report, deployments={"other": one.report.deployments[D]}), f"{one.payload} astray")
        for one in made
    ]
    for own in scene.owns.values():
        assert scene.world.ask(own) == scene.other(said=[*scene.world.said, *astray]).ask(own)


@given(scenes(), st.data())
def test_good_word_of_a_key_that_may_nothing_opens_nothing(scene: Scene, data: st.DataObject) -> None:
    revisions = [one.revision for one in scene.world.pages]
    made = data.draw(more_tags(scene.world.tags, revisions, POSITIVES))
    powerless = replace(made, roles_now=frozenset())
    assert_opens_nothing(scene, scene.other(tags=[*scene.world.tags, powerless]))


@given(scenes())
def test_old_report_said_again_changes_nothing(scene: Scene) -> None:
    """An earlier report of an installation that has said something since is no news, but for its failures."""
    assume(scene.world.said)
    last = max(scene.world.said, key=lambda one: one.report.sequence).report
    told = replace(last.deployments[D], state=ReportedState.HEALTHY, soaked_for=SOAK, failures=())
    first = replace(last, sequence=0, deployments={D: told})
    other = scene.other(said=[*scene.world.said, Statement(first, "early")])
    assert Evidence(frozenset(other.said)).latest == Evidence(frozenset(scene.world.said)).latest
    for own in scene.owns.values():
        assert scene.world.ask(own) == other.ask(own)
