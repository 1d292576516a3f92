"""Joins adapters in memory to the twin, and two revisions of a clone to its setting; it decides nothing.

As in `workbench`, every import of an adapter is inside the function that needs it. DeniedError: no clone, no such
revision; InvalidDocumentError: the new revision is not valid.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops.bootstrap import load_schemas
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.naming import LABEL_JOB
from edgegitops.core.model.objects import Header, Objects, RawObject
from edgegitops.core.model.observed import ContainerSeen, Observed
from edgegitops.core.model.selector import Selector
from edgegitops.core.model.steps import Step
from edgegitops.core.model.trust import TrustLimits
from edgegitops.twin.fleet import Fleet, Progress
from edgegitops.twin.hands import Ended, MakeHands, Stock, TwinClock
from edgegitops.twin.story import Story
from edgegitops.twin.weather import Fate, Weather
from edgegitops.twin.world import EnrolledLibrary, Revision, Setting

if TYPE_CHECKING:
    from edgegitops.adapters.engine_memory import Behaviour, MemoryEngine
    from edgegitops.core.plan.look import View
    from edgegitops.daemon.gear import Gear

JOBS_TAKE = timedelta(seconds=5)
MANY_NODES = 500
_AUTHOR = b"simulated <simulated@localhost> 0 +0000"


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried out: how people call both revisions, and the setting of the twin. `is_keyless`: the fleet has no
    report keys at all, and each node is supposed to have one.
    """

    base: str
    head: str
    view: "View"
    setting: Setting
    make_hands: MakeHands
    is_keyless: bool

    def nodes(self, selector: Selector) -> frozenset[str]:
        """The nodes of the new revision that a selector selects."""
        from edgegitops.core.plan.look import matching

        return frozenset(seat.name for seat in matching(self.view, selector))


def open_trial(path: Path, revisions: str, began_at: datetime | None) -> Trial:
    """The change between two revisions of the clone at `path`, as `plan` takes them; it is pushed now where nobody says
    when.
    """
    from edgegitops.adapters.clock_system import SystemClock
    from edgegitops.adapters.repository_memory import object_id
    from edgegitops.adapters.zones_zoneinfo import InstalledZones
    from edgegitops.core.history import Library
    from edgegitops.core.trust.lookup import Lookup
    from edgegitops.workbench import ends_of

    files: dict[str, object] = {}
    ends = ends_of(path, revisions, files)
    before, after = ends.before, ends.after
    commits: dict[str, RawObject] = {}
    found: list[Revision] = []
    for tree in (*((before.revision.tree,) if before else ()), *ends.way):
        data = _commit(tree, found[-1].commit if found else "")
        found.append(Revision(object_id("commit", data), tree))
        commits[found[-1].commit] = RawObject("commit", data)
    sides = [one.revision.objects for one in (before, after) if one is not None]
    lookup = Lookup(_Together(commits, sides), TrustLimits())
    is_keyless = not any(keys.nodes for keys in after.snapshot.keys.values())
    library = (EnrolledLibrary if is_keyless else Library)(lookup, load_schemas(), after.judge, files=files)
    start = began_at or SystemClock().now().replace(second=0, microsecond=0)
    setting = Setting(found[0] if before else None, found[-1], library, InstalledZones(), start)
    name = before.revision.name if before else "nothing"
    return Trial(name, after.revision.name, after, setting, _hands(), is_keyless)


def run(
    trial: Trial,
    weather: Weather,
    seed: int,
    tell: Callable[[int, Progress], None] | None = None,
    *,
    is_parted: bool | None = None,
) -> Story:
    """One run; `tell` hears its seed and how far it is. `is_parted`: half of the nodes live in a second process, with
    the same story; who does not say leaves it to the number of nodes and of processors.
    """
    from edgegitops.adapters.line_fork import ForkedLine

    def heard(progress: Progress) -> None:
        if tell is not None:
            tell(seed, progress)

    part = ForkedLine if (is_worth_parting(trial) if is_parted is None else is_parted) else None
    gc.disable()  # nothing of a run is garbage before its end, and to look for it takes a third of the time
    fleet = Fleet(trial.setting, replace(weather, seed=seed), trial.make_hands, part=part, tell=heard)
    try:
        return fleet.run()
    finally:
        fleet.forget()  # what refers to itself would have to be looked for
        gc.enable()


