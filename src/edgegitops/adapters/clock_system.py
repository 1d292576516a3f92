"""The machine's clocks; the only place of the product that asks what time it is.

The boot id tells that the machine went down in between. A virtual node shares its host's kernel, so where the boot id
is read from is an argument.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from edgegitops.errors import UnavailableError

KERNEL_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


class SystemClock:
    """`ports.Clock` of this machine."""

    def __init__(self, boot_id_file: str | Path = KERNEL_BOOT_ID) -> None:
        self._boot_id_file = Path(boot_id_file)

    def now(self) -> datetime:
        """The wall clock, in UTC; it may step."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock's adapter

    def monotonic(self) -> timedelta:
        """Time since this machine started, without what it slept; never steps back."""
        return timedelta(microseconds=time.monotonic_ns() // 1000)

    def boot_id(self) -> str:
        """The kernel's boot id; UnavailableError where it cannot be read or is empty."""
        try:
            text = self._boot_id_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError("clock", "boot id", f"{self._boot_id_file}: {error}") from error
        if not text:
            raise UnavailableError("clock", "boot id", f"{self._boot_id_file} is empty")
        return text
