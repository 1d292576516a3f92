"""Law: the resident watches and wakes; it decides nothing and touches no container.

It holds `agent.lock`, asks probes, counts soak, lists the engine, polls the tip of the branch, and starts a worker for
whatever is news. At most one worker lives at a time. It imports nothing heavy: what it needs of the outside comes as
small callables. Rules for waking, each a reason that is logged: start · health or soak is news · a container that
should run is missing, or one came that nobody expects · the remote shows another view, or nothing (`poll`) · the next
look is due · the engine answers again · a worker died (after a back-off). What a worker says is to be watched is
followed at once.

After two deaths in a row a worker that may only finish or revert follows at once, and another one whenever something
is to be healed; a whole worker is tried between them, each time after a longer back-off. Nothing waits any longer once
an engine that was silent answers again.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from edgegitops.core.model.events import DaemonStarted, DaemonStopped
from edgegitops.core.model.facts import Handover
from edgegitops.core.model.reasons import Alarm
from edgegitops.daemon.metrics import Counts, Pulse
from edgegitops.daemon.poll import Poll
from edgegitops.daemon.watch import Watcher
from edgegitops.errors import EdgegitopsError, JournalError
from edgegitops.ports import Clock, Journal, Log

LIST_EVERY = timedelta(seconds=15)
LIST_WHILE_PROVING = timedelta(seconds=2)
DEATHS_BEFORE_REVERT_ONLY = 2
HEALING = frozenset({"health", "drift", "next-look", "engine-is-back"})
BACK_OFF_FIRST = timedelta(seconds=1)
BACK_OFF_CAP = timedelta(minutes=5)
JOURNAL_CAP = timedelta(seconds=20)  # a disk that was freed is used soon
LOOK_AT_LEAST = timedelta(hours=1)
FILES_AT_MOST_EVERY = timedelta(seconds=10)
STOP_PATIENCE = timedelta(seconds=8)


class Worker(Protocol):
    """A worker process."""

    def poll(self) -> int | None:
        """Its exit code; None while it lives."""

    def news(self) -> Handover | None:
        """What is to be watched from now on, where it said so since the last call."""

    def handover(self) -> Handover:
        """What it left, after exit code 0."""

    def stop(self, patience: timedelta) -> None:
        """Ask it to end, wait, then end it by force."""


@dataclass(frozen=True, slots=True)
class Senses:
    """What the resident needs of the outside. `listing` answers which managed containers run (engine name -> mark);
    `tip` asks the remote; `launch(fetch, revert_only)` starts a worker; `has_hint` is true once after an
    engine event or a changed file; `asked` is an operator's word once, `look` or `reconcile`; `sleep` waits at most so
    long and returns early on a hint or a signal; `publish` is told after every turn how things stand;
    `has_changed_files` is true once after a file of the node, or one of those that `follow_files` named last, was
    written; `attend` takes note of what runs now, so that its end is a hint.
    """

    listing: Callable[[], Mapping[str, str]]
    tip: Callable[[], str | None]
    launch: Callable[[bool, bool], Worker]
    has_hint: Callable[[], bool]
    sleep: Callable[[timedelta], None]
    is_stopping: Callable[[], bool]
    notify: Callable[[str], None] = lambda _: None
    asked: Callable[[], str] = str
    attend: Callable[[], None] = lambda: None
    publish: Callable[[Pulse], None] = lambda _: None
    has_changed_files: Callable[[], bool] = bool
    follow_files: Callable[[Sequence[str]], None] = lambda _: None


@dataclass(slots=True)
class _BackOff:
    """Failures in a row of one kind of worker, and when the next may start."""

    failures: int = 0
    not_before: timedelta = timedelta()

    def after(self, now: timedelta, cap: timedelta) -> timedelta:
        """One more failure; how long the next one waits."""
        self.failures += 1
        wait = min(cap, BACK_OFF_FIRST * float(2 ** min(self.failures - 1, 10)))
        self.not_before = now + wait
        return wait


@dataclass(slots=True)
class _State:
    handover: Handover = field(default_factory=Handover)
    reasons: list[str] = field(default_factory=lambda: ["start"])
    fetch: bool = True
    worker: Worker | None = None
    is_revert_only: bool = False
    deaths: int = 0
    owes_revert: bool = False
    whole: _BackOff = field(default_factory=_BackOff)
    local: _BackOff = field(default_factory=_BackOff)
    is_engine_silent: bool = False
    due_at: timedelta = timedelta()
    listed_at: timedelta = timedelta(days=-1)
    listing: Future[Mapping[str, str]] | None = None
    has_worked: bool = False
    excused: dict[str, str] | None = None
    is_fetching: bool = False
    is_file_new: bool = False
    files_at: timedelta = timedelta(days=-1)
    counts: Counts = field(default_factory=Counts)


class Resident:
    """The loop. `run` ends on a stop signal, or with `once` when everything is at rest."""

    def __init__(  # noqa: PLR0913 - its ports, by name
        self,
        *,
        watcher: Watcher,
        journal: Journal,
        clock: Clock,
        log: Log,
        senses: Senses,
        pool: Executor,
        interval: timedelta,
        version: str,
    ) -> None:
        self._watcher = watcher
        self._journal = journal
        self._clock = clock
        self._log = log
        self._senses = senses
        self._pool = pool
        self._interval = interval
        self._poll = Poll(senses.tip, clock, log, pool, interval)
        self._version = version
        self._state = _State()

    def run(self, *, once: bool = False) -> Handover:
        """Watch until told to stop; `once`: until at rest. Returns the last handover. JournalError ends it."""
        try:
            return self._watch(once=once)
        finally:
            if self._state.worker is not None:  # also where the journal failed: nobody may act then
                self._state.worker.stop(STOP_PATIENCE)

    def _watch(self, *, once: bool) -> Handover:
        senses, state = self._senses, self._state
        self._journal.append([DaemonStarted(self._clock.boot_id(), self._version)], self._clock.now())
        self._log.info("started", version=self._version)
        senses.notify("READY=1")
        started_at = self._clock.now()
        while not senses.is_stopping():
            self._turn()
            self._publish(started_at)
            if once and self._is_done():
                break
            senses.notify("WATCHDOG=1")
            senses.sleep(self._patience())
        senses.notify("STOPPING=1")
        if state.worker is not None:
            state.worker.stop(STOP_PATIENCE)
            state.worker = None
        self._journal.append([DaemonStopped()], self._clock.now())
        self._log.info("stopped")
        return state.handover

    def _publish(self, started_at: datetime) -> None:
        state = self._state
        self._senses.publish(
            Pulse(
                version=self._version,
                started_at=started_at,
                handover=state.handover,
                counts=replace(state.counts),
                healths=self._watcher.healths(),
                soaks=self._watcher.soaks(),
                is_working=state.worker is not None,
            )
        )

    def _is_done(self) -> bool:
        state = self._state
        return state.has_worked and state.worker is None and not state.reasons and state.handover.is_at_rest

    def _turn(self) -> None:
        if self._watcher.tick():
            self._wake("health")
        self._hear()
        self._follow()
        self._reap()
        self._poll_tip()
        self._look()
        if self._state.worker is None and self._is_due():
            self._wake("next-look")
        self._launch()

    def _hear(self) -> None:
        """An operator's word wakes at once, whatever waits; `reconcile` also asks the remote."""
        word = self._senses.asked()
        if word:
            self._wait_no_longer()
            self._wake("operator", fetch=word == "reconcile")
        state, now = self._state, self._clock.monotonic()
        state.is_file_new = self._senses.has_changed_files() or state.is_file_new
        if state.is_file_new and now - state.files_at >= FILES_AT_MOST_EVERY:
            state.is_file_new, state.files_at = False, now
            self._wake("files")

    def _wake(self, reason: str, *, fetch: bool = False) -> None:
        if reason not in self._state.reasons:
            self._state.reasons.append(reason)
        self._state.fetch = self._state.fetch or fetch

    def _is_due(self) -> bool:
        """By either clock: the wall clock may have been set back by years since the next look was named."""
        state = self._state
        at: datetime | None = state.handover.next_look
        return at is not None and (at <= self._clock.now() or state.due_at <= self._clock.monotonic())

    def _due_at(self, next_look: datetime | None) -> timedelta:
        wait = next_look - self._clock.now() if next_look else LOOK_AT_LEAST
        return self._clock.monotonic() + min(wait, LOOK_AT_LEAST)

    def _follow(self) -> None:
        """Watch at once what a worker that still lives has started."""
        news = self._state.worker.news() if self._state.worker is not None else None
        if news is not None:
            self._take(news)

    def _take(self, handover: Handover) -> None:
        self._state.handover = handover
        self._state.due_at = self._due_at(handover.next_look)
        self._watcher.follow(handover)
        self._senses.follow_files(handover.files)

    def _reap(self) -> None:
        state = self._state
        code = state.worker.poll() if state.worker is not None else None
        if state.worker is None or code is None:
            return
        if code == 0:
            self._take(state.worker.handover())
            state.has_worked = True
            self._ended_well()
        else:
            self._died(code)
        state.worker = None
        state.listed_at = self._clock.monotonic()
        self._pool.submit(self._senses.attend)  # what it raises, the next listing meets too

    def _ended_well(self) -> None:
        """One that may only revert says nothing of a whole one, which must follow when its back-off is over."""
        state = self._state
        state.counts.looked_at = self._clock.now()
        state.counts.fetch_failures += state.is_fetching and Alarm.FETCH_FAILED in state.handover.bulletin.alarms
        state.local = _BackOff()
        state.owes_revert = False
        if not state.is_revert_only:
            state.deaths, state.whole = 0, _BackOff()
            return
        self._wake("only-reverted", fetch=True)

    def _died(self, code: int) -> None:
        state = self._state
        state.counts.deaths += 1
        if not state.is_revert_only:
            state.deaths += 1
            state.owes_revert = state.deaths >= DEATHS_BEFORE_REVERT_ONLY
        back_off = state.local if state.is_revert_only else state.whole
        cap = JOURNAL_CAP if code == JournalError.exit_code else BACK_OFF_CAP
        wait = back_off.after(self._clock.monotonic(), cap)
        self._wake("worker-died", fetch=True)
        self._log.warning("worker-died", exit_code=code, deaths=state.deaths, again_in=wait.total_seconds())

    def _wait_no_longer(self) -> None:
        self._state.whole.not_before = self._state.local.not_before = timedelta()

    def _launch(self) -> None:
        state = self._state
        if state.worker is not None or not state.reasons:
            return
        now = self._clock.monotonic()
        is_local = state.owes_revert or now < state.whole.not_before
        if is_local and not (self._may_heal() and now >= state.local.not_before):
            return
        state.is_revert_only = is_local
        self._watcher.flush()
        self._log.info("worker", reasons=",".join(state.reasons), fetch=state.fetch, revert_only=state.is_revert_only)
        state.listing = None  # what it will say is older than what the worker leaves
        state.is_fetching = state.fetch and not is_local
        state.counts.workers += 1
        state.worker = self._senses.launch(state.is_fetching, is_local)
        state.reasons = [one for one in state.reasons if one not in HEALING] if is_local else []
        state.fetch = state.fetch and is_local

    def _may_heal(self) -> bool:
        """Whole workers died twice in a row, and something is to be finished, reverted or healed meanwhile."""
        state = self._state
        has_died = state.deaths >= DEATHS_BEFORE_REVERT_ONLY
        return has_died and (state.owes_revert or not HEALING.isdisjoint(state.reasons))

    def _poll_tip(self) -> None:
        state = self._state
        is_whole = Alarm.CONTROL_TAGS_FAILED not in state.handover.bulletin.alarms  # else only the branch came
        fetched = (state.handover.fetched if is_whole else "") if state.has_worked else None
        is_fetching = state.worker is not None and state.is_fetching
        reason = self._poll.turn(state.counts, fetched=fetched, is_fetching=is_fetching)
        if reason:
            self._wake(reason, fetch=True)

    def _look(self) -> None:
        """Ask the engine in the pool what runs, so that one that is silent delays no probe. A worker makes its own
        looks.
        """
        state, now = self._state, self._clock.monotonic()
        if state.worker is not None or not (state.has_worked or state.deaths):
            return
        self._take_listing()
        every = LIST_WHILE_PROVING if self._is_in_haste() else LIST_EVERY
        if state.listing is not None or (not self._senses.has_hint() and now - state.listed_at < every):
            return
        state.listed_at = now
        state.listing = self._pool.submit(self._senses.listing)
        self._take_listing()

    def _is_in_haste(self) -> bool:
        """True while something is proven, or a switch waits for the end of a job."""
        handover = self._state.handover
        return handover.awaits_job or any(soak.is_proving for soak in handover.soaks)

    def _take_listing(self) -> None:
        """Compare what runs with what should. What is there and not expected is news once: the worker has the say.
        What the worker saw running and is gone is news each time: it may have ended again since the last worker.
        """
        state = self._state
        if state.listing is None or not state.listing.done():
            return
        asked, state.listing = state.listing, None
        try:
            found = dict(asked.result())
        except EdgegitopsError as error:
            self._log.warning("listing-failed", detail=str(error))
            state.is_engine_silent = True
            return
        if state.is_engine_silent:
            state.is_engine_silent = False
            self._wait_no_longer()
            self._wake("engine-is-back")
        if not state.has_worked:
            return
        expected = dict(state.handover.expected)
        if found == expected:
            state.excused = None
        elif found != state.excused or not expected.items() <= found.items():
            state.excused = found
            self._wake("drift")

    def _patience(self) -> timedelta:
        state = self._state
        if state.worker is not None or self._poll.is_asking or state.listing is not None:
            return min(timedelta(milliseconds=50), self._watcher.next_tick())
        waits = [self._watcher.next_tick(), self._interval, timedelta(seconds=10)]
        if self._state.handover.next_look is not None:
            waits.append(max(timedelta(milliseconds=50), self._state.handover.next_look - self._clock.now()))
        if self._is_in_haste():
            waits.append(LIST_WHILE_PROVING)
        if state.reasons:
            back_off = state.local if self._may_heal() else state.whole
            waits.append(max(timedelta(milliseconds=50), back_off.not_before - self._clock.monotonic()))
        return min(waits)
