"""A small fleet written out: revisions as tables of digests, and what its nodes, managers and clocks say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from edgegitops.core.model.canonical import digest
from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.waves import ABSENT, Edition, Editions, Gate, Member, RolloutPolicy, Wave
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading
from edgegitops.core.rollout.evidence import Evidence, Standpoint
from edgegitops.core.rollout.next_release import Own, Question, Settled, Start, next_release
from edgegitops.core.rollout.wave_gate import Shut

D = "app"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SOAK = timedelta(minutes=10)
WAVES = RolloutPolicy((Wave("canary"), Wave("pilot")))


def content(word: str) -> str:
    """The digest of a release that is called so."""
    return ABSENT if word == "-" else digest(word)


C, P1, P2, R1, R2, R3 = "a/c", "b/p", "d/p", "e/r", "f/r", "g/r"
NODES = (C, P1, P2, R1, R2, R3)
WHERE = {C: 0, P1: 1, P2: 1, R1: 2, R2: 2, R3: 2}


def all_run(word: str) -> dict[str, str]:
    return dict.fromkeys(NODES, word)


def page(
    revision: str,
    words: Mapping[str, str],
    waves: Mapping[str, int],
    policy: RolloutPolicy = WAVES,
    resting: Sequence[str] = (),
) -> Edition:
    """A revision: node -> word of its release (`-`: not selected), node -> wave."""
    there = {node: word for node, word in words.items() if word != "-"}
    return Edition(
        revision,
        policy,
        {node: Member(waves[node], is_resting=node in resting) for node in there},
        {node: content(word) for node, word in there.items()},
    )


@dataclass
class World:
    """A fleet whose reports and tags grow as a test goes on."""

    pages: list[Edition] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    said: list[Statement] = field(default_factory=list)
    tags: list[ControlTag] = field(default_factory=list)
    now: datetime = NOW
    is_clock_trusted: bool = True

    @property
    def chain(self) -> Editions:
        return Editions(tuple(self.pages))

    def tell(
        self,
        node: str,
        word: str,
        revision: str,
        state: ReportedState = ReportedState.HEALTHY,
        *,
        soaked_for: timedelta = SOAK,
        failures: Sequence[tuple[str, str]] = (),
    ) -> Statement:
        """The node reports; `failures` are (revision, word) that failed there, kept from report to report."""
        old = self.reports.get(node)
        sequence = old.sequence + 1 if old else 1
        kept = old.deployments[D].failures if old and D in old.deployments else ()
        fresh = tuple(ReportedFailure(where, content(what), sequence, "crashed") for where, what in failures)
        told = ReportedDeployment(revision, content(word), state, soaked_for, kept + fresh)
        site, _, name = node.partition("/")
        report = Report("f", site, name, "one", "boot", sequence, self.now, 1, revision, deployments={D: told})
        self.reports[node] = report
        self.said.append(Statement(report, f"{node}#{sequence}#{digest(repr(report))}"))
        return self.said[-1]

    def tag(self, kind: ControlKind, target: str, **more: object) -> ControlTag:
        """A manager continues the log."""
        heads = ControlLog(frozenset(self.tags), self.now).heads
        made = ControlTag(
            payload=f"t{len(self.tags) + 1}",
            number=len(self.tags) + 1,
            deployment=D,
            kind=kind,
            target=target,
            owner="rosa",
            roles=frozenset({"release-manager"}),
            roles_now=frozenset({"release-manager"}),
            previous=heads,
        )
        self.tags.append(replace(made, **more))  # type: ignore[arg-type]
        return self.tags[-1]

    def ask(self, own: Own | str, running: str = "-", **more: object) -> Start | Settled | Shut:
        """What a node may start, which runs the release of that word."""
        me = own if isinstance(own, Own) else Own(own, content(running), **more)  # type: ignore[arg-type]
        log = ControlLog(frozenset(self.tags), self.now if self.is_clock_trusted else None)
        standpoint = Standpoint(self.now, self.is_clock_trusted, 1, log.rooted)
        return next_release(Question(me, self.chain, log, Reading(D, Evidence(frozenset(self.said)), standpoint)))


def gate(**more: object) -> Gate:
    return Gate(**more)  # type: ignore[arg-type]
