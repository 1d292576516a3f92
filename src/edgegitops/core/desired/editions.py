"""Law: what a snapshot says of one deployment on every node: who is a member, and of which wave.

A node is in the first wave that matches; the rest take the others, so waves are total and disjoint. A share of nodes is
by the hash of deployment and node, so that a node that joins moves no other. Digests are resolved elsewhere, for those
nodes that somebody asks about.
"""

import hashlib
from collections.abc import Iterator

from edgegitops.core.desired.deployments import Means, resolve_deployment
from edgegitops.core.desired.selectors import matches
from edgegitops.core.desired.values import Target
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.release import Release
from edgegitops.core.model.waves import Member, RolloutPolicy

_HUNDRED = 100
_SPACE = 2**64


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


def wave_of(policy: RolloutPolicy, deployment: str, seat: str, tags: dict[str, str]) -> int:
    """The index of the first wave that takes a node; the number of waves means the rest."""
    for at, wave in enumerate(policy.waves):
        if wave.selector is not None and matches(wave.selector, tags):
            return at
        if wave.percent is not None and is_in_share(deployment, seat, wave.percent):
            return at
    return len(policy.waves)


def is_in_share(deployment: str, seat: str, percent: int) -> bool:
    """Whether a node is in a share: the first 64 bits of SHA-256 of deployment, line feed and name, below it."""
    drawn = int.from_bytes(hashlib.sha256(f"{deployment}\n{seat}".encode()).digest()[:8])
    return drawn * _HUNDRED < percent * _SPACE


def resolve_release(snapshot: Snapshot, name: str, target: Target, means: Means) -> Release | None:
    """The release of a deployment on a node; None where its selector does not match, or it cannot be resolved."""
    deployment = snapshot.deployments.get(name)
    if deployment is None or not matches(deployment.selector, target.tags):
        return None
    return resolve_deployment(snapshot, deployment, target, means).release
