"""The contract of `ports.Lock` on flock: one owner, named to the others, and freed by the kernel when it dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgegitops.adapters.lock_flock import FlockLock
from edgegitops.errors import DeniedError, UnavailableError

HOLD = """
import sys
from edgegitops.adapters.lock_flock import FlockLock
with FlockLock(sys.argv[1]).take():
    print("held", flush=True)
    sys.stdin.read()
"""


def held_by_child(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def ended(child: subprocess.Popen[str]) -> None:
    for stream in (child.stdin, child.stdout):
        assert stream is not None
        stream.close()
    child.wait()


def test_lock_is_taken_and_given_back(tmp_path: Path) -> None:
    lock = FlockLock(tmp_path / "agent.lock")
    for _ in range(2):
        assert not lock.is_taken()
        with lock.take():
            assert lock.is_taken()
            assert (tmp_path / "agent.lock").read_text() == f"{os.getpid()}\n"
    assert not lock.is_taken()


def test_lock_is_given_back_when_its_owner_fails(tmp_path: Path) -> None:
    lock = FlockLock(tmp_path / "agent.lock")
    with pytest.raises(RuntimeError), lock.take():
        raise RuntimeError
    assert not lock.is_taken()


def test_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "agent.lock"
    child = held_by_child(path)
    try:
        with (
            pytest.raises(DeniedError, match=rf"agent\.lock is held by process {child.pid} \("),
            FlockLock(path).take(),
        ):
            pass
        assert path.read_text() == f"{child.pid}\n"
    finally:
        ended(child)
    with FlockLock(path).take():
        pass


def test_two_takers_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "agent.lock"
    with (
        FlockLock(path).take(),
        pytest.raises(DeniedError, match=f"process {os.getpid()}"),
        FlockLock(path).take(),
    ):
        pass


def test_kernel_frees_the_lock_of_a_killed_owner(tmp_path: Path) -> None:
    path = tmp_path / "agent.lock"
    child = held_by_child(path)
    child.send_signal(signal.SIGKILL)
    ended(child)
    assert path.read_text() == f"{child.pid}\n"
    with FlockLock(path).take():
        assert path.read_text() == f"{os.getpid()}\n"


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = FlockLock(tmp_path / "agent.lock")
    with lock.take():
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, close_fds=False)
    try:
        with lock.take():
            pass
    finally:
        ended(child)


@pytest.mark.parametrize("text", ["", "garbage\n", "4194305\n", "-1\n", "1" * 500])
def test_stale_file_is_no_obstacle(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.lock"
    path.write_text(text)
    with FlockLock(path).take():
        assert path.read_text() == f"{os.getpid()}\n"


def test_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="missing"), FlockLock(tmp_path / "missing" / "agent.lock").take():
        pass


def test_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "agent.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(UnavailableError), FlockLock(tmp_path / "agent.lock").take():
        pass
    assert (tmp_path / "victim").read_text() == "precious"
