"""Law: what is remembered of jobs is the fold of their events, as of the rest of a deployment.

A run is remembered as long as its container is there: it goes when we remove that, or make it anew.
"""

from dataclasses import replace
from datetime import datetime

from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import DeploymentRecord, JobResult, JobRun, ScheduleMark


def job_started(record: DeploymentRecord, event: e.JobStarted, at: datetime) -> DeploymentRecord:
    """A try has begun. The end of the try before is kept: it is known again while the engine still shows it."""
    before = record.jobs.get(event.container)
    run = replace(
        before or JobRun(event.job, at, at, event.boot_id, transition=event.transition, due_at=event.due_at),
        at=at,
        boot_id=event.boot_id,
        tries=event.tries,
        result=JobResult.RUNNING,
    )
    started = replace(record, jobs={**record.jobs, event.container: run})
    mark = record.schedules.get(event.job)
    if mark is None or event.due_at is None:
        return started
    return replace(started, schedules={**record.schedules, event.job: ScheduleMark(mark.schedule, event.due_at)})


def job_ended(record: DeploymentRecord, event: e.JobEnded, at: datetime) -> DeploymentRecord:
    """A try is over."""
    run = record.jobs.get(event.container) or JobRun(event.job, at, at, "")
    ended = replace(
        run,
        at=at,
        result=event.result,
        ended_at=event.ended_at,
        exit_code=event.exit_code,
        detail=event.detail,
    )
    return replace(record, jobs={**record.jobs, event.container: ended})


def job_denied(record: DeploymentRecord, event: e.OutcomeRecorded, at: datetime) -> DeploymentRecord:
    """A job that the engine will not start is not tried again."""
    run = record.jobs.get(event.subject)
    if run is None or not run.is_open or event.step != "start-container":
        return record
    failed = replace(run, at=at, result=JobResult.FAILED, ended_at=at, detail=event.detail or event.reason)
    return replace(record, jobs={**record.jobs, event.subject: failed})


def job_done(record: DeploymentRecord, event: e.OutcomeRecorded, at: datetime) -> DeploymentRecord:
    """A container that is made anew, or is gone, has no run; one that was stopped while it ran has ended by that."""
    run = record.jobs.get(event.subject)
    if run is None:
        return record
    if event.step == "stop-container" and run.result is JobResult.RUNNING:
        stopped = replace(run, at=at, result=JobResult.STOPPED, ended_at=at, detail="it was stopped")
        return replace(record, jobs={**record.jobs, event.subject: stopped})
    is_new = event.step == "create-container" and not run.is_open
    if not is_new and event.step != "remove-container":
        return record
    return replace(record, jobs={name: one for name, one in record.jobs.items() if name != event.subject})


def schedule_marked(record: DeploymentRecord, event: e.ScheduleMarked) -> DeploymentRecord:
    """A schedule counts from here, or one time of it was left out."""
    mark = ScheduleMark(event.schedule, event.due_at, event.detail)
    return replace(record, schedules={**record.schedules, event.job: mark})
