"""A share whose server is gone: whoever touches it hangs in the kernel, and no kill helps until it is back.

A frozen file system hangs its writers so (fsfreeze(8)).
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.faults.loop_disk import LoopDisk

from edgegitops.adapters.reports_directory import ReportsDirectory
from edgegitops.adapters.reports_share import ReportsShare
from edgegitops.errors import UnavailableError

NODE = "plant/press-1"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of its own."""
    disk = LoopDisk(tmp_path / "image", tmp_path / "share", 16)
    disk.place.mkdir()
    disk.mount()
    try:
        yield disk.place
    finally:
        disk.unmount()


@pytest.fixture
def frozen(mount: Path) -> Iterator[Path]:
    """The same, and its writers hang until the test is over."""
    subprocess.run(["fsfreeze", "--freeze", str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(mount)], check=True)


def test_share_that_hangs_is_given_up_and_holds_no_thread_of_ours(frozen: Path) -> None:
    reports = ReportsShare(frozen, wall_for=timedelta(seconds=1))
    before = threading.active_count()
    with pytest.raises(UnavailableError, match=str(frozen)):
        reports.publish(NODE, b"said")
    assert threading.active_count() == before
    assert reports.collect([NODE]) == {}, "who reads does not hang, and finds nothing"


def test_share_that_is_back_is_written_again(mount: Path) -> None:
    reports = ReportsShare(mount, wall_for=timedelta(seconds=1))
    subprocess.run(["fsfreeze", "--freeze", str(mount)], check=True)
    try:
        with pytest.raises(UnavailableError):
            reports.publish(NODE, b"first")
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(mount)], check=True)
    ends_at = time.monotonic() + 30
    while ReportsDirectory(mount).collect([NODE]) != {NODE: b"second"} and time.monotonic() < ends_at:
        ReportsShare(mount).publish(NODE, b"second")  # what was left behind may end after it
    assert ReportsDirectory(mount).collect([NODE]) == {NODE: b"second"}
