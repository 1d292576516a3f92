"""Law: whether one believed commit comes after another, by first parents alone.

Nothing is judged here: both commits were believed once, and only their order is asked. None: the mirror does not say.
"""

from edgegitops.core.model.objects import Objects
from edgegitops.core.model.trust import TrustLimits
from edgegitops.core.trust.lookup import Lookup
from edgegitops.core.trust.objects import first_parent


def is_after(later: str, earlier: str, objects: Objects) -> bool | None:
    """True where the first-parent history of `later` leads to `earlier`; False where it ends without it."""
    lookup = Lookup(objects, TrustLimits())
    oid: str | None = later
    for _ in range(lookup.limits.commits):
        if oid is None:
            return False
        data = lookup.commit(oid)
        if not isinstance(data, bytes):
            return None
        oid = first_parent(data)
        if oid == earlier:
            return True
    return None
