"""The view of a rollout over a fleet that is written out: grouping changes no answer, and every hold has a way out."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.rollout.world import NOW, World, content, gate, page

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import Approvals, RolloutPolicy, Wave
from edgegitops.core.overview.effect import excluded, held_then, newest_change, touched_by, unforgiven
from edgegitops.core.overview.situation import Situation
from edgegitops.core.overview.waves import Force, Lack, force_of, view_of
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading
from edgegitops.core.rollout.evidence import Evidence, Standpoint
from edgegitops.core.rollout.next_release import Own, Question, next_release

C, P1, P2, R1, R2, R3 = NODES = ("a/c", "b/p", "d/p", "e/r", "f/r", "g/r")
WHERE = {C: 0, P1: 1, P2: 1, R1: 2, R2: 2, R3: 2}


def situation(world: World) -> Situation:
    log = ControlLog(frozenset(world.tags), world.now)
    standpoint = Standpoint(world.now, is_clock_trusted=True, root_version=1, payloads={t.payload for t in world.tags})
    return Situation("app", world.chain, log, Reading("app", Evidence(frozenset(world.said)), standpoint))


@pytest.fixture
def world() -> World:
    made = World([page("r1", dict.fromkeys(NODES, "old"), WHERE), page("r2", dict.fromkeys(NODES, "new"), WHERE)])
    for node in NODES:
        made.tell(node, "old", "r1")
    return made


def test_waves_are_told_in_order_with_what_holds_them(world: World) -> None:
    canary, pilot, rest = view_of(situation(world)).waves
    assert [one.tally.wave.name for one in (canary, pilot, rest)] == ["canary", "pilot", "rest"]
    assert canary.waiting[0].shut is None
    assert pilot.waiting[0].nodes == (P1, P2)
    assert rest.waiting[0].shut is not None
    assert canary.missing == ((C, Lack.OTHER),)


@pytest.mark.parametrize(
    ("state", "soaked_for", "later", "lack"),
    [
        (ReportedState.HEALTHY, timedelta(minutes=9), timedelta(), Lack.SOAKING),
        (ReportedState.UNHEALTHY, timedelta(hours=1), timedelta(), Lack.STATE),
        (ReportedState.HEALTHY, timedelta(hours=1), timedelta(hours=1), Lack.OLD),
    ],
)
def test_why_somebody_is_missing_is_told(
    world: World, state: ReportedState, soaked_for: timedelta, later: timedelta, lack: Lack
) -> None:
    world.tell(C, "new", "r2", state, soaked_for=soaked_for)
    world.now = NOW + later
    assert view_of(situation(world)).waves[0].missing == ((C, lack),)


def test_all_through_is_told(world: World) -> None:
    for node in NODES:
        world.tell(node, "new", "r2")
    view = view_of(situation(world))
    assert view.is_through
    assert [len(one.tally.good) for one in view.waves] == [1, 2, 3]


def test_who_runs_what_was_taken_back_is_told_to_leave_it(world: World) -> None:
    """Red where core/overview/situation.py answers for `self.pending` alone: all would be through."""
    for node in NODES:
        world.tell(node, "new", "r2")
    assert view_of(situation(world)).is_through
    world.tag(ControlKind.ROLLBACK, "r2")
    view = view_of(situation(world))
    assert not view.is_through
    assert [(one.waiting[0].nodes, one.waiting[0].cause) for one in view.waves] == [
        ((C,), "rollback"),
        ((P1, P2), "rollback"),
        ((R1, R2, R3), "rollback"),
    ]
    world.tell(C, "old", "r1")
    (back,) = view_of(situation(world)).waves[0].waiting
    assert back.shut is not None
    assert back.shut.reason == "excluded"


def test_who_runs_what_was_taken_back_leaves_it_also_while_a_newer_release_waits(world: World) -> None:
    """Red where core/overview/situation.py supposes that nothing is kept to go back to."""
    world.tell(P1, "new", "r2")
    world.tell(P2, "else", "r0")  # of a release that nobody knows here
    world.tag(ControlKind.ROLLBACK, "r2")
    world.pages.append(page("r3", dict.fromkeys(NODES, "newer"), WHERE))
    told = {one.nodes: (one.shut and one.shut.reason, one.cause) for one in view_of(situation(world)).waves[1].waiting}
    assert told == {(P1,): (None, "rollback"), (P2,): ("gate", "")}


def test_node_in_maintenance_starts_nothing_whatever_its_gate_says(world: World) -> None:
    """Red where core/overview/situation.py hands on what the gate says."""
    world.pages = [page(r, dict.fromkeys(NODES, w), WHERE, resting=[C]) for r, w in (("r1", "old"), ("r2", "new"))]
    seen = situation(world)
    (canary,) = view_of(seen).waves[0].waiting
    assert canary.shut is not None
    assert (canary.nodes, canary.shut.reason) == ((C,), "maintenance")
    hotfix = replace(draft(ControlKind.HOTFIX, "r2"), expires_at=NOW + timedelta(hours=1))
    held = held_then(seen, hotfix, frozenset({"release-manager"}))
    assert {one.reason: nodes for one, nodes in held.items()} == {"maintenance": (C,)}


def test_node_that_never_reported_is_supposed_to_run_what_it_was_given_before() -> None:
    world = World([page("r1", dict.fromkeys(NODES, "old"), WHERE), page("r2", dict.fromkeys(NODES, "new"), WHERE)])
    seen = situation(world)
    assert seen.running(C) == content("old")
    assert view_of(seen).waves[0].missing == ((C, Lack.SILENT),)


def test_approval_that_would_help_is_asked_for(world: World) -> None:
    waves = RolloutPolicy((Wave("canary"), Wave("pilot", approvals=Approvals(count=2))))
    world.pages = [page(r, dict.fromkeys(NODES, w), WHERE, waves) for r, w in (("r1", "old"), ("r2", "new"))]
    world.tell(C, "new", "r2")
    shut = view_of(situation(world)).waves[1].waiting[0].shut
    assert shut is not None
    assert (shut.wave, shut.approvals, shut.roles) == ("pilot", 2, ("release-manager",))
    for owner in ("rosa", "rick"):
        world.tag(ControlKind.APPROVE, "r2", wave="pilot", owner=owner)
    assert view_of(situation(world)).waves[1].waiting[0].shut is None


WORDS = st.sampled_from(["-", "one", "two", "three"])
PAGES = st.lists(st.fixed_dictionaries(dict.fromkeys(NODES, WORDS)), min_size=1, max_size=4)
SAID = st.lists(
    st.tuples(st.sampled_from(NODES), WORDS, st.integers(0, 3), st.booleans(), st.sampled_from([0, 10])), max_size=12
)


@settings(max_examples=400)
@given(PAGES, SAID, st.lists(st.tuples(st.sampled_from(list(ControlKind)), st.integers(0, 3)), max_size=3))
def test_equal_roads_have_equal_answers(
    pages: list[dict[str, str]], said: list[tuple[str, str, int, bool, int]], tags: list[tuple[ControlKind, int]]
) -> None:
    """Red where `likeness` leaves out a node's seats, or whether it ever ran the deployment."""
    world = World([page(f"r{at}", words, WHERE) for at, words in enumerate(pages)])
    for node, word, at, is_failed, minutes in said:
        revision = f"r{min(at, len(pages) - 1)}"
        failures = [(revision, word)] if is_failed and word != "-" else []
        world.tell(node, word, revision, soaked_for=timedelta(minutes=minutes), failures=failures)
    for kind, at in tags:
        world.tag(kind, f"r{min(at, len(pages) - 1)}", wave="pilot")
    seen = situation(world)
    for node, answer in seen.answers.items():
        told = seen.told(node)
        latched = {one.digest: one.sequence for one in told.failures} if told else {}
        failed_at = {one.digest: one.revision for one in told.failures} if told else {}
        kept = tuple(seen.chain.edition(at).digest(node) for at in seen.kept_at(node))
        own = Own(node, seen.running(node), latched=latched, failed_at=failed_at, kept=kept)
        assert answer == next_release(Question(own, seen.chain, seen.log, seen.reading))
    view_of(seen)


