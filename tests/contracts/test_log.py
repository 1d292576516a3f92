"""The contract of `ports.Log`: one event, one safe line; and a sink that is full or gone never stops the program."""

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.adapters.log_lines import LineLog
from edgegitops.adapters.log_structlog import LINE, StructlogLog

HOSTILE = 'evil\x1b[31m\r\nlevel=info "quoted" \x7f\x9b1m \u202e\u2028 ok'


def lines_of(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_json_line_carries_time_level_event_and_fields() -> None:
    stream = io.StringIO()
    StructlogLog(stream, json=True).info("release healthy", deployment="line", attempts=2, soaked=None)
    (line,) = lines_of(stream)
    fields = json.loads(line)
    assert datetime.fromisoformat(fields.pop("timestamp")).utcoffset() == timedelta()
    assert fields == {"level": "info", "event": "release healthy", "deployment": "line", "attempts": 2, "soaked": None}


def test_terminal_line_reads_as_pairs() -> None:
    stream = io.StringIO()
    StructlogLog(stream, json=False).warning("held", deployment="line", reason="operator", detail="", count=2)
    (line,) = lines_of(stream)
    assert line.startswith("timestamp=")
    assert line.endswith(' level=warning event=held deployment=line reason=operator detail="" count=2')


@pytest.mark.parametrize("is_json", [True, False])
def test_hostile_text_stays_in_its_line_and_steers_no_terminal(is_json: bool) -> None:
    stream = io.StringIO()
    StructlogLog(stream, json=is_json).info("seen", detail=HOSTILE)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue()[:-1].isprintable()


@pytest.mark.parametrize("is_line", [True, False])
def test_least_level_keeps_news_out_and_warnings_in(is_line: bool, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as stream:
        log = LineLog(stream, json=True, least="warning") if is_line else StructlogLog(stream, True, "warning")
        log.info("worker")
        log.warning("worker-died")
        stream.seek(0)
        assert [json.loads(line)["event"] for line in stream] == ["worker-died"]


@pytest.mark.parametrize("is_json", [True, False])
def test_form_of_the_residents_lines_is_as_asked_for(is_json: bool, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as stream:
        LineLog(stream, json=is_json).info("started", version="1")
        stream.seek(0)
        assert stream.read().startswith("{") is is_json


@given(event=st.text(), detail=st.text(), is_json=st.booleans())
def test_any_text_is_one_printable_line(event: str, detail: str, is_json: bool) -> None:
    stream = io.StringIO()
    StructlogLog(stream, json=is_json).info(event, detail=detail)
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue()[:-1].isprintable()
    if is_json and len(detail) < 1_000:
        assert json.loads(stream.getvalue())["detail"] == detail


@pytest.mark.parametrize("is_json", [True, False])
def test_values_of_all_kinds_are_written(is_json: bool) -> None:
    stream = io.StringIO()
    values = {"at": datetime(2026, 3, 1, tzinfo=UTC), "set": {"b", "a"}, "map": {"k": [1]}, "error": OSError("gone")}
    StructlogLog(stream, json=is_json).info("kinds", **values)
    for word in ("2026-03-01", "gone", "a"):
        assert word in stream.getvalue()


@pytest.mark.parametrize("is_json", [True, False])
def test_long_values_are_cut_and_lines_fit_a_pipe(is_json: bool) -> None:
    stream = io.StringIO()
    log = StructlogLog(stream, json=is_json)
    log.info("long", detail="x" * 100_000)
    log.info("wide", **{f"field{number}": "ü" * 900 for number in range(20)})
    assert all(len(line.encode()) < LINE for line in lines_of(stream))
    assert "cut" in lines_of(stream)[1]


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
        os.close(reader)


def test_full_sink_loses_lines_and_says_how_many(pipe: tuple[int, io.TextIOWrapper]) -> None:
    reader, stream = pipe
    log = StructlogLog(stream, json=True)
    for number in range(200):
        log.info("filling", number=number, padding="x" * 900)
    kept = os.read(reader, 1 << 20).decode().splitlines()
    log.info("again")
    again = json.loads(os.read(reader, 1 << 20))
    assert again["event"] == "again"
    assert len(kept) + again["lost_lines"] == 200
    assert all(json.loads(line)["event"] == "filling" for line in kept)


def test_closed_sink_is_nobodys_problem() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    log = StructlogLog(stream, json=True)
    log.info("to nobody")
    with pytest.raises(BrokenPipeError):
        stream.close()
    log.warning("to nobody at all")
