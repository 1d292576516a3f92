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
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeAlias, TypeVar

Tree: TypeAlias = Any
T = TypeVar("T")


def camel(name: str) -> str:
    """`stop_timeout` -> `stopTimeout`; one trailing underscore (`from_`) is dropped."""
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


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
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds == int(seconds) else seconds
    if isinstance(value, Mapping):
        return {str(key): to_tree(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(to_tree(item) for item in value)
    if isinstance(value, tuple | list):
        return [to_tree(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            key: to_tree(getattr(value, name))
            for name, key, _, default in _fields(value.__class__)
            if default is dataclasses.MISSING or getattr(value, name) != default
        }
    raise TypeError(f"no tree form for {type(value).__name__}")


def from_tree(cls: type[T], tree: Tree) -> T:
    """The value of type `cls` that `to_tree` wrote as `tree`; ValueError names the path where it does not fit."""
    return typing.cast("T", _read(cls, tree, "$"))


def _read(kind: Any, tree: Tree, path: str) -> Any:
    origin = typing.get_origin(kind)
    args = typing.get_args(kind)
    if kind is object or kind is Any:
        return tree
    if origin in (types.UnionType, typing.Union):
        if tree is None and type(None) in args:
            return None
        return _read(next(arg for arg in args if arg is not type(None)), tree, path)
    if origin in (tuple, frozenset):
        _expect(isinstance(tree, list), path, "a list")
        return origin(_read(args[0], item, f"{path}[{at}]") for at, item in enumerate(tree))
    if origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(tree, dict), path, "an object")
        return {key: _read(args[1], item, f"{path}.{key}") for key, item in tree.items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(typing.cast("type", kind), tree, path)
    return _read_scalar(kind, tree, path)


def _read_dataclass(kind: type, tree: Tree, path: str) -> Any:
    _expect(isinstance(tree, dict), path, "an object")
    rows = _fields(kind)
    unknown = set(tree) - {key for _, key, _, _ in rows}
    _expect(not unknown, path, f"no key {', '.join(sorted(unknown))}")
    values = {}
    for name, key, hint, default in rows:
        if key in tree:
            values[name] = _read(hint, tree[key], f"{path}.{key}")
        else:
            _expect(default is not dataclasses.MISSING, path, f"a key {key}")
    return _made(kind, path, **values)


def _made(kind: Any, path: str, /, *args: Any, **values: Any) -> Any:
    try:
        return kind(*args, **values)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from error


def _read_scalar(kind: Any, tree: Tree, path: str) -> Any:
    if kind is datetime:
        _expect(isinstance(tree, str), path, "an instant")
        instant = _made(datetime.fromisoformat, path, tree)
        _expect(instant.tzinfo is not None, path, "an instant with its time zone")
        return instant
    if kind is timedelta:
        _expect(isinstance(tree, int | float) and not isinstance(tree, bool), path, "seconds")
        return _made(timedelta, path, seconds=tree)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        _expect(isinstance(tree, str), path, "a string")
        return _made(kind, path, tree)
    if kind is float and isinstance(tree, int) and not isinstance(tree, bool):
        return float(tree)
    _expect(type(tree) is kind, path, kind.__name__)
    return tree


def _expect(holds: bool, path: str, what: str) -> None:  # noqa: FBT001 - reads as a sentence at the call
    if not holds:
        raise ValueError(f"{path}: expected {what}")
