"""Law: a job runs at most once for what asked for it, and at most `1 + retries` times if it fails.

What asks is a switch (`onInstall`, `beforeSwitch`), a release that became healthy (`onUpdate`), or one time of a
schedule (see schedules). Journal and engine decide together, by these rules:
1. a try is written down before it begins; one that was written down and never begun (the container is as it was made,
   in the same boot) is begun, not counted again.
2. what the engine says of an end is believed, whoever saw it: exit code 0 is done, also after a lost journal.
3. a try whose end nobody can tell (the machine went down, the container is gone) is a failed one: a job that must not
   run twice does not, and one that may says so with `retries`.
4. a try that runs for longer than `timeout` is stopped, and failed. The default is the release's deadline, and one hour
   for scheduled jobs.
5. a further try comes after 10 s, doubling to 300 s, in the same container.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edgegitops.core.model.events import Event, JobEnded, JobStarted
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import JobResult, JobRun, Transition
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Runs
from edgegitops.core.model.steps import StartContainer, Step
from edgegitops.core.reconcile.backoff import LOOK_AGAIN_AFTER, try_again_at
from edgegitops.core.reconcile.needs import needs
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.scene import Outlook, Scene, due, earliest, work
from edgegitops.core.reconcile.standing import unmet

SCHEDULED_TIMEOUT = timedelta(hours=1)
ALIVE = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.STOPPING})
FAILED = frozenset({JobResult.FAILED, JobResult.TIMED_OUT, JobResult.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Jobs:
    """How some jobs stand. `failure` is of the first that will not be tried again; `is_done`: all of them succeeded."""

    outlook: Outlook = field(default_factory=Outlook)
    is_done: bool = True
    failure: str = ""


def of_switch(parts: Parts, transition: Transition) -> tuple[Part, ...]:
    """The jobs that have to be done before this switch is over."""
    kinds = {Runs.BEFORE_SWITCH, *([Runs.ON_INSTALL] if transition.is_install else [])}
    return tuple(part for part in parts.jobs if part.job is not None and part.job.runs in kinds)


def to_prepare(scene: Scene, parts: Parts, transition: Transition) -> tuple[Part, ...]:
    """Jobs whose container is to be made before anything is stopped; one of an earlier switch is made anew."""
    wanted = (*of_switch(parts, transition), *_on_update(parts))
    return tuple(part for part in wanted if not _is_prepared(scene, part, transition))


def switch_jobs(scene: Scene, parts: Parts, transition: Transition) -> Jobs:
    """The next of the jobs of a switch: what may begin, and how those that began ended."""
    return _together(scene, parts, of_switch(parts, transition))


def after_healthy(scene: Scene, serving: Release) -> Outlook:
    """The next of the jobs of a release that became healthy, and the end of runs that nothing explains any more."""
    parts = scene.parts(serving)
    lost = _lost(scene, parts)
    if lost:
        return work(scene, events=lost)
    if scene.record.phase is not Phase.HEALTHY or scene.is_local:
        return Outlook()
    return _together(scene, parts, _on_update(parts)).outlook


def failed_on_update(scene: Scene, parts: Parts) -> str:
    """What is wrong with a job that ran after this release became healthy; empty where none failed."""
    runs = ((part, scene.record.jobs.get(part.name)) for part in _on_update(parts))
    return next((_failure(part, run) for part, run in runs if run and run.result in FAILED), "")


def progress(scene: Scene, parts: Parts, part: Part, *, transition: str = "", due_at: datetime | None = None) -> Jobs:
    """How one job stands, and what comes next for it. `transition` or `due_at` is what its run belongs to."""
    seen, run = scene.observed.named(part.name), scene.record.jobs.get(part.name)
    if seen is not None and not parts.is_ours(seen):
        detail = f"container {part.name} exists and does not belong to this fleet; rename or remove it"
        return _going(Outlook(hold=Hold(HoldReason.NAME_TAKEN, detail), until=scene.now + LOOK_AGAIN_AFTER))
    if run is not None and not run.is_open:
        return _over(scene, part, run, seen)
    begun = JobStarted(scene.name, part.container, part.name, scene.boot_id, 1, transition, due_at)
    state = seen.state if seen is not None else ContainerState.LOST
    if state is ContainerState.UNKNOWN:
        return _going(Outlook())
    if run is None:
        return _going(_first(scene, parts, part, begun))
    if run.result is JobResult.RETRYING or (seen is not None and _is_told(run, seen)):
        return _going(_again(scene, parts, part, run))
    return _going(_tried(scene, part, run, seen, _timeout(parts, part)))


# --- one job ----------------------------------------------------------------------------------------------------------


def _going(outlook: Outlook) -> Jobs:
    return Jobs(outlook, is_done=False)


def _over(scene: Scene, part: Part, run: JobRun, seen: ContainerSeen | None) -> Jobs:
    """Its last try is over; what was told to stop and still runs is stopped."""
    outlook = Outlook()
    if seen is not None and seen.state in ALIVE:
        ready, waiting = due(scene, [part.stop()])
        outlook = work(scene, steps=ready) if ready else waiting
    is_done = run.result is JobResult.SUCCEEDED
    return Jobs(outlook, is_done=is_done, failure="" if is_done else _failure(part, run))


def _failure(part: Part, run: JobRun) -> str:
    tries = f" (try {run.tries} of {run.tries})" if run.tries > 1 else ""
    return f"job {part.container}: {run.detail or run.result}{tries}"


def _first(scene: Scene, parts: Parts, part: Part, begun: JobStarted) -> Outlook:
    """Nothing is remembered of it: the first try, or one that a lost journal forgot."""
    seen = scene.observed.named(part.name)
    if seen is None or seen.state is ContainerState.LOST:
        return _create(scene, parts, part, begun)
    if seen.state is ContainerState.CREATED:
        return _start(scene, part, begun)
    if seen.state in ALIVE:
        return work(scene, events=[begun])
    run = JobRun(part.container, scene.now, scene.now, scene.boot_id)
    return work(scene, events=[begun, _end_of(scene, part, run, seen)])


def _again(scene: Scene, parts: Parts, part: Part, run: JobRun) -> Outlook:
    """A further try, in its time; or the one that was written down and has not begun."""
    seen = scene.observed.named(part.name)
    if seen is not None and seen.state in ALIVE:
        ready, waiting = due(scene, [part.stop()])
        return work(scene, steps=ready) if ready else waiting
    if run.result is JobResult.RUNNING:
        return _start(scene, part)
    again = try_again_at(run.at, run.tries, scene.now)
    if again > scene.now:
        return Outlook(until=again, hold=Hold(HoldReason.BACK_OFF, f"{_failure(part, run)}; tried again", again))
    begun = JobStarted(scene.name, part.container, part.name, scene.boot_id, run.tries + 1, run.transition, run.due_at)
    if seen is None or seen.state is ContainerState.LOST:
        return _create(scene, parts, part, begun)
    return _start(scene, part, begun)


def _tried(scene: Scene, part: Part, run: JobRun, seen: ContainerSeen | None, limit: timedelta) -> Outlook:
    """What became of a try that was begun."""
    if seen is None or seen.state is ContainerState.LOST:
        words = "nobody saw how it ended: its container is gone"
        return work(scene, events=[_ended(scene, part, run, JobResult.INTERRUPTED, detail=words)])
    if seen.state is ContainerState.EXITED:
        return work(scene, events=[_end_of(scene, part, run, seen)])
    if seen.state is ContainerState.CREATED:
        if run.boot_id == scene.boot_id:
            return _start(scene, part)
        words = "the machine went down while it ran"
        return work(scene, events=[_ended(scene, part, run, JobResult.INTERRUPTED, detail=words)])
    return _running(scene, part, run, seen.started_at or run.at, limit)


def _running(scene: Scene, part: Part, run: JobRun, began_at: datetime, limit: timedelta) -> Outlook:
    """A clock that is not to be believed times nothing out."""
    until = began_at + limit
    if not scene.is_clock_trusted or scene.now < until:
        return Outlook(until=until if scene.is_clock_trusted else None)
    words = f"still ran after {limit.total_seconds():g} s"
    return work(scene, events=[_ended(scene, part, run, JobResult.TIMED_OUT, detail=words)], steps=[part.stop()])


def _timeout(parts: Parts, part: Part) -> timedelta:
    if part.job is not None and part.job.timeout is not None:
        return part.job.timeout
    is_scheduled = part.job is not None and part.job.runs is Runs.SCHEDULE
    return SCHEDULED_TIMEOUT if is_scheduled else parts.release.policy.deadline


def _start(scene: Scene, part: Part, *begun: JobStarted) -> Outlook:
    ready, waiting = due(scene, [StartContainer(part.name)])
    return work(scene, events=begun, steps=ready) if ready else waiting


def _create(scene: Scene, parts: Parts, part: Part, begun: JobStarted) -> Outlook:
    """Make its container; what the engine denies is a failed try."""
    create = parts.create_container(part)
    denied = scene.record.failures.get(f"{create.kind} {create.subject}")
    is_in_vain = denied is not None and denied.is_final and denied.reason != Refusal.IMAGE_UNKNOWN
    if denied is not None and is_in_vain and (begun.tries == 1 or denied.at >= scene.record.jobs[part.name].at):
        run = JobRun(part.container, scene.now, scene.now, scene.boot_id, begun.tries)
        return work(scene, events=[begun, _ended(scene, part, run, JobResult.FAILED, detail=denied.detail)])
    steps: list[Step] = needs(scene, parts, part) or [create]
    ready, waiting = due(scene, steps)
    return work(scene, steps=ready) if ready else waiting


def _is_told(run: JobRun, seen: ContainerSeen) -> bool:
    """True where the engine still shows the end of the try before: the one that was written down has not begun."""
    return seen.state is ContainerState.EXITED and run.tries > 1 and seen.ended_at == run.ended_at


def _end_of(scene: Scene, part: Part, run: JobRun, seen: ContainerSeen) -> JobEnded:
    """The end that the engine tells."""
    result = JobResult.SUCCEEDED if seen.exit_code == 0 else JobResult.FAILED
    words = "" if seen.exit_code == 0 else f"ended with exit code {seen.exit_code}"
    return _ended(scene, part, run, result, detail=words, seen=seen)


def _ended(  # noqa: PLR0913 - one end is told in one place
    scene: Scene, part: Part, run: JobRun, result: JobResult, *, detail: str, seen: ContainerSeen | None = None
) -> JobEnded:
    """The end of a try; where another one may follow, the run goes on."""
    may_retry = part.job is not None and run.tries <= part.job.retries
    told = JobResult.RETRYING if result in FAILED and may_retry else result
    ended_at = seen.ended_at if seen is not None else None
    exit_code = seen.exit_code if seen is not None else None
    return JobEnded(scene.name, part.container, part.name, told, ended_at or scene.now, exit_code, detail)


# --- several ----------------------------------------------------------------------------------------------------------


def _on_update(parts: Parts) -> tuple[Part, ...]:
    return tuple(part for part in parts.jobs if part.job is not None and part.job.runs is Runs.ON_UPDATE)


def _is_prepared(scene: Scene, part: Part, transition: Transition) -> bool:
    run = scene.record.jobs.get(part.name)
    return scene.observed.named(part.name) is not None and (run is None or run.transition == transition.id)


def _together(scene: Scene, parts: Parts, jobs: Iterable[Part]) -> Jobs:
    """Some jobs side by side, each after what it depends on."""
    events: list[Event] = []
    steps: list[Step] = []
    until: datetime | None = None
    hold: Hold | None = None
    is_done, failure = True, ""
    asking = scene.record.transition.id if scene.record.transition else ""
    for part in jobs:
        if part.name not in scene.record.jobs and any(unmet(scene, parts, part)):
            is_done = False
            continue
        found = progress(scene, parts, part, transition=asking)
        if found.outlook.work is not None:
            events += found.outlook.work.events
            steps += found.outlook.work.steps
        until, hold = earliest(until, found.outlook.until), hold or found.outlook.hold
        is_done, failure = is_done and found.is_done, failure or found.failure
    outlook = work(scene, events=events, steps=steps) if events or steps else Outlook(hold=hold, until=until)
    return Jobs(outlook, is_done=is_done, failure=failure)


def _lost(scene: Scene, parts: Parts) -> list[Event]:
    """The ends of runs that belong to no release that is looked after, and whose container does not run."""
    kept = scene.kept(parts)
    ends: list[Event] = []
    for name, run in scene.record.jobs.items():
        seen = scene.observed.named(name)
        if run.is_open and name not in kept and (seen is None or seen.state not in ALIVE):
            ends.append(JobEnded(scene.name, run.job, name, JobResult.STOPPED, scene.now, detail="its release went"))
    return ends
