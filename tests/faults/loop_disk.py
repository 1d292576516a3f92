"""A disk of its own for a place: an ext4 file system in an image on a loop device, which fails as disks do.

The kernel turns it read-only after an error that it is told of, as it does for a broken block; a power loss takes what
was not synced yet. What it was is found again in another image, as after a repair.
"""

import fcntl
import os
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from edgegitops.lab.commands import attempt, run, until

MIB = 1024**2
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_WITHOUT_FLUSH = struct.pack("I", 2)
_REPAIRED = (0, 1)


class LoopDisk:
    """The image `image`, mounted at `place`."""

    def __init__(self, image: Path, place: Path, mib: int) -> None:
        self.image, self.place = image, place
        with image.open("wb") as file:
            file.truncate(mib * MIB)
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "root_owner=0:0", str(image)])
        self.device = ""

    def mount(self) -> None:
        """Let it be there; what a power loss left is put in order by its journal."""
        self.device = run(["losetup", "--find", "--show", str(self.image)]).decode().strip()
        run(["mount", "-o", "errors=remount-ro", self.device, str(self.place)])
        run(["losetup", "--detach", self.device])  # as soon as nothing is mounted from it

    def unmount(self) -> None:
        """Take it away, whatever is open on it, from every node that was started beside it too: a disk that is mounted
        twice is broken for good.
        """
        run(["umount", "-l", str(self.place)])
        until(self._is_free, f"{self.device} free")

    def _is_free(self) -> bool:
        for place in Path("/proc").glob("[0-9]*/mountinfo"):
            with suppress(OSError):
                if f" {self.device} " in place.read_text():
                    attempt(["nsenter", f"--mount={place.parent}/ns/mnt", "umount", "-l", str(self.place)])
        return str(self.image) not in run(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"]).decode()

    def turn_read_only(self) -> None:
        """An error that the kernel stops writing after."""
        Path("/sys/fs/ext4", Path(self.device).name, "trigger_fs_error").write_text("a block is broken")

    def lose_power(self) -> None:
        """Nothing reaches the disk any more, neither what waits in memory."""
        place = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, _SHUTDOWN, _WITHOUT_FLUSH)
        finally:
            os.close(place)

    def repaired(self) -> "LoopDisk":
        """Another disk with what this one has, put in order; not mounted."""
        other = LoopDisk.__new__(LoopDisk)
        other.image, other.place, other.device = self.image.with_suffix(".repaired"), self.place, ""
        run(["dd", f"if={self.device}", f"of={other.image}", "bs=1M"])
        done = subprocess.run(["fsck.ext4", "-f", "-y", str(other.image)], capture_output=True, check=False)
        assert done.returncode in _REPAIRED, done.stdout
        return other
