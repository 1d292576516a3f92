"""Law: what is watched is asked when it is due, what was observed is counted, and only changes are journalled.

Counting is on the monotonic clock and only over time that was really observed: a pause longer than `GAP` between two
ticks (a suspended machine, a blocked process) counts as `GAP` at most; while a prober does not answer, nothing is
counted. It goes on up to what the node or a later wave asks for, whichever is more. A failed probe or another life of a
container sets healthy time back to nothing; not knowing yet only pauses it. Healthy time is marked once a minute where
it changed, and at once where it is enough for a decision; a prober that has not answered for the whole deadline is
told, too. What the journal says of a release goes before what was counted, unless the journal says what was written
here. Nothing is decided here: `tick` says whether a worker should look.
"""

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from edgegitops.core.model.events import Event, HealthChanged, SoakMarked
from edgegitops.core.model.facts import Handover, SoakWatch, Watch
from edgegitops.core.model.ledger import Health
from edgegitops.core.reconcile.streak import PROBES, Vital, answered, first_seen, interval, is_asked, judge, probe_of
from edgegitops.ports import Clock, Journal, Prober

GAP = timedelta(seconds=10)
MARK_EVERY = timedelta(minutes=1)
MARKS_KEPT = 4  # more than are written while a worker makes its last turn
Spans: TypeAlias = tuple[timedelta, timedelta, timedelta]
FAILED = (Health.UNREADY, Health.NOT_LIVE)


@dataclass(frozen=True, slots=True)
class _Count:
    """What was counted of one release, and what of it the journal knows since when."""

    watch: SoakWatch
    soaked_for: timedelta
    waited_for: timedelta
    unanswered_for: timedelta
    marked_at: timedelta
    marked: tuple[Spans, ...]
    is_told: bool = False

    @property
    def spans(self) -> Spans:
        """What is counted: healthy, not ready, unanswered."""
        return self.soaked_for, self.waited_for, self.unanswered_for


