"""Git objects as the core sees them: content-addressed, so the same id always gives the same value.

`Objects` is the only callable thing that facts may hold. It answers from local storage, never from a network.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RawObject:
    """An object as Git stores it: `kind` is commit, tree, blob or tag; `data` are the bytes without the header."""

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an object before its bytes are loaded; `size` in bytes."""

    kind: str
    size: int


class Objects(Protocol):
    """A read-only lookup of Git objects by hex object id."""

    def header(self, oid: str) -> Header | None:
        """Kind and size without loading the bytes; None where there is no such object."""

    def read(self, oid: str) -> RawObject | None:
        """The object's bytes; ask `header` first: nothing here limits the size. None where there is none."""
