"""Law: `${name.with.dot}` is replaced by what it names or is a problem; it is never empty and never left standing.

`$${` is a written-out `${`. `${json(name.with.dot)}` gives canonical JSON, the only form of lists and objects.
`${UPPER}` and every other brace without a dotted name belongs to the application and passes untouched, save for what
begins like one of our own names and is misspelt. One pass: what was put in is not read again. Truth values are written
`true` and `false`, numbers as RFC 8785 writes them. What all expansions of a deployment may write is bounded.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

from edgegitops.core.desired.places import Problem
from edgegitops.core.model.canonical import canonical_json
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.secrets import mark_of

Find: TypeAlias = "Callable[[str], Found | Problem | None]"

LONGEST_TOTAL = 8 * 1024 * 1024
_ROOTS = "values|site|node|tags|deployment|secrets"
_OURS_BEGIN = rf"\s*(?:json\s*\(|(?:{_ROOTS})\s*\.)"
_REFERENCE = re.compile(rf"\$\$\{{|\$\{{([^{{}}]*)\}}|\$\{{(?={_OURS_BEGIN})")
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z0-9_./-]+\Z")
_JSON = re.compile(r"json\(\s*([A-Za-z_][A-Za-z0-9_]*\.[A-Za-z0-9_./-]+)\s*\)\Z")
_OURS = re.compile(_OURS_BEGIN)
_OURS_IN_TEXT = re.compile(rf"(?<!\$)\$\{{{_OURS_BEGIN}")


class Found:
    """What a name stands for."""

    __slots__ = ("tree",)

    def __init__(self, tree: Tree) -> None:
        self.tree = tree


class Sealed(Found):
    """A secret, of which only the mark is known here."""

    __slots__ = ("key", "name")

    def __init__(self, name: str, key: str) -> None:
        super().__init__("")
        self.name = name
        self.key = key


class Budget:
    """How many characters may still be written."""

    __slots__ = ("left",)

    def __init__(self, left: int = LONGEST_TOTAL) -> None:
        self.left = left

    def spend(self, length: int) -> tuple[Problem, ...]:
        """Take `length` off; the problem where that was too much, told once for all that share the budget."""
        was_spent = self.left < 0
        self.left -= length
        return () if was_spent or self.left >= 0 else (_too_large(),)


def expand(source: str, find: Find, budget: Budget) -> tuple[str, tuple[Problem, ...]]:
    """`source` with its references replaced, and what is wrong with them.

    `find` answers a dotted name; None says that its fault is told elsewhere, as it is when the budget was overspent.
    """
    if "${" not in source:
        return source, ()
    if budget.left < 0:
        return "", ()
    parts: list[str] = []
    problems: list[Problem] = []
    end = 0
    for match in _REFERENCE.finditer(source):
        piece = _replacement(match, find)
        if isinstance(piece, Problem):
            problems.append(piece)
            piece = ""
        parts += (source[end : match.start()], piece)
        end = match.end()
        problems += budget.spend(len(parts[-2]) + len(piece))
        if budget.left < 0:
            return "", tuple(problems)
    parts.append(source[end:])
    problems += budget.spend(len(parts[-1]))
    return "".join(parts), tuple(problems)


def whole_reference(source: str) -> str:
    """The dotted name where `source` is one reference and nothing else, so that it may keep its type; else empty."""
    match = _REFERENCE.fullmatch(source)
    if match is None or match[1] is None or not _DOTTED.match(match[1]):
        return ""
    return match[1]


def has_reference(source: str) -> bool:
    """Whether a text that is not expanded looks as if its writer had expected it."""
    return _OURS_IN_TEXT.search(source) is not None


def _replacement(match: re.Match[str], find: Find) -> str | Problem:
    inside = match[1]
    if match[0] == "$${":
        return "${"
    if inside is None:
        return Problem(FaultCode.WRONG_FORMAT, "a reference is not closed", "${values.name} or ${json(values.name)}")
    if json_match := _JSON.match(inside):
        return _answer(json_match[1], find, _as_json)
    if _DOTTED.match(inside):
        return _answer(inside, find, _as_text)
    if _OURS.match(inside):
        return Problem(
            FaultCode.WRONG_FORMAT, f"{match[0]!r} is no reference", "${values.name} or ${json(values.name)}"
        )
    return match[0]


def _answer(name: str, find: Find, write: Callable[[str, Tree], str | Problem]) -> str | Problem:
    found = find(name)
    if found is None or isinstance(found, Problem):
        return found or ""
    if isinstance(found, Sealed):
        return mark_of(found.name, found.key, is_json=write is _as_json)
    return write(name, found.tree)


def _as_text(name: str, tree: Tree) -> str | Problem:
    if isinstance(tree, str):
        return tree
    if isinstance(tree, dict | list):
        return Problem(FaultCode.WRONG_TYPE, f"{name} is a list or an object", "a text", f"${{json({name})}}")
    if tree is None:
        return Problem(FaultCode.WRONG_TYPE, f"{name} is null", "a text, a number, true or false")
    return _as_json(name, tree)


def _as_json(name: str, tree: Tree) -> str | Problem:
    try:
        return canonical_json(tree).decode()
    except ValueError:
        return Problem(FaultCode.WRONG_VALUE, f"{name} has no JSON form", "finite numbers up to 2**53 - 1")


def _too_large() -> Problem:
    return Problem(
        FaultCode.TOO_LARGE,
        "what the references of this deployment expand to is too large",
        f"at most {LONGEST_TOTAL} characters in all",
    )
