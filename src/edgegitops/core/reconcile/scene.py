"""What reconciling one deployment looks at, and what it answers: values only, no rules.

A scene is one deployment's cut of the facts. An outlook is at most one work, the reason for doing nothing more, and
when it is worth looking again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from edgegitops.core.model.events import AlarmRaised, Event, PhaseMoved, TransitionBegan
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import AlarmRecord, ContainerRecord, DeploymentRecord, Transition
from edgegitops.core.model.observed import ContainerSeen, Observed
from edgegitops.core.model.plant import FixedZones, Zones
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.snapshots import SnapshotSeen
from edgegitops.core.model.spec import Condition
from edgegitops.core.model.steps import StartContainer, Step, Work
from edgegitops.core.reconcile.backoff import retry_at
from edgegitops.core.reconcile.parts import Part, Parts, parts_of

S = TypeVar("S", bound=Step)


@dataclass(frozen=True, slots=True)
class Scene:
    """One deployment at one instant.

    `target` is the release that is wanted (None: none is); with `is_target_known` False nobody knows what is wanted,
    and what runs is kept. `gate` is the rollout's answer: None where a start is allowed. `refusal` says why the wanted
    release was not admitted here. `window` says why a transition may not begin now, `interlock` why a running container
    may not be stopped for one (None: they may), and `forced` which of them were overruled. `contents` are the config
    files that can be stored, `stored` those that are; `readable` are the secrets (`db.2`) that are stored and can be
    opened; `artifacts` are the digests (hex) of artifacts on the node, `needed` what images and artifacts (by digest)
    all deployments of the node may still ask for, None where nothing may be thrown away now. `neighbours` says of the
    other deployments of this node which conditions they meet now. `snapshots` are the copies of this deployment's
    volumes on disk.
    `is_local`: journal and engine are all there is; nothing may be fetched. `cause` is the rule of the rollout that
    allows the target. Schedules are read by `zones`, and only where `is_clock_trusted`.
    """

    name: str
    fleet: str
    now: datetime
    boot_id: str
    seq: int
    observed: Observed
    record: DeploymentRecord
    target: Release | None = None
    is_target_known: bool = True
    gate: Hold | None = None
    window: Hold | None = None
    interlock: Hold | None = None
    forced: str = ""
    refusal: str = ""
    contents: frozenset[str] = frozenset()
    stored: frozenset[str] = frozenset()
    readable: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    needed: frozenset[str] | None = None
    is_disk_full: bool = False
    alarms: Mapping[str, AlarmRecord] = field(default_factory=dict)
    is_local: bool = False
    cause: str = ""
    neighbours: Mapping[str, frozenset[Condition]] = field(default_factory=dict)
    snapshots: tuple[SnapshotSeen, ...] = ()
    is_clock_trusted: bool = True
    zones: Zones = field(default_factory=FixedZones)

    def parts(self, release: Release) -> Parts:
        """The parts of a release of this deployment."""
        return parts_of(self.fleet, release)

    def remembered(self, part: Part) -> ContainerRecord:
        """What is remembered of a container."""
        return self.record.containers.get(part.name) or ContainerRecord()

    def is_started(self, part: Part) -> bool:
        """True where this agent started the container in this boot, and has not stopped it or seen it end since."""
        start = self.remembered(part).start
        return start is not None and start.boot_id == self.boot_id

    def start(self, parts: Parts, part: Part) -> StartContainer:
        """The step that starts a part; after a refusal without a known cause it is made anew, but once in a row."""
        before = self.record.failures.get(f"{StartContainer.kind} {part.name}")
        is_first = before is None or not before.is_final
        return StartContainer(part.name, parts.create_container(part) if is_first else None)

    def kept(self, parts: Parts) -> frozenset[str]:
        """Engine names that a release explains: its containers, its jobs, and runs of its scheduled jobs."""
        runs = {seen.name for seen in self.owned() if parts.is_run(seen)} if parts.scheduled else frozenset[str]()
        return parts.names() | runs

    def owned(self) -> tuple[ContainerSeen, ...]:
        """All containers of this deployment, of whatever release, by name."""
        return tuple(sorted(self.observed.owned(self.fleet, self.name), key=lambda one: one.name))

    def alarm(self, code: Alarm, detail: str) -> tuple[Event, ...]:
        """The event that raises an alarm on this deployment; none where it stands already with the same detail."""
        standing = self.alarms.get(f"{code} {self.name}")
        if standing is not None and standing.detail == detail:
            return ()
        return (AlarmRaised(code, self.name, detail),)

    def is_alarmed(self, code: Alarm) -> bool:
        """True where this alarm stands on this deployment."""
        return f"{code} {self.name}" in self.alarms


@dataclass(frozen=True, slots=True)
class Outlook:
    """What to do next, or why nothing; `until` is when to look again, `alarms` what a person should look at now.
    `is_asking`: only the interlocks hold it back, and they are worth asking.
    """

    work: Work | None = None
    hold: Hold | None = None
    until: datetime | None = None
    alarms: tuple[tuple[Alarm, str], ...] = ()
    is_asking: bool = False


def held(hold: Hold) -> Outlook:
    """An outlook that waits for the plant (or for whoever holds); a hold that is overdue is an alarm too."""
    alarms = ((Alarm.HELD_TOO_LONG, hold.detail),) if hold.is_overdue else ()
    return Outlook(hold=hold, until=hold.until, alarms=alarms, is_asking=hold.reason is HoldReason.INTERLOCK)


def work(scene: Scene, *, events: Iterable[Event] = (), steps: Iterable[Step] = ()) -> Outlook:
    """An outlook with one work."""
    return Outlook(Work(scene.name, tuple(events), tuple(steps)))


def moved(scene: Scene, new: Phase, *, reason: str = "", detail: str = "", old: Phase | None = None) -> PhaseMoved:
    """The event of a move of the open transition (or of the resting deployment) to `new`."""
    transition = scene.record.transition
    return PhaseMoved(
        scene.name,
        transition.id if transition else "",
        old or scene.record.phase,
        new,
        reason=reason,
        detail=detail,
        cause=scene.cause if new is Phase.SWITCHING else "",
    )


def began(
    scene: Scene, target: Release | None, *, is_going_back: bool = False, is_install: bool = False
) -> TransitionBegan:
    """The event of setting out from what serves to `target` (None: removal)."""
    transition = Transition(
        id=f"{scene.name}/{scene.seq + 1}",
        old=scene.record.serving,
        new=target,
        phase=Phase.PENDING,
        began_at=scene.now,
        phase_at=scene.now,
        is_going_back=is_going_back,
        cause=scene.cause,
        is_install=is_install,
    )
    return TransitionBegan(scene.name, transition)


_NOTHING = Outlook()


def due(scene: Scene, steps: Iterable[S]) -> tuple[tuple[S, ...], Outlook]:
    """The steps whose back-off is over, and an outlook that says why the others wait (empty where none does)."""
    ready: list[S] = []
    waiting: list[tuple[datetime, Hold]] = []
    for step in steps:
        key = f"{step.kind} {step.subject}"
        failure = scene.record.failures.get(key)
        again = retry_at(failure, scene.now, f"{scene.name} {key}")
        if failure is None or again <= scene.now:
            ready.append(step)
        else:
            waiting.append((again, Hold(_hold_reason(failure.reason), f"{key}: {failure.detail}", again)))
    if not waiting:
        return tuple(ready), _NOTHING
    until, hold = min(waiting, key=lambda one: one[0])
    return tuple(ready), Outlook(hold=hold, until=until)


def _hold_reason(reason: str) -> HoldReason:
    return HoldReason(reason) if reason in set(HoldReason) else HoldReason.BACK_OFF


def earliest(*instants: datetime | None) -> datetime | None:
    """The first of the given instants; None where there is none."""
    known = [at for at in instants if at is not None]
    return min(known) if known else None
