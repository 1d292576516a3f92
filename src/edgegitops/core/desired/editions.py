"""Law: what a snapshot says of one deployment on every node: who is a member, and of which wave.

Digests are resolved elsewhere, for those nodes that somebody asks about.
"""

from collections.abc import Iterator

from edgegitops.core.desired.deployments import Means, resolve_deployment
from edgegitops.core.desired.membership import wave_of
from edgegitops.core.desired.selectors import matches
from edgegitops.core.desired.values import Target
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.release import Release
from edgegitops.core.model.waves import Member


def members_of(snapshot: Snapshot, name: str) -> dict[str, Member]:
    """The members of a deployment by `<site>/<node>`; none where the snapshot does not have it."""
    deployment = snapshot.deployments.get(name)
    if deployment is None:
        return {}
    members: dict[str, Member] = {}
    for seat, target in seats(snapshot):
        tags = target.tags
        if matches(deployment.selector, tags):
            keys = snapshot.keys.get(target.site.name)
            own = keys.nodes.get(target.node.name) if keys else None
            members[seat] = Member(
                wave_of(deployment.rollout, name, seat, tags),
                is_enrolled=bool(own and own.report),
                is_resting=target.node.is_in_maintenance,
            )
    return members


def seats(snapshot: Snapshot) -> Iterator[tuple[str, Target]]:
    """`<site>/<node>` and what it is resolved for, of every node, by name."""
    for site in sorted(snapshot.sites):
        place = snapshot.sites[site]
        for node in sorted(place.nodes):
            yield f"{site}/{node}", Target(snapshot.fleet, place, place.nodes[node])


def resolve_release(snapshot: Snapshot, name: str, target: Target, means: Means) -> Release | None:
    """The release of a deployment on a node; None where its selector does not match, or it cannot be resolved."""
    deployment = snapshot.deployments.get(name)
    if deployment is None or not matches(deployment.selector, target.tags):
        return None
    return resolve_deployment(snapshot, deployment, target, means).release
