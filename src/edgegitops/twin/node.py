"""Law: a node of the twin lives as the daemon lets it: look, decide, record, act, record, until nothing is left to do;
then it tells, and sleeps to the next instant at which anything can change here.

The one door decides, as everywhere. Left out is what tells nothing of a rollout: processes, disks, the minutes of a
soak. Its memory is the fold of its events, as a journal's is; the events themselves are handed on and not kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from edgegitops.core.decide import decide
from edgegitops.core.model.events import (
    DaemonStarted,
    Event,
    FloorMoved,
    HealthChanged,
    IntentRecorded,
    OutcomeRecorded,
    ReleaseAdopted,
    ReportMade,
    Result,
    SnapshotAccepted,
    SnapshotRefused,
    SoakMarked,
)
from edgegitops.core.model.facts import Decision, Desired, Facts, NodeIdentity
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import DeploymentRecord, Health, Ledger
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.report import HEARTBEAT, Report, Statement
from edgegitops.core.model.steps import (
    PullArtifact,
    PullImage,
    StartContainer,
    Step,
    StopContainer,
    StoreContent,
    StoreSecret,
    Work,
)
from edgegitops.core.reconcile.fold import advance_by
from edgegitops.core.reconcile.lifecycle import BEGUN
from edgegitops.core.reconcile.parts import Parts, parts_of
from edgegitops.core.reconcile.scene import earliest
from edgegitops.core.rollout.telling import Voice, is_news, report_of, soaks_asked
from edgegitops.errors import BrokenInvariantError
from edgegitops.twin.hands import BOOT, Ended, Hands
from edgegitops.twin.vitals import Vitals
from edgegitops.twin.weather import Weather
from edgegitops.twin.world import Revision, World

ASKED_EVERY = timedelta(seconds=60)
STOPPING = timedelta(seconds=1)
TURNS = 200
OF_OTHERS = frozenset({HoldReason.GATE, HoldReason.TOO_LITTLE_EVIDENCE, HoldReason.APPROVAL, HoldReason.EVIDENCE})
"""Holds that end by what others say."""
OF_TIME = frozenset({HoldReason.WINDOW, HoldReason.CLOCK, HoldReason.INTERLOCK, HoldReason.BACK_OFF})
"""Holds that end by themselves."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A deployment that is held by what others say or do not say."""

    deployment: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Busy:
    """A work under way, and what will be recorded at its end."""

    ends_at: datetime
    outcomes: tuple[OutcomeRecorded, ...]


