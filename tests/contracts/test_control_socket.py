"""The control socket: words of the owner reach the agent, nobody else's do, and what is left behind is no obstacle."""

import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgegitops.adapters.control_socket import listening, say
from edgegitops.adapters.wakeup_signals import Wakeup
from edgegitops.errors import DeniedError, UnavailableError


def test_word_of_the_owner_arrives(tmp_path: Path) -> None:
    heard: list[str] = []
    with listening(tmp_path / "agent.sock", heard.append):
        say(tmp_path / "agent.sock", "look")
        say(tmp_path / "agent.sock", "reconcile")
    assert heard == ["look", "reconcile"]
    assert not (tmp_path / "agent.sock").exists()


def test_only_the_owner_may_open_it(tmp_path: Path) -> None:
    with listening(tmp_path / "agent.sock", lambda _: None):
        assert stat.S_IMODE((tmp_path / "agent.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize("word", ["stop", "", "look at this", "x" * 500])
def test_unknown_word_is_refused_and_the_next_one_heard(tmp_path: Path, word: str) -> None:
    heard: list[str] = []
    with listening(tmp_path / "agent.sock", heard.append):
        with pytest.raises((DeniedError, UnavailableError)):
            say(tmp_path / "agent.sock", word)
        say(tmp_path / "agent.sock", "look")
    assert heard == ["look"]


ASK_AS_NOBODY = """
import os, socket
caller = socket.socket(socket.AF_UNIX)
os.setuid(65534)
caller.connect("agent.sock")
try:
    caller.sendall(b"look\\n")
except BrokenPipeError:
    pass  # the answer may come before the question is out
print(caller.recv(64).decode().strip())
"""


@pytest.mark.system
def test_another_user_is_refused(tmp_path: Path) -> None:
    heard: list[str] = []
    with listening(tmp_path / "agent.sock", heard.append):
        (tmp_path / "agent.sock").chmod(0o666)
        tmp_path.chmod(0o755)
        asked = [sys.executable, "-I", "-c", ASK_AS_NOBODY]
        done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (done.stdout.strip(), done.stderr) == ("refused", "")
    assert heard == []


def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no agent listens"):
        say(tmp_path / "agent.sock", "look")


def test_socket_of_a_dead_agent_is_replaced_and_other_files_are_not(tmp_path: Path) -> None:
    place = tmp_path / "agent.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place))
    dead.close()
    with listening(place, lambda _: None):
        say(place, "look")
    place.write_text("precious")
    with pytest.raises(UnavailableError), listening(place, lambda _: None):
        raise AssertionError("it listens at a file")
    assert place.read_text() == "precious"


def test_long_path_is_no_obstacle(tmp_path: Path) -> None:
    place = tmp_path / ("d" * 100) / "agent.sock"
    place.parent.mkdir()
    heard: list[str] = []
    with listening(place, heard.append):
        say(place, "look")
    assert heard == ["look"]


def test_reconcile_is_not_lost_behind_a_look() -> None:
    wakeup = Wakeup()
    for words, asked in (
        (("look",), "look"),
        (("reconcile", "look"), "reconcile"),
        (("look", "reconcile"), "reconcile"),
    ):
        for word in words:
            wakeup.ask(word)
        assert (wakeup.asked(), wakeup.asked()) == (asked, "")


def test_listening_leaves_no_thread_behind(tmp_path: Path) -> None:
    with listening(tmp_path / "agent.sock", lambda _: None):
        pass
    for thread in threading.enumerate():
        if thread.name == "control":
            thread.join(5)
            assert not thread.is_alive()
