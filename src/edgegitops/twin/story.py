"""What happened in one run of the twin: who started, came through or failed, when, and who waits for what at the end.

Instants are spans since the change was pushed. A node runs the new release from the moment in which it begins to switch
to it, until it is back at the old one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from edgegitops.core.model.events import Event, Latched, PhaseMoved
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.release import Phase

GONE = frozenset({Phase.REVERTED, Phase.STUCK, Phase.ABSENT})


class Mark(StrEnum):
    """What can happen to a node that changes."""

    STARTED = "started"
    HEALTHY = "healthy"
    FAILED = "failed"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Happening:
    """One mark of a node's change."""

    after: timedelta
    deployment: str
    node: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Change:
    """What a deployment is to become: the waves in their order, each with its nodes that get another release.
    `digests` are the new release digests by node; `versions` old and new, for people.
    """

    deployment: str
    versions: tuple[str, str]
    waves: tuple[tuple[str, tuple[str, ...]], ...]
    digests: Mapping[str, str]

    @property
    def nodes(self) -> int:
        """How many nodes change."""
        return len(self.digests)


@dataclass(frozen=True, slots=True)
class Held:
    """Nodes that do not run the new release at the end, and why: a hold's reason and words, or what befell them."""

    deployment: str
    wave: str
    reason: str
    detail: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """An approval that was asked for and given."""

    after: timedelta
    deployment: str
    wave: str
    count: int


@dataclass(frozen=True, slots=True)
class Story:
    """One run, with its seed. `ends_after` is when the last thing happened; `offline` are nodes that were away."""

    seed: int
    changes: tuple[Change, ...]
    happenings: tuple[Happening, ...]
    held: tuple[Held, ...]
    given: tuple[Given, ...]
    offline: tuple[str, ...]
    ends_after: timedelta
    looks: int = 0

    @property
    def failed(self) -> int:
        """On how many nodes a new release failed."""
        return len({(one.node) for one in self.happenings if one.mark is Mark.FAILED})

    @property
    def most_at_once(self) -> int:
        """The largest number of nodes that ran a new release at one time."""
        return max((count for _, count in running(self.happenings)), default=0)

    @property
    def is_through(self) -> bool:
        """Whether nobody is held back: who does not run the new release is offline, or it failed there."""
        return all(one.reason in {FAILED_HERE, OFFLINE} for one in self.held)


FAILED_HERE = "failed-here"
OFFLINE = "offline"
UNDER_WAY = "under-way"


def running(happenings: Iterable[Happening]) -> list[tuple[timedelta, int]]:
    """How many nodes run a new release, after each instant at which that changes."""
    runs: dict[str, set[str]] = {}
    found: dict[timedelta, int] = {}
    for one in happenings:
        if one.mark is Mark.STARTED:
            runs.setdefault(one.node, set()).add(one.deployment)
        elif one.mark is Mark.LEFT:
            left = runs.get(one.node, set())
            left.discard(one.deployment)
            if not left:
                runs.pop(one.node, None)
        else:
            continue
        found[one.after] = len(runs)
    return list(found.items())


@dataclass(frozen=True, slots=True)
class Marked:
    """A mark of a node's change, at the look that is told of."""

    deployment: str
    mark: Mark


def marks(
    digests: Mapping[tuple[str, str], str], node: str, events: Iterable[Event], ledger: Ledger
) -> Iterator[Marked]:
    """What happened at a look; `digests` are the new releases by deployment and node: nothing else is of interest."""
    for event in events:
        if isinstance(event, PhaseMoved | Latched):
            wanted = digests.get((event.deployment, node))
            mark = _mark(event, ledger, wanted) if wanted is not None else None
            if mark is not None:
                yield Marked(event.deployment, mark)


def _mark(event: PhaseMoved | Latched, ledger: Ledger, wanted: str) -> Mark | None:
    if isinstance(event, Latched):
        return Mark.FAILED if event.digest == wanted else None
    if event.new in GONE:
        return Mark.LEFT
    record = ledger.deployments[event.deployment]
    if event.new is Phase.HEALTHY:
        return Mark.HEALTHY if record.serving is not None and record.serving.digest == wanted else None
    new = record.transition.new if record.transition is not None else None
    is_ours = event.new is Phase.SWITCHING and new is not None and new.digest == wanted
    return Mark.STARTED if is_ours else None


@dataclass(frozen=True, slots=True)
class Row:
    """One wave of one change in numbers of nodes: when the first began (None: nobody did), how many began, were healthy
    to the end of their soak, and failed; `last` is when the last of these happened.
    """

    wave: str
    nodes: int
    opens: timedelta | None
    started: int
    healthy: int
    failed: int
    last: timedelta | None


def rows(story: Story, change: Change) -> list[Row]:
    """The waves of a change."""
    wave_of = {node: wave for wave, nodes in change.waves for node in nodes}
    told: dict[str, list[Happening]] = {}
    for one in story.happenings:
        if one.deployment == change.deployment:
            told.setdefault(wave_of[one.node], []).append(one)
    return [_row(wave, nodes, told.get(wave, [])) for wave, nodes in change.waves]


def _row(wave: str, nodes: tuple[str, ...], told: list[Happening]) -> Row:
    counts = {mark: {one.node for one in told if one.mark is mark} for mark in Mark}
    opens = next((one.after for one in told if one.mark is Mark.STARTED), None)
    last = max((one.after for one in told), default=None)
    return Row(
        wave, len(nodes), opens, len(counts[Mark.STARTED]), len(counts[Mark.HEALTHY]), len(counts[Mark.FAILED]), last
    )
