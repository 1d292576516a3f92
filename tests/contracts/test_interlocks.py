"""Interlocks as they are really asked: a file, a program, a URL; and the desk that asks them side by side."""

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.clock_system import SystemClock
from edgegitops.adapters.interlock_exec import ask_program
from edgegitops.adapters.interlock_file import ask_file
from edgegitops.adapters.interlock_http import ask_url
from edgegitops.adapters.zones_zoneinfo import InstalledZones
from edgegitops.core.model.plant import Answer, Interlock
from edgegitops.daemon import interlocks
from edgegitops.daemon.interlocks import Desk

# --- a file -----------------------------------------------------------------------------------------------------------


def of_file(path: Path, *, exists: bool = True, fresher_than: timedelta | None = None) -> Interlock:
    return Interlock("a", "sites/a.yaml", path=str(path), exists=exists, fresher_than=fresher_than)


@pytest.mark.parametrize(("exists", "agrees"), [(True, True), (False, False)])
def test_file_that_is_there(tmp_path, exists, agrees):
    (tmp_path / "stopped").touch()
    assert ask_file(of_file(tmp_path / "stopped", exists=exists)).agrees is agrees


@pytest.mark.parametrize("name", ["stopped", "stopped/below", "other"])
def test_file_that_is_not_there(tmp_path, name):
    (tmp_path / "stopped").touch() if name == "stopped/below" else None
    assert ask_file(of_file(tmp_path / name)).agrees is False
    assert ask_file(of_file(tmp_path / name, exists=False)).agrees is True


@pytest.mark.parametrize(("age", "agrees"), [(0, True), (50, True), (70, False), (-30, None)])
def test_file_must_be_fresh_and_none_comes_from_the_future(tmp_path, age, agrees):
    path = tmp_path / "beat"
    path.touch()
    os.utime(path, (time.time() - age,) * 2)
    assert ask_file(of_file(path, fresher_than=timedelta(seconds=60))).agrees is agrees


def test_file_that_cannot_be_looked_at_is_unknown(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert ask_file(of_file(loop)).agrees is None
    assert ask_file(of_file(loop, exists=False)).agrees is None


# --- a program --------------------------------------------------------------------------------------------------------


def program(folder: Path, text: str) -> Interlock:
    path = folder / "ask"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Interlock("a", "sites/a.yaml", exec=(str(path), "line-3"))


@pytest.mark.parametrize(
    ("text", "agrees"),
    [("exit 0", True), ("exit 1", False), ("exit 2", None), ("kill -9 $$", None), ("test $1 = line-3", True)],
)
def test_program_says_it_by_its_exit_code(tmp_path, text, agrees):
    assert ask_program(program(tmp_path, text), folder=str(tmp_path)).agrees is agrees


def test_program_sees_nothing_of_the_agents_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    assert ask_program(program(tmp_path, 'test -z "$TOKEN"'), folder=str(tmp_path)).agrees is True


def test_program_that_hangs_is_unknown_and_ended_with_all_that_it_started(tmp_path):
    mark = tmp_path / "pid"
    asked = program(tmp_path, f"sleep 1000 & echo $! > {mark}.new; mv {mark}.new {mark}; wait")
    answer = ask_program(asked, timeout=1.0, folder=str(tmp_path))
    assert (answer.agrees, "did not end" in answer.detail) == (None, True)
    assert is_gone(int(mark.read_text()))


def is_gone(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_program_that_is_not_offered_is_never_run(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "offered").mkdir()
    asked = program(tmp_path, f"touch {mark}")
    assert ask_program(asked, folder=str(tmp_path / "offered")).agrees is None
    climbing = Interlock("a", "f", exec=(f"{tmp_path}/offered/../ask",))
    assert ask_program(climbing, folder=str(tmp_path / "offered")).agrees is None
    assert ask_program(asked).agrees is None
    assert not mark.exists()


def test_program_that_does_not_exist_is_unknown(tmp_path):
    assert ask_program(Interlock("a", "f", exec=(str(tmp_path / "none"),)), folder=str(tmp_path)).agrees is None


# --- a URL ------------------------------------------------------------------------------------------------------------


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/state?line=3"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def raw(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does with its one connection what it likes, until the test is over."""
    over = threading.Event()

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            serve(connection)
            over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


def of_url(url: str, **fields: object) -> Interlock:
    return Interlock("a", "sites/a.yaml", url=url, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "wanted", "agrees"),
    [(200, (), True), (204, (), True), (503, (), False), (503, (503,), True), (302, (), False)],
)
def test_status_agrees_or_not(status, wanted, agrees):
    with answering(status, b"", {"Location": "http://127.0.0.1:1/"} if status == 302 else None) as url:
        assert ask_url(of_url(url, status=wanted)).agrees is agrees


@pytest.mark.parametrize(
    ("body", "field", "equals", "agrees"),
    [
        ({"state": "stopped"}, "state", "stopped", True),
        ({"state": "running"}, "state", "stopped", False),
        ({"line": {"speed": 0}}, "line.speed", "0", True),
        ({"line": {"speed": 1}}, "line.speed", "0", False),
        ({"ok": True}, "ok", "true", True),
        ({"ok": "true"}, "ok", "true", True),
        ({"ok": False}, "ok", "true", False),
        ({"state": None}, "state", "stopped", None),
        ({"state": {}}, "state", "stopped", None),
        ({}, "state", "stopped", None),
        ([], "state", "stopped", None),
        ({"line": "x"}, "line.speed", "0", None),
        ("stopped", "state", "stopped", None),
    ],
)
def test_field_is_equal_or_not_or_not_there(body, field, equals, agrees):
    with answering(200, json.dumps(body).encode()) as url:
        assert ask_url(of_url(url, field=field, equals=equals)).agrees is agrees


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"no json"), (200, b"\xff"), (500, b'{"state": "stopped"}'), (200, b"[" * 60_000), (200, b" " * 70_000)],
)
def test_field_of_a_broken_answer_is_unknown(status, body):
    with answering(status, body) as url:
        assert ask_url(of_url(url, field="state", equals="stopped")).agrees is None


