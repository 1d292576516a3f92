"""Law: a view of the repository that is too old raises an alarm and opens nothing; it never stops what runs.

How old a view is, only a signed freshness statement tells: a server that shows the same tip for ever gives no other
sign. Where the fleet names no `maxStaleness`, nothing is asked. Else a statement is needed that is not older than that
and has not ended. The instant is the trusted one: a clock that was set back makes nothing fresh.

What asks: whatever opens something for the first time (waves). Healing, reverts and removals never do.
"""

from datetime import datetime, timedelta

from edgegitops.core.model.facts import Hold, Proceed
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.trust import Freshness


def ends_at(fresh: Freshness, longest: timedelta) -> datetime:
    """When the statement stops to count."""
    return min(fresh.issued_at + longest, fresh.expires_at)


def ask_freshness(fresh: Freshness | None, longest: timedelta | None, now: datetime) -> Proceed | Hold:
    """Whether the view is fresh enough. `longest` is the fleet's maxStaleness; None: it asks for no statement."""
    if longest is None:
        return Proceed()
    if fresh is None:
        detail = "fleet.yaml asks for a freshness statement (maxStaleness), and no believed one is in the repository"
        return Hold(HoldReason.STALE, detail)
    if now < ends_at(fresh, longest):
        return Proceed()
    end = "it has expired" if fresh.expires_at <= fresh.issued_at + longest else "fleet.yaml asks for a newer one"
    detail = (
        f"the newest freshness statement is of {fresh.issued_at:%Y-%m-%d %H:%M} UTC, and {end}; is this node cut off?"
    )
    return Hold(HoldReason.STALE, detail)
