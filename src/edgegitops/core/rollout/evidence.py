"""Law: evidence is the set of all verified reports; order, loss and repetition of messages change nothing.

1. A node's word is its report with the highest sequence, over all of its installations.
2. Two payloads of one installation under one sequence are a lie: that installation's good news never counts again. Its
   failures do: bad news needs no trust.
3. A failure is never forgotten because a later report does not tell it.
4. Good news counts only while it is fresh by a trusted clock, and not from a node that knows more than we do.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType

from edgegitops.core.model.report import Report, ReportedState, Statement
from edgegitops.core.model.waves import ABSENT, Gate
from edgegitops.core.rollout.blame import Failure

AHEAD = timedelta(minutes=5)
_NOBODY: frozenset[str] = frozenset()
_NONE: "Mapping[str, frozenset[Failure]]" = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Standpoint:
    """What the judge knows: the instant, whether the clock is trusted, its root version, and the control tags that it
    has with all that they continue.
    """

    now: datetime
    is_clock_trusted: bool
    root_version: int
    payloads: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Word:
    """All that one node has said. `latest` is its word (rule 1; None: nothing of it counts but failures), `lying` are
    installations of rule 2, `failures` by deployment those of rule 3, `ran` the deployments that it ever ran.
    """

    latest: Report | None = None
    lying: frozenset[str] = frozenset()
    failures: Mapping[str, frozenset[Failure]] = field(default_factory=dict)
    ran: frozenset[str] = frozenset()


def word_of(said: Collection[Statement], bygone: Collection[Statement] = ()) -> Word:
    """The word of one node. What was signed with a key that the node does not have any more is `bygone`: of that only
    failures count.
    """
    if len(said) == 1 and not bygone:
        (only,) = said
        return Word(only.report, _NOBODY, _told(said), _run(said))
    newest = max(said, key=rank, default=None)
    return Word(newest.report if newest else None, _lying(said), _told((*said, *bygone)), _run(said))


def _lying(said: Iterable[Statement]) -> frozenset[str]:
    seen: dict[tuple[str, int], str] = {}
    found = set()
    for one in said:
        place = (one.report.installation, one.report.sequence)
        if seen.setdefault(place, one.payload) != one.payload:
            found.add(place[0])
    return frozenset(found)


def _told(said: Iterable[Statement]) -> Mapping[str, frozenset[Failure]]:
    found: dict[str, set[Failure]] = {}
    for one in said:
        for name, told in one.report.deployments.items():
            if told.failures:
                found.setdefault(name, set()).update(failures_of(one.report, name))
    return {name: frozenset(failures) for name, failures in found.items()} if found else _NONE


def failures_of(report: Report, deployment: str) -> Iterator[Failure]:
    """The failures of a deployment that a report tells."""
    for one in report.deployments[deployment].failures:
        yield Failure(report.name, one.revision, one.digest, one.sequence, one.reason)


def _run(said: Iterable[Statement]) -> frozenset[str]:
    return frozenset([name for one in said for name, told in one.report.deployments.items() if told.digest != ABSENT])


@dataclass(frozen=True)
class Evidence:
    """What is known of a fleet: statements, or the words of nodes (`heard`), which are worked out when somebody asks;
    `accusers` are then the nodes whose words have failures.
    """

    statements: frozenset[Statement] = frozenset()
    heard: Mapping[str, Word] | None = None
    accusers: frozenset[str] = frozenset()

    def with_more(self, statements: Iterable[Statement]) -> "Evidence":
        """The union."""
        return Evidence(self.statements | frozenset(statements))

    @cached_property
    def words(self) -> Mapping[str, Word]:
        """The word of each node."""
        if self.heard is not None:
            return self.heard
        said: dict[str, list[Statement]] = {}
        for one in self.statements:
            said.setdefault(one.report.name, []).append(one)
        return {name: word_of(several) for name, several in said.items()}

    @cached_property
    def latest(self) -> Mapping[str, Report]:
        """The newest report of each node."""
        return {name: word.latest for name, word in self.words.items() if word.latest is not None}

    @property
    def liars(self) -> frozenset[tuple[str, str]]:
        """(node, installation) of rule 2."""
        return frozenset((name, one) for name, word in self.words.items() for one in word.lying)

    def failures(self, deployment: str) -> frozenset[Failure]:
        """Every failure of a deployment that any node ever told (rule 3)."""
        return self._failures.get(deployment, frozenset())

    @cached_property
    def _failures(self) -> Mapping[str, frozenset[Failure]]:
        found: dict[str, set[Failure]] = {}
        for name in self.words if self.heard is None else self.accusers:
            for deployment, failures in self.words[name].failures.items():
                found.setdefault(deployment, set()).update(failures)
        return {name: frozenset(failures) for name, failures in found.items()}

    def has_run(self, deployment: str, node: str) -> bool:
        """Whether a node ever reported a release of a deployment."""
        word = self.words.get(node)
        return word is not None and deployment in word.ran

    def is_good(self, node: str, deployment: str, digest: str, *, gate: Gate, standpoint: Standpoint) -> bool:
        """Whether the node's word is that it runs this digest, healthy for the gate's soak (rules 2 and 4)."""
        word = self.words.get(node)
        report = word.latest if word is not None else None
        if word is None or report is None or digest == ABSENT or report.installation in word.lying:
            return False
        told = report.deployments.get(deployment)
        if told is None or told.digest != digest or told.state is not ReportedState.HEALTHY:
            return False
        return (
            told.soaked_for >= gate.soak
            and is_fresh(report, gate.max_report_age, standpoint)
            and not is_ahead(report, standpoint)
        )


def is_fresh(report: Report, at_most: timedelta, standpoint: Standpoint) -> bool:
    """Whether a report is young enough; by a clock that is not trusted nothing is."""
    age = standpoint.now - report.issued_at
    return standpoint.is_clock_trusted and -AHEAD <= age <= at_most


def is_ahead(report: Report, standpoint: Standpoint) -> bool:
    """Whether its node knew of a root or a control tag that the judge does not have."""
    if report.root_version > standpoint.root_version:
        return True
    if not report.heads:
        return False
    return not all(head in standpoint.payloads for several in report.heads.values() for head in several)


def rank(one: Statement) -> tuple[int, datetime, str]:
    """Which of a node's statements counts: the highest."""
    return one.report.sequence, one.report.issued_at, one.payload