def test_silent_server_is_unknown_when_the_time_is_over():
    with raw(lambda _: None) as url:
        assert ask_url(of_url(url), timeout=0.2).agrees is None


def test_server_that_drips_is_unknown_when_the_time_is_over():
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            try:
                connection.sendall(b" ")
            except OSError:
                return
            time.sleep(0.05)

    with raw(drip) as url:
        assert ask_url(of_url(url, field="a", equals="b"), timeout=0.3) == Answer(None, detail="no answer: in time")


def test_nobody_listening_is_unknown():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask_url(of_url(f"http://127.0.0.1:{port}/")).agrees is None
    assert ask_url(of_url("http://127.0.0.1:99999/")).agrees is None


# --- the desk ---------------------------------------------------------------------------------------------------------

ONE, TWO = Interlock("one", "f", path="/one"), Interlock("two", "f", url="http://two/")
SECOND = timedelta(seconds=1)


def test_agreement_is_counted_from_answer_to_answer_without_a_break():
    clock, answers = MemoryClock(datetime(2026, 6, 1, tzinfo=UTC)), [True, True, True, False, True, True]
    desk = Desk({"file": lambda _: Answer(answers.pop(0))}, clock)
    spans = []
    for step in (0, 5, 5, 5, 5, 11):
        clock.advance(step * SECOND)
        found = desk.ask([ONE])[ONE]
        spans.append(found.agreed_for.total_seconds() if found.agrees else None)
    assert spans == [0, 5, 10, None, 0, 0], "a pause longer than ten seconds was not observed"


def test_what_was_not_asked_in_between_begins_anew():
    clock = MemoryClock(datetime(2026, 6, 1, tzinfo=UTC))
    desk = Desk({"file": lambda _: Answer(agrees=True)}, clock)
    desk.ask([ONE])
    clock.advance(SECOND)
    assert desk.ask([]) == {}, "an agreement counts for one look"
    assert desk.ask([ONE])[ONE].agreed_for == timedelta()


def test_refusal_is_kept_for_a_while_and_given_way_by_a_new_answer():
    clock, answers = MemoryClock(datetime(2026, 6, 1, tzinfo=UTC)), [None, True]
    desk = Desk({"file": lambda _: Answer(answers.pop(0))}, clock)
    desk.ask([ONE])
    assert desk.ask([]) == {ONE: Answer(None)}
    clock.advance(interlocks.KEPT_FOR)
    assert desk.ask([]) == {}
    assert desk.ask([ONE])[ONE].agrees is True


def test_one_that_hangs_or_breaks_is_unknown_and_delays_no_other(monkeypatch):
    monkeypatch.setattr(interlocks, "DEADLINE", timedelta(milliseconds=200))
    over = threading.Event()

    def hang(_: Interlock) -> Answer:
        over.wait(20)
        return Answer(agrees=True)

    def fail(_: Interlock) -> Answer:
        raise RuntimeError("broken")

    good = Interlock("three", "f", exec=("/three",))
    desk = Desk({"file": hang, "http": fail, "exec": lambda _: Answer(agrees=True)}, SystemClock())
    found = desk.ask([ONE, TWO, good])
    over.set()
    assert {one.name: answer.agrees for one, answer in found.items()} == {"one": None, "two": None, "three": True}


def test_way_that_nobody_asks_is_unknown():
    assert Desk({}, SystemClock()).ask([ONE])[ONE].agrees is None


# --- zones ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe", "a\0b"])
def test_names_that_are_no_zone_are_none(name):
    assert InstalledZones().find(name) is None


def test_installed_zones_are_found():
    zone = InstalledZones().find("Europe/Stockholm")
    assert zone is not None
    assert InstalledZones().find("UTC") is not None
