"""Small fleets drawn at random: two to five nodes, up to three waves, up to four commits, and what an adversary makes
of their reports and tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction

from hypothesis import strategies as st
from tests.core.rollout.world import NOW, SOAK, D, World, content, page

from edgegitops.core.model.control import ControlKind, ControlTag, Forgiven
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.waves import ABSENT, Approvals, Edition, Gate, RolloutPolicy, Wave
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.next_release import Own

NODES = ("a/1", "a/2", "b/3", "b/4", "c/5")
WORDS = ("A", "B", "C", "-")
NAMES = ("canary", "pilot", "rest")
KINDS = tuple(ControlKind)
POSITIVES = (ControlKind.APPROVE, ControlKind.RESUME, ControlKind.RETRY, ControlKind.HOTFIX)
MANAGER = frozenset({"release-manager"})
HALVES = (Fraction(1, 3), Fraction(1, 2), Fraction(1))


@dataclass
class Scene:
    """A world and the nodes that live in it: `owns` is what each knows of itself."""

    world: World
    nodes: tuple[str, ...]
    owns: dict[str, Own] = field(default_factory=dict)

    @property
    def tip(self) -> str:
        return self.world.pages[-1].revision

    def is_new(self, node: str) -> bool:
        """Whether the newest revision brings a node something else than the first."""
        return self.world.pages[0].digest(node) != self.world.pages[-1].digest(node)

    def other(self, **more: object) -> World:
        """The same world with something else in it."""
        return replace(self.world, **more)  # type: ignore[arg-type]


gates = st.builds(
    Gate,
    min_healthy=st.sampled_from(HALVES),
    min_count=st.integers(1, 2),
    max_failures=st.sampled_from((Fraction(0), *HALVES)),
    soak=st.sampled_from((timedelta(), SOAK)),
)


@st.composite
def policies(draw: st.DrawFn, *, may_pause: bool = True) -> RolloutPolicy:
    approvals = st.builds(Approvals, count=st.sampled_from((0, 0, 1, 2)))
    most = st.sampled_from((None, None, None, 1, Fraction(1, 2)))
    names = draw(st.sampled_from((NAMES[:0], NAMES[:1], NAMES[:2])))
    waves = tuple(Wave(name, gate=draw(gates), approvals=draw(approvals), most=draw(most)) for name in names)
    is_paused = may_pause and draw(st.integers(0, 9)) == 9
    return RolloutPolicy(waves, draw(st.sampled_from((4, 0, 1))), is_paused)


@st.composite
def chains(draw: st.DrawFn, nodes: Sequence[str], most: int = 4) -> list[Edition]:
    """Commits, each of which changes something of the one before: releases, waves, the policy, maintenance."""
    policy, resting = draw(policies()), frozenset[str]()
    words = {node: draw(st.sampled_from(WORDS)) for node in nodes}
    waves = {node: draw(st.integers(0, 2)) for node in nodes}
    found = []
    for at in range(draw(st.integers(1, most))):
        if at and draw(st.booleans()):
            words = dict.fromkeys(nodes, draw(st.sampled_from(WORDS)))
        elif at:
            words = {node: draw(st.sampled_from((words[node], *WORDS))) for node in nodes}
        if at and draw(st.integers(0, 3)) == 3:
            waves = {node: draw(st.integers(0, 2)) for node in nodes}
        if at and draw(st.integers(0, 3)) == 3:
            policy = draw(policies())
        if draw(st.integers(0, 5)) == 5:
            resting = draw(st.frozensets(st.sampled_from(nodes)))
        found.append(_page(f"r{at + 1}", words, waves, policy, resting))
    return found


def _page(
    revision: str, words: dict[str, str], waves: dict[str, int], policy: RolloutPolicy, resting: frozenset[str]
) -> Edition:
    seats = {node: min(wave, len(policy.waves)) for node, wave in waves.items()}
    return page(revision, words, seats, policy, sorted(resting))


@st.composite
def statements(draw: st.DrawFn, nodes: Sequence[str], revisions: Sequence[str]) -> Statement:
    """Any report that the key of one of these nodes can sign: true, false, old, of the future, or one of two."""
    words, where = st.sampled_from(WORDS), st.sampled_from((*revisions, "unknown"))
    failure = st.builds(
        ReportedFailure, where, words.map(content), sequence=st.integers(1, 4), reason=st.just("crashed")
    )
    state = st.sampled_from((ReportedState.HEALTHY, ReportedState.HEALTHY, ReportedState.UNHEALTHY))
    site, _, name = draw(st.sampled_from(tuple(nodes))).partition("/")
    told = ReportedDeployment(
        draw(where),
        content(draw(words)),
        draw(state),
        draw(st.sampled_from((SOAK, SOAK, timedelta()))),
        tuple(draw(st.lists(failure, max_size=1))) if draw(st.integers(0, 3)) == 3 else (),
    )
    report = Report(
        "f",
        site,
        name,
        draw(st.sampled_from(("one", "one", "two"))),
        "boot",
        draw(st.integers(1, 4)),
        NOW + timedelta(minutes=draw(st.sampled_from((0, 0, 0, -50, 4, 6)))),
        draw(st.sampled_from((1, 1, 1, 2))),
        "r1",
        heads={D: (draw(st.sampled_from(("t1", "t9"))),)} if draw(st.integers(0, 5)) == 5 else {},
        deployments={D: told},
    )
    return Statement(report, repr(report))


@st.composite
def more_tags(
    draw: st.DrawFn, known: Sequence[ControlTag], revisions: Sequence[str], kinds: Sequence[ControlKind] = KINDS
) -> ControlTag:
    """One more tag: mostly where it belongs, sometimes as a fork, over a hole, or by a key that may nothing."""
    heads = ControlLog(frozenset(known), NOW).heads
    before = [(tag.payload,) for tag in known]
    kind = draw(st.sampled_from(tuple(kinds)))
    halts = [tag.payload for tag in known if tag.kind is ControlKind.HALT]
    forgives = (Forgiven(draw(st.sampled_from(NODES)), draw(st.integers(1, 4))),)
    may = draw(st.sampled_from((MANAGER, MANAGER, MANAGER, frozenset[str]())))
    return ControlTag(
        payload=f"t{len(known) + 1}",
        number=len(known) + 1,
        deployment=D,
        kind=kind,
        target=draw(st.sampled_from((revisions[-1], *revisions, "unknown"))),
        owner=draw(st.sampled_from(("rosa", "otto"))),
        roles=may or draw(st.sampled_from((MANAGER, frozenset[str]()))),
        roles_now=may,
        previous=draw(st.sampled_from((heads, heads, heads, heads, *before, (), ("hole",)))),
        wave=draw(st.sampled_from(NAMES)),
        expires_at=draw(st.sampled_from((None, NOW + timedelta(hours=1), NOW + timedelta(hours=1), NOW))),
        to=draw(st.sampled_from(("", *revisions))) if kind is ControlKind.ROLLBACK else "",
        is_for_current_policy=draw(st.integers(0, 3)) == 3,
        forgives=forgives if kind is ControlKind.RETRY else (),
        resumes=draw(st.sampled_from(halts)) if halts and kind is ControlKind.RESUME else "",
    )


@st.composite
def scenes(draw: st.DrawFn, *, kinds: Sequence[ControlKind] = KINDS, most_commits: int = 4) -> Scene:
    """Anything at all."""
    nodes = NODES[: draw(st.integers(2, 5))]
    pages = draw(chains(nodes, most_commits))
    revisions = [one.revision for one in pages]
    said = draw(st.lists(statements(nodes, revisions), max_size=8))
    tags: list[ControlTag] = []
    for _ in range(draw(st.integers(0, 4))) if kinds else ():
        tags.append(draw(more_tags(tags, revisions, kinds)))
    world = World(pages, said=said, tags=tags)
    return Scene(world, nodes, {node: draw(owns(node, pages)) for node in nodes})


@st.composite
def owns(draw: st.DrawFn, node: str, pages: Sequence[Edition]) -> Own:
    """A node that runs anything that its history gave it, or nothing, or what nobody knows any more."""
    given = [one.digest(node) for one in pages]
    some = st.sampled_from((*given, *given, ABSENT, content("Z")))
    running = draw(some)
    kept = tuple(dict.fromkeys(one for one in draw(st.lists(some, max_size=2)) if one not in {ABSENT, running}))
    is_latched = draw(st.integers(0, 3)) == 3
    is_left = draw(st.integers(0, 2)) == 2
    return Own(
        node,
        running,
        latched={draw(some): draw(st.integers(1, 4))} if is_latched else {},
        kept=kept,
        predecessor=draw(some) if is_left else ABSENT,
        left_at=NOW - timedelta(days=draw(st.sampled_from((1, 8)))) if is_left else None,
        left_badly=frozenset({draw(some)}) if draw(st.integers(0, 5)) == 5 else frozenset(),
        is_reversible=draw(st.integers(0, 5)) != 5,
    )
