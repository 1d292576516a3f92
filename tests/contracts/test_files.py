"""Watching files: a hint for each way in which people change a file, none for its neighbours."""

import threading
from pathlib import Path

import pytest

from edgegitops.adapters.files_watchdog import FileHints


def write(file: Path) -> None:
    file.write_text("two")


def replace(file: Path) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text("two")
    fresh.rename(file)


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("change", [write, replace, remove])
def test_a_changed_file_is_a_hint(tmp_path: Path, change) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("one")
    hinted = threading.Event()
    hints = FileHints([str(file)], hinted.set)
    assert hints.start() == ()
    try:
        change(file)
        assert hinted.wait(10)
    finally:
        hints.stop()


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    hinted = threading.Event()
    hints = FileHints([str(tmp_path / "policy.yaml")], hinted.set)
    assert hints.start() == ()
    try:
        (tmp_path / "policy.yaml").write_text("one")
        assert hinted.wait(10)
    finally:
        hints.stop()


def test_a_neighbour_is_no_hint(tmp_path: Path) -> None:
    seen: list[str] = []
    both = threading.Event()
    hints = FileHints([str(tmp_path / "mine")], lambda: (seen.append("mine"), both.set()))
    hints.start()
    try:
        (tmp_path / "other").write_text("one")
        (tmp_path / "mine").write_text("one")
        assert both.wait(10)
        calls = len(seen)
        (tmp_path / "other").write_text("two")
        (tmp_path / "other").read_text()
        (tmp_path / "mine").read_text()
    finally:
        hints.stop()
    assert len(seen) <= calls + 2  # the write of `mine` may come as created, modified and closed


def test_a_folder_that_comes_later_is_waited_for_and_followed(tmp_path: Path) -> None:
    file = tmp_path / "run" / "plc" / "stopped"
    hinted = threading.Event()
    hints = FileHints([str(file)], hinted.set)
    assert hints.start() == ()
    try:
        for change in (file.parent.parent.mkdir, file.parent.mkdir, file.touch, file.unlink, file.parent.rmdir):
            hinted.clear()
            change()
            assert hinted.wait(10), change
        hinted.clear()
        file.parent.mkdir()
        file.touch()
        assert hinted.wait(10)
    finally:
        hints.stop()


def test_files_that_are_named_later_take_the_place_of_those_before(tmp_path: Path) -> None:
    for name in ("own", "first", "second"):
        (tmp_path / name).mkdir()
    hinted = threading.Event()
    hints = FileHints([str(tmp_path / "own" / "a")], hinted.set)
    hints.start()
    try:
        hints.follow([str(tmp_path / "first" / "b")])
        until_hinted(hinted, tmp_path / "first" / "b")
        hints.follow([str(tmp_path / "second" / "c")])
        until_hinted(hinted, tmp_path / "second" / "c")
        while hinted.wait(0.5):  # one writing is several events
            hinted.clear()
        (tmp_path / "first" / "b").write_text("again")
        assert not hinted.wait(0.5)
        (tmp_path / "own" / "a").touch()
        assert hinted.wait(10)
    finally:
        hints.stop()


def until_hinted(hinted: threading.Event, file: Path) -> None:
    """Write it until that is seen: to follow waits for nothing."""
    hinted.clear()
    for _ in range(100):
        file.write_text("new")
        if hinted.wait(0.1):
            return
    raise AssertionError(f"{file} is not followed")


def test_no_thread_and_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    hints = FileHints([str(tmp_path / "a")], lambda: None)
    hints.start()
    hints.stop()
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == before
