"""Law: the twin of the notes: it gives back what was kept for the revision that is asked for, and nothing else."""

from edgegitops.core.model.facts import Desired


class MemoryNotes:
    """`ports.DesiredNotes` in memory."""

    def __init__(self) -> None:
        self._kept: Desired | None = None

    def recall(self, revision: str) -> Desired | None:
        """What this revision made of the node; None where that is not known."""
        return self._kept if self._kept is not None and self._kept.revision == revision else None

    def keep(self, desired: Desired) -> None:
        """Note it for the next worker."""
        self._kept = desired

    def forget(self) -> None:
        """Lose it."""
        self._kept = None
