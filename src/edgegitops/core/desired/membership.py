"""Law: a node is in the first wave that matches; the rest take the others, so waves are total and disjoint.

A share of nodes is by the hash of deployment and node, so that a node that joins moves no other.
"""

import hashlib
from collections.abc import Mapping

from edgegitops.core.desired.selectors import matches
from edgegitops.core.model.waves import RolloutPolicy

_HUNDRED = 100
_SPACE = 2**64


def wave_of(policy: RolloutPolicy, deployment: str, seat: str, tags: Mapping[str, str]) -> int:
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
