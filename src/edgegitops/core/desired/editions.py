"""Law: what a snapshot says of one deployment on every node: who is a member, of which wave, with which digest.

A node is in the first wave that matches; the rest take the others, so waves are total and disjoint. A share of nodes is
by the hash of deployment and node, so that a node that joins moves no other. A node for which the deployment cannot be
resolved makes the whole edition unreadable: nothing is concluded from half a revision.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

from edgegitops.core.desired.deployments import Means, resolve_deployment
from edgegitops.core.desired.selectors import matches
from edgegitops.core.desired.values import Target
from edgegitops.core.model.manifests import DeploymentManifest, Snapshot
from edgegitops.core.model.release import Release
from edgegitops.core.model.waves import Edition, Member, RolloutPolicy

Digest: TypeAlias = Callable[[DeploymentManifest, Target], str | None]
"""The release digest of a deployment on a node; None where it cannot be resolved."""

_HUNDRED = 100
_SPACE = 2**64


def edition_of(snapshot: Snapshot, name: str, digest: Digest) -> Edition | None:
    """The edition of a deployment; None where some node cannot be resolved."""
    deployment = snapshot.deployments.get(name)
    if deployment is None:
        return Edition(snapshot.revision, is_there=False)
    members: dict[str, Member] = {}
    digests: dict[str, str] = {}
    for seat, target in seats(snapshot):
        if not matches(deployment.selector, target.tags):
            continue
        found = digest(deployment, target)
        if found is None:
            return None
        keys = snapshot.keys.get(target.site.name)
        own = keys.nodes.get(target.node.name) if keys else None
        members[seat] = Member(
            wave_of(deployment.rollout, name, seat, target.tags),
            is_enrolled=bool(own and own.report),
            is_resting=target.node.is_in_maintenance,
        )
        digests[seat] = found
    return Edition(snapshot.revision, deployment.rollout, members, digests)


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
