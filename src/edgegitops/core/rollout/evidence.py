"""Law: evidence is the set of all verified reports; order, loss and repetition of messages change nothing.

1. A node's word is its report with the highest sequence, over all of its installations.
2. Two payloads of one installation under one sequence are a lie: that installation's good news never counts again. Its
   failures do: bad news needs no trust.
3. A failure is never forgotten because a later report does not tell it.
4. Good news counts only while it is fresh by a trusted clock, and not from a node that knows more than we do.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from edgegitops.core.model.report import Report, ReportedState, Statement
from edgegitops.core.model.waves import ABSENT, Gate
from edgegitops.core.rollout.blame import Failure

AHEAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Standpoint:
    """What the judge knows: the instant, whether the clock is trusted, its root version and the control tags it has."""

    now: datetime
    is_clock_trusted: bool
    root_version: int
    payloads: Collection[str] = frozenset()


@dataclass(frozen=True)
class Evidence:
    """All statements about one fleet."""

    statements: frozenset[Statement] = frozenset()

    def with_more(self, statements: Iterable[Statement]) -> "Evidence":
        """The union."""
        return Evidence(self.statements | frozenset(statements))

    @cached_property
    def latest(self) -> Mapping[str, Report]:
        """The word of each node (rule 1)."""
        best: dict[str, Statement] = {}
        for one in self.statements:
            known = best.get(one.report.name)
            if known is None or _rank(known) < _rank(one):
                best[one.report.name] = one
        return {name: one.report for name, one in best.items()}

    @cached_property
    def liars(self) -> frozenset[tuple[str, str]]:
        """(node, installation) of rule 2."""
        seen: dict[tuple[str, str, int], str] = {}
        found = set()
        for one in self.statements:
            report = one.report
            place = (report.name, report.installation, report.sequence)
            if seen.setdefault(place, one.payload) != one.payload:
                found.add(place[:2])
        return frozenset(found)

    def failures(self, deployment: str) -> frozenset[Failure]:
        """Every failure of a deployment that any node ever told (rule 3)."""
        return self._failures.get(deployment, frozenset())

    @cached_property
    def _failures(self) -> Mapping[str, frozenset[Failure]]:
        found: dict[str, set[Failure]] = {}
        for one in self.statements:
            for name, told in one.report.deployments.items():
                found.setdefault(name, set()).update(
                    Failure(one.report.name, failure.revision, failure.digest, failure.sequence, failure.reason)
                    for failure in told.failures
                )
        return {name: frozenset(failures) for name, failures in found.items()}

    def has_run(self, deployment: str, node: str) -> bool:
        """Whether a node ever reported a release of a deployment."""
        return (node, deployment) in self._ran

    @cached_property
    def _ran(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (one.report.name, name)
            for one in self.statements
            for name, told in one.report.deployments.items()
            if told.digest != ABSENT
        )

    def is_good(self, node: str, deployment: str, digest: str, *, gate: Gate, standpoint: Standpoint) -> bool:
        """Whether the node's word is that it runs this digest, healthy for the gate's soak (rules 2 and 4)."""
        report = self.latest.get(node)
        if report is None or digest == ABSENT or (node, report.installation) in self.liars:
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
    heads = {head for several in report.heads.values() for head in several}
    return report.root_version > standpoint.root_version or not heads <= set(standpoint.payloads)


def _rank(one: Statement) -> tuple[int, datetime, str]:
    return one.report.sequence, one.report.issued_at, one.payload
