"""A stage for one deployment: reconcile decides, the engine's twin acts, the fold remembers, and a test directs.

`turn` is one look with all that follows from it; `play` takes turns until there is nothing left to do. The resident's
part (probes, soak) is the test's: it says what the probes found and how much time was observed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.engine_memory import Behaviour, MemoryEngine
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.adapters.snapshots_memory import MemorySnapshots
from edgegitops.core.model import naming
from edgegitops.core.model.events import (
    AlarmCleared,
    AlarmRaised,
    Event,
    HealthChanged,
    IntentRecorded,
    OutcomeRecorded,
    PhaseMoved,
    Result,
    SoakMarked,
)
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import DeploymentRecord, Health, Ledger
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.plant import FixedZones
from edgegitops.core.model.release import Phase, Release, UpdatePolicy
from edgegitops.core.model.spec import (
    Attachment,
    Care,
    Concurrency,
    Condition,
    ContainerSpec,
    CreateSpec,
    DeploymentSpec,
    JobSpec,
    Missed,
    Mount,
    NetworkSpec,
    OnUnhealthy,
    Restart,
    Runs,
    VolumeSpec,
)
from edgegitops.core.model.steps import (
    DropSnapshot,
    MeasureVolumes,
    PrepareSnapshot,
    RestoreSnapshot,
    StartContainer,
    Step,
    StoreContent,
    TakeSnapshot,
    Work,
)
from edgegitops.core.reconcile.parts import Part, Parts, parts_of
from edgegitops.core.reconcile.reconcile import reconcile
from edgegitops.core.reconcile.scene import Outlook, Scene
from edgegitops.errors import DeniedError, UnavailableError

FLEET = "urn:fleet:test"
LINE = "line"
DAWN = datetime(2026, 6, 1, 6, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
POLICY = UpdatePolicy(deadline=5 * MINUTE, soak=10 * MINUTE)


def image(name: str, version: str) -> str:
    return f"registry.example/{name}:{version}@sha256:{'0' * 64}"


def container(
    name: str,
    version: str = "1",
    *,
    needs: Mapping[str, Condition] | None = None,
    restart: Restart = Restart.ALWAYS,
    on_unhealthy: OnUnhealthy = OnUnhealthy.RESTART,
    volume: str = "",
    file: str = "",
    stop_timeout: timedelta = 30 * SECOND,
) -> ContainerSpec:
    mounts = [Mount(target="/data", volume=volume)] if volume else []
    mounts += [Mount(target="/etc/app.conf", file=file)] if file else []
    create = CreateSpec(image=image(name, version), networks={"net": Attachment()}, mounts=tuple(mounts))
    care = Care(restart=restart, on_unhealthy=on_unhealthy, depends_on=needs or {}, stop_timeout=stop_timeout)
    return ContainerSpec(create, care)


def job(
    name: str,
    version: str = "1",
    *,
    runs: Runs = Runs.BEFORE_SWITCH,
    needs: Mapping[str, Condition] | None = None,
    retries: int = 0,
    timeout: timedelta | None = None,
    schedule: str = "",
    zone: str = "UTC",
    concurrency: Concurrency = Concurrency.FORBID,
    missed: Missed = Missed.SKIP,
    volume: str = "",
) -> JobSpec:
    """A job; scheduled where it has a schedule."""
    mounts = (Mount(target="/data", volume=volume),) if volume else ()
    create = CreateSpec(image=image(name, version), networks={"net": Attachment()}, mounts=mounts)
    care = Care(depends_on=needs or {})
    kind = Runs.SCHEDULE if schedule else runs
    return JobSpec(create, kind, care, schedule, zone, concurrency, missed, timeout, retries)


def release(
    containers: Mapping[str, ContainerSpec] | None = None,
    *,
    jobs: Mapping[str, JobSpec] | None = None,
    attempt: int = 1,
    policy: UpdatePolicy = POLICY,
    net: NetworkSpec | None = None,
    version: str = "",
) -> Release:
    """A release of `line`; without containers it is one named `app`."""
    held = containers if containers is not None else {"app": container("app")}
    volumes = {mount.volume: VolumeSpec() for one in held.values() for mount in one.create.mounts if mount.volume}
    spec = DeploymentSpec(LINE, held, {"net": net or NetworkSpec()}, volumes, attempt, jobs or {})
    return Release(spec.digest(), f"revision-{version}", spec, version, policy)


def app(version: str, *, attempt: int = 1, policy: UpdatePolicy = POLICY) -> Release:
    """The one-container release of this version."""
    return release({"app": container("app", version)}, attempt=attempt, policy=policy, version=version)


class Stage:
    """One node with one deployment."""

    def __init__(self, target: Release | None = None) -> None:
        self.clock = MemoryClock(DAWN)
        self.engine = MemoryEngine(self.clock)
        self.journal = MemoryJournal()
        self.snapshots = MemorySnapshots(self.engine.data)
        self.target = target
        self.is_target_known = True
        self.is_local = False
        self.is_clock_trusted = True
        self.zones = FixedZones()
        self.gate: Hold | None = None
        self.refusal = ""
        self.contents: frozenset[str] = frozenset()
        self.stored: frozenset[str] = frozenset()
        self.events: list[Event] = []
        self._intents = 0

    # --- looking

    @property
    def ledger(self) -> Ledger:
        return self.journal.ledger()

    @property
    def record(self) -> DeploymentRecord:
        return self.ledger.deployments.get(LINE) or DeploymentRecord(LINE)

    @property
    def phase(self) -> Phase:
        return self.record.phase

    @property
    def alarms(self) -> set[str]:
        return {alarm.code for alarm in self.ledger.alarms.values()}

    @property
    def running(self) -> set[str]:
        """What runs of the deployment, as `<container>:<image version>`."""
        return {_short(one) for one in self._owned() if one.state is ContainerState.RUNNING}

    @property
    def present(self) -> set[str]:
        """All containers of the deployment, running or not."""
        return {_short(one) for one in self._owned()}

    @property
    def moves(self) -> list[Phase]:
        """Every phase in turn, as journalled."""
        return [one.new for one in self.events if isinstance(one, PhaseMoved)]

    def acts(self, *kinds: str) -> list[str]:
        """Steps that were done, as `<kind> <container or thing>`, of these kinds or of all."""
        return [f"{one.kind} {_bare(one)}" for one in self.engine.performed if not kinds or one.kind in kinds]

    def scene(self) -> Scene:
        return Scene(
            name=LINE,
            fleet=FLEET,
            now=self.clock.now(),
            boot_id=self.clock.boot_id(),
            seq=self.ledger.seq,
            observed=self.engine.observe(),
            record=self.record,
            target=self.target if self.is_target_known else None,
            is_target_known=self.is_target_known,
            gate=self.gate,
            refusal=self.refusal,
            contents=self.contents,
            stored=self.stored,
            alarms=self.ledger.alarms,
            is_local=self.is_local,
            snapshots=self.snapshots.present(),
            is_clock_trusted=self.is_clock_trusted,
            zones=self.zones,
        )

    def look(self) -> Outlook:
        """What would be next; nothing is done."""
        return reconcile(self.scene())

    def part(self, name: str, of: Release | None = None) -> Part:
        """A part of a release, else of what is wanted."""
        return self.parts(of).named(name)

    def parts(self, of: Release | None = None) -> Parts:
        wanted = of or self.target
        assert wanted is not None
        return parts_of(FLEET, wanted)

    def seen(self, name: str, of: Release | None = None) -> ContainerSeen | None:
        return self.engine.observe().named(self.part(name, of).name)

    # --- acting

    def want(self, target: Release | None) -> None:
        """Another commit says this."""
        self.target = target

    def turn(self) -> Outlook:
        """One look, and what follows from it."""
        outlook = self.look()
        if outlook.work is not None:
            self._do(outlook.work)
        return outlook

    def play(self, *, turns: int = 60) -> Outlook:
        """Turns until there is nothing to do; what comes back is the last look."""
        for _ in range(turns):
            outlook = self.turn()
            if outlook.work is None:
                return outlook
        raise AssertionError(f"no rest after {turns} turns: {outlook.work}")

    def tell(self, *events: Event) -> None:
        self.events += events
        self.journal.append(events, self.clock.now())

    def probe(self, health: Health, *names: str, of: Release | None = None) -> None:
        """The resident says how these containers are (all that run, where none is named)."""
        for part in self.parts(of).containers:
            seen = self.seen(part.container, of)
            if part.container in names or (not names and seen and seen.state is ContainerState.RUNNING):
                self.tell(HealthChanged(LINE, part.name, health, "probe failed" if health is not Health.READY else ""))

    def observe_for(self, *, soaked: timedelta = timedelta(), waited: timedelta = timedelta()) -> None:
        """The resident says how long what is counted was healthy, and how long it was not."""
        self.tell(SoakMarked(LINE, self.record.soaking, soaked, waited))

    def pass_time(self, span: timedelta) -> None:
        self.clock.advance(span)

    def reboot(self) -> None:
        """The power goes and comes back."""
        self.engine.power_cut()
        self.clock.reboot()

    def start_up(self) -> None:
        """Play until all of what is being started is up, answering every probe with ready."""
        for _ in range(10):
            self.play()
            self.probe(Health.READY)
            if self.phase is Phase.PROVING:
                return

    def converge(self, target: Release) -> None:
        """From wherever it is to healthy at this release, everything going well."""
        self.want(target)
        self.start_up()
        self.observe_for(soaked=target.policy.soak)
        self.play()
        assert (self.phase, self.record.serving) == (Phase.HEALTHY, target)
        self.engine.performed.clear()
        self.events.clear()

    def add_foreign(self, name: str) -> ContainerSeen:
        """Somebody else runs a container of this name."""
        seen = ContainerSeen(name, "f" * 64, ContainerState.RUNNING, {"who": "somebody"}, "their/image")
        self.engine.add_foreign(seen)
        return seen

    def behave(self, name: str, version: str = "1", *, after: timedelta | None = None, code: int = 0) -> None:
        """What an image does from now on: it ends so long after its start, with this code."""
        self.engine.behaviours[image(name, version)] = Behaviour(crashes_after=after, exit_code=code)

    def lose_journal(self) -> None:
        self.journal = MemoryJournal()

    def _do(self, work: Work) -> None:
        intents = [IntentRecorded(f"{self._intents}.{at}", LINE, step.kind, step.subject) for at, step in _each(work)]
        self._intents += 1
        self.tell(*work.events, *intents)
        if intents:
            self.tell(*(self._outcome(intent, step) for intent, (_, step) in zip(intents, _each(work), strict=True)))

    def _outcome(self, intent: IntentRecorded, step: Step) -> OutcomeRecorded:
        result, reason, detail = Result.DONE, "", ""
        room, copied = None, None
        try:
            match step:
                case StoreContent():
                    self.stored |= {step.subject}
                case MeasureVolumes():
                    room = self.snapshots.measure(step.volumes)
                case PrepareSnapshot():
                    if not self.engine.probe_exec(step.container, step.argv, step.timeout):
                        result, reason = Result.UNAVAILABLE, "snapshot-hook"
                case TakeSnapshot():
                    copied = self.snapshots.take(step.subject, step.key)
                case RestoreSnapshot():
                    self.snapshots.restore(step.subject, step.key, step.failed)
                case DropSnapshot():
                    self.snapshots.drop(step.subject, step.key)
                case _:
                    self.engine.perform(step)
        except UnavailableError as error:
            result, reason, detail = Result.UNAVAILABLE, error.reason, error.message
        except DeniedError as error:
            result, reason, detail = Result.DENIED, error.reason, error.message
        boot_id = self.clock.boot_id() if isinstance(step, StartContainer) else ""
        return OutcomeRecorded(intent.id, LINE, step.kind, step.subject, result, reason, detail, boot_id, room, copied)

    def _owned(self) -> tuple[ContainerSeen, ...]:
        return self.engine.observe().owned(FLEET, LINE)


def alarm_events(events: Iterable[Event]) -> list[str]:
    """`+code` for each alarm raised, `-code` for each cleared."""
    signs = {AlarmRaised: "+", AlarmCleared: "-"}
    return [signs[type(one)] + one.code for one in events if isinstance(one, AlarmRaised | AlarmCleared)]


def with_policy(one: Release, **changes: object) -> Release:
    return replace(one, policy=replace(one.policy, **changes))  # type: ignore[arg-type]


def _each(work: Work) -> list[tuple[int, Step]]:
    return list(enumerate(work.steps))


def _short(seen: ContainerSeen) -> str:
    return f"{seen.labels[naming.LABEL_CONTAINER]}:{seen.image.partition('@')[0].rpartition(':')[2]}"


def _bare(step: Step) -> str:
    """The name of a part without deployment and digest."""
    if step.kind.endswith(("-container", "-network", "-volume")):
        return step.subject.split(".")[1]
    return step.subject.partition("@")[0].rpartition("/")[2]
