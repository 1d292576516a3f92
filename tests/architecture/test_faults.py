"""The page about faults and its tests are in step: every row names tests, and every test that is named is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in (TOP / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| fault", "| ---"))
]


@cache
def known() -> frozenset[str]:
    """The names of all tests."""
    files = [file for file in (TOP / "tests").rglob("test_*.py") if "def test_" in file.read_text(encoding="utf-8")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_fault_says_what_holds_and_names_tests_that_are_there(row: list[str]) -> None:
    fault, held, named = row
    assert fault
    assert held
    assert re.fullmatch(r"`test_\w+`( `test_\w+`)*", named)
    assert set(re.findall(r"test_\w+", named)) <= known()


def test_the_page_is_read_at_all() -> None:
    assert len(ROWS) >= 45
