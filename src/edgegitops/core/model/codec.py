"""Law: a frozen dataclass and its JSON tree say the same, and a field at its default is not written.

The second half lets a later version add a field without changing the digest of any release that does not use it.
Trees hold only what JSON holds. Field names become camelCase; instants are RFC 3339 in UTC, spans are seconds.
Known shapes: dataclasses, StrEnum, str, int, float, bool, datetime, timedelta, `X | None`, `tuple[X, ...]`,
`frozenset[X]` (written sorted), `Mapping[str, X]`, and `object` (any tree, left as it is).
A tree that does not fit raises `ValueError` naming the path; unknown keys are an error, never dropped.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, partial
from typing import Any, TypeAlias, TypeVar

Tree: TypeAlias = Any
T = TypeVar("T")


def camel(name: str) -> str:
    """`stop_timeout` -> `stopTimeout`; one trailing underscore (`from_`) is dropped."""
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


_Reader: TypeAlias = Callable[[Tree], Any]


class _MisfitError(ValueError):
    """What a tree was expected to be, and where in it; the path grows while it goes up."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
        self.path = ""

    def below(self, step: str) -> "_MisfitError":
        """The same, said of what has the tree at `step`."""
        self.path = step + self.path
        return self


@cache
def _fields(cls: type) -> tuple[tuple[str, str, Any, Any], ...]:
    """(attribute, key, type, default) of each field; `dataclasses.MISSING` where a value is required."""
    hints = typing.get_type_hints(cls)
    rows = []
    for field in dataclasses.fields(cls):
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        rows.append((field.name, camel(field.name), hints[field.name], default))
    return tuple(rows)


def to_tree(value: object) -> Tree:
    """The JSON tree of a value of one of the known shapes."""
    kind: Any = type(value)
    return _writer(kind)(value)


@cache
def _writer(kind: type) -> Callable[[Any], Tree]:
    """How values of a type are written; worked out once a type, for journals and reports are made of nothing else."""
    if issubclass(kind, bool | int | float | types.NoneType):
        return _as_it_is
    if issubclass(kind, str):
        return str
    if issubclass(kind, datetime):
        return _write_instant
    if issubclass(kind, timedelta):
        return _seconds
    if issubclass(kind, Mapping):
        return lambda value: {str(key): to_tree(item) for key, item in value.items()}
    if issubclass(kind, frozenset | set):
        return lambda value: sorted(to_tree(item) for item in value)
    if issubclass(kind, tuple | list):
        return lambda value: [to_tree(item) for item in value]
    if dataclasses.is_dataclass(kind):
        return partial(_write_dataclass, tuple((name, key, default) for name, key, _, default in _fields(kind)))
    raise TypeError(f"no tree form for {kind.__name__}")


def _as_it_is(value: Tree) -> Tree:
    return value


def _write_instant(value: datetime) -> Tree:
    in_utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return in_utc.isoformat()[: -len("+00:00")] + "Z"


def _seconds(value: timedelta) -> Tree:
    seconds = value.total_seconds()
    return int(seconds) if seconds == int(seconds) else seconds


def _write_dataclass(rows: tuple[tuple[str, str, Any], ...], value: Any) -> Tree:
    tree = {}
    for name, key, default in rows:
        item = getattr(value, name)
        kind: Any = type(item)
        if kind is str or kind is int:
            if item != default:  # nothing is equal to MISSING
                tree[key] = item
        elif default is dataclasses.MISSING or item != default:
            tree[key] = _writer(kind)(item)
    return tree


def from_tree(cls: type[T], tree: Tree) -> T:
    """The value of type `cls` that `to_tree` wrote as `tree`; ValueError names the path where it does not fit."""
    kind: Any = cls
    try:
        return typing.cast("T", _reader(kind)(tree))
    except _MisfitError as error:
        raise ValueError(f"${error.path}: {error.words}") from error