def is_worth_parting(trial: Trial) -> bool:
    """Whether a second process spares more than it takes: it needs a processor of its own."""
    from edgegitops.adapters.machine_linux import processors

    nodes = sum(len(site.nodes) for site in trial.view.snapshot.sites.values())
    return nodes >= MANY_NODES and processors() > 1


def _commit(tree: str, parent: str) -> bytes:
    """A commit of nobody: what it says of the fleet is its tree."""
    above = b"parent %s\n" % parent.encode() if parent else b""
    return b"tree %s\n%sauthor %s\ncommitter %s\n\nsimulated\n" % (tree.encode(), above, _AUTHOR, _AUTHOR)


@dataclass(frozen=True, slots=True)
class _Together:
    """Several lookups as one."""

    commits: dict[str, RawObject]
    sides: list[Objects]

    def header(self, oid: str) -> Header | None:
        """Of the first that knows the object."""
        raw = self.commits.get(oid)
        if raw is not None:
            return Header(raw.kind, len(raw.data))
        return next((found for one in self.sides if (found := one.header(oid)) is not None), None)

    def read(self, oid: str) -> RawObject | None:
        """Of the first that knows it."""
        raw = self.commits.get(oid)
        return raw or next((found for one in self.sides if (found := one.read(oid)) is not None), None)


# --- a node's hands ---------------------------------------------------------------------------------------------------


class _Contents:
    """`ports.Contents` that trusts who put it there."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()

    def put(self, sha256: str, data: bytes) -> None:
        """Remember the name."""
        del data
        self._known |= {sha256}

    def present(self) -> frozenset[str]:
        """All that was put there."""
        return self._known


class _Hands:
    """`twin.hands.Hands` over the memory twins of the node's ports."""

    def __init__(self, gear: "Gear", engine: "MemoryEngine") -> None:
        from edgegitops.daemon.execute import perform

        self._gear = gear
        self._engine = engine
        self._perform = perform
        self.is_answering = engine.is_answering
        self.changes_at = engine.changes_at

    def observe(self) -> Observed:
        """As the engine's twin shows it."""
        return self._engine.observe()

    def stock(self) -> Stock:
        """As the stores say."""
        gear = self._gear
        return Stock(
            gear.contents.present(), gear.artifacts.present(), gear.secrets.present(), gear.snapshots.present()
        )

    def perform(self, step: Step, desired: Desired | None) -> Ended:
        """As the daemon does it."""
        ended = self._perform(self._gear, step, desired)
        self._engine.performed.clear()
        return ended


def _hands() -> MakeHands:
    """A maker of hands; what no step touches is one for all nodes."""
    from edgegitops.adapters.artifacts_memory import MemoryArtifacts
    from edgegitops.adapters.engine_memory import MemoryEngine
    from edgegitops.adapters.floor_memory import MemoryFloor
    from edgegitops.adapters.journal_memory import MemoryJournal
    from edgegitops.adapters.repository_memory import MemoryRepository
    from edgegitops.adapters.secrets_memory import MemorySecrets
    from edgegitops.adapters.snapshots_memory import MemorySnapshots
    from edgegitops.daemon.gear import Gear

    repository, journal, floor, log = MemoryRepository(), MemoryJournal(), MemoryFloor(), _Silence()

    def make(clock: TwinClock, fate: Callable[[str], Fate | None]) -> _Hands:
        engine = MemoryEngine(clock, behave=lambda seen: _behaviour(seen, fate))
        gear = Gear(
            clock=clock,
            repository=repository,
            engine=engine,
            journal=journal,
            floor=floor,
            contents=_Contents(),
            snapshots=MemorySnapshots(engine.data),
            artifacts=MemoryArtifacts(),
            secrets=MemorySecrets(),
            log=log,
        )
        return _Hands(gear, engine)

    return make


def _behaviour(seen: ContainerSeen, fate: Callable[[str], Fate | None]) -> "Behaviour":
    from edgegitops.adapters.engine_memory import WELL, Behaviour

    if LABEL_JOB in seen.labels:
        return Behaviour(crashes_after=JOBS_TAKE, exit_code=0)
    found = fate(seen.digest)
    if found is None:
        return WELL
    return Behaviour(never_ready=True) if found.ends_after is None else Behaviour(crashes_after=found.ends_after)


class _Silence:
    """`ports.Log` that keeps nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Something happened."""

    def warning(self, event: str, **fields: object) -> None:
        """Something that a person may want to look at."""
