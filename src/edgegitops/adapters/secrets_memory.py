"""The twin of the store of secrets in memory: the same promises, and a key that is a switch."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from edgegitops.core.model.reasons import HoldReason
from edgegitops.errors import UnavailableError

PORT = "secrets"


@dataclass(slots=True)
class MemorySecrets:
    """`ports.Secrets` without age: what is stored is what is opened, but for `unreadable` and without a key."""

    has_key: bool = True
    unreadable: set[str] = field(default_factory=set)
    stored: dict[str, bytes] = field(default_factory=dict)

    def put(self, file: str, data: bytes) -> None:
        """Store it, if it can be read."""
        self._demand(file)
        self.stored[file] = data

    def present(self) -> frozenset[str]:
        """Those that are stored and can be read."""
        return frozenset(file for file in self.stored if self.has_key and file not in self.unreadable)

    def open(self, file: str) -> bytes:
        """The secret itself."""
        self._demand(file)
        if file not in self.stored:
            raise UnavailableError(PORT, "read", f"{file} is not stored", reason=HoldReason.SECRET_UNREADABLE)
        return self.stored[file]

    def keep(self, files: Iterable[str]) -> None:
        """Remove all but these."""
        for file in self.stored.keys() - set(files):
            del self.stored[file]

    def _demand(self, file: str) -> None:
        if not self.has_key or file in self.unreadable:
            raise UnavailableError(PORT, "read", f"{file}: no key opens it", reason=HoldReason.SECRET_UNREADABLE)
