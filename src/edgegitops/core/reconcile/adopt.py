"""Law: after a lost journal, what is found exactly as the last believed revision wants it is known to serve.

Exactly: every container of the release is there with our labels and its own digest, and no other of the deployment is
but those of jobs, which end.
Anything else may be halfway to somewhere, and takes the ordinary road: it is prepared, switched to and proven.
Without this a node that lost its journal would meet the next release with nothing to go back to.
"""

from edgegitops.core.model.naming import LABEL_JOB
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.release import Release
from edgegitops.core.reconcile.parts import parts_of


def is_found(fleet: str, release: Release, observed: Observed) -> bool:
    """Whether a release is on the engine, whole and alone."""
    wanted = {part.name: part.digest for part in parts_of(fleet, release).containers}
    seen = [one for one in observed.owned(fleet, release.deployment) if LABEL_JOB not in one.labels]
    found = {one.name: one.digest for one in seen}
    return bool(wanted) and found == wanted