class Watcher:
    """Looks after what the worker handed over."""

    def __init__(self, journal: Journal, prober: Prober, clock: Clock, pool: Executor) -> None:
        self._journal = journal
        self._prober = prober
        self._clock = clock
        self._pool = pool
        self._watches: dict[str, Watch] = {}
        self._vitals: dict[str, Vital] = {}
        self._due: dict[tuple[str, str], timedelta] = {}
        self._asked: dict[tuple[str, str], tuple[str, Future[bool | None]]] = {}
        self._counts: dict[str, _Count] = {}
        self._ticked_at: timedelta = clock.monotonic()

    def follow(self, handover: Handover) -> None:
        """Watch this from now on; what is known of a container that is still the same one is kept."""
        now = self._clock.monotonic()
        before = self._watches
        self._watches = {watch.container: watch for watch in handover.watches}
        self._vitals = {
            name: self._vitals[name] if _is_same(before.get(name), watch) else first_seen(watch, now)
            for name, watch in self._watches.items()
        }
        self._due = {
            key: at for key, at in self._due.items() if _is_same(before.get(key[0]), self._watches.get(key[0]))
        }
        known = {name: one for name, one in self._watches.items() if name in before}
        reborn = {one.deployment for name, one in known.items() if not _is_same(before[name], one)}
        self._counts = {soak.deployment: self._count(soak, now) for soak in handover.soaks}
        for name in reborn & self._counts.keys():
            self._counts[name] = replace(self._counts[name], soaked_for=timedelta())
        self._ticked_at = now

    def _count(self, soak: SoakWatch, now: timedelta) -> _Count:
        """Go on counting where the journal says what was written down lately; else begin at what the journal says.

        Lately, not last: the worker that hands over may have read the journal before the last mark.
        """
        before, known = self._counts.get(soak.deployment), (soak.soaked_for, soak.waited_for, soak.unanswered_for)
        if before is None or _subject(before.watch) != _subject(soak):
            return _Count(soak, *known, before.marked_at if before else now, (known,))
        if known not in before.marked:
            is_reset = known[1:] in [spans[1:] for spans in before.marked]  # healthy time alone: an end, a failed probe
            waited_for, unanswered_for = before.spans[1:] if is_reset else known[1:]
            return _Count(soak, soak.soaked_for, waited_for, unanswered_for, before.marked_at, (known,))
        is_told = before.is_told and (before.watch.needed, before.watch.deadline) == (soak.needed, soak.deadline)
        return replace(before, watch=soak, is_told=is_told)

    def flush(self) -> None:
        """Write down what was counted so far, so that a worker which begins now sees it."""
        now = self._clock.monotonic()
        counting = [name for name, count in self._counts.items() if _is_counting(count)]
        changed = {name for name in counting if self._counts[name].spans != self._counts[name].marked[-1]}
        self._counts |= {name: _written(self._counts[name], now) for name in counting}
        marks = [_mark_of(self._counts[name]) for name in counting if name in changed]
        if marks:
            self._journal.append(marks, self._clock.now())

    def tick(self) -> bool:
        """Ask what is due, take in answers, count, journal changes. True: a worker should look."""
        now = self._clock.monotonic()
        events: list[Event] = [*self._take_answers(now)]
        self._ask(now)
        events += self._take_answers(now)
        events += self._judge(now)
        is_news = bool(events)
        marks, is_enough = self._mark(now)
        events += marks
        if events:
            self._journal.append(events, self._clock.now())
        return is_news or is_enough

    def next_tick(self) -> timedelta:
        """How long to sleep: until a question is due, a running one may have ended, or counting needs a look."""
        now = self._clock.monotonic()
        waits = [at - now for key, at in self._due.items() if key not in self._asked]
        if self._asked:
            waits.append(timedelta(milliseconds=100))
        if any(_is_counting(count) for count in self._counts.values()):
            waits.append(timedelta(seconds=1))
        return max(timedelta(milliseconds=10), min(waits, default=timedelta(seconds=10)))

    def healths(self) -> Mapping[str, Health]:
        """What is known now, by engine name of the container."""
        return {name: vital.health for name, vital in self._vitals.items()}

    def soaks(self) -> Mapping[str, tuple[timedelta, timedelta]]:
        """Healthy time that was observed, and how much is needed, by deployment."""
        return {name: (count.soaked_for, count.watch.needed) for name, count in self._counts.items()}

    def _ask(self, now: timedelta) -> None:
        for name, watch in self._watches.items():
            vital = self._vitals[name]
            for which in PROBES:
                key = (name, which)
                probe = probe_of(watch, which)
                if probe is None or not is_asked(watch, vital, which):
                    self._due.pop(key, None)
                    continue
                if key in self._asked or self._due.get(key, now) > now:
                    continue
                self._due[key] = now + interval(watch, vital, which)
                self._asked[key] = (watch.id, self._pool.submit(self._prober.ask, probe, watch.id, watch.address))

    def _take_answers(self, now: timedelta) -> list[Event]:
        over = [key for key, (_, future) in self._asked.items() if future.done()]
        for name, which in over:
            asked_id, future = self._asked.pop((name, which))
            watch = self._watches.get(name)
            if watch is None or watch.id != asked_id:
                continue
            answer = None if future.exception() else future.result()
            self._vitals[name] = answered(watch, self._vitals[name], which, answer, now=now)
        return self._judge(now) if over else []

    def _judge(self, now: timedelta) -> list[Event]:
        events: list[Event] = []
        for name, watch in self._watches.items():
            vital = judge(watch, self._vitals[name], now)
            self._vitals[name] = vital
            known = watch.health
            if vital.health in (known, Health.UNKNOWN):
                continue
            self._watches[name] = replace(watch, health=vital.health)
            events.append(HealthChanged(watch.deployment, name, vital.health, _detail(vital)))
        return events

    def _mark(self, now: timedelta) -> tuple[list[Event], bool]:
        passed = min(now - self._ticked_at, GAP)
        self._ticked_at = now
        events: list[Event] = []
        is_enough = False
        for name, count in self._counts.items():
            after = self._advance(count, passed)
            is_news = (_is_enough(after) and not count.is_told) or (_is_late(after) and not _is_late(count))
            is_news = is_news or count.soaked_for < count.watch.gate <= after.soaked_for
            if is_news:
                after = replace(after, is_told=True)
                is_enough = True
            is_back = count.unanswered_for >= count.watch.deadline and not after.unanswered_for
            is_changed = after.spans != after.marked[-1]
            is_due = _is_counting(after) and is_changed and now - after.marked_at >= MARK_EVERY
            is_enough = is_enough or is_back
            if is_due or is_back or is_news:
                after = _written(after, now)
                events.append(_mark_of(after))
            self._counts[name] = after
        return events, is_enough

    def _advance(self, count: _Count, passed: timedelta) -> _Count:
        watch = count.watch
        if any(name in self._vitals and self._vitals[name].unanswered for name in watch.containers):
            unanswered = min(count.unanswered_for + passed, max(watch.deadline, count.unanswered_for))
            return replace(count, unanswered_for=unanswered, is_told=count.is_told and _is_enough(count))
        count = replace(count, unanswered_for=timedelta())
        is_ready = all(name in self._vitals and self._vitals[name].health is Health.READY for name in watch.containers)
        if is_ready:
            soaked = min(count.soaked_for + passed, max(watch.needed, watch.gate, count.soaked_for))
            waited = count.waited_for if watch.is_proving else timedelta()
            return replace(count, soaked_for=soaked, waited_for=waited, is_told=count.is_told and _is_enough(count))
        has_failed = any(name in self._vitals and self._vitals[name].health in FAILED for name in watch.containers)
        soaked = timedelta() if has_failed else count.soaked_for
        waited = min(count.waited_for + passed, max(watch.deadline, count.waited_for))
        return replace(count, soaked_for=soaked, waited_for=waited, is_told=count.is_told and _is_enough(count))


