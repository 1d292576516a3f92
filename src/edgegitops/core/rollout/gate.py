"""Law: whether a deployment may begin to stop and start something here now. The plant has the last word.

Rules, in order: an operator's hold; the node in maintenance; the node's own policy against updates; `paused` in the
manifest. Waves, windows and interlocks are later rules of this same door; manifests that ask for them are refused
until then, so nothing is silently ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edgegitops.core.model.facts import Hold, Proceed
from edgegitops.core.model.ledger import OperatorHold
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Release


@dataclass(frozen=True, slots=True)
class Local:
    """What counts here besides Git: operators' holds by deployment (empty: all), the node's policy, maintenance."""

    now: datetime
    holds: Mapping[str, OperatorHold]
    policy: NodePolicy
    is_in_maintenance: bool


def may_start(deployment: str, target: Release | None, local: Local) -> Proceed | Hold:
    """Proceed, or the first reason not to; `target` None is a removal."""
    for key in (deployment, ""):
        hold = local.holds.get(key)
        if hold is not None and (hold.until is None or local.now < hold.until):
            return Hold(HoldReason.OPERATOR, hold.reason, hold.until)
    if local.is_in_maintenance:
        return Hold(HoldReason.MAINTENANCE, "the site's manifest puts this node in maintenance")
    if not local.policy.updates:
        return Hold(HoldReason.OPERATOR, f"{local.policy.file} says updates: deny")
    if target is not None and target.policy.paused:
        return Hold(HoldReason.PAUSED, "rollout.paused is true in the deployment's manifest")
    return Proceed()
