"""Law: a fleet in virtual time. The clock jumps to the next instant at which anything can change for a node.

1. A node looks when something of its own is due: the fetch, the end of a work, a probe, a soak, a window.
2. Who waits for the reports or approvals of others would ask again every minute, and hear the same. Nodes that wait for
   the same (deployment, wave, reason) therefore send one of them, in turn of their names, to ask every minute; when it
   hears something else, all of them look, each at its own time within a minute. Whether one may start is decided by
   itself alone, at its own look.
3. Before the end is believed, everybody who waits looks once more. The end is when that changes nothing.
4. Heartbeats are sent by nodes that run their new release and that later waves wait for: nobody reads those of others.
5. Whose turn it is in one second is decided before any of them has it. So the nodes may live in several quarters, each
   in its own process, and the story is the same. Here is only who waits for what; after the start no node is touched.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from typing import TypeAlias

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import Statement
from edgegitops.twin.hands import MakeHands, TwinClock
from edgegitops.twin.node import ASKED_EVERY, Node
from edgegitops.twin.plan import planned
from edgegitops.twin.quarter import Answer, Errand, Here, Part, Quarter, Standing, There, Turn
from edgegitops.twin.quarters import Quarters
from edgegitops.twin.story import OFFLINE, UNDER_WAY, Given, Happening, Held, Story
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

    due_at: datetime | None = None
    crowds: frozenset[Crowd] = frozenset()
    beats: bool = False


class Fleet:
    """One run over a setting in a weather. `part` makes a second process for half of the nodes; None: there is one.
    `tell` hears now and then how far it is.
    """

    def __init__(
        self,
        setting: Setting,
        weather: Weather,
        make_hands: MakeHands,
        *,
        part: Part | None = None,
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._setting = setting
        self._weather = weather
        self._make_hands = make_hands
        self._part = part
        self._tell = tell
        self._clock = TwinClock(setting.began_at - INSTALLED_BEFORE)
        self._world = World(setting, self._clock)
        self._nodes: dict[str, Node] = {}
        self._found: dict[str, Desired | tuple[Fault, ...]] = {}
        self._members: dict[str, _Member] = {}
        self._fates: dict[tuple[str, str], Fate] = {}
        self._quarters = Quarters((), ())
        self._at = setting.began_at
        self._agenda: list[tuple[datetime, int, Callable[[], Turn | None]]] = []
        self._entries = 0
        self._crowds: dict[Crowd, dict[str, None]] = {}
        self._asked: dict[Crowd, tuple[int, int]] = {}
        self._restless: set[str] = set()
        self._approved: set[tuple[str, int]] = set()
        self._owed = 0
        self._given: list[Given] = []
        self._happenings: list[Happening] = []
        self._looks = 0
        self._moved_at = setting.began_at

    def run(self) -> Story:
        """Live until nothing moves any more."""
        self._install()
        try:
            self._settle()
            self._live()
            return self._told()
        finally:
            self._quarters.end()

    def forget(self) -> None:
        """Let go of the nodes once the story is told: each knows its fleet, so nothing else would end them soon."""
        self._agenda.clear()
        self._nodes.clear()

    # --- before the change

    def _install(self) -> None:
        """Everybody runs the base, well and for long, and has said so."""
        for name in self._world.names():
            self._add(name)
        ran = {name: one.installed for name, one in self._nodes.items()}
        self._plan = planned(self._world, ran, self._found)
        for name in self._nodes:
            self._fates |= self._plan.fates(name, self._found[name], self._weather)
        first: list[Statement] = []
        for name, node in self._nodes.items():
            self._clock.at = self._setting.began_at - self._weather.drawn("reported", name) * node.heartbeat
            said = node.speak(self._clock.at) if node.ledger.deployments else None
            first += [said] if said is not None else []
        self._world.heard = self._world.heard.renewed(first)
        self._clock.at = self._setting.began_at

    def _add(self, name: str) -> None:
        def fate(digest: str) -> Fate | None:
            return self._fates.get((name, digest))

        node = Node(name, self._world, self._weather, self._make_hands(self._clock, fate))
        if self._setting.base is not None:
            node.install(self._setting.base)
        self._nodes[name] = node
        self._found[name] = self._world.desired(self._setting.head, node.identity)

    def _settle(self) -> None:
        """From now on nodes are only asked."""
        here = Here(self._world, self._weather, self._plan, self._nodes, self._found)
        quarters: list[Quarter] = [here]
        if self._part is not None:
            quarters.append(There(self._part(here.answer_line)))
        self._quarters = Quarters(quarters, self._nodes)
        self._members = {name: _Member() for name in self._nodes}

    # --- the agenda

    def _live(self) -> None:
        for name in self._members:
            self._expect(name)
        while self._agenda:
            at = self._agenda[0][0]
            if at > self._at and (self._is_over(at) or at > self._setting.began_at + LASTS_AT_MOST):
                break
            self._advance(at)
            turns: dict[Turn, None] = {}
            while self._agenda and self._agenda[0][0] == at:
                turn = heappop(self._agenda)[2]()
                if turn is not None:
                    turns.setdefault(turn)
            self._let(tuple(turns))

    def _expect(self, name: str) -> None:
        """When a node hears of the change."""
        start: datetime | None = self._setting.began_at
        if self._is_offline(name):
            back = self._weather.back_after
            start = self._setting.began_at + back if back is not None else None
        if start is not None:
            self._restless.add(name)
            self._put(self._turn_of(name, start), partial(Turn, name, Errand.FETCH))

    def _is_offline(self, name: str) -> bool:
        return self._weather.befalls(self._weather.offline, "offline", name)

    def _put(self, at: datetime, act: Callable[[], Turn | None]) -> None:
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
        self._advance(at)
        before = self._moved_at
        self._let([Turn(name) for name in waiting])
        return self._moved_at == before and not self._restless

    def _advance(self, at: datetime) -> None:
        if at > self._at:
            self._at = at
            self._quarters.deliver()

    # --- what happens to nodes

    def _let(self, turns: Sequence[Turn]) -> None:
        """Each of these has its turn now, and then each answer its effect, in this order."""
        for turn, answer in zip(turns, self._quarters.answers(self._at, turns), strict=True):
            if turn.errand is not Errand.SPEAK:
                self._note(turn.name, answer)

    def _note(self, name: str, answer: Answer) -> None:
        member, now = self._members[name], self._at
        self._looks += 1
        after = now - self._setting.began_at
        self._happenings += (Happening(after, one.deployment, name, one.mark) for one in answer.marks)
        if answer.marks:
            self._moved_at = now
        (self._restless.add if answer.is_restless else self._restless.discard)(name)
        due = _whole(max(answer.next_at, now + SECOND)) if answer.next_at is not None else None
        if due is not None and due != member.due_at:
            self._put(due, partial(self._due, name, due))
        member.due_at = due
        self._wait(name, member, answer)
        if not member.beats and answer.is_witness:
            member.beats = True
            self._put(now + answer.heartbeat, partial(self._beat, name, answer.heartbeat))
        if self._looks % 1000 == 0:
            self._tell(Progress(after, self._looks, len(self._members)))

    def _due(self, name: str, at: datetime) -> Turn | None:
        return Turn(name) if self._members[name].due_at == at else None

    def _beat(self, name: str, heartbeat: timedelta) -> Turn:
        self._put(self._at + heartbeat, partial(self._beat, name, heartbeat))
        return Turn(name, Errand.SPEAK)

    # --- those who wait for others

    def _wait(self, name: str, member: _Member, answer: Answer) -> None:
        crowds = frozenset((one.deployment, one.reason, self._plan.wave(one.deployment, name)) for one in answer.waits)
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
                self._put(self._turn_of(name, self._at), partial(self._ask, crowd))
            self._want_approval(crowd)

    def _wake(self, crowd: Crowd) -> None:
        """One of them heard something else: all look, each in its turn."""
        for name in self._crowds[crowd]:
            member = self._members[name]
            at = _whole(self._turn_of(name, self._at))
            if member.due_at is None or at < member.due_at:
                member.due_at = at
                self._put(at, partial(self._due, name, at))

    def _ask(self, crowd: Crowd) -> Turn | None:
        """One of them asks, where there may be news."""
        others = self._crowds[crowd]
        if not others:
            del self._asked[crowd]
            return None
        self._put(self._at + ASKED_EVERY, partial(self._ask, crowd))
        known = (self._quarters.heard, len(self._quarters.tags))
        if self._asked[crowd] == known:
            return None
        self._asked[crowd] = known
        return Turn(next(iter(others)))

    # --- those who approve

    def _want_approval(self, crowd: Crowd) -> None:
        deployment, reason, wave = crowd
        after, key = self._weather.approved_after, (deployment, wave)
        if reason in MAY_BE_APPROVED and after is not None and key not in self._approved:
            self._approved.add(key)
            self._owed += 1
            self._put(self._at + after, partial(self._approve, deployment, wave))

    def _approve(self, deployment: str, wave: int) -> None:
        """As many owners as the gate asks for say yes."""
        self._owed -= 1
        asked = self._plan.approvals(deployment, wave)
        before = {tag.payload for tag in self._quarters.tags if tag.deployment == deployment}
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
                self._quarters.tag(tag)
                last = payload
            self._given.append(Given(self._at - self._setting.began_at, deployment, name, count))
        self._moved_at = self._at

    # --- the end

    def _told(self) -> Story:
        return Story(
            self._weather.seed,
            self._plan.changes,
            tuple(self._happenings),
            tuple(self._held()),
            tuple(self._given),
            tuple(name for name in self._members if self._is_offline(name)),
            self._moved_at - self._setting.began_at,
            self._looks,
        )

    def _held(self) -> Iterator[Held]:
        """Who does not run what it should, by wave and reason."""
        names = dict.fromkeys(name for change in self._plan.changes for name in change.digests)
        answers = self._quarters.answers(self._at, [Turn(name, Errand.STAND) for name in names])
        stands: dict[tuple[str, str], Standing] = {}
        for name, answer in zip(names, answers, strict=True):
            stands |= {(one.deployment, name): one for one in answer.standings}
        for change in self._plan.changes:
            for wave, nodes in change.waves:
                found: dict[str, list[str]] = {}
                for name in nodes:
                    stand = stands.get((change.deployment, name))
                    if stand is not None:
                        found.setdefault(self._reason(name, stand), []).append(name)
                for reason, held in found.items():
                    detail = self._detail([stands[change.deployment, name] for name in held])
                    yield Held(change.deployment, wave, reason, detail, tuple(held))

    def _reason(self, name: str, stand: Standing) -> str:
        return OFFLINE if stand.reason == UNDER_WAY and self._is_offline(name) else stand.reason

    def _detail(self, stands: Sequence[Standing]) -> str:
        """The newest words that one of them was told."""
        return max(stands, key=lambda one: one.since or self._setting.began_at).detail


def _whole(at: datetime) -> datetime:
    """The next whole second: so instants are shared, and what was worked out for one is not worked out again."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + SECOND