def test_node_that_runs_what_nobody_knows_is_not_one_that_runs_nothing(world: World) -> None:
    """Red where `likeness` leaves out whether a node runs nothing: only that one asks what its fellows run."""
    world.pages = [page(r, dict.fromkeys(NODES, word), WHERE) for r, word in (("r0", "one"), ("r1", "two"))]
    world.tell(R1, "from elsewhere", "r0")
    for word in ("one", "-"):
        world.tell(R2, word, "r0")
    world.tell(R3, "one", "r0", soaked_for=timedelta(hours=1))
    seen = situation(world)
    for node in (R1, R2):
        own = Own(node, seen.running(node))
        assert seen.answers[node] == next_release(Question(own, seen.chain, seen.log, seen.reading))
    assert seen.answers[R1] != seen.answers[R2]


def test_same_base_and_wave_is_not_yet_the_same_road(world: World) -> None:
    """Red where `likeness` leaves out the pattern of digests: the fix was none for the node that got it before."""
    words = ("one", "two", "three")
    world.pages = [page(f"r{at}", dict.fromkeys(NODES, word), WHERE) for at, word in enumerate(words)]
    world.pages[1] = page("r1", dict.fromkeys(NODES, "two") | {R2: "three"}, WHERE)
    for node in NODES:
        world.tell(node, "one", "r0")
    world.tell(C, "one", "r0", failures=[("r1", "two")])
    answers = situation(world).answers
    assert [getattr(answers[node], "reason", "") for node in (R1, R2)] == ["gate", "too-many-failures"]


