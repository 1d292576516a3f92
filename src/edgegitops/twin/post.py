"""Law: reports of the twin are verified when they are made, and are read by all from the next second on.

Each node writes what the daemon would write, when the daemon would: on news, and in time as a heartbeat. What is lost
is lost for everybody; the next one may arrive.
"""

from collections.abc import Iterable

from edgegitops.core.model.report import Statement
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.blame import Failure
from edgegitops.core.rollout.evidence import Evidence


class Heard(Evidence):
    """Evidence that grows by the newest words of honest nodes, at the cost of what is new. Two are never equal."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def renewed(self, statements: Iterable[Statement]) -> "Heard":
        """The union; every question is answered as over all statements ever made."""
        latest, failures, ran = dict(self.latest), dict(self._failures), set(self._ran)
        for one in statements:
            report = one.report
            latest[report.name] = report
            for name, told in report.deployments.items():
                if told.digest != ABSENT:
                    ran.add((report.name, name))
                if told.failures:
                    new = (
                        Failure(report.name, each.revision, each.digest, each.sequence, each.reason)
                        for each in told.failures
                    )
                    failures[name] = failures.get(name, frozenset()).union(new)
        grown = Heard()
        vars(grown).update(latest=latest, liars=frozenset(), _failures=failures, _ran=frozenset(ran))
        return grown
