"""Law: a revocation or rollback of a revision bars what that revision gave, and whatever may fail for the same reason.

Of target r it excludes, for a node whose digest r changed, that digest; and for any node the candidate wherever a
failure at r of a node that r changed would concern it. It lasts until a retry that stands after it. A target that the
chain does not have yet waits.
"""

from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.waves import Chain
from edgegitops.core.rollout.blame import Failure, does_concern
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.road import Road, changed_nodes, is_changed


def excluding(log: ControlLog, road: Road) -> ControlTag | None:
    """The first tag that excludes what the road leads to; None where none does. What a target excludes is asked once,
    however many tags name it: a stolen key can make thousands.
    """
    first = {tag.target: tag for tag in reversed(log.exclusions)}
    return next((tag for tag in log.exclusions if first[tag.target] is tag and _does_exclude(tag, road)), None)


def barring(log: ControlLog, chain: Chain, node: str, digest: str) -> list[ControlTag]:
    """The tags whose target gave the node this very digest."""
    return [tag for tag in log.exclusions if _does_bar(tag, chain, node, digest)]


def _does_exclude(tag: ControlTag, road: Road) -> bool:
    if _does_bar(tag, road.chain, road.node, road.after.digest(road.node)):
        return True
    at = _place(tag, road.chain)
    if at is None:
        return False
    then = road.chain.edition(at)
    changed = changed_nodes(road.chain, at)
    return any(does_concern(Failure(name, tag.target, then.digest(name)), road) for name in changed)


def _does_bar(tag: ControlTag, chain: Chain, node: str, digest: str) -> bool:
    at = _place(tag, chain)
    return at is not None and is_changed(chain, node, at) and chain.edition(at).digest(node) == digest


def _place(tag: ControlTag, chain: Chain) -> int | None:
    at = chain.position(tag.target)
    return at if at is not None and chain.revisions[at] == tag.target else None
