"""Law: a failure on one node concerns another where that one is about to start what may fail for the same reason.

A failure of m at revision r concerns n on its road to c where one of these holds:
1. n's own digest is the same at r and at c;
2. m's digest is the same at r and at c, and the base did not give m that digest too;
3. r lies between base and candidate, and no revision after r changed both m's and n's digest: nothing that came since
   can have mended it for both.
Removing, retagging or editing either node forgives nothing. A failure at a revision that the chain does not have
concerns by its digest alone.
A retry forgives what it names, as far as that can have been known to it: no failure of a revision after its target. The
sequences of a node that lost everything begin anew, and a number that was forgiven once may come again.
"""

from dataclasses import dataclass

from edgegitops.core.model.control import ControlTag, Forgiven
from edgegitops.core.model.waves import ABSENT, Chain
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.road import Road


@dataclass(frozen=True, slots=True)
class Failure:
    """A release that failed on a node, as a report told it; `sequence` is that report's."""

    node: str
    revision: str
    digest: str
    sequence: int = 0
    reason: str = ""


def does_concern(failure: Failure, road: Road) -> bool:
    """Whether a failure counts against the road's node starting the candidate."""
    at = road.chain.position(failure.revision)
    if at is None:
        is_same = failure.digest not in {ABSENT, road.was(road.node)} and failure.digest == road.after.digest(road.node)
        return is_same or _is_kept(failure.digest, failure.node, road)
    then = road.chain.edition(at)
    own = then.digest(road.node)
    if own != ABSENT and own == road.after.digest(road.node):
        return True
    if _is_kept(then.digest(failure.node), failure.node, road):
        return True
    return at in road.span and not is_mended(failure.node, at, road)


def _is_kept(digest: str, node: str, road: Road) -> bool:
    return digest != ABSENT and digest == road.after.digest(node) and digest != road.was(node)


def is_mended(node: str, at: int, road: Road) -> bool:
    """Whether a revision after `at`, which lies on the road, changed both this node and the road's."""
    return road.last_mend(node) > at


def pardon(failure: Failure, log: ControlLog, chain: Chain) -> ControlTag | None:
    """The retry that forgives a failure, if there is one."""
    named = log.pardons.get(Forgiven(failure.node, failure.sequence), ())
    return next((tag for tag in named if is_told_by(failure, tag.target, chain)), None)


def is_told_by(failure: Failure, target: str, chain: Chain) -> bool:
    """Whether a failure may have been told when a commit was the newest; where the chain lacks either, it may."""
    at, upto = chain.position(failure.revision), chain.position(target)
    return at is None or upto is None or at <= upto
