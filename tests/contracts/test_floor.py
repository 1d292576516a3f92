"""The contract of `ports.FloorCopy`, and what its file promises about power cuts and damage."""

import dataclasses
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgegitops.adapters.floor_file import FloorFile
from edgegitops.adapters.floor_memory import MemoryFloor
from edgegitops.core.model.trust import Floor
from edgegitops.errors import UnavailableError
from edgegitops.ports import FloorCopy

FLOOR = Floor("c" * 40, "a" * 64, "b" * 40, 3, datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
NEXT = dataclasses.replace(FLOOR, commit="d" * 40, root_version=4)


@pytest.fixture(params=["file", "memory"])
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> FloorCopy:
    return FloorFile(tmp_path / "floor.json") if request.param == "file" else MemoryFloor()


def test_no_floor_was_stored(copy: FloorCopy) -> None:
    assert copy.read() is None


def test_floor_written_last_is_read(copy: FloorCopy) -> None:
    copy.write(FLOOR)
    assert copy.read() == FLOOR
    copy.write(NEXT)
    assert copy.read() == NEXT


def test_damaged_twin_has_no_floor_until_the_next_write() -> None:
    copy = MemoryFloor()
    copy.write(FLOOR)
    copy.is_damaged = True
    assert copy.read() is None
    copy.write(FLOOR)
    assert copy.read() == FLOOR


def test_file_is_for_its_owner_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    FloorFile(tmp_path / "floor.json").write(FLOOR)
    assert [file.name for file in tmp_path.iterdir()] == ["floor.json"]
    assert stat.S_IMODE((tmp_path / "floor.json").stat().st_mode) == 0o600


def test_every_cut_and_every_changed_byte_is_no_floor(tmp_path: Path) -> None:
    file = tmp_path / "floor.json"
    FloorFile(file).write(FLOOR)
    whole = file.read_bytes().rstrip()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert FloorFile(file).read() is None
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert FloorFile(file).read() is None
    file.write_bytes(whole)
    assert FloorFile(file).read() == FLOOR


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"floor": 1, "sha256": 2}', "[" * 100_000])
def test_file_that_is_something_else_is_no_floor(tmp_path: Path, text: str) -> None:
    (tmp_path / "floor.json").write_text(text)
    assert FloorFile(tmp_path / "floor.json").read() is None


def test_leftover_of_a_killed_write_is_no_obstacle(tmp_path: Path) -> None:
    copy = FloorFile(tmp_path / "floor.json")
    copy.write(FLOOR)
    (tmp_path / ".floor.json.new").write_text('{"floor": {"com')
    assert copy.read() == FLOOR
    copy.write(NEXT)
    assert copy.read() == NEXT
    assert [file.name for file in tmp_path.iterdir()] == ["floor.json"]


def test_disk_that_does_not_take_it_may_work_later(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"floor\.json.*check the disk"):
        FloorFile(tmp_path / "missing" / "floor.json").write(FLOOR)
