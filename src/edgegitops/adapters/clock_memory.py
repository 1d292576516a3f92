"""A clock that stands still until it is told otherwise: what simulations and tests live by."""

from datetime import datetime, timedelta


class MemoryClock:
    """`ports.Clock` in virtual time. The wall clock and the monotonic one move together, or apart by `step`."""

    def __init__(self, at: datetime, *, boot_id: str = "boot-1") -> None:
        self._now = at
        self._boot_id = boot_id
        self._boots = 1
        self._monotonic = timedelta()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return self._now

    def monotonic(self) -> timedelta:
        """Time since the last reboot; never steps back."""
        return self._monotonic

    def boot_id(self) -> str:
        """Another one after each reboot."""
        return self._boot_id

    def advance(self, span: timedelta) -> None:
        """Time passes."""
        if span < timedelta():
            raise ValueError(f"time does not pass backwards: {span}; use step")
        self._now += span
        self._monotonic += span

    def step(self, at: datetime) -> None:
        """Somebody sets the wall clock; no time passes."""
        self._now = at

    def reboot(self, *, down_for: timedelta = timedelta()) -> None:
        """The machine goes down and comes back: another boot id, and the monotonic clock begins again."""
        self._boots += 1
        self._boot_id = f"boot-{self._boots}"
        self._now += down_for
        self._monotonic = timedelta()
