"""Law: what a clone says of itself is a place to begin, never a proof: the first commit that has a trust root.

For people who look at their own clone. A node pins what it was enrolled with, and never asks this.
"""

from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Pin, Refused, TrustLimits
from edgegitops.core.trust.lookup import Lookup
from edgegitops.core.trust.objects import Commit, first_parent, parse_commit
from edgegitops.core.trust.rotation import read_standing


def first_pin(objects: Objects, tip: str, checkpoint: str = "", *, limits: TrustLimits | None = None) -> Pin | Refused:
    """The pin that the oldest commit with a trust root would give; of `checkpoint`, where one is named."""
    lookup = Lookup(objects, limits or TrustLimits())
    chain = [checkpoint] if checkpoint else _first_parents(lookup, tip)
    why: Refused | None = None
    for oid in reversed(chain):
        data = lookup.commit(oid)
        commit = parse_commit(data) if isinstance(data, bytes) else data
        if not isinstance(commit, Commit):
            continue
        standing = read_standing(objects, commit.tree, limits=limits)
        if not isinstance(standing, Refused):
            return Pin(standing.newest.repository, standing.first_sha256, oid)
        why = why or standing
    return why or Refused(tip, Doubt.CHECKPOINT_MISSING, "its history cannot be read")


def _first_parents(lookup: Lookup, tip: str) -> list[str]:
    chain: list[str] = []
    oid: str | None = tip
    while oid is not None and len(chain) <= lookup.limits.commits:
        data = lookup.commit(oid)
        if isinstance(data, Refused):
            break
        chain.append(oid)
        oid = first_parent(data)
    return chain
