"""One release over one fleet, drawn: how it does on every node, and what later commits make of the fleet."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from tests.core.rollout.small_worlds import (
    NODES,
    Scene,
    more_tags,
    policies,
)
from tests.core.rollout.world import NOW, SOAK, D, World, content, page

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.waves import Edition
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading
from edgegitops.core.rollout.evidence import Evidence, Standpoint
from edgegitops.core.rollout.next_release import Cause, Own, Start
from edgegitops.core.rollout.road import road_to
from edgegitops.core.rollout.wave_gate import Case, case_of

WITHOUT_HOTFIX = (ControlKind.APPROVE, ControlKind.HALT, ControlKind.RESUME, ControlKind.REVOKE, ControlKind.ROLLBACK)
OUTCOMES = (None, ReportedState.HEALTHY, ReportedState.CHANGING, ReportedState.REVERTED)


def judge_of(world: World) -> tuple[ControlLog, Reading]:
    log = ControlLog(frozenset(world.tags), world.now if world.is_clock_trusted else None)
    standpoint = Standpoint(world.now, world.is_clock_trusted, 1, log.rooted)
    return log, Reading(D, Evidence(frozenset(world.said)), standpoint)


def case_at(world: World, own: Own) -> Case:
    """The case of a node's way to the newest revision."""
    return case_of(road_to(world.chain, own.node, own.running, len(world.pages) - 1), *judge_of(world))


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


def assert_opens_nothing(scene: Scene, other: World, but: frozenset[Cause] = frozenset()) -> None:
    """Where `other` knows worse, it starts nothing that the scene did not."""
    for own in scene.owns.values():
        after = other.ask(own)
        if isinstance(after, Start) and after.cause not in but:
            before = scene.world.ask(own)
            assert isinstance(before, Start), f"{own.node}: {before} became {after}"
