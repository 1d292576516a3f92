"""Law: a node speaks when there is news, under a sequence that was journalled before; it hears whom its gates ask for.

Speaking and hearing run beside the loop and never delay healing; what does not end in time is given up, and no worker
waits for it. Each transport is for itself: what one of them took is sent, and one that does not show it is given it
again whenever it is heard. What none took is not remembered as sent, so the next worker makes a newer report of it.
What was heard is kept in the node's own store (daemon/archive.py); a worker that lives long hears again and again. A
transport that does not answer is an alarm that names it. Where none answers, that is a hold for good news only: bad
news that is in the store counts. The only one has not answered where it shows nobody else, and others were heard
before: a share that is not mounted is an empty folder.
A sequence only grows, over lost journals too: a journal that made no report yet takes over what this node has published
(core.rollout.takeover), and nothing is said before every transport was asked for that.
What reads and signs reports is loaded by nodes that make some.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.events import AlarmCleared, AlarmRaised, Event, ReportMade
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.report import HEARTBEAT, Report, Reporting, StoredReport
from edgegitops.core.rollout.takeover import take_over
from edgegitops.core.rollout.telling import Voice, is_news, report_of, soaks_asked
from edgegitops.daemon.archive import Archive
from edgegitops.errors import DeniedError, UnavailableError
from edgegitops.ports import Clock, Journal, ReportStore, ReportTransport

SOONEST = timedelta(minutes=1)
HEARD_AGAIN_AFTER = timedelta(minutes=1)
HEARD_FOR = timedelta(minutes=3)
GIVEN_UP_AFTER = timedelta(seconds=150)  # each transport gives up before
_ALARM = f"{Alarm.REPORTS_UNREACHABLE} fleet"


@dataclass(frozen=True, slots=True)
class Post:
    """What a node speaks with: its transports under what the fleet says, its store, and its report key: payload to
    armor, and the public line. `pool` has threads that hold up nobody's end; None: those of the steps. `is_own`: the
    node's own configuration says where reports go; of the ways in `left` (`git`, `directory`) the fleet may say it.
    """

    transports: Callable[[Reporting], Sequence[ReportTransport]]
    store: ReportStore
    sign: Callable[[bytes], bytes]
    key_line: Callable[[], str]
    pool: Executor | None = None
    is_own: bool = True
    left: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Errand:
    """Something under way beside the loop; its result is what went wrong."""

    future: "Future[tuple[str, ...]]"
    ends_at: timedelta


class Postman:
    """The post of one worker."""

    def __init__(self, post: Post, node: NodeIdentity, journal: Journal, clock: Clock, pool: Executor) -> None:
        self._post = post
        self._node = node
        self._journal = journal
        self._clock = clock
        self._pool = post.pool or pool
        self._name = f"{node.site}/{node.node}"
        self._archive = Archive(post.store, node.fleet)
        self._said: Reporting | None = None
        self._transports: Sequence[ReportTransport] = ()
        self._asked: frozenset[str] = frozenset()
        self._heard: tuple[frozenset[str], timedelta] = (frozenset(), timedelta())
        self._is_answered = True
        self._errands: dict[str, _Errand] = {}
        self._wrong: dict[str, tuple[str, ...]] = {}
        self._tried: Report | None = None
        self._has_heard_itself = False
        self._line = ""

    @property
    def heard(self) -> Mapping[str, tuple[StoredReport, ...]]:
        """Everything that is stored, by node."""
        return self._archive.all()

    @property
    def heard_from(self) -> frozenset[str] | None:
        """Of whom was asked a moment ago, whether they could be heard or not; None: there is nowhere to ask."""
        if self._said is not None and not self._transports:
            return None
        names, at = self._heard
        return names if self._clock.monotonic() - at < HEARD_FOR else frozenset()

    @property
    def is_answered(self) -> bool:
        """Whether any transport answered when it was last asked for what others say."""
        return self._is_answered

    @property
    def under_way(self) -> list["Future[tuple[str, ...]]"]:
        """What is waited for."""
        return [one.future for one in self._errands.values()]

    def due_at(self) -> datetime | None:
        """When the next report is due at the latest; None where none goes anywhere. While a transport does not answer
        it is tried again after pauses that double, up to a heartbeat. Never at once: while nothing can be sent, workers
        would come in vain, one after the other.
        """
        if not self._transports:
            return None
        last, now, heartbeat = self._tried or self._last(), self._clock.now(), self._heartbeat
        due = (min(last.issued_at, now) if last is not None else now) + heartbeat
        standing = self._journal.ledger().alarms.get(_ALARM)
        if standing is not None:
            due = min(due, now + min(now - standing.since, heartbeat))
        return max(due, now + SOONEST)

    @property
    def _heartbeat(self) -> timedelta:
        return max(self._said.heartbeat if self._said is not None else HEARTBEAT, SOONEST)

    def turn(
        self, heads: Mapping[str, tuple[str, ...]], wanted: Mapping[str, str], said: Reporting | None = None
    ) -> None:
        """Speak and hear where there is reason to. JournalError: nothing is sent. `wanted` maps nodes to their report
        keys; `said` is how the fleet reports, None: nobody knows yet.
        """
        self.take()
        if self._errands:
            return
        self._follow(said or self._said or Reporting())
        names, at = self._heard
        is_again = bool(wanted and names) and self._clock.monotonic() - at >= HEARD_AGAIN_AFTER
        if self._transports and (is_again or not self._asked >= self._names(wanted)):
            self._asked = self._names(wanted)
            self._begin("hear", lambda: self._hear(dict(wanted)))
        elif self._transports and self._may_speak():
            self._speak(heads)
        if not self._errands:
            self._tell()

    def _follow(self, said: Reporting) -> None:
        """The transports under what the fleet says now; others than before have not been heard."""
        if said != self._said:
            self._said, self._transports = said, self._post.transports(said)
            self._asked, self._has_heard_itself = frozenset(), False
            self._heard = (frozenset(), timedelta())
            self._wrong = {}

    def _begin(self, what: str, act: Callable[[], tuple[str, ...]]) -> None:
        self._errands[what] = _Errand(self._pool.submit(act), self._clock.monotonic() + GIVEN_UP_AFTER)

    def _names(self, wanted: Collection[str]) -> frozenset[str]:
        return frozenset(wanted) | {self._name}

    def _may_speak(self) -> bool:
        """A journal that does not know what this node has published has to have taken it over."""
        return self._journal.ledger().is_sure

    def _speak(self, heads: Mapping[str, tuple[str, ...]]) -> None:
        from edgegitops.core.trust.reports import payload_of, sealed

        ledger = self._journal.ledger()
        installation = ledger.installation or uuid.uuid4().hex
        voice = Voice(self._node, installation, self._clock.boot_id())
        sequence = ledger.report_sequence + 1
        report = report_of(ledger, voice, heads, sequence=sequence, now=self._clock.now())
        asked = soaks_asked(ledger)
        if not is_news(self._tried or self._last(), report, heartbeat=self._heartbeat, asked=asked):
            return
        fresh = {
            name: tuple(
                digest for digest, latch in record.latches.items() if not latch.told_in and not latch.is_refusal
            )
            for name, record in ledger.deployments.items()
        }
        first = {name: digests for name, digests in fresh.items() if digests}
        self._tried = report
        try:
            payload = payload_of(report)
            data = sealed(payload, self._post.sign(payload))
        except ValueError:  # whoever has this node's key may have used up all sequences
            words = f"no report can be made under sequence {sequence}; give this node another report key"
            self._wrong["send"] = (words,)
            return
        except DeniedError as error:
            self._wrong["send"] = (error.message,)
            return
        self._append([ReportMade(sequence, sha256_hex(payload), installation, first)])
        self._begin("send", lambda: self._send(data))

    def _send(self, data: bytes) -> tuple[str, ...]:
        """What went wrong. One transport that took it is enough: the others are given it when they are heard."""
        wrong = [_error_of(partial(one.publish, self._name, data)) for one in self._transports]
        if not all(wrong):
            wrong.append(
                _error_of(lambda: self._archive.take_in({self._name: data}, {self._name: self._post.key_line()}))
            )
        return _words(wrong)

    def _hear(self, wanted: Mapping[str, str]) -> tuple[str, ...]:
        """What went wrong. Who denies itself will not be heard by trying again, and is not waited for."""
        keys, transports = dict(wanted), self._transports
        try:
            keys[self._name] = self._line = self._post.key_line()
        except DeniedError as error:
            self._is_answered = False
            return (error.message,)
        answered: list[ReportTransport] = []
        wrong = [_error_of(partial(self._hear_from, one, keys, answered)) for one in transports]
        if transports is self._transports:  # else it was given up, and the fleet names another place by now
            self._is_answered = bool(answered)
            is_sure = all(one is None or isinstance(one, DeniedError) for one in wrong)
            self._has_heard_itself = self._has_heard_itself or is_sure
        return _words(wrong)

    def _hear_from(self, transport: ReportTransport, keys: Mapping[str, str], answered: list[ReportTransport]) -> None:
        found = transport.collect(sorted(keys))
        self._archive.take_in(found, keys)
        is_emptied = self._is_emptied(found, keys)
        if not is_emptied:
            answered.append(transport)
        if found.get(self._name) == b"":
            raise UnavailableError("reports", "collect", f"the own report ({self._name}) could not be had")
        self._remind(transport, found.get(self._name, b""))
        if is_emptied:
            words = (
                "where reports are kept is nobody's but our own any more; is the share mounted, is it the right place?"
            )
            raise UnavailableError("reports", "collect", words)

    def _is_emptied(self, found: Collection[str], names: Collection[str]) -> bool:
        """It has lost everybody else who is asked for. Of one way among several nobody knows who came by it."""
        others = set(names) - {self._name}
        if len(self._transports) > 1 or not others.isdisjoint(found):
            return False
        return not others.isdisjoint(self._archive.all())

    def _remind(self, transport: ReportTransport, shown: bytes) -> None:
        """Give our last word to a transport that shows none, or an older one."""
        own = self._archive.own(self._name)
        told = next((said for said, data in own if data == shown), None)
        if own and (told is None or told.report.sequence < own[0][0].report.sequence):
            transport.publish(self._name, own[0][1])

    def take(self) -> None:
        """Take what ended, before the next decision: it may be about that. JournalError: it is not remembered."""
        for what, errand in tuple(self._errands.items()):
            if errand.future.done():
                error = errand.future.exception()
                self._wrong[what] = _words([error]) if error is not None else errand.future.result()
            elif self._clock.monotonic() >= errand.ends_at:
                self._wrong[what] = (f"no end after {GIVEN_UP_AFTER.total_seconds():.0f} s: given up",)
                self._is_answered = self._is_answered and what != "hear"
            else:
                continue
            del self._errands[what]
            if what == "hear":
                self._heard = (self._asked, self._clock.monotonic())
                self._take_over()

    def _take_over(self) -> None:
        """What this node published and its journal does not know; nothing while a transport may show more of it."""
        ledger = self._journal.ledger()
        if not (self._has_heard_itself or ledger.is_sure):
            return
        every = [said for said, _ in self._archive.own(self._name)]
        own = [said for said, _ in self._archive.own(self._name, self._line)]
        bygone = [said for said in every if said not in own]
        event = take_over(ledger, own, fresh=uuid.uuid4().hex, bygone=bygone)
        if event is not None:
            self._append([event])

    def _tell(self) -> None:
        """One alarm for all that went wrong in this worker."""
        wrong = "; ".join(dict.fromkeys(word for words in self._wrong.values() for word in words))
        standing = self._journal.ledger().alarms.get(_ALARM)
        if wrong and (standing is None or standing.detail != wrong):
            self._append([AlarmRaised(Alarm.REPORTS_UNREACHABLE, "fleet", wrong)])
        elif not wrong and standing is not None:
            self._append([AlarmCleared(Alarm.REPORTS_UNREACHABLE, "fleet")])

    def _append(self, events: Sequence[Event]) -> None:
        self._journal.append(events, self._clock.now())

    def _last(self) -> Report | None:
        """The last report that was sent."""
        own = self._archive.own(self._name)
        return own[0][0].report if own else None


def _error_of(act: Callable[[], None]) -> Exception | None:
    """What went wrong, whatever it is: one transport's fault is not the other's."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - as above; it is told
        return error
    return None


def _words(wrong: Sequence[BaseException | None]) -> tuple[str, ...]:
    return tuple(
        one.message if isinstance(one, UnavailableError | DeniedError) else f"{type(one).__name__}: {one}"
        for one in wrong
        if one is not None
    )
