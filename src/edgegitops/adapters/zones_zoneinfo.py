"""Time zones as this machine has them installed (zoneinfo). UTC is always known; a name that is no zone is none."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class InstalledZones:
    """Zones by IANA name; zoneinfo keeps what it has read."""

    def find(self, name: str) -> tzinfo | None:
        """The zone of this name; None where it is not installed."""
        if name == "UTC":
            return UTC
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None


__all__ = ["InstalledZones"]
