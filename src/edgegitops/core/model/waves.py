"""How a release goes through a fleet: waves, gates, and what one revision says of one deployment on every node.

Nodes are called `<site>/<node>`. Shares are exact (`Fraction`), so that no rounding of floats opens a gate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from functools import cached_property
from typing import Protocol

from edgegitops.core.model.canonical import digest
from edgegitops.core.model.selector import Selector

ABSENT = digest(None)
"""The release digest of a deployment on a node that does not have it."""

REST = "rest"
"""The name of the implicit last wave."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a wave must show before a later one may start. `min_healthy` and `max_failures` are shares of the covered
    members, `min_count` a number of them.
    """

    min_healthy: Fraction = Fraction(1)
    min_count: int = 1
    max_failures: Fraction = Fraction(0)
    soak: timedelta = timedelta(minutes=10)
    max_report_age: timedelta = timedelta(minutes=45)


@dataclass(frozen=True, slots=True)
class Approvals:
    """How many distinct owners of keys with one of these roles must approve the wave."""

    roles: tuple[str, ...] = ("release-manager",)
    count: int = 0


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave: its nodes by `selector`, or by `percent` of a stable hash. `most` bounds it: a whole number of nodes,
    or a share of the selected ones (rounded up, at least 1); a larger wave never opens.
    """

    name: str
    selector: Selector | None = None
    percent: int | None = None
    most: int | Fraction | None = None
    gate: Gate = Gate()
    approvals: Approvals = Approvals()


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """`spec.rollout` of a deployment. The last wave (`rest`) is not written: it takes every node that no other takes.

    `revert_within` is how long going back to the direct predecessor needs no evidence.
    """

    waves: tuple[Wave, ...] = ()
    direct_most: int = 4
    is_paused: bool = False
    revert_within: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Member:
    """A node that a revision selects for a deployment. `wave` is an index into the policy's waves; their number means
    the rest. `is_enrolled`: it has a report key at that revision.
    """

    wave: int
    is_enrolled: bool = True
    is_resting: bool = False


@dataclass(frozen=True)
class Edition:
    """What one revision says of one deployment in the whole fleet.

    `digests` has the release digest of each member; a node that is not in it does not have the deployment there.
    `is_there` is False where the revision has no such deployment at all.
    """

    revision: str
    policy: RolloutPolicy = RolloutPolicy()
    members: Mapping[str, Member] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    is_there: bool = True

    def digest(self, node: str) -> str:
        """The node's release digest; `ABSENT` where it does not have the deployment."""
        return self.digests.get(node, ABSENT)

    @cached_property
    def nodes(self) -> Mapping[int, Sequence[str]]:
        """The members by name, by the index of their wave."""
        found: dict[int, list[str]] = {}
        for name, member in sorted(self.members.items()):
            found.setdefault(member.wave, []).append(name)
        return found


class Chain(Protocol):
    """The valid revisions of the verified first-parent chain, oldest first, as one deployment sees them.

    A content-addressed lookup: the same position always gives the same edition. Position 0 is the first valid revision
    after enrolment's checkpoint.
    """

    @property
    def revisions(self) -> Sequence[str]:
        """Commit ids, oldest first."""

    def edition(self, position: int) -> Edition:
        """What the revision at that position says."""

    def position(self, revision: str) -> int | None:
        """Where a commit stands: its own position, or for one whose manifests are not valid that of the newest valid
        revision before it; None where the chain does not have it.
        """


@dataclass(frozen=True, slots=True)
class Editions:
    """A chain that is written out: of a small fleet, a test, or the twin."""

    pages: tuple[Edition, ...]

    @property
    def revisions(self) -> tuple[str, ...]:
        """Commit ids, oldest first."""
        return tuple(page.revision for page in self.pages)

    def edition(self, position: int) -> Edition:
        """What the revision at that position says."""
        return self.pages[position]

    def position(self, revision: str) -> int | None:
        """Where a commit stands; None where it does not."""
        return next((at for at, page in enumerate(self.pages) if page.revision == revision), None)
