"""A share whose server is gone: whoever touches it hangs in the kernel, and no kill helps until it is back.

A frozen file system hangs its writers so (fsfreeze(8)). It is made in a file, where this machine lets us mount one.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edgegitops.adapters.reports_directory import ReportsDirectory
from edgegitops.adapters.reports_share import ReportsShare
from edgegitops.errors import UnavailableError

NODE = "plant/press-1"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of its own."""
    image, place = tmp_path / "image", tmp_path / "share"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    made = [["mkfs.ext4", "-q", "-F", str(image)], ["mount", "-o", "loop", str(image), str(place)]]
    if os.geteuid() or any(subprocess.run(argv, capture_output=True, check=False).returncode for argv in made):
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


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
