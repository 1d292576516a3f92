"""Law: a tree is read strictly: every key is known or a fault, every value has its type or a fault, all at once.

A cursor is a spot in the patched tree of an application. Reading answers the value, or notes a fault and answers a
harmless stand-in, so that the rest is judged too; whoever noted a fault makes no release. References are replaced only
in the fields that allow it; where one stands in another field, that is a fault, because nobody means the text of it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from edgegitops.core.desired.places import Layer, Path, Place, Problem, did_you_mean, trace
from edgegitops.core.desired.substitution import has_reference
from edgegitops.core.desired.values import Values
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import FaultCode

Choice = TypeVar("Choice", bound=StrEnum)
Amount = TypeVar("Amount")
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_LARGEST = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Scope:
    """What all cursors of one resolution share."""

    layers: Sequence[Layer]
    values: Values

    @property
    def faults(self) -> list[Fault]:
        """What was noted so far, by the cursors and by the values."""
        return self.values.faults


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of an object: those that are read, those that come later, and hints for words of other tools."""

    known: frozenset[str]
    later: frozenset[str] = frozenset()
    hints: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cursor:
    """A spot in the tree."""

    tree: Tree
    path: Path
    scope: Scope

    @property
    def key(self) -> str:
        """The last part of the path."""
        return self.path[-1] if self.path else ""

    @property
    def place(self) -> Place:
        """Where a person edits this."""
        return trace(self.scope.layers, self.path)

    def note(self, code: FaultCode, message: str, expected: str = "", suggestion: str = "") -> None:
        """A fault at this spot."""
        problem = Problem(code, f"{'.'.join(self.path)}: {message}", expected, suggestion)
        self.scope.faults.append(self.place.fault(problem))

    def below(self, key: str, tree: Tree) -> "Cursor":
        """The spot one key further down."""
        return Cursor(tree, (*self.path, key), self.scope)

    def fields(self, keys: Keys) -> "dict[str, Cursor]":
        """The fields of an object of known shape; unknown keys and those that come later are faults."""
        entries = self.entries()
        for key in sorted(set(entries) - keys.known):
            spot = entries.pop(key)
            if key in keys.later:
                spot.note(FaultCode.NOT_SUPPORTED_YET, f"{key!r} is not supported yet")
            else:
                hint = dict(keys.hints).get(key) or did_you_mean(key, keys.known)
                spot.note(FaultCode.UNKNOWN_FIELD, f"there is no field {key!r}", _listed(keys.known), hint)
        return entries

    def entries(self) -> "dict[str, Cursor]":
        """The entries of a map by name, sorted."""
        if not isinstance(self.tree, dict):
            self._wrong_type("an object")
            return {}
        return {key: self.below(key, value) for key, value in sorted(self.tree.items())}

    def named(self) -> "dict[str, Cursor]":
        """The entries of a map whose keys become names on the engine and in DNS."""
        entries = self.entries()
        for name in [name for name in entries if not NAME.match(name)]:
            entries.pop(name).note(
                FaultCode.WRONG_FORMAT, f"{name!r} is no name", "lower-case letters, digits and '-', at most 63"
            )
        return entries

    def items(self) -> "list[Cursor]":
        """The items of a list."""
        if not isinstance(self.tree, list):
            self._wrong_type("a list")
            return []
        return [self.below(str(at), item) for at, item in enumerate(self.tree)]

    def text(self, pattern: re.Pattern[str] | None = None, expected: str = "") -> str:
        """A text in which no reference is replaced."""
        if not isinstance(self.tree, str):
            self._wrong_type("a text")
            return ""
        if has_reference(self.tree):
            self.note(FaultCode.WRONG_VALUE, "references are not replaced in this field", "a plain text")
            return ""
        return self._in_form(self.tree, pattern, expected)

    def expanded(self, pattern: re.Pattern[str] | None = None, expected: str = "") -> str:
        """A scalar as text, with its references replaced."""
        if isinstance(self.tree, str):
            before = len(self.scope.faults)
            text = self.scope.values.expand(self.tree, self.place)
            return text if len(self.scope.faults) > before else self._in_form(text, pattern, expected)
        if isinstance(self.tree, bool):
            return "true" if self.tree else "false"
        if isinstance(self.tree, int | float):
            return self._in_form(str(self.tree), pattern, expected)
        self._wrong_type("a text")
        return ""

    def texts(self) -> tuple[str, ...]:
        """A list of texts in which no reference is replaced."""
        return tuple(item.text() for item in self.items())

    def expanded_list(self) -> tuple[str, ...]:
        """A list of texts with their references replaced."""
        return tuple(item.expanded() for item in self.items())

    def text_map(self) -> dict[str, str]:
        """A map of texts; numbers and truth values are taken as they are written in JSON."""
        return {
            key: spot.text() if isinstance(spot.tree, str) else spot.expanded() for key, spot in self.entries().items()
        }

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.tree, bool):
            self._wrong_type("true or false")
            return False
        return self.tree

    def expanded_flag(self) -> bool:
        """True or false, or a text that expands to one of these."""
        before = len(self.scope.faults)
        text = self.expanded()
        if text not in {"true", "false"} and len(self.scope.faults) == before:
            self.note(FaultCode.WRONG_VALUE, f"{text!r} is neither true nor false", "true or false")
        return text == "true"

    def whole(self, low: int = 0, high: int = _LARGEST) -> int:
        """A whole number within bounds; `low` where it is none."""
        if isinstance(self.tree, bool) or not isinstance(self.tree, int):
            self._wrong_type("a whole number")
            return low
        if not low <= self.tree <= high:
            self.note(FaultCode.WRONG_VALUE, f"{self.tree} is out of range", f"{low} to {high}")
            return low
        return self.tree

    def choice(self, kind: type[Choice], *, default: Choice, aliases: dict[str, Choice] | None = None) -> Choice:
        """One of the members of an enumeration."""
        before = len(self.scope.faults)
        text = self.text()
        known = {member.value: member for member in kind} | (aliases or {})
        if text not in known and len(self.scope.faults) == before:
            self.note(FaultCode.WRONG_VALUE, f"{text!r} is not known", _listed(known), did_you_mean(text, known))
        return known.get(text, default)

    def quantity(self, parse: Callable[[Tree], Amount], default: Amount) -> Amount:
        """What a parser of quantities makes of it; its ValueError is the fault."""
        if isinstance(self.tree, bool) or not isinstance(self.tree, str | int | float):
            self._wrong_type("a quantity")
            return default
        try:
            return parse(self.tree)
        except ValueError as refusal:
            self.note(FaultCode.WRONG_FORMAT, str(refusal))
            return default

    def _in_form(self, text: str, pattern: re.Pattern[str] | None, expected: str) -> str:
        if "\0" in text or (pattern is not None and not pattern.match(text)):
            self.note(FaultCode.WRONG_FORMAT, f"{text!r} does not have the form of this field", expected)
        return text

    def _wrong_type(self, wanted: str) -> None:
        self.note(FaultCode.WRONG_TYPE, f"{_kind(self.tree)} stands here", wanted)


def _kind(tree: Tree) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "nothing"}
    return names.get(type(tree), "a number")


def _listed(names: "frozenset[str] | dict[str, Choice]") -> str:
    return ", ".join(sorted(names))


def unknown(spot: Cursor, what: str, name: str, known: Iterable[str]) -> None:
    """A reference to something that is not declared."""
    names = sorted(known)
    expected = f"one of {', '.join(names)}" if names else f"the application declares no {what}s"
    spot.note(FaultCode.UNKNOWN_REFERENCE, f"there is no {what} {name!r}", expected, did_you_mean(name, names))
