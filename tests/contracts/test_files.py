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


def test_a_missing_folder_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    hinted = threading.Event()
    hints = FileHints([str(tmp_path / "gone" / "a"), str(tmp_path / "there" / "b")], hinted.set)
    assert hints.start() == (str(tmp_path / "gone"),)
    try:
        (tmp_path / "there" / "b").write_text("one")
        assert hinted.wait(10)
    finally:
        hints.stop()
