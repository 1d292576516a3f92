"""The life of one node: the real resident, watcher and worker over ports in memory, in virtual time.

Nothing of the daemon is played here but its processes: a worker is a call that may be killed at any journal write or
engine call, the resident a loop whose `sleep` lets time pass, a supervisor starts it again after each death.
`world` is the true time, by which containers live; `clock` is what the node believes and what can be set wrong.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from edgegitops.adapters.artifacts_memory import MemoryArtifacts
from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.contents_memory import MemoryContents
from edgegitops.adapters.engine_memory import MemoryEngine
from edgegitops.adapters.floor_memory import MemoryFloor
from edgegitops.adapters.journal_memory import MemoryJournal, SimulatedCrash
from edgegitops.adapters.notes_memory import MemoryNotes
from edgegitops.adapters.repository_memory import MemoryRepository
from edgegitops.adapters.secrets_memory import MemorySecrets
from edgegitops.adapters.snapshots_memory import MemorySnapshots
from edgegitops.core.decide import decide
from edgegitops.core.model.events import Event
from edgegitops.core.model.facts import Decision, Desired, Facts, Handover, NodeIdentity
from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.observed import ContainerState, Observed
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.snapshots import Copied, Room, SnapshotSeen
from edgegitops.core.model.spec import Probe
from edgegitops.core.model.steps import (
    DropSnapshot,
    PullArtifact,
    RemoveArtifact,
    RestoreSnapshot,
    Step,
    StoreSecret,
    TakeSnapshot,
)
from edgegitops.core.model.trust import Pin
from edgegitops.daemon.cycle import Cycle
from edgegitops.daemon.gear import Gear, Identity
from edgegitops.daemon.order import Order
from edgegitops.daemon.post import Post
from edgegitops.daemon.resident import Resident, Senses
from edgegitops.daemon.watch import Watcher
from edgegitops.errors import JournalError, OutsideError, UnavailableError

FLEET = "urn:test:simulation"
BIRTH = datetime(2026, 6, 1, tzinfo=UTC)
RESTART_AFTER = timedelta(seconds=1)
STEP_TAKES = timedelta(milliseconds=200)
POLL_EVERY = timedelta(seconds=30)
SETTLED_AFTER = timedelta(seconds=40)  # longer than every poll and look of the resident


class WorkerDies(SimulatedCrash):
    """kill -9 of the worker alone."""


class DaemonDies(SimulatedCrash):
    """kill -9 of the resident; its worker goes with it."""


class PowerCut(SimulatedCrash):
    """The machine goes down."""


class Enough(BaseException):
    """The simulation has seen what it wanted."""


class Inline(Executor):
    """Does what is submitted at once, in the caller's thread; a simulated crash goes through."""

    def submit(self, fn, /, *args, **kwargs):
        """A future that is done."""
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a pool hands over whatever was raised
            future.set_exception(error)
        return future

    def die(self) -> None:
        """Nothing is ever under way."""


class Slow(Executor):
    """Does what is submitted in a drawn order, each while somebody waits for it; `wait` stands in for the library's.

    What is under way when the worker dies may still be done by the engine, as Podman ends a request whose client is
    gone.
    """

    def __init__(self, random: Random, pass_time: Callable[[timedelta], None]) -> None:
        self._random = random
        self._pass_time = pass_time
        self._tasks: dict[Future, Callable[[], object]] = {}

    def submit(self, fn, /, *args, **kwargs):
        """A future that is done later."""
        future = Future()
        self._tasks[future] = lambda: fn(*args, **kwargs)
        return future

    def wait(self, futures, timeout=None, return_when=""):  # noqa: ARG002 - the library's words
        """Time passes; mostly one of them ends."""
        self._pass_time(timedelta(seconds=self._random.random() * (timeout or 1)))
        waiting = [future for future in futures if future in self._tasks]
        if waiting and self._random.random() < 0.8:
            self._end(self._random.choice(waiting))

    def die(self) -> None:
        """The worker is gone; some of what it had asked for happens all the same."""
        for future in list(self._tasks):
            task = self._tasks.pop(future)
            if self._random.random() < 0.5:
                with contextlib.suppress(SimulatedCrash, OutsideError, AssertionError):
                    task()

    def _end(self, future: Future) -> None:
        task = self._tasks.pop(future)
        try:
            future.set_result(task())
        except Exception as error:  # noqa: BLE001 - a pool hands over whatever was raised
            future.set_exception(error)