def test_failure_on_the_node_itself_is_its_own(world: World) -> None:
    """Red where `likeness` leaves out the node's own failures."""
    waves = RolloutPolicy(
        (Wave("canary"), Wave("pilot", gate=gate(min_healthy=Fraction(1, 2), max_failures=Fraction(1))))
    )
    world.pages = [page(r, dict.fromkeys(NODES, w), WHERE, waves) for r, w in (("r1", "old"), ("r2", "new"))]
    world.tell(C, "new", "r2")
    world.tell(P2, "old", "r1", failures=[("r2", "new")])
    first, second = view_of(situation(world)).waves[1].waiting
    assert (first.nodes, first.shut) == ((P1,), None)
    assert second.shut is not None
    assert (second.nodes, second.shut.reason) == ((P2,), "latched")


def draft(kind: ControlKind, target: str, **more: str) -> ControlTag:
    return ControlTag("", 1, "app", kind, target, "rosa", **more)  # type: ignore[arg-type]


def test_effect_of_an_approval_is_its_wave(world: World) -> None:
    (one,) = touched_by(situation(world), draft(ControlKind.APPROVE, "r2", wave="pilot"))
    assert (one.nodes, one.old, one.new, one.guessed) == ((P1, P2), 0, 1, ())


def test_who_is_held_all_the_same_is_told_before_anything_is_signed(world: World) -> None:
    """Red where core/overview/effect.py takes a hotfix as said by one, or the tag as not said at all."""
    roles = frozenset({"release-manager"})

    def held(kind: ControlKind, **more: str) -> dict[str, tuple[str, ...]]:
        seen = situation(world)
        made = replace(draft(kind, "r2", **more), previous=seen.log.heads, expires_at=NOW + timedelta(hours=1))
        return {shut.reason: nodes for shut, nodes in held_then(seen, made, roles).items()}

    waves = RolloutPolicy((Wave("canary"), Wave("pilot", approvals=Approvals(count=1))))
    world.pages = [page(r, dict.fromkeys(NODES, w), WHERE, waves) for r, w in (("r1", "old"), ("r2", "new"))]
    assert held(ControlKind.APPROVE, wave="pilot") == {"gate": (P1, P2)}
    assert held(ControlKind.HOTFIX) == {}
    halt = world.tag(ControlKind.HALT, "r2")
    assert held(ControlKind.HOTFIX) == {"halted": NODES}
    assert held(ControlKind.RESUME, resumes=halt.payload) == {"gate": (P1, P2, R1, R2, R3)}
    assert held(ControlKind.HALT) == held(ControlKind.ROLLBACK) == {}
    world.tag(ControlKind.RESUME, "r2", resumes=halt.payload)
    world.tell(C, "new", "r2")
    assert held(ControlKind.APPROVE, wave="pilot") == {}


