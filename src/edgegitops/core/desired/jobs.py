"""Law: a job is a container that ends: it is read as one, and with it when it runs and what happens if it fails.

What keeps a container running (probes, restart, restartLimit, a signal for changed configs) means nothing for a job
and is a fault where a job says it; container defaults give a job all the rest. Containers and jobs are one graph of
names: nothing may wait for a job that begins later than itself.
"""

from collections.abc import Mapping
from datetime import timedelta

from edgegitops.core.desired.care import NOT_OF_JOBS
from edgegitops.core.desired.containers import CONTAINER_KEYS, Surroundings, read_container
from edgegitops.core.desired.graph import find_cycle
from edgegitops.core.desired.probes import read_span
from edgegitops.core.desired.reading import Cursor, Keys, unknown
from edgegitops.core.desired.values import Target
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.plant import UTC_ZONE
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.schedule import parse_schedule
from edgegitops.core.model.spec import Concurrency, ContainerSpec, JobSpec, Missed, Runs

_OF_SCHEDULES = frozenset({"schedule", "timeZone", "concurrency", "missed"})
_OWN = frozenset({"runs", "timeout", "retries"}) | _OF_SCHEDULES
_KEYS = Keys(CONTAINER_KEYS.known | _OWN, CONTAINER_KEYS.later, (*CONTAINER_KEYS.hints, ("cron", "schedule")))
_MOST_RETRIES = 100
_BEGINS = {Runs.ON_INSTALL: 0, Runs.BEFORE_SWITCH: 0, Runs.ON_UPDATE: 1, Runs.SCHEDULE: 2}


def read_job(spot: Cursor, around: Surroundings) -> JobSpec | None:
    """The spec of a job; None where a fault was noted."""
    before = len(spot.scope.faults)
    fields = spot.fields(_KEYS)
    for key in sorted(NOT_OF_JOBS & fields.keys()):
        if (key, fields[key].tree) != ("restart", "never"):
            fields[key].note(FaultCode.WRONG_VALUE, f"a job runs to its end: {key} means nothing for it", f"no {key}")
    if len(spot.scope.faults) > before:
        return None
    runs = _runs(spot, fields)
    plain: Tree = {key: one.tree for key, one in fields.items() if key not in _OWN}
    container = read_container(Cursor(plain, spot.path, spot.scope), around)
    schedule, zone = _schedule(spot, fields, around.target) if runs is Runs.SCHEDULE else ("", UTC_ZONE)
    for key in sorted(_OF_SCHEDULES & fields.keys()):
        if runs is not Runs.SCHEDULE:
            fields[key].note(FaultCode.WRONG_VALUE, f"{key} means nothing with runs: {runs}", "runs: schedule")
    concurrency, missed, timeout = Concurrency.FORBID, Missed.SKIP, None
    if "concurrency" in fields:
        concurrency = fields["concurrency"].choice(Concurrency, default=concurrency)
    if "missed" in fields:
        missed = fields["missed"].choice(Missed, default=missed)
    if "timeout" in fields:
        timeout = _timeout(fields["timeout"])
    retries = fields["retries"].whole(0, _MOST_RETRIES) if "retries" in fields else 0
    if container is None or len(spot.scope.faults) > before:
        return None
    return JobSpec(container.create, runs, container.care, schedule, zone, concurrency, missed, timeout, retries)


def check_order(
    containers: Mapping[str, ContainerSpec], jobs: Mapping[str, JobSpec], spots: Mapping[str, Cursor]
) -> None:
    """Faults of what waits for nothing that there is, for itself, or for a job that comes later. `spots` are all that
    are written, also those that are not enabled here.
    """
    parts: dict[str, ContainerSpec | JobSpec] = {**containers, **jobs}
    for name, part in parts.items():
        order = spots[name].below("dependsOn", {})
        for need in part.care.depends_on:
            if need not in spots:
                unknown(order.below(need, None), "container or job", need, spots)
            elif need not in parts:
                order.below(need, None).note(FaultCode.UNKNOWN_REFERENCE, f"{need!r} is not enabled here")
            elif need in jobs and _is_too_late(jobs[need].runs, jobs.get(name)):
                message = f"the job {need!r} runs {jobs[need].runs}: it begins later, so nothing can wait for it here"
                order.below(need, None).note(FaultCode.WRONG_VALUE, message, "a job that runs beforeSwitch")
    if loop := find_cycle({name: part.care.depends_on for name, part in parts.items()}):
        message = f"these wait for each other: {' -> '.join((*loop, loop[0]))}"
        spots[loop[0]].below("dependsOn", {}).note(FaultCode.DEPENDENCY_CYCLE, message)


def _is_too_late(needed: Runs, waiting: JobSpec | None) -> bool:
    own = _BEGINS[waiting.runs] if waiting else 0
    return _BEGINS[needed] > own or needed is Runs.SCHEDULE


def _runs(spot: Cursor, fields: Mapping[str, Cursor]) -> Runs:
    if "runs" not in fields:
        spot.note(FaultCode.MISSING_FIELD, "no runs", f"runs: one of {', '.join(Runs)}")
        return Runs.BEFORE_SWITCH
    return fields["runs"].choice(Runs, default=Runs.BEFORE_SWITCH)


def _schedule(spot: Cursor, fields: Mapping[str, Cursor], target: Target) -> tuple[str, str]:
    """The schedule as written, and the zone by its name."""
    zone = fields["timeZone"].text() if "timeZone" in fields else "site"
    zone = (target.site.time_zone if zone == "site" else UTC_ZONE if zone == "utc" else zone) or UTC_ZONE
    if "schedule" not in fields:
        spot.note(FaultCode.MISSING_FIELD, "no schedule", "schedule: 0 3 * * *")
        return "", zone
    text = fields["schedule"].text()
    try:
        parse_schedule(text)
    except ValueError as refusal:
        fields["schedule"].note(FaultCode.WRONG_FORMAT, str(refusal))
    return text, zone


def _timeout(spot: Cursor) -> timedelta:
    before = len(spot.scope.faults)
    timeout = read_span(spot)
    if not timeout and len(spot.scope.faults) == before:
        spot.note(FaultCode.WRONG_VALUE, "it cannot be zero", "1s or longer")
    return timeout
