"""What no history, no server, no forger and no accident may bring about, over random small fleets.

Deep with `EDGEGITOPS_DEEP=1`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from random import Random
from typing import TypeVar

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.core.rollout.small_worlds import (
    KINDS,
    NODES,
    POSITIVES,
    Scene,
    more_tags,
    policies,
    scenes,
    statements,
)
from tests.core.rollout.world import NOW, SOAK, D, World, content, page

from edgegitops.core.desired.membership import is_in_share, wave_of
from edgegitops.core.model.control import NEGATIVES, ControlKind, ControlTag
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.selector import Requirement, Selector
from edgegitops.core.model.waves import ABSENT, Edition, Gate, RolloutPolicy, Wave
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading, allowed, needed, tally, wave_at
from edgegitops.core.rollout.evidence import Evidence, Standpoint
from edgegitops.core.rollout.next_release import Cause, Own, Settled, Start
from edgegitops.core.rollout.road import road_to
from edgegitops.core.rollout.wave_gate import Case, case_of, tallies

WITHOUT_HOTFIX = (ControlKind.APPROVE, ControlKind.HALT, ControlKind.RESUME, ControlKind.REVOKE, ControlKind.ROLLBACK)
Value = TypeVar("Value")
OUTCOMES = (None, ReportedState.HEALTHY, ReportedState.CHANGING, ReportedState.REVERTED)


def judge_of(world: World) -> tuple[ControlLog, Reading]:
    standpoint = Standpoint(world.now, world.is_clock_trusted, 1, {tag.payload for tag in world.tags})
    log = ControlLog(frozenset(world.tags), world.now if world.is_clock_trusted else None)
    return log, Reading(D, Evidence(frozenset(world.said)), standpoint)


def case_at(world: World, own: Own) -> Case:
    """The case of a node's way to the newest revision."""
    return case_of(road_to(world.chain, own.node, own.running, len(world.pages) - 1), *judge_of(world))


# 1 and 2: failures


def tale(node: str, revision: str, word: str, state: ReportedState | None, sequence: int = 2) -> list[Statement]:
    """All that an honest node ever says of a release: nothing, that it runs well, that it began, that it failed."""
    site, _, name = node.partition("/")
    failures = (ReportedFailure(revision, content(word), sequence, "crashed"),)
    has_failed = state is ReportedState.REVERTED
    runs = content("old" if has_failed else word)
    soak = SOAK if state is ReportedState.HEALTHY else timedelta()
    told = ReportedDeployment(revision, runs, state or ReportedState.WAITING, soak, failures if has_failed else ())
    before = ReportedDeployment("r1", content("old"), ReportedState.HEALTHY, SOAK)
    both = [
        Report("f", site, name, "one", "boot", at, NOW, 1, "r1", deployments={D: one})
        for at, one in ((1, before), (sequence, told))
    ]
    return [Statement(one, repr(one)) for one in (both if state else both[:1])]


@st.composite
def trials(draw: st.DrawFn) -> tuple[Scene, dict[str, ReportedState | None]]:
    """All run the old release; how the new one does on every node; and later commits that move the nodes about."""
    nodes = NODES[: draw(st.integers(2, 5))]
    policy = draw(policies(may_pause=False))
    policy = replace(policy, waves=tuple(replace(wave, most=None) for wave in policy.waves))
    waves = {node: draw(st.integers(0, len(policy.waves))) for node in nodes}
    is_bad = draw(st.booleans())
    outcomes = {node: draw(st.sampled_from(OUTCOMES if is_bad else (ReportedState.HEALTHY,))) for node in nodes}
    taken = {node: draw(st.integers(0, 3)) > 0 for node in nodes}
    pages = [page("r1", dict.fromkeys(nodes, "old"), waves, policy)]
    pages.append(page("r2", {node: "new" if taken[node] else "old" for node in nodes}, waves, policy))
    said = [one for node in nodes if taken[node] for one in tale(node, "r2", "new", outcomes[node])]
    said = draw(st.lists(st.sampled_from(said), max_size=12)) if said and draw(st.integers(0, 3)) == 3 else said
    tags: list[ControlTag] = []
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 3)))):
        made = draw(more_tags(tags, ["r1", "r2"], WITHOUT_HOTFIX))
        tags.append(replace(made, is_for_current_policy=False))
    owns = {node: Own(node, content("old")) for node in nodes}
    return Scene(World(pages, said=said, tags=tags), nodes, owns), outcomes


