"""Law: record the intent, act, record the outcome; only the deciding thread writes to the journal.

A work's events and the intents of its steps are one append; then the steps run side by side in a small pool, and
their outcomes are one append when the last has ended. A step that raises says what to do next by its class; what is
none of ours is a bug and is recorded as a failed step. Nothing acts once the journal does not take an intent.
Pulls have a pool of their own: a registry that hangs takes minutes, and must not keep others from being healed.
"""

from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from datetime import timedelta

from edgegitops.core.model.events import WAS_THERE, Event, IntentRecorded, OutcomeRecorded, Result
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.snapshots import Copied, Room
from edgegitops.core.model.steps import (
    DropSnapshot,
    MeasureVolumes,
    PrepareSnapshot,
    PullArtifact,
    PullImage,
    RemoveArtifact,
    RestoreSnapshot,
    StartContainer,
    Step,
    StoreContent,
    StoreSecret,
    TakeSnapshot,
    Work,
)
from edgegitops.daemon.gear import Gear
from edgegitops.errors import DeniedError, UnavailableError


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended, and what it found out about volumes."""

    result: Result
    reason: str = ""
    detail: str = ""
    room: Room | None = None
    copied: Copied | None = None


@dataclass(frozen=True, slots=True)
class _Running:
    """A work whose steps are under way, with the ids of their intents."""

    work: Work
    ids: tuple[str, ...]
    futures: tuple[Future[Ended], ...]


class Works:
    """The works under way, at most one a deployment."""

    def __init__(self, gear: Gear, pool: Executor, pulls: Executor | None = None) -> None:
        self._gear = gear
        self._pool = pool
        self._pulls = pulls or pool
        self._running: dict[str, _Running] = {}

    @property
    def busy(self) -> frozenset[str]:
        """Deployments with a work under way."""
        return frozenset(self._running)

    def begin(self, works: tuple[Work, ...], desired: Desired | None) -> None:
        """Journal every work's events and intents in one append, then start the steps. JournalError: none starts."""
        if not works:
            return
        seq = self._gear.journal.ledger().seq
        ids: list[tuple[str, ...]] = []
        events: list[Event] = []
        for work in works:
            events += work.events
            named = tuple(f"{seq}.{len(events) + at}" for at in range(len(work.steps)))
            events += [
                IntentRecorded(name, work.deployment, step.kind, step.subject)
                for name, step in zip(named, work.steps, strict=True)
            ]
            ids.append(named)
        self._gear.journal.append(events, self._gear.clock.now())
        for work, named in zip(works, ids, strict=True):
            if work.steps:
                futures = tuple(self._begun(step, desired) for step in work.steps)
                self._running[work.deployment] = _Running(work, named, futures)

    def _begun(self, step: Step, desired: Desired | None) -> Future[Ended]:
        pool = self._pulls if isinstance(step, PullImage | PullArtifact) else self._pool
        return pool.submit(perform, self._gear, step, desired)

    def wait(self, patience: timedelta) -> None:
        """Wait until the last step of a work has ended, at most so long, and journal the outcomes of such works.

        A step that ends before the others of its work is no news yet: to look at the engine for each of them would
        slow down those that are still under way.
        """
        ends_at = self._gear.clock.monotonic() + patience
        while self._running and not self._over():
            left = ends_at - self._gear.clock.monotonic()
            if left <= timedelta():
                break
            pending = [future for one in self._running.values() for future in one.futures if not future.done()]
            wait(pending, timeout=left.total_seconds(), return_when=FIRST_COMPLETED)
        self._collect()

    def _over(self) -> list[str]:
        return [name for name, one in self._running.items() if all(future.done() for future in one.futures)]

    def _collect(self) -> None:
        outcomes: list[Event] = []
        for name in self._over():
            outcomes += self._outcomes(self._running.pop(name))
        if outcomes:
            self._gear.journal.append(outcomes, self._gear.clock.now())

    def _outcomes(self, one: _Running) -> list[OutcomeRecorded]:
        boot_id = self._gear.clock.boot_id()
        outcomes = []
        for step, named, future in zip(one.work.steps, one.ids, one.futures, strict=True):
            ended = future.result()
            if ended.result is not Result.DONE:
                self._gear.log.warning(
                    "step-not-done",
                    deployment=one.work.deployment,
                    step=step.kind,
                    subject=step.subject,
                    result=ended.result,
                    reason=ended.reason,
                    detail=ended.detail,
                )
            started = boot_id if isinstance(step, StartContainer) else ""
            outcomes.append(
                OutcomeRecorded(
                    named,
                    one.work.deployment,
                    step.kind,
                    step.subject,
                    ended.result,
                    reason=ended.reason,
                    detail=ended.detail,
                    boot_id=started,
                    room=ended.room,
                    copied=ended.copied,
                )
            )
        return outcomes


def perform(gear: Gear, step: Step, desired: Desired | None) -> Ended:
    """Do one step through its port; never raises."""
    try:
        return _performed(gear, step, desired)
    except UnavailableError as error:
        return Ended(Result.UNAVAILABLE, error.reason, error.message)
    except DeniedError as error:
        return Ended(Result.DENIED, error.reason, error.message)
    except Exception as error:  # noqa: BLE001 - a bug in a step must end that step, not the node
        return Ended(Result.FAILED, "bug", f"{type(error).__name__}: {error}")


def _performed(gear: Gear, step: Step, desired: Desired | None) -> Ended:
    match step:
        case StoreContent() | StoreSecret():
            return _stored(gear, step, desired)
        case MeasureVolumes():
            return Ended(Result.DONE, room=gear.snapshots.measure(step.volumes))
        case PrepareSnapshot():
            return _prepared(gear, step)
        case TakeSnapshot():
            return Ended(Result.DONE, copied=gear.snapshots.take(step.subject, step.key))
        case RestoreSnapshot():
            gear.snapshots.restore(step.subject, step.key, step.failed)
        case DropSnapshot():
            gear.snapshots.drop(step.subject, step.key)
        case PullArtifact():
            gear.artifacts.pull(step)
        case RemoveArtifact():
            gear.artifacts.remove(step.subject)
        case PullImage():
            if gear.engine.has_image(step.subject):
                return Ended(Result.DONE, WAS_THERE)
            gear.engine.perform(step)
        case _:
            gear.engine.perform(step)
    return Ended(Result.DONE)


def _prepared(gear: Gear, step: PrepareSnapshot) -> Ended:
    """What did not end well is tried again: until then nothing is stopped."""
    if gear.engine.probe_exec(step.container, step.argv, step.timeout):
        return Ended(Result.DONE)
    detail = f"{step.argv[0]} in {step.container} did not end with 0 within {step.timeout.total_seconds():g} s"
    return Ended(Result.UNAVAILABLE, HoldReason.SNAPSHOT_HOOK, detail)


def _stored(gear: Gear, step: StoreContent | StoreSecret, desired: Desired | None) -> Ended:
    """Put what the revision in force brought where the node keeps it."""
    known = Desired("") if desired is None else desired
    if isinstance(step, StoreSecret):
        sealed = known.secrets.get(step.subject)
        if sealed is None:
            words = f"secrets/{step.subject}.age is neither on this node nor in the revision in force"
            return Ended(Result.UNAVAILABLE, HoldReason.SECRET_UNREADABLE, words)
        gear.secrets.put(step.subject, sealed)
        return Ended(Result.DONE)
    data = known.contents.get(step.subject)
    if data is None:
        return Ended(Result.FAILED, "content-missing", f"config content {step.subject} is not known")
    gear.contents.put(step.subject, data)
    return Ended(Result.DONE)
