"""Law: a node goes from its base to the candidate, and every question of a gate is asked between these two.

1. The candidate is the newest valid revision. The base is the newest revision before it at which the node's digest is
   the one that it runs.
2. A node that runs nothing of the deployment comes from nothing: everything before the candidate is news to it. Policy
   is then read at the newest revision before its last absence that had the deployment here, else at the first that has.
3. A revision changes a node where its digest differs from the one before. For blame and exclusion only: a revision
   before which the deployment was not here changes this node where it changes every other node that had it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from edgegitops.core.model.waves import ABSENT, Chain, Edition


@dataclass(frozen=True)
class Road:
    """The way of one node; `base` and `candidate` are positions in the chain. `is_from_nothing`: it runs nothing."""

    chain: Chain
    node: str
    base: int
    candidate: int
    is_from_nothing: bool = False

    @cached_property
    def before(self) -> Edition:
        """The edition at the base."""
        return self.chain.edition(self.base)

    @cached_property
    def after(self) -> Edition:
        """The edition at the candidate."""
        return self.chain.edition(self.candidate)

    @property
    def span(self) -> range:
        """Positions after the base, up to and with the candidate."""
        return range(0 if self.is_from_nothing else self.base + 1, self.candidate + 1)

    def was(self, node: str) -> str:
        """The digest that the base gave a node; from nothing, none was given."""
        return ABSENT if self.is_from_nothing else self.before.digest(node)

    def is_covered(self, node: str) -> bool:
        """Whether the candidate brings a node something else than the base did. From nothing, always."""
        return self.is_from_nothing or self.before.digest(node) != self.after.digest(node)

    @cached_property
    def own_changes(self) -> tuple[int, ...]:
        """Positions in the span at which this node's digest changed."""
        return tuple(at for at in self.span if is_changed(self.chain, self.node, at))

    @cached_property
    def _own_mends(self) -> tuple[int, ...]:
        """Positions in the span at which this node changed for blame, newest first."""
        return tuple(at for at in reversed(self.span) if is_changed_for_blame(self.chain, self.node, at))

    @cached_property
    def _last_mends(self) -> dict[str, int]:
        """What was asked of `last_mend`: one stolen key may tell of failures without end."""
        return {}

    def last_mend(self, node: str) -> int:
        """The newest position in the span that changed both this node and another one, for blame; -1: none did."""
        if node not in self._last_mends:
            both = (at for at in self._own_mends if is_changed_for_blame(self.chain, node, at))
            self._last_mends[node] = next(both, -1)
        return self._last_mends[node]

    @property
    def last_change(self) -> int:
        """The last of them: what was said of the node before that was said of something else."""
        return max(self.own_changes, default=self.candidate)

    @cached_property
    def touched(self) -> frozenset[str]:
        """Every node whose digest some revision of the span changed."""
        return frozenset(node for at in self.span for node in changed_nodes(self.chain, at))


def road_to(chain: Chain, node: str, running: str, candidate: int) -> Road:
    """The road of a node that runs this digest (`ABSENT`: nothing)."""
    if running != ABSENT:
        for at in reversed(range(candidate)):
            if chain.edition(at).digest(node) == running:
                return Road(chain, node, at, candidate)
    return Road(chain, node, _policy_base(chain, node, candidate), candidate, is_from_nothing=True)


def _policy_base(chain: Chain, node: str, candidate: int) -> int:
    """Where policy is read for a node that comes from nothing (rule 2)."""
    is_here = [chain.edition(at).digest(node) != ABSENT for at in range(candidate + 1)]
    absences = [at for at, here in enumerate(is_here) if not here]
    if not absences:
        return 0
    before = [at for at in range(absences[-1]) if is_here[at]]
    return before[-1] if before else next((at for at, here in enumerate(is_here) if here), candidate)


def is_changed(chain: Chain, node: str, at: int) -> bool:
    """Whether the revision at a position changed a node's digest."""
    before = chain.edition(at - 1).digest(node) if at else ABSENT
    return before != chain.edition(at).digest(node)


def changed_nodes(chain: Chain, at: int) -> Iterator[str]:
    """Every node whose digest the revision at a position changed."""
    digests = chain.edition(at).digests
    before = chain.edition(at - 1).digests if at else {}
    for node in digests.keys() | before.keys():
        if digests.get(node, ABSENT) != before.get(node, ABSENT):
            yield node


def is_changed_for_blame(chain: Chain, node: str, at: int) -> bool:
    """The same for blame and exclusion: a node that did not have the deployment stands with the others (rule 3)."""
    before = chain.edition(at - 1).digests if at else {}
    if before.get(node, ABSENT) != ABSENT:
        return is_changed(chain, node, at)
    after = chain.edition(at)
    return all(after.digest(other) != digest for other, digest in before.items() if other != node)
