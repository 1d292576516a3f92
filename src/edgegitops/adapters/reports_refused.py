"""A way of reports that was said and is not taken here: whoever goes it is told why (DeniedError)."""

from collections.abc import Collection, Mapping

from edgegitops.errors import DeniedError


class RefusedReports:
    """`words` say what was not taken, and where to allow it."""

    def __init__(self, words: str) -> None:
        self._words = words

    def publish(self, name: str, data: bytes) -> None:
        """Never."""
        raise DeniedError("reports", f"publish {len(data)} bytes of {name}", self._words)

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """Never."""
        raise DeniedError("reports", f"collect {len(names)}", self._words)