class Node:
    """One node. `look` lives on to now and answers the events of this look; `next_at` is when to look again."""

    def __init__(self, name: str, world: World, weather: Weather, hands: Hands) -> None:
        site, _, node = name.partition("/")
        self.name = name
        self.identity = NodeIdentity(world.repository, site, node, world.pin())
        self.ledger = Ledger()
        self.next_at: datetime | None = None
        self.waits: tuple[Waiting, ...] = ()
        self.report: Report | None = None
        self._world = world
        self._weather = weather
        self._hands = hands
        self._vitals = Vitals(hands)
        self._desired: Desired | None = None
        self._busy: dict[str, _Busy] = {}
        self._voice = Voice(self.identity, name, BOOT)

    # --- what comes from outside

    def install(self, revision: Revision) -> None:
        """Run what a revision says, well and for long: as after a lost journal, when everything was found in place."""
        floor = self._world.floor(revision)
        self._record([DaemonStarted(BOOT), FloorMoved(floor), SnapshotAccepted(revision.commit, revision.tree)])
        desired = self._world.desired(revision, self.identity)
        if not isinstance(desired, Desired):
            return
        self._desired = desired
        for name, release in sorted(desired.releases.items()):
            parts = parts_of(self.identity.fleet, release)
            steps = list(_steps_of(parts))
            ended = [self._hands.perform(step, desired) for step in steps]
            wrong = next((one.detail for one in ended if one.result is not Result.DONE), None)
            if wrong is not None:
                raise BrokenInvariantError(f"{self.name}: {release.short} cannot run in memory: {wrong}")
            started = [part.name for part in parts.containers]
            self._record(
                [
                    ReleaseAdopted(name, release),
                    *(OutcomeRecorded("", name, "start-container", one, Result.DONE, boot_id=BOOT) for one in started),
                    *(HealthChanged(name, one, Health.READY) for one in started),
                    SoakMarked(name, release.digest, max(release.policy.soak, release.policy.gate_soak)),
                ]
            )

    @property
    def installed(self) -> Mapping[str, Release]:
        """What it has run so far: as long as nothing else was fetched."""
        return self._desired.releases if self._desired is not None else {}

    @property
    def is_restless(self) -> bool:
        """Whether it has something of its own to do yet, or waits for a time to come."""
        return bool(self._busy) or any(map(self._is_under_way, self.ledger.deployments.values()))

    def _is_under_way(self, record: DeploymentRecord) -> bool:
        transition = record.transition
        if transition is not None:
            return transition.phase in BEGUN or not record.hold_reason or record.hold_reason in OF_TIME
        serving = record.serving
        if serving is None or record.phase is not Phase.HEALTHY:
            return False
        return record.soaked_for < max(serving.policy.soak, serving.policy.gate_soak)

    def fetch(self, revision: Revision, found: Desired | tuple[Fault, ...]) -> None:
        """A new revision is believed, and what it makes of this node in force where that is valid."""
        moved = FloorMoved(self._world.floor(revision))
        if isinstance(found, Desired):
            self._desired = found
            self._record([moved, SnapshotAccepted(revision.commit, revision.tree)])
        else:
            self._record([moved, SnapshotRefused(revision.commit, len(found), found)])

    # --- a look

    def look(self) -> list[Event]:
        """Live on until now; the events of this look."""
        now = self._world.clock.at
        events = self._vitals.news(now)
        self._record(events)
        for _ in range(TURNS):
            events += self._collect(now)
            decision = self._decide(now)
            begun = self._begin(decision, now)
            events += begun
            if not begun and not any(one.ends_at <= now for one in self._busy.values()):
                self._rest(decision, now)
                return events
        raise BrokenInvariantError(f"{self.name}: no rest after {TURNS} turns")

    def _decide(self, now: datetime) -> Decision:
        world, stock, ledger = self._world, self._hands.stock(), self.ledger
        facts = Facts(
            now=now,
            boot_id=BOOT,
            node=self.identity,
            policy=world.policy,
            ledger=ledger,
            observed=self._hands.observe(),
            objects=world.setting.library.lookup.objects,
            schemas=world.setting.library.schemas,
            tip=ledger.floor.commit if ledger.floor is not None else None,
            remembered=self._desired,
            busy=frozenset(self._busy),
            present_contents=stock.contents,
            present_artifacts=stock.artifacts,
            present_secrets=stock.secrets,
            snapshots=stock.snapshots,
            zones=world.setting.zones,
            answers=world.answers,
            memo=world.memo,
            asked_every=ASKED_EVERY,
        )
        return decide(facts, world.assumed)

    def _begin(self, decision: Decision, now: datetime) -> list[Event]:
        """Record what was decided, and do it; what takes no time is over at once."""
        events: list[Event] = [*decision.events]
        self._record(decision.events)
        for work in decision.works:
            ids = tuple(f"{self.ledger.seq}.{at}" for at in range(len(work.steps)))
            intents = (
                IntentRecorded(named, work.deployment, step.kind, step.subject)
                for named, step in zip(ids, work.steps, strict=True)
            )
            begun = [*work.events, *intents]
            self._record(begun)
            events += begun
            if work.steps:
                outcomes = tuple(
                    _outcome(named, work, step, self._hands.perform(step, self._desired))
                    for named, step in zip(ids, work.steps, strict=True)
                )
                self._busy[work.deployment] = _Busy(now + max(map(self._takes, work.steps)), outcomes)
        return events

    def _takes(self, step: Step) -> timedelta:
        match step:
            case PullImage() | PullArtifact():
                return self._weather.pulling(self.name, step.subject)
            case StopContainer():
                return STOPPING
            case _:
                return timedelta()

    def _collect(self, now: datetime) -> list[Event]:
        """The outcomes of works that are over."""
        over = [name for name, one in self._busy.items() if one.ends_at <= now]
        events = list(chain.from_iterable(self._busy.pop(name).outcomes for name in over))
        self._record(events)
        return list(events)

    def _rest(self, decision: Decision, now: datetime) -> None:
        """What to watch, whom it waits for, and when to look again."""
        self._vitals.follow(decision.handover, now)
        records = self.ledger.deployments.values()
        self.waits = tuple(
            Waiting(one.name, one.hold_reason)
            for one in records
            if one.hold_reason in OF_OTHERS and not (one.transition is not None and one.transition.phase in BEGUN)
        )
        look = decision.handover.next_look
        is_asked_again = bool(self.waits) and look == now + ASKED_EVERY  # others wake it when they have news
        ends = (one.ends_at for one in self._busy.values())
        self.next_at = earliest(None if is_asked_again else look, self._vitals.changes_at(now), *ends)

    # --- what it tells

    @property
    def heartbeat(self) -> timedelta:
        """The longest time between two reports, as its fleet says."""
        return self._desired.reporting.heartbeat if self._desired is not None else HEARTBEAT

    def speak(self, now: datetime) -> Statement | None:
        """A report, where it is news."""
        sequence = self.ledger.report_sequence + 1
        heads = self._heads()
        report = report_of(self.ledger, self._voice, heads, sequence=sequence, now=now)
        if not is_news(self.report, report, heartbeat=self.heartbeat, asked=soaks_asked(self.ledger)):
            return None
        fresh = {
            name: tuple(digest for digest, one in record.latches.items() if not one.told_in and not one.is_refusal)
            for name, record in self.ledger.deployments.items()
        }
        self.report = report
        payload = f"{self.name} {sequence}"
        self._record([ReportMade(sequence, payload, self.name, {name: told for name, told in fresh.items() if told})])
        return Statement(report, payload)

    def _heads(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def _record(self, events: Sequence[Event]) -> None:
        self.ledger = advance_by(self.ledger, events, self._world.clock.at)


def _outcome(named: str, work: Work, step: Step, ended: Ended) -> OutcomeRecorded:
    return OutcomeRecorded(
        named,
        work.deployment,
        step.kind,
        step.subject,
        ended.result,
        reason=ended.reason,
        detail=ended.detail,
        boot_id=BOOT if isinstance(step, StartContainer) else "",
        room=ended.room,
        copied=ended.copied,
    )


def _steps_of(parts: Parts) -> Iterator[Step]:
    """All steps that bring a release to an empty node, in an order in which they work."""
    created = [parts.create_container(part) for part in parts.containers]
    yield from (parts.pull(image) for image in sorted({one.create.image for one in created}))
    yield from (parts.pull_artifact(name) for name in sorted(parts.artifacts(parts.containers)))
    yield from (StoreContent(sha256) for sha256 in sorted(parts.contents(parts.containers)))
    yield from (StoreSecret(file) for file in sorted(parts.secrets(parts.containers)))
    yield from (parts.create_network(name) for name in sorted(parts.networks))
    yield from (parts.create_volume(name) for name in sorted(parts.volumes))
    yield from created
    yield from (StartContainer(one.subject) for one in created)
