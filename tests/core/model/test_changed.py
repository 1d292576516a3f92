"""`replace` does what `dataclasses.replace` does, for classes of every kind."""

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from edgegitops.core.model.changed import replace
from edgegitops.core.model.ledger import DeploymentRecord, Ledger


@dataclass(frozen=True, slots=True)
class Plain:
    """As most values are."""

    name: str
    size: int = 0
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lonely:
    """One field."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remembering:
    """Works something out once."""

    name: str
    size: int = 0

    @cached_property
    def twice(self) -> int:
        """Of this very value."""
        return self.size * 2


@dataclass(frozen=True, slots=True)
class Checking:
    """Refuses what is wrong."""

    name: str
    size: int = 0

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(self.size)


@dataclass(slots=True)
class Counting:
    """Sets a field by itself."""

    name: str
    size: int = 0
    seen: int = field(default=0, init=False)


class Grown(Remembering):
    """No dataclass of its own, with an `__init__` that does more."""

    def __init__(self, name: str, size: int = 0) -> None:
        super().__init__(name.upper(), size)


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (Plain("a", 1, ("x",)), {}),
        (Plain("a", 1, ("x",)), {"name": "b"}),
        (Plain("a", 1, ("x",)), {"words": (), "size": 2}),
        (Lonely(("a", "b")), {}),
        (Lonely(("a", "b")), {"words": ("c",)}),
        (Remembering("a", 1), {"size": 4}),
        (Checking("a", 1), {"size": 4}),
        (Counting("a", 1), {"size": 4}),
        (Grown("a", 1), {"size": 4}),
        (Ledger(seq=3), {"boot_id": "b"}),
        (DeploymentRecord("a"), {"soaked_for": None}),
    ],
)
def test_it_makes_what_dataclasses_would_make(value: Any, changes: dict[str, object]) -> None:
    before = repr(value)
    made = replace(value, **changes)
    assert made == dataclasses.replace(value, **changes)
    assert type(made) is type(value)
    assert made is not value
    assert repr(value) == before


def test_what_was_worked_out_of_a_value_is_not_taken_over() -> None:
    value = Remembering("a", 1)
    assert value.twice == 2
    assert replace(value, size=4).twice == 8


def test_a_value_that_checks_itself_is_checked_again() -> None:
    with pytest.raises(ValueError, match="-1"):
        replace(Checking("a"), size=-1)


def test_what_is_set_by_the_class_itself_is_refused_as_by_dataclasses() -> None:
    with pytest.raises(ValueError, match="seen"):
        replace(Counting("a"), seen=1)


@pytest.mark.parametrize("value", [Plain("a"), Lonely(), Ledger()])
def test_a_field_that_is_not_there_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no_such"):
        replace(value, no_such=1)


def test_a_value_that_is_no_dataclass_is_refused() -> None:
    with pytest.raises(TypeError):
        replace("text")  # type: ignore[type-var] # it is to be refused at run time too
