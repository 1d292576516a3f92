"""A fault in a manifest: where it is, what it is, what was expected, and what to write instead."""

from dataclasses import dataclass

from edgegitops.core.model.reasons import FaultCode


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `pointer` is a JSON pointer (RFC 6901) into the document, empty for the whole file."""

    file: str
    code: FaultCode
    message: str
    position: Position | None = None
    pointer: str = ""
    expected: str = ""
    suggestion: str = ""
    is_warning: bool = False
