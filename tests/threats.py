"""The threat table of docs/threats.md and what its tests say of themselves, read for those who hold the two in step.

A test of a threat says in its docstring, for each defence that it guards, which words of the source were changed to
see it fail: ``Red where core/trust/walk.py has `NEW` for `OLD`.`` Both are within one line of the source.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[1]
PAGE = TOP / "docs" / "threats.md"
SOURCE = TOP / "src" / "edgegitops"
_RED = re.compile(r"Red where (\S+) has `([^`]+)` for `([^`]+)`")


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    threat: str
    defence: str
    left: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Red:
    """A test, and the change of one line of the source with which it was seen to fail."""

    test: str
    file: Path
    new: str
    old: str

    @property
    def name(self) -> str:
        """The name of the test without its file."""
        return self.test.partition("::")[2]


@cache
def rows() -> tuple[Row, ...]:
    """The rows of all tables of the page."""
    cells = [
        [cell.strip() for cell in line.strip("|\n ").split(" | ")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and "`test_" in line
    ]
    return tuple(Row(one[0], one[1], one[2], tuple(re.findall(r"`(test_\w+)`", one[3]))) for one in cells)


@cache
def reds() -> tuple[Red, ...]:
    """What all tests say of themselves."""
    return tuple(red for file in sorted((TOP / "tests").rglob("test_*.py")) for red in _of(file))


def _of(file: Path) -> Iterator[Red]:
    text = file.read_text(encoding="utf-8")
    if "Red where" not in text:
        return
    for node in ast.parse(text).body:
        said = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        for place, new, old in _RED.findall(" ".join((said or "").split())):
            yield Red(f"{file.relative_to(TOP)}::{node.name}", SOURCE / place, new, old)  # type: ignore[attr-defined] # a function
