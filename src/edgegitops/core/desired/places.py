"""Law: every fault of resolution points into the file that a person has to edit.

A place is a document and a JSON pointer (RFC 6901) into it. What several documents made together (an application,
its container defaults, the overrides of a deployment) is traced to the last one that says something there.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.manifests import Origin
from edgegitops.core.model.reasons import FaultCode

Path = tuple[str, ...]
_MOST_NAMES = 200
_LONGEST_WORD = 64


def pointer(path: Iterable[str]) -> str:
    """The JSON pointer of a path of keys and indexes."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to `word`; empty where none is near. Long words and lists are cut short."""
    names = sorted(known)[:_MOST_NAMES]
    return next(iter(difflib.get_close_matches(word[:_LONGEST_WORD], names, n=1, cutoff=0.6)), "")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, before it is known where: a fault without its place."""

    code: FaultCode
    message: str
    expected: str = ""
    suggestion: str = ""
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a document."""

    origin: Origin
    path: Path = ()

    def below(self, *parts: str) -> "Place":
        """The place further down."""
        return Place(self.origin, (*self.path, *parts))

    def fault(self, problem: Problem) -> Fault:
        """The fault that this problem is here."""
        return Fault(
            file=self.origin.file,
            code=problem.code,
            message=problem.message,
            position=self.position,
            pointer=pointer(self.path),
            expected=problem.expected,
            suggestion=problem.suggestion,
            is_warning=problem.is_warning,
        )

    @property
    def position(self) -> Position | None:
        """Of the pointer itself, else of the nearest thing around it."""
        for length in range(len(self.path), -1, -1):
            found = self.origin.positions.get(pointer(self.path[:length]))
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class Layer:
    """A tree that stands at `place` in its document and was merged in at `at` of the whole."""

    place: Place
    tree: Tree
    at: Path = ()

    def depth(self, path: Path) -> int:
        """How many parts of `path` this layer has; -1 where it lies elsewhere."""
        if path[: len(self.at)] != self.at:
            return -1
        node, depth = self.tree, len(self.at)
        for part in path[depth:]:
            if isinstance(node, Mapping) and part in node:
                node = node[part]
            elif isinstance(node, Sequence) and not isinstance(node, str) and part.isdigit() and int(part) < len(node):
                node = node[int(part)]
            else:
                break
            depth += 1
        return depth


def trace(layers: Sequence[Layer], path: Path) -> Place:
    """Where a person finds `path`: the layer that has most of it, the latest one among equals.

    `layers` stand in the order in which they were merged.
    """
    depth, _, layer = max((layer.depth(path), number, layer) for number, layer in enumerate(layers))
    return layer.place.below(*path[len(layer.at) : depth]) if depth >= len(layer.at) else layer.place