@cache
def _reader(kind: Any) -> _Reader:
    """How a value of a type is read; worked out once a type."""
    origin = typing.get_origin(kind)
    args = typing.get_args(kind)
    if kind is object or kind is Any:
        return _as_it_is
    if origin in (types.UnionType, typing.Union):
        return _reader_of_union(args)
    if origin in (tuple, frozenset):
        return partial(_read_list, origin, args[0])
    if origin is not None and issubclass(origin, Mapping):
        return partial(_read_mapping, args[1])
    if dataclasses.is_dataclass(kind):
        return partial(_read_dataclass, kind)
    return _reader_of_scalar(kind)


def _reader_of_union(args: tuple[Any, ...]) -> _Reader:
    chosen = next(arg for arg in args if arg is not type(None))
    if type(None) not in args:
        return _reader(chosen)
    return lambda tree: None if tree is None else _reader(chosen)(tree)


def _read_list(origin: Any, item_kind: Any, tree: Tree) -> Any:
    if not isinstance(tree, list):
        raise _MisfitError("expected a list")
    read, values = _reader(item_kind), []
    for item in tree:
        try:
            values.append(read(item))
        except _MisfitError as error:
            raise error.below(f"[{len(values)}]") from error.__cause__
    return origin(values)


def _read_mapping(item_kind: Any, tree: Tree) -> Any:
    if not isinstance(tree, dict):
        raise _MisfitError("expected an object")
    read, values = _reader(item_kind), {}
    for key, item in tree.items():
        try:
            values[key] = read(item)
        except _MisfitError as error:
            raise error.below(f".{key}") from error.__cause__
    return values


@cache
def _rows(kind: type) -> tuple[frozenset[str], tuple[tuple[str, str, Any, _Reader, bool], ...]]:
    """The keys of a dataclass, and (attribute, key, type, reader, whether it is needed) of each field."""
    rows = tuple(
        (name, key, hint, _reader(hint), default is dataclasses.MISSING) for name, key, hint, default in _fields(kind)
    )
    return frozenset(key for _, key, _, _, _ in rows), rows


def _read_dataclass(kind: Any, tree: Tree) -> Any:
    if not isinstance(tree, dict):
        raise _MisfitError("expected an object")
    keys, rows = _rows(kind)
    if not tree.keys() <= keys:
        raise _MisfitError(f"expected no key {', '.join(sorted(tree.keys() - keys))}")
    values = {}
    for name, key, plain, read, is_needed in rows:
        if key in tree:
            item = tree[key]
            if type(item) is plain:  # text and numbers are most of it
                values[name] = item
                continue
            try:
                values[name] = read(item)
            except _MisfitError as error:
                raise error.below(f".{key}") from error.__cause__
        elif is_needed:
            raise _MisfitError(f"expected a key {key}")
    try:
        return kind(**values)
    except (ValueError, OverflowError) as error:
        raise _MisfitError(str(error)) from error


def _made(kind: Any, value: Any) -> Any:
    try:
        return kind(value)
    except (ValueError, OverflowError) as error:
        raise _MisfitError(str(error)) from error


def _reader_of_scalar(kind: Any) -> _Reader:
    if kind is datetime:
        return _read_instant
    if kind is timedelta:
        return _read_span
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return partial(_read_word, kind, {one.value: one for one in kind})
    return partial(_read_exactly, kind)


def _read_instant(tree: Tree) -> Any:
    if not isinstance(tree, str):
        raise _MisfitError("expected an instant")
    instant = _made(datetime.fromisoformat, tree)
    if instant.tzinfo is None:
        raise _MisfitError("expected an instant with its time zone")
    return instant


def _read_span(tree: Tree) -> Any:
    if type(tree) is not float and type(tree) is not int:
        raise _MisfitError("expected seconds")
    return _made(_span_of, tree)


def _span_of(seconds: float) -> timedelta:
    return timedelta(0, seconds)


def _read_word(kind: Any, words: Mapping[str, Any], tree: Tree) -> Any:
    if not isinstance(tree, str):
        raise _MisfitError("expected a string")
    return words[tree] if tree in words else _made(kind, tree)


def _read_exactly(kind: Any, tree: Tree) -> Any:
    if type(tree) is kind:
        return tree
    if kind is float and type(tree) is int:
        return float(tree)
    raise _MisfitError(f"expected {kind.__name__}")
