"""Law: every node of a document is found again in its file by JSON pointer (RFC 6901), at a cost bounded by the file.

Pointers are made on demand from a tree of marks: a table with one written-out pointer per node could be made to cost
gigabytes by a file of one mebibyte with long keys.
"""

from collections.abc import Iterator, Mapping, Sequence

from edgegitops.core.model.faults import Position


class Mark:
    """Where a node stands, where its key stands (None at the root and in lists), and its plain source text.

    `source` is None for quoted, block and collection nodes, so that `1.10` and `"1.10"` can be told apart.
    `children` are the marks below, by key or by index.
    """

    __slots__ = ("children", "key", "position", "source")

    def __init__(self, position: Position, key: Position | None = None, source: str | None = None) -> None:
        self.position = position
        self.key = key
        self.source = source
        self.children: dict[str, Mark] | list[Mark] | None = None

    def child(self, step: str | int) -> "Mark | None":
        """The mark one step below, None where there is none."""
        children = self.children
        if isinstance(children, dict):
            return children.get(str(step))
        if isinstance(children, list) and str(step).isdecimal() and len(str(step)) < _LONGEST_INDEX:
            index = int(step)
            return children[index] if index < len(children) else None
        return None

    def find(self, path: Sequence[str | int]) -> "Mark | None":
        """The mark at the end of a path of keys and indices, None where the document does not go there."""
        mark: Mark | None = self
        for step in path:
            if mark is None:
                return None
            mark = mark.child(step)
        return mark

    def nearest(self, path: Sequence[str | int]) -> "Mark":
        """The deepest mark on the way along a path."""
        mark = self
        for step in path:
            below = mark.child(step)
            if below is None:
                break
            mark = below
        return mark


_LONGEST_INDEX = 10


class Positions(Mapping[str, Position]):
    """JSON pointer -> position of the node, computed from the marks."""

    __slots__ = ("_root",)

    def __init__(self, root: Mark) -> None:
        self._root = root

    def __getitem__(self, pointer: str) -> Position:
        path = split_pointer(pointer)
        mark = None if path is None else self._root.find(path)
        if mark is None:
            raise KeyError(pointer)
        return mark.position

    def __iter__(self) -> Iterator[str]:
        stack: list[tuple[str, Mark]] = [("", self._root)]
        while stack:
            pointer, mark = stack.pop()
            yield pointer
            children = mark.children
            if children is not None:
                below = children.items() if isinstance(children, dict) else enumerate(children)
                stack.extend([(f"{pointer}/{escape(str(step))}", child) for step, child in below][::-1])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def escape(step: str) -> str:
    """One step of a JSON pointer, escaped."""
    return step.replace("~", "~0").replace("/", "~1")


def to_pointer(path: Sequence[str | int]) -> str:
    """The JSON pointer of a path of keys and indices."""
    return "".join(f"/{escape(str(step))}" for step in path)


def split_pointer(pointer: str) -> list[str] | None:
    """The steps of a JSON pointer, None where it is none."""
    if not pointer:
        return []
    if not pointer.startswith("/"):
        return None
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]
