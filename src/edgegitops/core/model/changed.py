"""Law: `replace` is that of `dataclasses`, only quicker: a decision and a fold make many values from one another.

A value is copied field by field, without running its `__init__` again. That is allowed where nothing else would happen
there: where a class has a `__post_init__`, or fields that its `__init__` does not take, `dataclasses` does the work.
"""

import dataclasses
from collections import deque
from collections.abc import Callable
from functools import cache
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - every change is checked as one of `dataclasses`
else:

    def replace(value: object, /, **changes: object) -> object:
        """The same value with other fields; TypeError where it has no such field."""
        kind = value.__class__
        shape = _shape(kind)
        if shape is None or not changes.keys() <= shape.known:
            return dataclasses.replace(value, **changes)
        made = object.__new__(kind)
        deque(map(_SET, repeat(made), shape.names, shape.read(value)), 0)
        for name, other in changes.items():
            _SET(made, name, other)
        return made


_SET = object.__setattr__  # as the `__init__` of a frozen dataclass does


class _Shape(NamedTuple):
    """The fields of a class in their order, and what reads all of them."""

    names: tuple[str, ...]
    known: frozenset[str]
    read: Callable[[object], tuple[object, ...]]


@cache
def _shape(kind: type) -> _Shape | None:
    """None where its `__init__` does more than to set all fields."""
    fields = dataclasses.fields(kind)
    names = tuple(one.name for one in fields)
    is_plain = all(one.init for one in fields) and not hasattr(kind, "__post_init__")
    is_generated = getattr(vars(kind).get("__init__"), "__qualname__", "") == f"{kind.__qualname__}.__init__"
    if len(names) < 2 or not is_plain or not is_generated:  # noqa: PLR2004 - the value of one is not read as a tuple
        return None
    return _Shape(names, frozenset(names), attrgetter(*names))
