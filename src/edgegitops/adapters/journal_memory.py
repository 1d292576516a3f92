"""The journal's twin in memory: the same chain, the same fold, and a place to die before or after each append.

`before_append` and `after_append` are called with the events of every call, before anything is kept and after all of
it is; what they raise goes through. `SimulatedCrash` is what a simulation raises there: no `except Exception` stops it.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from edgegitops.core.model import chain
from edgegitops.core.model.events import Entry, Event
from edgegitops.core.model.ledger import Ledger
from edgegitops.errors import BrokenInvariantError

Hook = Callable[[Sequence[Event]], None]


class SimulatedCrash(BaseException):
    """The process died here; nobody may handle it, as nobody handles kill -9."""


class MemoryJournal:
    """`ports.Journal` without a disk: what was appended outlives the agent that a simulation kills, as a file would."""

    def __init__(self, *, before_append: Hook | None = None, after_append: Hook | None = None) -> None:
        self.before_append = before_append
        self.after_append = after_append
        self._links: list[chain.Link] = []
        self._entries: list[Entry] = []
        self._ledger = Ledger()

    def append(self, events: Sequence[Event], at: datetime) -> None:
        """Keep all of them, or none where `before_append` raises."""
        if at.tzinfo is None:
            raise BrokenInvariantError(f"the journal was given an instant without a time zone: {at}")
        if not events:
            return
        if self.before_append:
            self.before_append(events)
        self._links.extend(self._forged(events, at))
        if self.after_append:
            self.after_append(events)

    def ledger(self) -> Ledger:
        """The fold of all events so far; only what is new since the last call is folded."""
        from edgegitops.core.reconcile.fold import advance

        for entry in self.entries(self._ledger.seq):
            self._ledger = advance(self._ledger, entry)
        return self._ledger

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """Entries with seq > since, oldest first, those appended while reading too."""
        while since < len(self._links):
            while len(self._entries) <= since:
                self._entries.append(chain.read_entry(self._links[len(self._entries)]))
            yield self._entries[since]
            since += 1

    def verify(self) -> int | None:
        """The seq of the first entry whose chain does not hold; None where all hold."""
        last = chain.GENESIS
        for seq, link in enumerate(self._links, start=1):
            if link.seq != seq or not chain.is_whole(link, last):
                return seq
            last = link.hash
        return None

    def _forged(self, events: Sequence[Event], at: datetime) -> list[chain.Link]:
        last = self._links[-1].hash if self._links else chain.GENESIS
        links: list[chain.Link] = []
        for seq, event in enumerate(events, start=len(self._links) + 1):
            try:
                links.append(chain.forge(event, at, seq=seq, previous=last))
            except ValueError as error:
                raise BrokenInvariantError(f"an event has no JSON form: {event.kind}: {error}") from error
            last = links[-1].hash
        return links
