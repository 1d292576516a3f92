"""Law: a node speaks when there is news, under a sequence that was journalled before; it hears whom its gates ask for.

Speaking and hearing run beside the loop and never delay healing. What could not be sent is not remembered as sent, so
the next worker makes a newer report of it. What was heard once is kept in the node's own store, if its node signed it:
else whoever writes to a shared folder could fill the disk, and push bad news out. A transport that does not answer is
an alarm, and a hold for good news only: bad news that is in the store counts.
A sequence only grows, over lost journals too: a journal that made no report yet takes over what this node has published
(core.rollout.takeover), and nothing is said before every transport was asked for that.
What reads and signs reports is loaded by nodes that make some.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime, timedelta

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.events import AlarmCleared, AlarmRaised, Event, ReportMade
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.report import Report, Statement
from edgegitops.core.rollout.takeover import take_over
from edgegitops.core.rollout.telling import Voice, is_news, report_of, soaks_asked
from edgegitops.errors import DeniedError, UnavailableError
from edgegitops.ports import Clock, Journal, ReportStore, ReportTransport

SOONEST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Post:
    """What a node speaks with: its transports, its store, and its report key: payload to armor, and the public line."""

    transports: Sequence[ReportTransport]
    store: ReportStore
    sign: Callable[[bytes], bytes]
    key_line: Callable[[], str]


class Postman:
    """The post of one worker."""

    def __init__(self, post: Post, node: NodeIdentity, journal: Journal, clock: Clock, pool: Executor) -> None:
        self._post = post
        self._node = node
        self._journal = journal
        self._clock = clock
        self._pool = pool
        self._name = f"{node.site}/{node.node}"
        self._stored: Mapping[str, tuple[bytes, ...]] = post.store.stored()
        self._asked: frozenset[str] = frozenset()
        self._sending: Future[str] | None = None
        self._hearing: Future[str] | None = None
        self._tried: Report | None = None
        self._has_heard_itself = False

    @property
    def heard(self) -> Mapping[str, tuple[bytes, ...]]:
        """Everything that is stored, by node."""
        return self._stored

    @property
    def under_way(self) -> list["Future[str]"]:
        """What is waited for."""
        return [one for one in (self._sending, self._hearing) if one is not None]

    def due_at(self, heartbeat: timedelta) -> datetime:
        """When the next report is due at the latest. Never at once: while nothing can be sent, workers would come in
        vain, one after the other.
        """
        last, now = self._tried or self._last(), self._clock.now()
        return max((last.issued_at if last is not None else now) + heartbeat, now + SOONEST)

    def turn(self, heads: Mapping[str, tuple[str, ...]], wanted: Mapping[str, str], heartbeat: timedelta) -> None:
        """Speak and hear where there is reason to. JournalError: nothing is sent. `wanted` maps nodes to their report
        keys.
        """
        self.take()
        if self._hearing is None and not self._asked >= self._names(wanted):
            self._asked = self._names(wanted)
            self._hearing = self._pool.submit(self._hear, dict(wanted))
        if self._sending is None and self._hearing is None and self._may_speak():
            self._speak(heads, heartbeat)

    def _names(self, wanted: Collection[str]) -> frozenset[str]:
        return frozenset(wanted) | {self._name}

    def _may_speak(self) -> bool:
        """A journal that does not know what this node has published has to have taken it over."""
        return self._journal.ledger().is_sure

    def _speak(self, heads: Mapping[str, tuple[str, ...]], heartbeat: timedelta) -> None:
        from edgegitops.core.trust.reports import payload_of, sealed

        ledger = self._journal.ledger()
        installation = ledger.installation or uuid.uuid4().hex
        voice = Voice(self._node, installation, self._clock.boot_id())
        sequence = ledger.report_sequence + 1
        report = report_of(ledger, voice, heads, sequence=sequence, now=self._clock.now())
        asked = soaks_asked(ledger)
        if not is_news(self._tried or self._last(), report, heartbeat=heartbeat, asked=asked):
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
            self._tell(f"no report can be made under sequence {sequence}; give this node another report key")
            return
        except DeniedError as error:
            self._tell(error.message)
            return
        self._append([ReportMade(sequence, sha256_hex(payload), installation, first)])
        self._sending = self._pool.submit(self._send, data)

    def _send(self, data: bytes) -> str:
        """What went wrong; empty where every transport took it."""
        wrong = []
        for transport in self._post.transports:
            try:
                transport.publish(self._name, data)
            except (UnavailableError, DeniedError) as error:
                wrong.append(error.message)
        try:
            if not wrong:
                self._post.store.keep({self._name: data})
        except UnavailableError as error:
            wrong.append(error.message)
        return "; ".join(wrong)

    def _hear(self, wanted: Mapping[str, str]) -> str:
        wrong: list[str] = []
        keys = dict(wanted)
        try:
            keys[self._name] = self._post.key_line()
        except DeniedError as error:
            wrong.append(error.message)
        for transport in self._post.transports:
            try:
                found = transport.collect(sorted(keys))
                self._post.store.keep({name: data for name, data in found.items() if self._is_signed(name, data, keys)})
            except (UnavailableError, DeniedError) as error:
                wrong.append(error.message)
        self._has_heard_itself = self._has_heard_itself or not wrong
        return "; ".join(wrong)

    def _is_signed(self, name: str, data: bytes, keys: Mapping[str, str]) -> bool:
        from edgegitops.core.trust.reports import read_report

        found = read_report(data, fleet=self._node.fleet, name=name, key_line=keys.get(name, ""))
        return isinstance(found, Statement)

    def take(self) -> None:
        """Take what ended, before the next decision: it may be about that. JournalError: it is not remembered."""
        for what in ("_sending", "_hearing"):
            future: Future[str] | None = getattr(self, what)
            if future is not None and future.done():
                setattr(self, what, None)
                self._stored = self._post.store.stored()
                if what == "_hearing":
                    self._take_over()
                error = future.exception()
                self._tell(f"{type(error).__name__}: {error}" if error is not None else future.result())

    def _take_over(self) -> None:
        """What this node published and its journal does not know; nothing while a transport may show more of it."""
        ledger = self._journal.ledger()
        if not (self._has_heard_itself or ledger.is_sure):
            return
        from edgegitops.core.trust.reports import statement_in

        own = [one for one in map(statement_in, self._stored.get(self._name, ())) if one is not None]
        event = take_over(ledger, own, fresh=uuid.uuid4().hex)
        if event is not None:
            self._append([event])

    def _tell(self, wrong: str) -> None:
        standing = self._journal.ledger().alarms.get(f"{Alarm.REPORTS_UNREACHABLE} fleet")
        if wrong and (standing is None or standing.detail != wrong):
            self._append([AlarmRaised(Alarm.REPORTS_UNREACHABLE, "fleet", wrong)])
        elif not wrong and standing is not None:
            self._append([AlarmCleared(Alarm.REPORTS_UNREACHABLE, "fleet")])

    def _append(self, events: Sequence[Event]) -> None:
        self._journal.append(events, self._clock.now())

    def _last(self) -> Report | None:
        """The last report that was sent."""
        from edgegitops.core.trust.reports import statement_in

        found = [one.report for one in map(statement_in, self._stored.get(self._name, ())) if one is not None]
        return max(found, key=lambda one: one.sequence, default=None)
