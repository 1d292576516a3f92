"""The table of invariants and the tests are in step: each of the nineteen has tests, and they exist."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "maintain" / "invariants.md"
ROWS = re.findall(r"(?m)^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"))


def known() -> set[str]:
    files = (TOP / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"(?m)^def (test_\w+)\(", file.read_text(encoding="utf-8"))}


def test_all_nineteen_are_there_in_order() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 20))


@pytest.mark.parametrize(("number", "words", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_each_invariant_has_tests_that_exist(number: str, words: str, tests: str) -> None:
    named = re.findall(r"`(\w+)`", tests)
    assert words.strip(), number
    assert named, number
    assert set(named) <= known()
