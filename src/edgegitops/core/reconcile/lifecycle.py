"""Law: a deployment moves between phases only as this table says; every other move is our bug.

`absent -> pending -> preparing -> ready -> switching -> proving -> healthy` is the road of a release. What begins to
switch ends at the new release (healthy) or at the old one (reverted), or says that it could do neither (stuck).
Before switching nothing that runs is touched, so refused, superseded and cancelled leave the old release as it was.
A deployment at rest is healthy again once what serves is what is wanted and has soaked; regressed once it fails.
"""

from edgegitops.core.model.release import Phase
from edgegitops.errors import BrokenInvariantError

_LEAVE_REST = frozenset({Phase.PENDING})
_AT_REST = _LEAVE_REST | {Phase.REGRESSED, Phase.HEALTHY}

MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.ABSENT: _LEAVE_REST,
    Phase.PENDING: frozenset({Phase.PREPARING, Phase.SUPERSEDED, Phase.REMOVING}),
    Phase.PREPARING: frozenset({Phase.READY, Phase.REFUSED, Phase.CANCELLED}),
    Phase.READY: frozenset({Phase.SWITCHING, Phase.SUPERSEDED, Phase.CANCELLED}),
    Phase.SWITCHING: frozenset({Phase.PROVING, Phase.REVERTING, Phase.STUCK}),
    Phase.PROVING: frozenset({Phase.HEALTHY, Phase.REVERTING, Phase.STUCK}),
    Phase.HEALTHY: _LEAVE_REST | {Phase.REGRESSED},
    Phase.REVERTING: frozenset({Phase.REVERTED, Phase.STUCK}),
    Phase.REVERTED: _AT_REST,
    Phase.STUCK: _LEAVE_REST | {Phase.HEALTHY},
    Phase.REFUSED: _AT_REST,
    Phase.SUPERSEDED: _AT_REST,
    Phase.CANCELLED: _AT_REST,
    Phase.REGRESSED: _LEAVE_REST | {Phase.HEALTHY},
    Phase.REMOVING: frozenset({Phase.ABSENT}),
}

OPEN = frozenset(
    {
        Phase.PENDING,
        Phase.PREPARING,
        Phase.READY,
        Phase.SWITCHING,
        Phase.PROVING,
        Phase.REVERTING,
        Phase.REMOVING,
    }
)

BEGUN = frozenset({Phase.SWITCHING, Phase.PROVING, Phase.REVERTING, Phase.REMOVING})


def check_move(old: Phase, new: Phase) -> None:
    """BrokenInvariantError where the table has no such move."""
    if new not in MOVES[old]:
        raise BrokenInvariantError(f"life cycle: no move from {old} to {new}")
