"""`edgegitops logs --previous`: what is told of containers that are gone."""

from datetime import UTC, datetime

import pytest

from edgegitops.cli.logs import _show_previous
from edgegitops.core.model.observed import LastWords

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
KEPT = {
    "line/web": LastWords("line.web.0123", AT, "starts\nno camera\x1b[31m answers\n"),
    "line/db": LastWords("line.db.0123", AT, "bye"),
    "press/db": LastWords("press.db.0123", AT, "bye, too"),
}


@pytest.mark.parametrize("name", ["line/web", "web", "line.web.0123"])
def test_newest_lines_are_shown_and_whose_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _show_previous(name, KEPT, lines=1, raw=False) == 0
    said = capsys.readouterr()
    assert said.out == "no camera\\x1b[31m answers\n"
    assert said.err == "line.web.0123, removed 2026-03-01 12:30:00 UTC:\n"


@pytest.mark.parametrize(("name", "there"), [("db", "line/db, press/db."), ("lime", "line/web, line/db, press/db.")])
def test_name_that_is_nobodys_or_of_several_is_told(name: str, there: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _show_previous(name, KEPT, lines=9, raw=False) == 1
    assert capsys.readouterr().out.endswith(f"there are: {there}\n")
