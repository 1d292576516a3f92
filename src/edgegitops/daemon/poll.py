"""Law: the remote is asked at its interval, beside the loop; what it says only decides when a fetch is worth its cost.

1. Another view than the fetched one is fetched at once. Where that brought nothing, the same view is tried again after
   pauses that double: a pack that never ends, or that is never whole, must not keep a node loading for ever.
2. A remote whose answers fail is not news by itself. After three in a row a fetch is tried all the same, and again
   after pauses that double: it tells the journal what is wrong, and brings news where only the question fails.
3. Denied credentials are told at once, and so is a remote that answers again, or shows what was fetched again: a
   fetch ends the alarm of the one before.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import timedelta

from edgegitops.core.model.reasons import HoldReason
from edgegitops.daemon.metrics import Counts
from edgegitops.errors import OutsideError
from edgegitops.ports import Clock, Log

FAILURES_BEFORE_FETCH = 3
SAME_VIEW_MOST = timedelta(minutes=15)
SILENCE_MOST = timedelta(hours=1)


@dataclass(slots=True)
class _Tries:
    """Fetches that were asked for in a row, and when the next one may be."""

    count: int = 0
    not_before: timedelta = timedelta()

    def is_due(self, now: timedelta) -> bool:
        return now >= self.not_before

    def again(self, now: timedelta, interval: timedelta, most: timedelta) -> None:
        """One more, and a pause of twice the one before; from one interval to `most`."""
        self.not_before = now + max(interval, min(most, interval * float(2 ** min(self.count, 20))))
        self.count += 1


@dataclass(slots=True)
class Poll:
    """The questions to the remote. `ask` answers its view, None: no such branch; it runs in `pool`."""

    ask: Callable[[], str | None]
    clock: Clock
    log: Log
    pool: Executor
    interval: timedelta
    _asked: Future[str | None] | None = None
    _asked_at: timedelta = timedelta(days=-1)
    _failed: str = ""
    _failures: int = 0
    _view: str = ""
    _of_view: _Tries = field(default_factory=_Tries)
    _of_silence: _Tries = field(default_factory=_Tries)

    @property
    def is_asking(self) -> bool:
        """Whether an answer is awaited."""
        return self._asked is not None

    def turn(self, counts: Counts, *, fetched: str | None, is_fetching: bool) -> str:
        """Ask where it is time, take an answer; why to fetch, empty: there is no reason. `fetched` is the view that was
        fetched last, None: nobody knows yet.
        """
        now = self.clock.monotonic()
        reason = ""
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            reason = self._take(asked, counts, fetched, is_fetching=is_fetching)
        if self._asked is None and now - self._asked_at >= self.interval:
            self._asked_at = now
            self._asked = self.pool.submit(self.ask)
            counts.polls += 1
        return reason

    def _take(self, asked: Future[str | None], counts: Counts, fetched: str | None, *, is_fetching: bool) -> str:
        try:
            view = asked.result()
        except OutsideError as error:
            counts.poll_failures += 1
            return self._silent(error, is_fetching=is_fetching)
        counts.polled_at = self.clock.now()
        is_back, self._failed, self._failures, self._of_silence = bool(self._failed), "", 0, _Tries()
        if is_back:
            self.log.info("poll-works-again")
        if view is None or view == fetched:
            was_other = self._view not in {"", fetched}
            self._view, self._of_view = "", _Tries()
            is_back = is_back or was_other
        elif fetched is not None and not is_fetching and self._is_worth_it(view):
            return "new-tip"  # or one that an earlier fetch did not bring
        return "remote-is-back" if is_back else ""

    def _is_worth_it(self, view: str) -> bool:
        now = self.clock.monotonic()
        if view != self._view:
            self._view, self._of_view = view, _Tries()
        if not self._of_view.is_due(now):
            return False
        self._of_view.again(now, self.interval, SAME_VIEW_MOST)
        return True

    def _silent(self, error: OutsideError, *, is_fetching: bool) -> str:
        is_new, self._failed = self._failed != error.message, error.message
        self._failures += 1
        if is_new:
            self.log.warning("poll-failed", reason=error.reason, detail=error.message)
            if error.reason == HoldReason.CREDENTIAL_DENIED:
                return "credential-denied"  # what a fetch says of it is journalled as an alarm
        now = self.clock.monotonic()
        if self._failures < FAILURES_BEFORE_FETCH or is_fetching or not self._of_silence.is_due(now):
            return ""
        self._of_silence.again(now, self.interval * FAILURES_BEFORE_FETCH, SILENCE_MOST)
        return "remote-is-silent"