def test_effect_of_a_rollback_is_who_runs_it(world: World) -> None:
    world.tell(C, "new", "r2")
    seen = situation(world)
    (one,) = touched_by(seen, draft(ControlKind.ROLLBACK, "r2"))
    assert (one.nodes, one.old, one.new) == ((C,), 1, 0)
    assert excluded(seen, "r2") == NODES
    assert newest_change(seen) == "r2"


def test_revision_that_changed_nothing_excludes_nobody(world: World) -> None:
    world.pages.append(page("r3", dict.fromkeys(NODES, "new"), WHERE))
    seen = situation(world)
    assert excluded(seen, "r3") == ()
    assert newest_change(seen) == "r2"


def test_failures_in_the_way_are_named_once(world: World) -> None:
    world.tell(C, "old", "r1", ReportedState.REVERTED, failures=[("r2", "new")])
    (one,) = unforgiven(situation(world), "r2")
    assert (one.node, one.sequence) == (C, 2)
    assert unforgiven(situation(world), "r1") == (), "a retry of r1 would not forgive it"
    world.tag(ControlKind.RETRY, "r1", forgives=(one,))
    assert unforgiven(situation(world), "r2") == (one,)
    world.tag(ControlKind.RETRY, "r2", forgives=(one,))
    assert unforgiven(situation(world), "r2") == ()


def test_halt_that_two_keys_signed_is_one_halt_and_in_force_whosever_copy_is_looked_at(world: World) -> None:
    halt = world.tag(ControlKind.HALT, "r2")
    again = replace(halt, key="another", owner="anna")
    log = ControlLog(frozenset({halt, again}), NOW)
    assert len(log.halts) == 1
    assert {force_of(log, one) for one in (halt, again)} == {Force.IN_FORCE}


def test_force_of_tags_is_told(world: World) -> None:
    halt = world.tag(ControlKind.HALT, "r2")
    resume = world.tag(ControlKind.RESUME, "r2", resumes=halt.payload)
    late = world.tag(ControlKind.APPROVE, "r2", wave="pilot", expires_at=NOW)
    rogue = world.tag(ControlKind.RETRY, "r2", roles_now=frozenset())
    rollback = world.tag(ControlKind.ROLLBACK, "r2")
    lost = world.tag(ControlKind.RETRY, "r2", previous=("nobody has it",))
    log = ControlLog(frozenset(world.tags), NOW)
    forces = [force_of(log, one) for one in (halt, resume, late, rogue, rollback, lost)]
    assert forces == [Force.ENDED, Force.IN_FORCE, Force.EXPIRED, Force.NO_ROLE, Force.IN_FORCE, Force.NO_PLACE]
    whole = ControlLog(frozenset(world.tags) - {lost}, NOW)
    assert [force_of(whole, one) for one in (halt, resume)] == [Force.ENDED, Force.IN_FORCE]


def test_effect_of_a_tag_is_told_in_the_order_of_the_waves() -> None:
    where = {C: 2, P1: 1, P2: 0}
    world = World([page(name, dict.fromkeys(where, word), where) for name, word in (("r1", "old"), ("r2", "new"))])
    for node in where:
        world.tell(node, "old", "r1")
    touched = touched_by(situation(world), draft(ControlKind.HALT, "r2"))
    assert [one.wave for one in touched] == ["canary", "pilot", "rest"]