def _is_same(before: Watch | None, after: Watch | None) -> bool:
    if before is None or after is None:
        return False
    return (before.id, before.started_at, before.configs) == (after.id, after.started_at, after.configs)


def _subject(watch: SoakWatch) -> tuple[object, ...]:
    return watch.release, watch.containers, watch.is_proving


def _written(count: _Count, now: timedelta) -> _Count:
    marked = (*count.marked, count.spans)[-MARKS_KEPT:]
    return replace(count, marked_at=now, marked=marked)


def _mark_of(count: _Count) -> SoakMarked:
    return SoakMarked(count.watch.deployment, count.watch.release, *count.spans)


def _is_enough(count: _Count) -> bool:
    """A decision is due: the soak is complete while it was still needed, or the deadline is over, for good or bad
    answers or for none.
    """
    watch = count.watch
    is_soaked = watch.soaked_for < watch.needed or watch.is_proving
    return _is_late(count) or (is_soaked and count.soaked_for >= watch.needed)


def _is_late(count: _Count) -> bool:
    """The deadline is over. It is told besides a soak that is complete: one of no time is so from the beginning."""
    return max(count.waited_for, count.unanswered_for) >= count.watch.deadline


def _is_counting(count: _Count) -> bool:
    return (
        count.soaked_for < max(count.watch.needed, count.watch.gate)
        or max(count.waited_for, count.unanswered_for) > timedelta()
    )


def _detail(vital: Vital) -> str:
    if vital.health is Health.READY:
        return ""
    failed = [which for which in PROBES if getattr(vital, which).failed]
    return ", ".join(f"{which} probe failed {getattr(vital, which).failed} times" for which in failed)
