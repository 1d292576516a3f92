"""Law: what goes wrong is drawn from the seed by name alone, so the same seed tells the same story, to the byte.

A draw is SHA-256 of the seed and of what is asked, as a share of one: it depends on no order, on no clock and on no
number of nodes. Two questions are independent, and so are two seeds.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

NEVER = Fraction(0)
SOONEST_FAILURE = timedelta(seconds=3)
SHORTEST_PULL = timedelta(seconds=5)
LONGEST_PULL = timedelta(seconds=60)
_SPACE = 2**64


@dataclass(frozen=True, slots=True)
class Aim:
    """Whom something befalls: each node with this probability, and those that are named (`site/node`)."""

    share: Fraction = NEVER
    nodes: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Fate:
    """How a release fails on a node: its new containers end after so long, or (None) are never ready."""

    ends_after: timedelta | None


@dataclass(frozen=True, slots=True)
class Weather:
    """What befalls a fleet. `lost` is the share of reports that never arrive; who is `offline` neither fetches nor
    reports, until `back_after` (None: for good). Approvals that a gate asks for come `approved_after`; None: never.
    """

    seed: int = 1
    failing: Aim = Aim()
    offline: Aim = Aim()
    lost: Fraction = NEVER
    back_after: timedelta | None = None
    approved_after: timedelta | None = None

    def drawn(self, *words: str) -> float:
        """A number from 0 up to 1 for this question."""
        text = "\n".join((str(self.seed), *words))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / _SPACE

    def befalls(self, aim: Aim, what: str, node: str) -> bool:
        """Whether it befalls a node."""
        return node in aim.nodes or (aim.share > 0 and self.drawn(what, node) < aim.share)

    def fate(self, node: str, digest: str, longest: timedelta) -> Fate | None:
        """How a release fails on a node, within `longest` of its start where it ends; None where it is well."""
        if not self.befalls(self.failing, f"fails {digest}", node):
            return None
        if self.drawn("is never ready", digest, node) < 0.5:  # noqa: PLR2004 - as often as the other
            return Fate(None)
        return Fate(SOONEST_FAILURE + self.drawn("ends", digest, node) * longest)

    def pulling(self, node: str, image: str) -> timedelta:
        """How long a node takes to pull an image."""
        return SHORTEST_PULL + self.drawn("pulls", image, node) * (LONGEST_PULL - SHORTEST_PULL)

    def is_lost(self, node: str, sequence: int) -> bool:
        """Whether a report never arrives."""
        return self.lost > 0 and self.drawn("is lost", node, str(sequence)) < self.lost
