"""Law: after a lost journal, what is found on the engine exactly as a believed revision wanted it serves.

The newest revision is asked first, then older ones, a few releases back: where the newest release failed here, or never
began, what runs is one before it, and without this nobody would heal it. What history does not tell takes the ordinary
road.
"""

from collections.abc import Iterator
from itertools import islice

from edgegitops.core.model.events import ReleaseAdopted
from edgegitops.core.model.facts import Desired, Facts
from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.release import Release
from edgegitops.core.model.trust import Refused
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.permit import Rollouts
from edgegitops.core.reconcile.adopt import is_found

LOOKED_BACK = 8
"""Distinct releases of a deployment, besides the newest."""


def adopted(facts: Facts, desired: Desired | None) -> list[ReleaseAdopted]:
    """What to journal of deployments of which nothing is remembered, but perhaps what failed."""
    if desired is None or not desired.is_enrolled:
        return []
    found: list[Release] = []
    for name in sorted({one.deployment for one in facts.observed.owned(facts.node.fleet)}):
        record = facts.ledger.deployments.get(name)
        if record is None or record == DeploymentRecord(name, latches=record.latches):
            releases = _wanted(facts, desired, name)
            found += islice((one for one in releases if is_found(facts.node.fleet, one, facts.observed)), 1)
    return [ReleaseAdopted(release.deployment, release) for release in found]


def _wanted(facts: Facts, desired: Desired, name: str) -> Iterator[Release]:
    """What this node was to run, newest first."""
    newest = desired.releases.get(name)
    if newest is not None:
        yield newest
    if facts.schemas is None or facts.objects is None:
        return
    history = Rollouts(facts, desired).history
    if isinstance(history, Refused):
        return
    chain, me = history.chain(name), f"{facts.node.site}/{facts.node.node}"
    seen = {newest.digest if newest is not None else ABSENT, ABSENT}
    for at in range(len(chain.revisions) - 1, -1, -1):
        digest = chain.edition(at).digest(me)
        if digest in seen:
            continue
        seen.add(digest)
        old = history.desired(chain.revisions[at], facts.node, facts.policy)
        release = old.releases.get(name) if old is not None else None
        if release is not None:
            yield release
        if len(seen) > LOOKED_BACK + 1:
            return
