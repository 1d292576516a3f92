"""The threat table and its tests are in step: each row has a test, and each test says what makes it fail."""

import pytest
from tests.threats import Red, Row, reds, rows


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.threat)
def test_each_threat_has_a_test_that_was_seen_red(row: Row) -> None:
    assert row.defence
    assert row.left
    assert row.tests
    assert set(row.tests) <= {red.name for red in reds()}


@pytest.mark.parametrize("red", reds(), ids=lambda red: red.name)
def test_each_test_of_a_threat_is_in_the_table_and_names_a_line_that_is_there(red: Red) -> None:
    assert red.name in {name for row in rows() for name in row.tests}
    assert len({other.test for other in reds() if other.name == red.name}) == 1
    assert red.old in red.file.read_text(encoding="utf-8")


def test_the_table_is_read_at_all() -> None:
    assert len(rows()) >= 40
