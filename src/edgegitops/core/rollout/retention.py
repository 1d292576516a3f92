"""Law: of what a node said that is kept which anything may ever depend on, and no more than it is worth.

Kept are, newest first, those under the key that it has now before those under keys that it had (`bygone`), whose
sequences say nothing of each other: who was made anew with another key counts from one again.
1. its newest report;
2. two payloads of an installation under one sequence, one pair for each installation: the proof that it lies;
3. each report that tells a failure, or that a deployment ran, which no newer one that is kept tells; of bygone ones
   only failures are worth anything.
Whatever arrives again, in whatever order, what is kept says the same as all that was ever heard, but that a lie is
found only where its second half arrives before a newer report of the node. Only a node that floods its own word goes
beyond the bounds; then its oldest news go, and it hides nothing but what it says of itself.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from edgegitops.core.model.report import Statement
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.evidence import failures_of, rank

MOST = 32
"""Reports of one node."""
SIZE_MOST = 256 * 1024
"""Bytes of one node, besides its newest report."""


def worth_keeping(said: Mapping[Statement, int], bygone: Collection[Statement] = ()) -> tuple[Statement, ...]:
    """Which of one node's statements (with their sizes in bytes) are kept, newest first."""
    ranked = sorted(said, key=lambda one: (one not in bygone, rank(one)), reverse=True)
    proofs = _proofs([one for one in ranked if one not in bygone])
    kept: list[Statement] = ranked[:1]
    known = {fact for one in kept for fact in _facts(one)}
    size = 0
    for one in ranked[1:]:
        news = {*(_failures(one) if one in bygone else _facts(one))} - known
        if (news or one in proofs) and len(kept) < MOST and size + said[one] <= SIZE_MOST:
            kept.append(one)
            known |= news
            size += said[one]
    return tuple(kept)


def _proofs(ranked: Sequence[Statement]) -> set[Statement]:
    first: dict[tuple[str, int], Statement] = {}
    proven: set[str] = set()
    proofs: set[Statement] = set()
    for one in ranked:
        installation, sequence = one.report.installation, one.report.sequence
        other = first.setdefault((installation, sequence), one)
        if other != one and installation not in proven:
            proven.add(installation)
            proofs |= {one, other}
    return proofs


def _facts(one: Statement) -> Iterator[object]:
    """What a report tells that no later one takes back."""
    yield from (name for name, told in one.report.deployments.items() if told.digest != ABSENT)
    yield from _failures(one)


def _failures(one: Statement) -> Iterator[object]:
    for name in one.report.deployments:
        for failure in failures_of(one.report, name):
            yield name, failure
