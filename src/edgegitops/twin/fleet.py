"""Law: a fleet in virtual time. The clock jumps to the next instant at which anything can change for a node.

1. A node looks when something of its own is due: the fetch, the end of a work, a probe, a soak, a window.
2. Who waits for the reports or approvals of others would ask again every minute, and hear the same. Nodes that wait for
   the same (deployment, wave, reason) therefore send one of them, in turn of their names, to ask every minute; when it
   hears something else, all of them look, each at its own time within a minute. Whether one may start is decided by
   itself alone, at its own look.
3. Before the end is believed, everybody who waits looks once more. The end is when that changes nothing.
4. Heartbeats are sent by nodes that run their new release and that later waves wait for: nobody reads those of others.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from typing import TypeAlias

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import Statement
from edgegitops.twin.hands import MakeHands, TwinClock
from edgegitops.twin.node import ASKED_EVERY, Node
from edgegitops.twin.plan import planned
from edgegitops.twin.story import FAILED_HERE, OFFLINE, UNDER_WAY, Chronicle, Given, Held, Story
from edgegitops.twin.weather import Fate, Weather
from edgegitops.twin.world import Setting, World

SECOND = timedelta(seconds=1)
INSTALLED_BEFORE = timedelta(days=30)
PATIENCE = timedelta(hours=2)
PATIENCE_WITH_LOSSES = timedelta(days=1)
LASTS_AT_MOST = timedelta(days=30)
MAY_BE_APPROVED = frozenset({HoldReason.APPROVAL, HoldReason.TOO_LITTLE_EVIDENCE})

Crowd: TypeAlias = tuple[str, str, int]
"""Deployment, reason of the hold, and wave."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    after: timedelta
    looks: int
    nodes: int


@dataclass(slots=True)
class _Member:
    """A node of the run. `due_at` is its next look, `crowds` those in which it waits."""

    node: Node
    found: Desired | tuple[Fault, ...]
    due_at: datetime | None = None
    crowds: frozenset[Crowd] = frozenset()
    beats: bool = False


