"""Law: after a lost journal, what is found exactly as the last believed revision wants it is known to serve.

Exactly: every container of the release is there with our labels and its own digest, and no other of the deployment is.
Anything else may be halfway to somewhere, and takes the ordinary road: it is prepared, switched to and proven.
Without this a node that lost its journal would meet the next release with nothing to go back to.
"""

from edgegitops.core.model.observed import Observed
from edgegitops.core.model.release import Release
from edgegitops.core.reconcile.parts import parts_of


def is_found(fleet: str, release: Release, observed: Observed) -> bool:
    """Whether a release is on the engine, whole and alone."""
    wanted = {part.name: part.digest for part in parts_of(fleet, release).containers}
    found = {seen.name: seen.digest for seen in observed.owned(fleet, release.deployment)}
    return bool(wanted) and found == wanted
