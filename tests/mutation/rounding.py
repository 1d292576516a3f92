"""Mutations that Cosmic Ray does not know: rounding the other way, the other end of a choice, membership turned."""

from collections.abc import Iterator
from typing import ClassVar

import parso
from cosmic_ray.operators.operator import Operator
from parso.tree import NodeOrLeaf

SWAPS = {"ceil": "floor", "floor": "ceil", "max": "min", "min": "max", "any": "all", "all": "any"}


class _OnNodes(Operator):
    """Places are whole nodes; each has one mutant."""

    @classmethod
    def arguments(cls) -> tuple[()]:
        """It asks for none."""
        return ()

    def is_place(self, node: NodeOrLeaf) -> bool:
        """Whether this node is mutated."""
        raise NotImplementedError

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Where it is, if it is one."""
        if self.is_place(node):
            yield node.start_pos, node.end_pos


class SwapRounding(_OnNodes):
    """`math.ceil` for `math.floor`, `max` for `min`, `any` for `all`, and back."""

    def is_place(self, node: NodeOrLeaf) -> bool:
        """A name that is called."""
        if node.type != "name" or node.value not in SWAPS:
            return False
        after = node.get_next_leaf()
        return after is not None and after.value == "("

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """The other name."""
        del index
        node.value = SWAPS[node.value]
        return node

    examples: ClassVar = ()


class SwapMembership(_OnNodes):
    """`in` for `not in`, and back; not the `in` of a loop."""

    def is_place(self, node: NodeOrLeaf) -> bool:
        """The operator of a comparison."""
        if node.parent is None or node.parent.type != "comparison":
            return False
        return node.get_code().split() in (["in"], ["not", "in"])

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """The opposite."""
        del index
        is_in = node.get_code().split() == ["in"]
        return parso.parse(" not in" if is_in else " in")

    examples: ClassVar = ()


class Provider:
    """What Cosmic Ray asks for operators."""

    known: ClassVar = {one.__name__: one for one in (SwapRounding, SwapMembership)}

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __getitem__(self, name: str) -> type[Operator]:
        return self.known[name]