class Fleet:
    """One run over a setting in a weather. `tell` hears now and then how far it is."""

    def __init__(
        self,
        setting: Setting,
        weather: Weather,
        make_hands: MakeHands,
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._setting = setting
        self._weather = weather
        self._make_hands = make_hands
        self._tell = tell
        self._clock = TwinClock(setting.began_at - INSTALLED_BEFORE)
        self._world = World(setting, self._clock)
        self._members: dict[str, _Member] = {}
        self._fates: dict[tuple[str, str], Fate] = {}
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._entries = 0
        self._crowds: dict[Crowd, dict[str, None]] = {}
        self._asked: dict[Crowd, tuple[int, int]] = {}
        self._heard = 0
        self._restless: set[str] = set()
        self._sent: list[Statement] = []
        self._approved: set[tuple[str, int]] = set()
        self._owed = 0
        self._given: list[Given] = []
        self._looks = 0
        self._moved_at = setting.began_at

    def run(self) -> Story:
        """Live until nothing moves any more."""
        self._found()
        self._live()
        return self._told()

    def forget(self) -> None:
        """Let go of the nodes once the story is told: each knows its fleet, so nothing else would end them soon."""
        self._agenda.clear()
        self._members.clear()

    # --- before the change

    def _found(self) -> None:
        """Everybody runs the base, well and for long, and has said so."""
        for name in self._world.names():
            self._add(name)
        ran = {name: one.node.installed for name, one in self._members.items()}
        self._plan = planned(self._world, ran, {name: one.found for name, one in self._members.items()})
        self._chronicle = Chronicle(self._setting.began_at, self._plan.digests())
        for name, member in self._members.items():
            self._fates |= self._plan.fates(name, member.found, self._weather)
        first: list[Statement] = []
        for name, member in self._members.items():
            self._clock.at = self._setting.began_at - self._weather.drawn("reported", name) * member.node.heartbeat
            said = member.node.speak(self._clock.at) if member.node.ledger.deployments else None
            first += [said] if said is not None else []
        self._world.heard = self._world.heard.renewed(first)
        self._clock.at = self._setting.began_at

    def _add(self, name: str) -> None:
        def fate(digest: str) -> Fate | None:
            return self._fates.get((name, digest))

        node = Node(name, self._world, self._weather, self._make_hands(self._clock, fate))
        if self._setting.base is not None:
            node.install(self._setting.base)
        self._members[name] = _Member(node, self._world.desired(self._setting.head, node.identity))

    # --- the agenda

    def _live(self) -> None:
        began_at = self._setting.began_at
        for name, member in self._members.items():
            self._expect(name, member)
        while self._agenda:
            at, _, act = heappop(self._agenda)
            if at > self._clock.at:
                if self._is_over(at):
                    break
                self._deliver()
                self._clock.at = at
            if at > began_at + LASTS_AT_MOST:
                break
            act()

    def _expect(self, name: str, member: _Member) -> None:
        """When a node hears of the change."""
        start: datetime | None = self._setting.began_at
        if self._is_offline(name):
            back = self._weather.back_after
            start = self._setting.began_at + back if back is not None else None
        if start is not None:
            self._restless.add(name)
            self._put(self._turn_of(name, start), partial(self._fetch, name, member))

    def _is_offline(self, name: str) -> bool:
        return self._weather.befalls(self._weather.offline, "offline", name)

    def _put(self, at: datetime, act: Callable[[], None]) -> None:
        self._entries += 1
        heappush(self._agenda, (_whole(at), self._entries, act))

    def _turn_of(self, name: str, since: datetime) -> datetime:
        """The next time after an instant at which the node asks its remote; each has its own second of the minute."""
        phase = self._weather.drawn("asks", name) * ASKED_EVERY
        passed = (since - self._setting.began_at - phase) % ASKED_EVERY
        return since + (ASKED_EVERY - passed)

    def _is_over(self, at: datetime) -> bool:
        """Nothing is under way, and who waits has waited in vain for long."""
        if self._restless or self._owed:
            return False
        waiting = sorted({name for crowd in self._crowds.values() for name in crowd})
        if not waiting:
            return True
        if at - self._moved_at < (PATIENCE_WITH_LOSSES if 0 < self._weather.lost < 1 else PATIENCE):
            return False
        self._deliver()
        self._clock.at = at
        before = self._moved_at
        for name in waiting:
            self._look(name)
        return self._moved_at == before and not self._restless

    def _deliver(self) -> None:
        """What was sent before this second is heard by all."""
        if self._sent:
            self._world.heard = self._world.heard.renewed(self._sent)
            self._sent = []
            self._heard += 1

    # --- what happens to a node

    def _fetch(self, name: str, member: _Member) -> None:
        member.node.fetch(self._setting.head, member.found)
        self._look(name)

    def _due(self, name: str, at: datetime) -> None:
        if self._members[name].due_at == at:
            self._look(name)

    def _look(self, name: str) -> None:
        member, now = self._members[name], self._clock.at
        node = member.node
        events = node.look()
        self._looks += 1
        if self._chronicle.note(now, name, events, node.ledger):
            self._moved_at = now
        self._send(node)
        (self._restless.add if node.is_restless else self._restless.discard)(name)
        due = _whole(max(node.next_at, now + SECOND)) if node.next_at is not None else None
        if due is not None and due != member.due_at:
            self._put(due, partial(self._due, name, due))
        member.due_at = due
        self._wait(name, member)
        if not member.beats and self._plan.is_witness(name, node.ledger):
            member.beats = True
            self._put(now + node.heartbeat, partial(self._beat, name))
        if self._looks % 1000 == 0:
            self._tell(Progress(now - self._setting.began_at, self._looks, len(self._members)))

    def _send(self, node: Node) -> None:
        said = node.speak(self._clock.at)
        if said is not None and not self._weather.is_lost(node.name, said.report.sequence):
            self._sent.append(said)

    def _beat(self, name: str) -> None:
        node = self._members[name].node
        self._send(node)
        self._put(self._clock.at + node.heartbeat, partial(self._beat, name))

    # --- those who wait for others

    def _wait(self, name: str, member: _Member) -> None:
        crowds = frozenset(
            (one.deployment, one.reason, self._plan.wave(one.deployment, name)) for one in member.node.waits
        )
        left, member.crowds = member.crowds - crowds, crowds
        for crowd in sorted(left):
            others = self._crowds[crowd]
            was_asking = next(iter(others)) == name
            del others[name]
            if was_asking:
                self._wake(crowd)
        for crowd in sorted(crowds):
            others = self._crowds.setdefault(crowd, {})
            others.setdefault(name)
            if crowd not in self._asked:
                self._asked[crowd] = (-1, -1)
                self._put(self._turn_of(name, self._clock.at), partial(self._ask, crowd))
            self._want_approval(crowd)

    def _wake(self, crowd: Crowd) -> None:
        """One of them heard something else: all look, each in its turn."""
        for name in self._crowds[crowd]:
            member = self._members[name]
            at = _whole(self._turn_of(name, self._clock.at))
            if member.due_at is None or at < member.due_at:
                member.due_at = at
                self._put(at, partial(self._due, name, at))

    def _ask(self, crowd: Crowd) -> None:
        """One of them asks, where there may be news."""
        others = self._crowds[crowd]
        if not others:
            del self._asked[crowd]
            return
        known = (self._heard, len(self._world.tags))
        if self._asked[crowd] != known:
            self._asked[crowd] = known
            self._look(next(iter(others)))
        self._put(self._clock.at + ASKED_EVERY, partial(self._ask, crowd))

    # --- those who approve

    def _want_approval(self, crowd: Crowd) -> None:
        deployment, reason, wave = crowd
        after, key = self._weather.approved_after, (deployment, wave)
        if reason in MAY_BE_APPROVED and after is not None and key not in self._approved:
            self._approved.add(key)
            self._owed += 1
            self._put(self._clock.at + after, partial(self._approve, deployment, wave))

    def _approve(self, deployment: str, wave: int) -> None:
        """As many owners as the gate asks for say yes."""
        self._owed -= 1
        asked = self._plan.approvals(deployment, wave)
        before = {tag.payload for tag in self._world.tags if tag.deployment == deployment}
        last = max(before, key=lambda payload: int(payload.rpartition(" ")[2]), default="")
        number = len(before)
        for name, roles, count in asked:
            for at in range(count):
                number += 1
                payload = f"{deployment} {number}"
                tag = ControlTag(
                    payload,
                    number,
                    deployment,
                    ControlKind.APPROVE,
                    self._setting.head.commit,
                    f"owner {at + 1}",
                    roles=frozenset(roles),
                    roles_now=frozenset(roles),
                    previous=(last,) if last else (),
                    wave=name,
                )
                self._world.tags |= {tag}
                last = payload
            self._given.append(Given(self._clock.at - self._setting.began_at, deployment, name, count))
        self._moved_at = self._clock.at

    # --- the end

    def _told(self) -> Story:
        return Story(
            self._weather.seed,
            self._plan.changes,
            tuple(self._chronicle.happenings),
            tuple(self._held()),
            tuple(self._given),
            tuple(name for name in self._members if self._is_offline(name)),
            self._moved_at - self._setting.began_at,
            self._looks,
        )

    def _held(self) -> Iterator[Held]:
        """Who does not run what it should, by wave and reason."""
        for change in self._plan.changes:
            for wave, names in change.waves:
                found: dict[str, list[str]] = {}
                for name in names:
                    reason = self._why_not(change.deployment, name, change.digests[name])
                    if reason:
                        found.setdefault(reason, []).append(name)
                yield from (
                    Held(change.deployment, wave, reason, self._detail(change.deployment, reason, nodes), tuple(nodes))
                    for reason, nodes in found.items()
                )

    def _record(self, deployment: str, name: str) -> DeploymentRecord:
        return self._members[name].node.ledger.deployments.get(deployment) or DeploymentRecord(deployment)

    def _why_not(self, deployment: str, name: str, digest: str) -> str:
        """The reason why a node does not run a release; empty: it does."""
        record = self._record(deployment, name)
        if record.serving is not None and record.serving.digest == digest:
            return ""
        latch = record.latches.get(digest)
        if latch is not None and not latch.is_refusal:
            return FAILED_HERE
        return record.hold_reason or (OFFLINE if self._is_offline(name) else UNDER_WAY)

    def _detail(self, deployment: str, reason: str, names: Iterable[str]) -> str:
        """The newest words that one of them was told."""
        records = [one for name in names if (one := self._record(deployment, name)).hold_reason == reason]
        newest = max(records, key=lambda one: one.hold_since or self._setting.began_at, default=None)
        return newest.hold_detail if newest is not None else ""


def _whole(at: datetime) -> datetime:
    """The next whole second: so instants are shared, and what was worked out for one is not worked out again."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + SECOND
