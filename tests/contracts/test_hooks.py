"""Hooks: a program or a URL takes a notice, or says in words why not; a broken file of what was told is none."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edgegitops.adapters.hook_exec import hand_to_program
from edgegitops.adapters.hook_http import post
from edgegitops.adapters.recurring_threads import recurring
from edgegitops.adapters.told_file import ToldFile
from edgegitops.core.model.notice import Holding, Told
from edgegitops.errors import UnavailableError


def program(folder: Path, text: str) -> str:
    file = folder / "page"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def test_program_gets_body_and_id(tmp_path: Path) -> None:
    name = program(
        tmp_path, 'cat > "$1"; echo "$EDGEGITOPS_NOTICE" >> "$1"; echo noise; env | grep -c SECRET >> "$1" || true'
    )
    hand_to_program([name, str(tmp_path / "got")], "a/b/1", b'{"x": 1}\n', folder=str(tmp_path))
    assert (tmp_path / "got").read_text() == '{"x": 1}\na/b/1\n0\n'


@pytest.mark.parametrize(
    ("text", "words"), [("exit 3", "ended with 3"), ("sleep 60 & sleep 60", "did not end"), ("exec 0<&-; exit 1", "1")]
)
def test_program_that_does_not_take_it_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UnavailableError, match=words):
        hand_to_program([program(tmp_path, text)], "i", b"x" * 200_000, folder=str(tmp_path), timeout=1)


@pytest.mark.parametrize("name", ["/bin/true", "/etc/edgegitops/hooks/../../../bin/true", "true"])
def test_only_programs_of_the_folder_are_run(name: str) -> None:
    with pytest.raises(UnavailableError, match="is not in"):
        hand_to_program([name], "i", b"")


def loosen_file(name: str) -> None:
    Path(name).chmod(0o775)


def loosen_folder(name: str) -> None:
    Path(name).parent.chmod(0o757)


def give_away(name: str) -> None:
    os.chown(name, 4321, 4321)


def lead_elsewhere(name: str) -> None:
    """A link of ours to a program in a folder of somebody else."""
    file = Path(name)
    other = file.parent / "theirs"
    other.mkdir()
    file.rename(other / "page")
    os.chown(other, 4321, 4321)
    file.symlink_to(other / "page")


@pytest.mark.parametrize("change", [loosen_file, loosen_folder, give_away, lead_elsewhere])
def test_program_that_somebody_else_could_have_written_is_not_run(tmp_path: Path, change) -> None:
    name = program(tmp_path, 'touch "$1"')
    hand_to_program([name, str(tmp_path / "first")], "i", b"", folder=str(tmp_path))
    change(name)
    with pytest.raises(UnavailableError, match="is not run"):
        hand_to_program([name, str(tmp_path / "second")], "i", b"", folder=str(tmp_path))
    assert (tmp_path / "first").exists()
    assert not (tmp_path / "second").exists()


def test_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        hand_to_program([str(tmp_path / "none")], "i", b"", folder=str(tmp_path))


@contextmanager
def receiver(status: int) -> Iterator[tuple[str, list[tuple[str, str, str, bytes]]]]:
    got: list[tuple[str, str, str, bytes]] = []

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Idempotency-Key"], self.headers.get("Authorization", ""), body))
            self.send_response(status)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook?x=1", got
        finally:
            server.shutdown()
            thread.join()


def test_url_gets_body_id_and_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with receiver(204) as (url, got):
        post(url, "a/b/1", b"{}", token_file=str(token))
    assert got == [("/hook?x=1", "a/b/1", "Bearer s3cret", b"{}")]


@pytest.mark.parametrize("status", [301, 400, 401, 500])
def test_url_that_does_not_take_it_is_told(status: int) -> None:
    with receiver(status) as (url, _), pytest.raises(UnavailableError, match=str(status)):
        post(url, "i", b"{}")


def test_nobody_there_and_no_token_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="refused"):
        post("http://127.0.0.1:9/", "i", b"{}")
    with pytest.raises(UnavailableError, match="No such file"):
        post("http://127.0.0.1:9/", "i", b"{}", token_file=str(tmp_path / "none"))


def test_what_was_told_is_kept_whole_or_not_there(tmp_path: Path) -> None:
    file = ToldFile(tmp_path / "told.json")
    assert file.recall() is None
    told = Told(7, "ab", frozenset({"stuck line"}), {"line": Holding(3, datetime(2026, 3, 1, tzinfo=UTC), "window")})
    file.keep(told)
    assert ToldFile(tmp_path / "told.json").recall() == told
    for broken in ("", "[]", json.dumps({"seq": "x"})):
        (tmp_path / "told.json").write_text(broken)
        assert file.recall() is None


def test_a_recurring_thread_turns_when_it_is_woken() -> None:
    turned = threading.Semaphore(0)

    def turn() -> timedelta:
        turned.release()
        return timedelta(hours=1)

    with recurring("t", turn) as wake:
        assert turned.acquire(timeout=20)
        wake()
        assert turned.acquire(timeout=20)