class Silence:
    """`ports.Log` that keeps nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Something happened."""

    def warning(self, event: str, **fields: object) -> None:
        """Something that a person may want to look at."""


class WatchedEngine:
    """`ports.Engine` that takes time, and lets laws and faults look on before and after each step."""

    def __init__(self, life: "Life") -> None:
        self._life = life

    def observe(self) -> Observed:
        """What the twin shows, dated by the node's own clock."""
        return replace(self._life.engine.observe(), at=self._life.clock.now())

    def has_image(self, image: str) -> bool:
        """As the twin."""
        return self._life.engine.has_image(image)

    def perform(self, step: Step) -> None:
        """Do it, with a chance to die before and after."""
        life = self._life
        life.pass_time(STEP_TAKES)
        for look in life.before_step:
            look(step)
        life.engine.perform(step)
        for look in life.after_step:
            look(step)

    def probe_exec(self, container: str, argv: Sequence[str], timeout: timedelta) -> bool:
        """As the twin."""
        return self._life.engine.probe_exec(container, argv, timeout)

    def logs(self, container: str, lines: int) -> str:
        """As the twin."""
        return self._life.engine.logs(container, lines)

    def keep_words(self, deployments: Collection[str]) -> None:
        """As the twin."""
        self._life.engine.keep_words(deployments)


class WatchedSnapshots:
    """`ports.Snapshots`, looked at as the engine is."""

    def __init__(self, life: "Life") -> None:
        self._life = life

    def present(self) -> tuple[SnapshotSeen, ...]:
        """As the twin."""
        return self._life.snapshots.present()

    def measure(self, volumes: Sequence[str]) -> Room:
        """As the twin."""
        return self._life.snapshots.measure(volumes)

    def take(self, volume: str, key: str) -> Copied:
        """Copy it, with a chance to die before and after."""
        with self._watched(TakeSnapshot(volume, key)):
            return self._life.snapshots.take(volume, key)

    def restore(self, volume: str, key: str, failed: str) -> None:
        """Put it back, with a chance to die before and after."""
        with self._watched(RestoreSnapshot(volume, key, failed)):
            self._life.snapshots.restore(volume, key, failed)

    def drop(self, volume: str, key: str) -> None:
        """Forget it, with a chance to die before and after."""
        with self._watched(DropSnapshot(volume, key)):
            self._life.snapshots.drop(volume, key)

    @contextlib.contextmanager
    def _watched(self, step: Step) -> Iterator[None]:
        self._life.pass_time(STEP_TAKES)
        for look in self._life.before_step:
            look(step)
        yield
        for look in self._life.after_step:
            look(step)


class WatchedSecrets:
    """`ports.Secrets` that takes time, and lets laws and faults look on, as the engine does."""

    def __init__(self, life: "Life") -> None:
        self._life = life
        self.present = life.secrets.present
        self.open = life.secrets.open
        self.keep = life.secrets.keep

    def put(self, file: str, data: bytes) -> None:
        """Do it, with a chance to die before and after."""
        self._life.pass_time(STEP_TAKES)
        for look in self._life.before_step:
            look(StoreSecret(file))
        self._life.secrets.put(file, data)
        for look in self._life.after_step:
            look(StoreSecret(file))


class WatchedArtifacts:
    """`ports.Artifacts` that takes time, and lets laws and faults look on, as the engine does."""

    def __init__(self, life: "Life") -> None:
        self._life = life

    def pull(self, step: PullArtifact) -> None:
        """Do it, with a chance to die before and after."""
        self._watched(step, lambda: self._life.artifacts.pull(step))

    def remove(self, digest: str) -> None:
        """Do it, with a chance to die before and after."""
        self._watched(RemoveArtifact(digest), lambda: self._life.artifacts.remove(digest))

    def present(self) -> frozenset[str]:
        """As the twin."""
        return self._life.artifacts.present()

    def _watched(self, step: Step, act: Callable[[], None]) -> None:
        self._life.pass_time(STEP_TAKES)
        for look in self._life.before_step:
            look(step)
        act()
        for look in self._life.after_step:
            look(step)


