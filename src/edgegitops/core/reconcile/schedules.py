"""Law: each time of a schedule begins a run at most once; what could not begin is told, never made up for in secret.

While a release serves and is not regressed, the newest time that has passed since the last one that was dealt with is
due. It may begin up to `LATE` later (its dependencies may not be met yet, an update may be under way); after that it
was missed, and is left out (`missed: skip`) or run once (`runOnce`). While the last run still goes on, another one
waits for nobody: it is left out (`forbid`), takes its place (`replace`), or begins beside it (`allow`).
A schedule counts from the first look at it. A clock that is not to be believed begins nothing, and a mark in a far
future is one of a clock that has been set back since. Time zones: see model/openings.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo

from edgegitops.core.model.events import JobEnded, ScheduleMarked
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import JobResult, JobRun
from edgegitops.core.model.naming import LABEL_NETWORKS
from edgegitops.core.model.openings import last_opening, next_opening
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.schedule import parse_schedule
from edgegitops.core.model.spec import Concurrency, JobSpec, Missed
from edgegitops.core.reconcile.backoff import LOOK_AGAIN_AFTER
from edgegitops.core.reconcile.jobs import FAILED, progress
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.scene import Outlook, Scene, earliest, work
from edgegitops.core.reconcile.standing import unmet

LATE = timedelta(minutes=5)
SET_BACK = timedelta(hours=1)
_VERDICTS = FAILED | {JobResult.SUCCEEDED}
_UNWELL = frozenset({Phase.REGRESSED, Phase.STUCK})


def on_time(scene: Scene, serving: Release) -> Outlook:
    """The next work of the scheduled jobs of what serves: runs that go on, then what is due."""
    parts = scene.parts(serving)
    until: datetime | None = None
    hold: Hold | None = None
    for part in parts.scheduled:
        for outlook in (*_going_on(scene, parts, part), _next(scene, parts, part)):
            if outlook.work is not None:
                return outlook
            until, hold = earliest(until, outlook.until), hold or outlook.hold
    return Outlook(hold=hold, until=until)


def job_alarms(scene: Scene, serving: Release) -> tuple[tuple[Alarm, str], ...]:
    """An alarm for each scheduled job whose last run that came to its end failed."""
    found = []
    for part in scene.parts(serving).scheduled:
        runs = {name: run for name, run in _runs(scene, part).items() if run.result in _VERDICTS}
        last = next((runs[name] for name in _newest(runs)), None)
        if last is not None and last.result in FAILED:
            found.append(
                (Alarm.JOB_FAILED, f"job {part.container}: {last.detail} (began {last.began_at:%Y-%m-%d %H:%M} UTC)")
            )
    return tuple(found)


def kept_runs(scene: Scene, releases: tuple[Release, ...]) -> frozenset[str]:
    """Engine names of containers of jobs that stay: what goes on or is about to begin, and the last run of each job."""
    names = {name for one in (*releases, *([scene.target] if scene.target else [])) for name in one.spec.jobs}
    kept: set[str] = set()
    for job in names:
        runs = {name: run for name, run in scene.record.jobs.items() if run.job == job}
        kept |= {name for name, run in runs.items() if run.is_open}
        kept |= _newest(runs) | _newest({name: run for name, run in runs.items() if run.result in _VERDICTS})
    if scene.record.serving is not None:
        parts = scene.parts(scene.record.serving)
        due = [(part, _due(scene, part)) for part in parts.scheduled]
        kept |= {parts.run(part, at).name for part, at in due if at is not None}
    return frozenset(kept)


def kept_networks(scene: Scene, kept: frozenset[str]) -> frozenset[str]:
    """Engine names of the networks that these containers of jobs were made on."""
    labels = [seen.labels for seen in scene.owned() if seen.name in kept]
    return frozenset(name for one in labels for name in one.get(LABEL_NETWORKS, "").split())


def _newest(runs: Mapping[str, JobRun]) -> set[str]:
    """The name of the run that began last; nothing where there is none."""
    return {max(reversed(list(runs)), key=lambda name: runs[name].began_at)} if runs else set()


def _runs(scene: Scene, part: Part) -> dict[str, JobRun]:
    return {name: run for name, run in scene.record.jobs.items() if run.job == part.container and run.due_at}


def _going_on(scene: Scene, parts: Parts, part: Part) -> list[Outlook]:
    """Runs that have begun, each with what comes next for it."""
    return [
        progress(scene, parts, parts.run(part, run.due_at), due_at=run.due_at).outlook
        for run in _runs(scene, part).values()
        if run.due_at is not None and parts.run(part, run.due_at).name in scene.record.jobs
    ]


def _zone(scene: Scene, job: JobSpec) -> tzinfo | None:
    return scene.zones.find(job.zone) if scene.is_clock_trusted else None


def _mark(scene: Scene, part: Part) -> datetime | None:
    """Up to when the schedule was dealt with; None where it has not been looked at, or by another clock."""
    mark = scene.record.schedules.get(part.container)
    is_known = mark is not None and mark.schedule == _text(part) and mark.at <= scene.now + SET_BACK
    return mark.at if mark is not None and is_known else None


def _text(part: Part) -> str:
    return f"{part.job.schedule} {part.job.zone}" if part.job is not None else ""


def _due(scene: Scene, part: Part) -> datetime | None:
    """The time of the schedule that is to be dealt with now; None where there is none."""
    mark = _mark(scene, part)
    zone = _zone(scene, part.job) if part.job is not None else None
    if part.job is None or zone is None or mark is None or mark > scene.now:
        return None
    return last_opening(parse_schedule(part.job.schedule), zone, scene.now, since=mark)


def _next(scene: Scene, parts: Parts, part: Part) -> Outlook:
    job = part.job
    if job is None or scene.is_local or scene.record.phase in _UNWELL:
        return Outlook()
    zone = _zone(scene, job)
    if zone is None:
        why = (
            f"the time zone {job.zone} is not known here"
            if scene.is_clock_trusted
            else "the clock is not to be believed"
        )
        again = scene.now + LOOK_AGAIN_AFTER
        return Outlook(hold=Hold(HoldReason.CLOCK, f"job {part.container} waits: {why}", again), until=again)
    if _mark(scene, part) is None:
        return work(scene, events=[ScheduleMarked(scene.name, part.container, _text(part), scene.now)])
    until = next_opening(parse_schedule(job.schedule), zone, scene.now)
    due_at = _due(scene, part)
    if due_at is None:
        return Outlook(until=until)
    outlook = _begin(scene, parts, part, due_at)
    return outlook if outlook.work is not None else Outlook(hold=outlook.hold, until=earliest(until, outlook.until))


def _begin(scene: Scene, parts: Parts, part: Part, due_at: datetime) -> Outlook:
    """Begin the run that is due, or say why it is left out."""
    job, until = part.job, due_at + LATE
    is_skipped = job is not None and job.missed is Missed.SKIP
    if is_skipped and scene.now > until:
        return _left_out(scene, part, due_at, "missed: it could not begin in time")
    open_runs = {name: run for name, run in _runs(scene, part).items() if run.is_open}
    if open_runs and job is not None and job.concurrency is Concurrency.FORBID:
        return _left_out(scene, part, due_at, "the run before still went on")
    if open_runs and job is not None and job.concurrency is Concurrency.REPLACE:
        ends = [
            JobEnded(
                scene.name, part.container, name, JobResult.REPLACED, scene.now, detail="the next run took its place"
            )
            for name in open_runs
        ]
        return work(scene, events=ends)
    waits = next(unmet(scene, parts, part), None)
    if waits is not None:
        detail = f"job {part.container} waits: {waits[0]} {waits[1]}"
        again = until + timedelta(seconds=1) if is_skipped else None
        return Outlook(hold=Hold(HoldReason.DEPENDENCY, detail, again), until=again)
    return progress(scene, parts, parts.run(part, due_at), due_at=due_at).outlook


def _left_out(scene: Scene, part: Part, due_at: datetime, why: str) -> Outlook:
    return work(scene, events=[ScheduleMarked(scene.name, part.container, _text(part), due_at, why)])
