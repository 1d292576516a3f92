"""The contract of `ports.Clock`, and how the twin's time is moved by hand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.clock_system import SystemClock
from edgegitops.errors import UnavailableError
from edgegitops.ports import Clock

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture(params=["system", "memory"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SystemClock() if request.param == "system" else MemoryClock(AT)


def test_wall_time_is_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta()


def test_monotonic_time_never_steps_back(clock: Clock) -> None:
    looks = [clock.monotonic() for _ in range(100)]
    assert looks == sorted(looks)
    assert looks[0] >= timedelta()


def test_boot_has_one_id(clock: Clock) -> None:
    assert clock.boot_id()
    assert clock.boot_id() == clock.boot_id()


def test_boot_id_comes_from_the_given_file(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("0b1e\n")
    assert SystemClock(tmp_path / "boot_id").boot_id() == "0b1e"


@pytest.mark.parametrize("data", [None, b"", b"\n", b"\xff"])
def test_boot_id_that_cannot_be_read_is_no_id(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "boot_id").write_bytes(data)
    with pytest.raises(UnavailableError, match="boot_id"):
        SystemClock(tmp_path / "boot_id").boot_id()


def test_virtual_time_passes_steps_and_reboots() -> None:
    clock = MemoryClock(AT)
    clock.advance(timedelta(minutes=1))
    clock.step(AT - timedelta(days=365))
    assert (clock.now(), clock.monotonic()) == (AT - timedelta(days=365), timedelta(minutes=1))
    first = clock.boot_id()
    clock.reboot(down_for=timedelta(hours=1))
    assert clock.boot_id() != first
    assert (clock.now(), clock.monotonic()) == (AT - timedelta(days=365) + timedelta(hours=1), timedelta())
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(timedelta(seconds=-1))
