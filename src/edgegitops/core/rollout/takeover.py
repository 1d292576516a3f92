"""Law: a journal that knows less than its node's own published reports is not the one that made them, and goes on where
they end.

1. What failed here is latched again: bad news sticks, over lost journals too. Where a later report did not tell it any
   more, a retry named it, and names it still.
2. The sequence goes on above the highest published one; what is above this journal's own was made by another one, and
   so is what stands under this journal's own sequence with another payload: then the node speaks under a new id.
3. Under another report key nobody counts the sequences of before (`bygone`): where whoever had the old one used them
   up, the node begins anew.
4. What is taken over is bounded, the newest first: whoever has the key must not fill the journal, nor make the node's
   own reports longer than they may be for as long as it lives.
"""

from collections.abc import Collection

from edgegitops.core.model.events import WordTakenOver
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.report import SEQUENCE_MOST, ReportedFailure, Statement
from edgegitops.core.rollout.evidence import Evidence

MOST = 200
"""Failures that a node takes over as long as it has no more of them."""
WORD_MOST = 64
"""Characters of a digest, a commit or a reason."""


def take_over(
    ledger: Ledger, own: Collection[Statement], *, fresh: str, bygone: Collection[Statement] = ()
) -> WordTakenOver | None:
    """What to journal once this node's own reports were heard; None where the journal knows it all. `fresh` is an
    installation id that nobody ever had.
    """
    published = max((one.report.sequence for one in own), default=0)
    lying = {installation for _, installation in Evidence(frozenset(own)).liars}
    is_used_up = published < SEQUENCE_MOST <= ledger.report_sequence
    is_another = published > ledger.report_sequence or ledger.installation in lying or is_used_up
    if ledger.is_sure and not is_another:
        return None
    installation = fresh if is_another or not ledger.installation else ledger.installation
    room = MOST - sum(len(record.latches) for record in ledger.deployments.values())
    return WordTakenOver(published, installation, _failures((*own, *bygone), max(0, room)))


def _failures(own: Collection[Statement], room: int) -> dict[str, tuple[ReportedFailure, ...]]:
    """The failures that any of them tells, by deployment. A digest that failed once more after a retry stands with the
    later one, which that retry does not name.
    """
    found: dict[str, dict[str, ReportedFailure]] = {}
    for one in sorted(own, key=lambda known: known.payload):
        for name, told in one.report.deployments.items():
            known = found.setdefault(name, {})
            for failure in filter(_is_sound, told.failures):
                before = known.get(failure.digest)
                if before is None or before.sequence < failure.sequence:
                    known[failure.digest] = failure
    every = [(failure, name) for name, known in found.items() for failure in known.values()]
    every.sort(key=lambda one: (-one[0].sequence, one[1], one[0].digest))
    taken: dict[str, list[ReportedFailure]] = {}
    for failure, name in sorted(every[:room], key=lambda one: (one[1], one[0].digest)):
        taken.setdefault(name, []).append(failure)
    return {name: tuple(several) for name, several in taken.items()}


def _is_sound(failure: ReportedFailure) -> bool:
    return all(len(word) <= WORD_MOST for word in (failure.digest, failure.revision, failure.reason))
