"""Law: whoever tries a release out may suppose what nobody has signed; a node supposes nothing.

Reports and control tags stand here as if they had been verified. The one door takes them beside the facts, so that no
fact of a real node can hold any: the daemon gives it facts alone.
"""

from dataclasses import dataclass

from edgegitops.core.model.control import ControlTag
from edgegitops.core.rollout.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Assumed:
    """The word of all nodes, and the control tags of all deployments."""

    evidence: Evidence
    tags: frozenset[ControlTag] = frozenset()