def covered_of(scene: Scene, wave: int) -> list[str]:
    first, last = scene.world.pages[0], scene.world.pages[-1]
    members = [node for node, one in first.members.items() if one.wave == wave]
    return [node for node in members if first.digest(node) != last.digest(node)]


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


def moved(old: Edition, data: st.DataObject, node: str = "") -> Edition:
    """A commit that changes policy, waves, maintenance, and whom else it selects; of releases nothing but drops."""
    policy = data.draw(policies(may_pause=False))
    gone = data.draw(st.frozensets(st.sampled_from(sorted(old.members)))) - {node} if old.members and node else ()
    wave = st.integers(0, len(policy.waves))
    members = {
        name: replace(one, wave=data.draw(wave), is_resting=data.draw(st.integers(0, 3)) == 3)
        for name, one in old.members.items()
        if name not in gone
    }
    digests = {name: one for name, one in old.digests.items() if name in members}
    return Edition("moved", policy, members, digests)


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


# 3, 4, 5, 13: what may be started at all


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


# 6 and 8: a function of sets


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


@given(*[st.lists(statements(NODES, ["r1", "r2"]), max_size=4)] * 3)
def test_evidence_is_a_set(one: list[Statement], two: list[Statement], three: list[Statement]) -> None:
    a, b, c = (Evidence(frozenset(some)) for some in (one, two, three))
    assert a.with_more(b.statements) == b.with_more(a.statements)
    left, right = a.with_more(b.statements).with_more(c.statements), a.with_more(b.with_more(c.statements).statements)
    assert left == right
    assert left.with_more(left.statements) == left
    assert (left.latest, left.liars, left.failures(D)) == (right.latest, right.liars, right.failures(D))


# 7: bad news only shuts


def assert_opens_nothing(scene: Scene, other: World, but: frozenset[Cause] = frozenset()) -> None:
    """Where `other` knows worse, it starts nothing that the scene did not."""
    for own in scene.owns.values():
        after = other.ask(own)
        if isinstance(after, Start) and after.cause not in but:
            before = scene.world.ask(own)
            assert isinstance(before, Start), f"{own.node}: {before} became {after}"


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
    assert set(old.heads) & {made.payload} == set()


@given(scenes(), st.data())
def test_tag_that_is_taken_away_voids_what_was_built_on_it(scene: Scene, data: st.DataObject) -> None:
    assume(scene.world.tags)
    lost = data.draw(st.sampled_from(scene.world.tags))
    whole = ControlLog(frozenset(scene.world.tags), NOW)
    rest = ControlLog(whole.tags - {lost}, NOW)
    for tag in rest.tags:
        if whole.stands_after(tag, lost):
            assert not rest.counts(tag)


# 9: nobody loosens the rule that judges him


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
        members = {name: before.members.get(name, one) for name, one in road.after.members.items()}
        judged = replace(road.after, policy=replace(before.policy, is_paused=False), members=members)
        first = replace(world, pages=[*world.pages[:-1], judged])
        if isinstance(first.ask(quiet), Start):
            continue
        tags = [replace(tag, is_for_current_policy=False) for tag in world.tags]
        second = replace(first, pages=[*first.pages, moved(judged, data, node)], tags=tags)
        assert not isinstance(second.ask(quiet), Start)


# 10 and 11: waves and numbers

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


# 12: liars and thieves


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


# 14 and 15: hotfix and rollback


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


@given(scenes(kinds=(ControlKind.REVOKE, ControlKind.ROLLBACK, ControlKind.ROLLBACK)))
def test_rollback_ends_in_one_move(scene: Scene) -> None:
    """A node that does what it is told, cycle after cycle, comes to rest, and never where it left."""
    for own in scene.owns.values():
        me, left = own, []
        causes = []
        for _ in range(6):
            found = scene.world.ask(me)
            if not isinstance(found, Start):
                break
            causes.append(found.cause)
            assert found.digest not in left
            me = follow(me, found)
            left.append(own.running)
        else:
            raise AssertionError(f"no rest: {causes}")
        assert causes.count(Cause.ROLLBACK) <= 1


def follow(own: Own, start: Start) -> Own:
    """The node after it has done so, well."""
    badly = own.left_badly | {own.running} if start.cause in {Cause.ROLLBACK, Cause.RETURN} else own.left_badly
    kept = tuple(dict.fromkeys((start.digest, *own.kept))) if start.digest != ABSENT else own.kept
    return replace(
        own, running=start.digest, kept=kept, predecessor=own.running, left_at=NOW, left_badly=frozenset(badly)
    )
