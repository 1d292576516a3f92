"""Law: what is news in the journal is told at least once, in order, and never costs the loop a moment.

The outbox is the journal itself: only how far it was told is kept, in a small file, so nothing grows while nobody
listens and nothing is lost with the process. A receiver that fails is tried again after 10 s, doubling to 10 min; what
it did not take within a day is skipped with a line in the log. The same notice has the same id each time.
A node that begins to tell says nothing of what was before. It runs in a thread of its own.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from edgegitops.core.model.codec import to_tree
from edgegitops.core.model.events import Entry
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.notice import Notice, Told
from edgegitops.core.reconcile.news import hear, overdue
from edgegitops.errors import JournalError, OutsideError
from edgegitops.ports import Clock, Log

IDLE: Final = timedelta(minutes=1)
FIRST: Final = timedelta(seconds=10)
CAP: Final = timedelta(minutes=10)
KEPT_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Mouth:
    """What the outbox needs of the outside. `entries` of the journal after a seq; `send` takes id and body, and raises
    OutsideError where nobody took it; `recall` and `keep` the file of what was told (None: nothing yet).
    """

    entries: Callable[[int], Iterable[Entry]]
    send: Callable[[str, bytes], None]
    recall: Callable[[], Told | None]
    keep: Callable[[Told], None]


class Outbox:
    """Tells; `turn` is called again and again."""

    def __init__(self, mouth: Mouth, clock: Clock, log: Log, *, node: NodeIdentity, held_for: timedelta) -> None:
        self._mouth = mouth
        self._clock = clock
        self._log = log
        self._node = node
        self._held_for = held_for
        self._told: Told | None = None
        self._failures = 0

    def turn(self) -> timedelta:
        """Tell what there is to tell; how long to wait before the next turn. Never raises for what is outside."""
        try:
            told = self._told or self._begin()
            is_done = self._tell(told)
        except (JournalError, OSError) as error:
            self._log.warning("notices-wait", detail=str(error))
            is_done = False
        if is_done:
            self._failures = 0
            return IDLE
        self._failures += 1
        return min(CAP, FIRST * float(2 ** min(self._failures - 1, 10)))

    def _begin(self) -> Told:
        """Where the last process stopped; at the end of the journal where none ever told; at the beginning of another
        journal than the one that was told of.
        """
        told = self._mouth.recall()
        if told is None:
            told = Told()
            for entry in self._mouth.entries(0):
                told, _ = hear(told, entry)
        elif told.seq and not self._is_of(told):
            told = Told()
        self._remember(told)
        return told

    def _is_of(self, told: Told) -> bool:
        """True where the journal is the one that was told of; its older entries may have been dropped meanwhile."""
        first = next(iter(self._mouth.entries(told.seq - 1)), None)
        return first is not None and (first.seq > told.seq or first.hash == told.hash)

    def _tell(self, told: Told) -> bool:
        """False where somebody did not take a notice: it is the first of the next turn."""
        for entry in self._mouth.entries(told.seq):
            after, notice = hear(told, entry)
            if notice is not None and not self._sent(notice):
                self._remember(told)
                return False
            told = after
            if notice is not None:
                self._remember(told)
        for after, notice in overdue(told, self._clock.now(), self._held_for):
            if not self._sent(notice):
                self._remember(told)
                return False
            told = after
        self._remember(told)
        return True

    def _sent(self, notice: Notice) -> bool:
        notice_id = f"{self._node.site}/{self._node.node}/{notice.id}"
        try:
            self._mouth.send(notice_id, self._body(notice, notice_id))
        except OutsideError as error:
            is_old = self._clock.now() - notice.at > KEPT_FOR and self._failures > 0
            word = "notice-given-up" if is_old else "notice-not-taken"
            self._log.warning(word, id=notice_id, code=notice.code, subject=notice.subject, detail=error.message)
            return is_old
        self._log.info("notice", id=notice_id, news=notice.news, code=notice.code, subject=notice.subject)
        return True

    def _body(self, notice: Notice, notice_id: str) -> bytes:
        tree = {
            "apiVersion": "edgegitops/v1",
            "kind": "Notice",
            "id": notice_id,
            "site": self._node.site,
            "node": self._node.node,
            "fleet": self._node.fleet,
            "news": notice.news,
            "at": to_tree(notice.at),
            "code": notice.code,
            "subject": notice.subject,
            "detail": notice.detail,
        }
        return json.dumps(tree).encode()

    def _remember(self, told: Told) -> None:
        if told != self._told:
            self._mouth.keep(told)
            self._told = told