class DeadWorker:
    """What the resident holds of a worker: it lived and ended within the call that launched it."""

    def __init__(self, code: int, handover: Handover) -> None:
        self._code = code
        self._handover = handover

    def poll(self) -> int:
        """Its exit code."""
        return self._code

    def news(self) -> None:
        """It is over already: what it has to say is its handover."""

    def handover(self) -> Handover:
        """What it left."""
        return self._handover

    def stop(self, patience: timedelta) -> None:
        """It is over already."""


class Life:
    """One node, from its first boot on. `wishes` maps commit ids to what they want here; `push` makes one the tip."""

    def __init__(self) -> None:
        self.world = MemoryClock(BIRTH)
        self.clock = MemoryClock(BIRTH)
        self.engine = MemoryEngine(self.world)
        self.journal = MemoryJournal()
        self.repository = MemoryRepository()
        self.contents = MemoryContents()
        self.notes = MemoryNotes()
        self.post: Post | None = None
        self.version = "simulated"
        self.interval = timedelta(seconds=60)
        self.artifacts = MemoryArtifacts()
        self.secrets = MemorySecrets()
        self.engine.open_secret = self.secrets.open
        self.floor = MemoryFloor()
        self.snapshots = MemorySnapshots(self.engine.data)
        self.node = NodeIdentity(FLEET, "plant", "gw", Pin(FLEET, "", ""))
        self.schemas = SchemaSet({})
        self.door: Callable[[Facts], Decision] = self._decide
        self.steps: Inline | Slow = Inline()
        self.wishes: dict[str, Desired] = {}
        self.remote_tip: str | None = None
        self.before_step: list[Callable[[Step], None]] = []
        self.after_step: list[Callable[[Step], None]] = []
        self.after_power_cut: list[Callable[[], None]] = []
        self.on_rest: list[Callable[[], None]] = []
        self.agenda: list[tuple[datetime, Callable[[], None]]] = []
        self.is_prober_broken = False
        self.is_working = False
        self.handover = Handover()
        self.deaths: list[str] = []
        self.worked_at: datetime | None = None

    # --- the outside

    def push(self, wanted: Callable[[str], Desired]) -> str:
        """The remote's branch moves to a commit that wants this."""
        tip = self.repository.put("commit", b"%d" % len(self.wishes))
        self.wishes[tip] = wanted(tip)
        self.repository.set_remote_tip(tip)
        self.remote_tip = tip
        self.worked_at = None
        return tip

    def at(self, after: timedelta, act: Callable[[], None]) -> None:
        """Put on the agenda: `after` from birth in true time."""
        self.agenda.append((BIRTH + after, act))
        self.agenda.sort(key=lambda one: one[0])

    def pass_time(self, span: timedelta) -> None:
        """Both clocks go on."""
        self.world.advance(span)
        self.clock.advance(span)

    @property
    def age(self) -> timedelta:
        """True time since the first boot."""
        return self.world.now() - BIRTH

    # --- looks

    def record(self, deployment: str) -> DeploymentRecord:
        """What the journal knows of a deployment."""
        return self.journal.ledger().deployments.get(deployment) or DeploymentRecord(deployment)

    def running(self, deployment: str) -> frozenset[str]:
        """Engine names of the containers of a deployment that really run."""
        return frozenset(
            seen.name
            for seen in (one.seen for one in self.engine._containers.values())  # also while the engine is down
            if seen.state is ContainerState.RUNNING
            and seen.labels.get("io.edgegitops.fleet") == FLEET
            and seen.deployment == deployment
        )

    @property
    def is_settled(self) -> bool:
        """The last worker ended well, a while ago; nothing has woken another one since."""
        return self.worked_at is not None and self.world.now() - self.worked_at > SETTLED_AFTER

    # --- living

    def live(self, until: timedelta, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Go on until this age, or until enough is seen; the daemon is started again whenever it dies."""
        try:
            while self.age < until:
                self._session(until, is_enough)
        except Enough:
            pass

    def _session(self, until: timedelta, is_enough: Callable[[], bool]) -> None:
        try:
            self._resident(until, is_enough).run()
        except PowerCut:
            self.steps.die()
            self.worked_at = None
            self.deaths.append("power")
            self.engine.power_cut()
            self.clock.reboot()
            for look in self.after_power_cut:
                look()
            self._idle(timedelta(seconds=20), until, is_enough)
        except (DaemonDies, WorkerDies, JournalError) as death:  # without a worker, the blow hits the resident
            self.steps.die()
            self.worked_at = None
            self.deaths.append(type(death).__name__)
            self._idle(RESTART_AFTER, until, is_enough)

    def _idle(self, span: timedelta, until: timedelta, is_enough: Callable[[], bool]) -> None:
        """Time without a daemon."""
        with contextlib.suppress(PowerCut, DaemonDies, WorkerDies):  # nobody is there to die
            self._sleep(span, until, is_enough)

    def _resident(self, until: timedelta, is_enough: Callable[[], bool]) -> Resident:
        pool = Inline()
        watcher = Watcher(self.journal, self, self.clock, pool)
        senses = Senses(
            listing=self._listing,
            tip=self._tip,
            launch=self._launch,
            has_hint=lambda: False,
            sleep=lambda span: self._sleep(span, until, is_enough),
            is_stopping=lambda: False,
        )
        return Resident(
            watcher=watcher,
            journal=self.journal,
            clock=self.clock,
            log=Silence(),
            senses=senses,
            pool=pool,
            interval=POLL_EVERY,
            version=self.version,
        )

    def _sleep(self, span: timedelta, until: timedelta, is_enough: Callable[[], bool]) -> None:
        end = self.world.now() + span
        for look in self.on_rest:
            look()
        if self.age >= until or (not self.agenda and is_enough()):
            raise Enough
        if self.agenda and self.agenda[0][0] <= end:
            due, act = self.agenda.pop(0)
            self.pass_time(max(timedelta(), due - self.world.now()))
            act()
            return
        self.pass_time(span)

    # --- the resident's senses

    def ask(self, probe: Probe, container: str, address: str) -> bool | None:  # noqa: ARG002 - the port's words
        """`ports.Prober`: does not need the engine's API."""
        return None if self.is_prober_broken else self.engine.is_answering(container)

    def _listing(self) -> Mapping[str, str]:
        observed = self.engine.observe()
        return {one.name: one.mark for one in observed.owned(FLEET) if one.state is ContainerState.RUNNING}

    def _tip(self) -> str | None:
        if self.repository._trouble is not None:
            raise UnavailableError("repository", "list", "the server cannot be reached")
        return self.remote_tip

    def _launch(self, fetch: bool, revert_only: bool) -> DeadWorker:
        gear = Gear(
            clock=self.clock,
            repository=self.repository,
            engine=WatchedEngine(self),
            journal=self.journal,
            floor=self.floor,
            contents=self.contents,
            snapshots=WatchedSnapshots(self),
            artifacts=WatchedArtifacts(self),
            secrets=WatchedSecrets(self),
            log=Silence(),
            notes=self.notes,
            post=self.post,
        )
        identity = Identity(self.node, NodePolicy(), self.schemas, self.version, self.interval)
        cycle = Cycle(gear, identity, pool=self.steps, door=self.door)
        code, handover = 0, Handover()
        self.is_working = True
        try:
            handover = cycle.run(Order(fetch=fetch, is_revert_only=revert_only))
            self.handover = handover
        except WorkerDies:
            self.deaths.append("worker")
            self.steps.die()
            code = -9
        except (JournalError, OutsideError) as error:
            self.steps.die()
            code = error.exit_code
        finally:
            self.is_working = False
        self.worked_at = self.world.now() if code == 0 and not revert_only else None
        return DeadWorker(code, handover)

    def _decide(self, facts: Facts) -> Decision:
        """The one door, with what a believed tip wants taken from the table instead of from signed files."""
        wanted = self.wishes.get(facts.tip or "")
        return decide(replace(facts, objects=None, schemas=None, remembered=wanted))


def journalled(life: Life, kind: type[Event]) -> list[Event]:
    """All events of a kind, oldest first."""
    return [entry.event for entry in life.journal.entries() if isinstance(entry.event, kind)]
