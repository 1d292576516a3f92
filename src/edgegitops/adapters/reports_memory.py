"""The in-memory twin of report transports; `wrong` is raised by every call while it is set."""

from collections.abc import Collection, Mapping


class MemoryReports:
    """The reports of a fleet in a dictionary that several nodes share."""

    def __init__(self, shown: dict[str, bytes] | None = None) -> None:
        self.shown = {} if shown is None else shown
        self.wrong: Exception | None = None

    def publish(self, name: str, data: bytes) -> None:
        """Put a node's report in place of its last one."""
        if self.wrong is not None:
            raise self.wrong
        self.shown[name] = data

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The report of each of these nodes that has one."""
        if self.wrong is not None:
            raise self.wrong
        return {name: self.shown[name] for name in names if name in self.shown}
