"""Law: the nodes of a quarter look when it is their turn, and answer what others have to know of it.

1. A call and its reply are values with a text form: the same nodes live the same lives in another process.
2. A node sees of others what they reported before this second, and what their owners tagged before its turn. So it does
   not matter which of the nodes whose turn is in one call looks first, nor where it lives.
3. Reports of the own nodes are kept here; those from elsewhere come with a call.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.report import HEARTBEAT, Statement
from edgegitops.twin.node import Node, Waiting
from edgegitops.twin.plan import Plan
from edgegitops.twin.story import FAILED_HERE, UNDER_WAY, Marked, marks
from edgegitops.twin.weather import Weather
from edgegitops.twin.world import World


class Errand(StrEnum):
    """What a node does in its turn: look; fetch the new revision and look; only say how it is; tell where it stands."""

    LOOK = "look"
    FETCH = "fetch"
    SPEAK = "speak"
    STAND = "stand"


@dataclass(frozen=True, slots=True)
class Turn:
    """A node whose turn it is."""

    name: str
    errand: Errand = Errand.LOOK


@dataclass(frozen=True, slots=True)
class Call:
    """The instant, what was said elsewhere before it and which tags were made since the last call, and whose turn it
    is, in this order.
    """

    at: datetime
    turns: tuple[Turn, ...]
    said: tuple[Statement, ...] = ()
    tags: tuple[ControlTag, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Why a node does not run the new release of a deployment, and since when it was told that in which words."""

    deployment: str
    reason: str
    since: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a turn. `said` is the report that was sent and not lost, `next_at` when the node has to look again
    by itself; of `Errand.STAND` there are only `standings`.
    """

    said: Statement | None = None
    marks: tuple[Marked, ...] = ()
    waits: tuple[Waiting, ...] = ()
    next_at: datetime | None = None
    is_restless: bool = False
    is_witness: bool = False
    heartbeat: timedelta = HEARTBEAT
    standings: tuple[Standing, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer a turn, in their order."""

    answers: tuple[Answer, ...]


class Quarter(Protocol):
    """Some nodes, wherever they live. Every `ask` is followed by its `reply`."""

    def ask(self, call: Call) -> None:
        """Tell it whose turn it is."""

    def reply(self) -> Reply:
        """Wait until all of them had it."""

    def end(self) -> None:
        """It is needed no more; may be called at any time, and twice."""


class Line(Protocol):
    """A line of text to somebody, one of his, and so on. Both raise an `EdgegitopsError` where nobody is there."""

    def send(self, line: str) -> None:
        """Say it."""

    def receive(self) -> str:
        """Wait for what is answered."""

    def close(self) -> None:
        """Nothing more is said; may be called twice."""


Part = Callable[[Callable[[str], str]], Line]
"""Makes somebody who, with all that is known now, answers lines as this function does."""


class Here:
    """The quarter of this process. `found` is what the new revision makes of each node."""

    def __init__(
        self,
        world: World,
        weather: Weather,
        plan: Plan,
        nodes: Mapping[str, Node],
        found: Mapping[str, Desired | tuple[Fault, ...]],
    ) -> None:
        self._world = world
        self._weather = weather
        self._plan = plan
        self._digests = plan.digests()
        self._nodes = nodes
        self._found = found
        self._sent: list[Statement] = []
        self._calls: list[Call] = []

    def ask(self, call: Call) -> None:
        """Keep it until somebody waits for the reply."""
        self._calls.append(call)

    def reply(self) -> Reply:
        """Let them have their turns."""
        return self.answer(self._calls.pop())

    def end(self) -> None:
        """Nothing is held but the nodes, which are the fleet's."""

    def answer(self, call: Call) -> Reply:
        """Let them have their turns."""
        self._hear(call)
        return Reply(tuple(map(self._take, call.turns)))

    def answer_line(self, line: str) -> str:
        """The same in text."""
        return _written(self.answer(from_tree(Call, json.loads(line))))

    def _hear(self, call: Call) -> None:
        world = self._world
        own: list[Statement] = []
        if call.at > world.clock.at:
            world.clock.at = call.at
            own, self._sent = self._sent, own
        if own or call.said:
            world.heard = world.heard.renewed((*own, *call.said))
        if call.tags:
            world.tags |= frozenset(call.tags)

    def _take(self, turn: Turn) -> Answer:
        node = self._nodes[turn.name]
        if turn.errand is Errand.STAND:
            return Answer(standings=tuple(self._standings(node)))
        if turn.errand is Errand.SPEAK:
            return Answer(self._said(node))
        if turn.errand is Errand.FETCH:
            node.fetch(self._world.setting.head, self._found[turn.name])
        events = node.look()
        return Answer(
            self._said(node),
            tuple(marks(self._digests, node.name, events, node.ledger)),
            node.waits,
            node.next_at,
            node.is_restless,
            self._plan.is_witness(node.name, node.ledger),
            node.heartbeat,
        )

    def _said(self, node: Node) -> Statement | None:
        """A report, where there is news, and it arrives."""
        said = node.speak(self._world.clock.at)
        if said is None or self._weather.is_lost(node.name, said.report.sequence):
            return None
        self._sent.append(said)
        return said

    def _standings(self, node: Node) -> Iterator[Standing]:
        for change in self._plan.changes:
            digest = change.digests.get(node.name)
            record = node.ledger.deployments.get(change.deployment) or DeploymentRecord(change.deployment)
            if digest is None or (record.serving is not None and record.serving.digest == digest):
                continue
            latch = record.latches.get(digest)
            if latch is not None and not latch.is_refusal:
                yield Standing(change.deployment, FAILED_HERE)
            elif record.hold_reason:
                yield Standing(change.deployment, record.hold_reason, record.hold_since, record.hold_detail)
            else:
                yield Standing(change.deployment, UNDER_WAY)


class There:
    """A quarter behind a line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def ask(self, call: Call) -> None:
        """Say it."""
        self._line.send(_written(call))

    def reply(self) -> Reply:
        """Wait for the answer."""
        return from_tree(Reply, json.loads(self._line.receive()))

    def end(self) -> None:
        """Close the line."""
        self._line.close()


def _written(value: object) -> str:
    return json.dumps(to_tree(value), separators=(",", ":"))
