"""What status and explain know of a node, as JSON trees: memory and engine laid side by side, nothing judged twice.

Containers are those of the releases that serve or are on their way, under the engine names that these must have; what
the engine does not tell (it does not answer) is null, never guessed from memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.ledger import ContainerRecord, DeploymentRecord, Health, JobRun, Ledger, OperatorHold
from edgegitops.core.model.naming import container_name
from edgegitops.core.model.observed import ContainerSeen, ContainerState, Observed
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import JobSpec

REST = frozenset({Phase.HEALTHY, Phase.ABSENT})
RECENT = timedelta(minutes=30)
_MAKES_NONE_YET = frozenset({Phase.PENDING, Phase.PREPARING})


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a node; `observed` None: the engine does not answer. `state_problem`: why nothing can be recorded."""

    now: datetime
    ledger: Ledger
    observed: Observed | None
    is_agent_running: bool
    state_problem: str = ""


def release_tree(release: Release | None, ledger: Ledger) -> Tree:
    """A release with its commit and who signed that."""
    if release is None:
        return None
    signed = ledger.signed.get(release.revision)
    return {
        "name": release.short,
        "digest": release.digest,
        "version": release.version or None,
        "revision": release.revision,
        "signedBy": (signed.owner or signed.key or None) if signed else None,
        "key": (signed.key or None) if signed else None,
        "believedAt": to_tree(signed.at) if signed else None,
    }


def containers(record: DeploymentRecord, look: Look) -> list[dict[str, Tree]]:
    """The containers of what serves, then of what is on its way and not shared with it, as far as they are made: what
    waits for its turn lacks nothing.
    """
    coming = record.transition.new if record.transition else None
    rows: dict[str, dict[str, Tree]] = {}
    for of, release in (("serving", record.serving), ("coming", coming)):
        for name in release.spec.containers if release else ():
            engine_name = container_name(record.name, name, release.spec.container_digest(name)) if release else ""
            if engine_name in rows:
                rows[engine_name]["of"] = "both"
                continue
            if of == "coming" and _is_yet_to_be_made(record, engine_name, look):
                continue
            remembered = record.containers.get(engine_name) or ContainerRecord()
            rows[engine_name] = {"of": of, **_container(name, engine_name, remembered, look)}
    return list(rows.values())


def _is_yet_to_be_made(record: DeploymentRecord, engine_name: str, look: Look) -> bool:
    is_there = look.observed is not None and look.observed.named(engine_name) is not None
    return record.phase in _MAKES_NONE_YET and not is_there


def which(row: Mapping[str, Tree], rows: Sequence[Mapping[str, Tree]]) -> str:
    """`old` or `new`, of two containers of one name; empty where there is one."""
    if not any(one["container"] == row["container"] and one is not row for one in rows):
        return ""
    return "old" if row["of"] == "serving" else "new"


def jobs(record: DeploymentRecord) -> list[Tree]:
    """The jobs of what serves and of what is on its way, each with its last run (null: none is remembered)."""
    coming = record.transition.new if record.transition else None
    told: dict[str, JobSpec] = {}
    for release in (record.serving, coming):
        told |= release.spec.jobs if release else {}
    return [_job(name, job, record) for name, job in sorted(told.items())]


def _job(name: str, job: JobSpec, record: DeploymentRecord) -> Tree:
    runs = [(engine_name, run) for engine_name, run in record.jobs.items() if run.job == name]
    mark = record.schedules.get(name)
    return {
        "job": name,
        "runs": str(job.runs),
        "schedule": f"{job.schedule} {job.zone}" if job.schedule else None,
        "last": _run(*max(runs, key=lambda one: one[1].began_at)) if runs else None,
        "leftOut": mark.detail if mark and mark.detail else None,
    }


def _run(engine_name: str, run: JobRun) -> Tree:
    return {
        "name": engine_name,
        "result": str(run.result),
        "beganAt": to_tree(run.began_at),
        "dueAt": to_tree(run.due_at),
        "endedAt": to_tree(run.ended_at) if not run.is_open else None,
        "exitCode": run.exit_code,
        "tries": run.tries,
        "detail": run.detail,
    }


def _container(name: str, engine_name: str, remembered: ContainerRecord, look: Look) -> dict[str, Tree]:
    seen = look.observed.named(engine_name) if look.observed else None
    is_running = seen is not None and seen.state is ContainerState.RUNNING
    is_told = is_running or look.observed is None  # what does not run is not well because it once was
    started = (seen.started_at if seen else None) or (remembered.start.at if remembered.start else None)
    return {
        "container": name,
        "name": engine_name,
        "state": _state(seen, look),
        "exitCode": seen.exit_code if seen else None,
        "since": to_tree(started if is_running else seen.ended_at) if seen and (started or seen.ended_at) else None,
        "health": str(remembered.health if is_told else Health.UNKNOWN),
        "healthDetail": remembered.health_detail if is_told else "",
        "ends": sum(1 for at in remembered.ends if look.now - at <= RECENT),
        "isResting": remembered.is_resting,
    }


def _state(seen: ContainerSeen | None, look: Look) -> str | None:
    if look.observed is None:
        return None
    return str(seen.state) if seen else "missing"


def standing_holds(ledger: Ledger, now: datetime, deployment: str | None = None) -> list[OperatorHold]:
    """Operators' holds whose end has not come; of one deployment: also those of everything."""
    return [
        hold
        for _, hold in sorted(ledger.holds.items())
        if (hold.until is None or now < hold.until) and (deployment is None or hold.deployment in {"", deployment})
    ]


def hold_tree(hold: OperatorHold) -> Tree:
    """An operator's hold; deployment null is everything."""
    return {
        "deployment": hold.deployment or None,
        "reason": hold.reason,
        "since": to_tree(hold.since),
        "until": to_tree(hold.until),
        "stopsHealing": hold.stops_healing,
    }


def waits_until(record: DeploymentRecord, now: datetime) -> datetime | None:
    """When what holds the deployment is looked at again; None where that is over: only the first time is remembered."""
    at = record.hold_until
    return at if at is not None and at > now else None


def waiting_tree(record: DeploymentRecord, now: datetime) -> Tree:
    """Why the deployment waits; null where nothing holds it."""
    if not record.hold_reason:
        return None
    return {
        "reason": record.hold_reason,
        "detail": record.hold_detail,
        "since": to_tree(record.hold_since),
        "until": to_tree(waits_until(record, now)),
    }


def is_shown(record: DeploymentRecord) -> bool:
    """Whether there is something to say of a deployment."""
    return record.phase is not Phase.ABSENT or bool(record.hold_reason) or bool(record.latches)


def is_as_wanted(record: DeploymentRecord, rows: Sequence[Mapping[str, Tree]]) -> bool:
    """Healthy, nothing waits, and every container runs and is ready, or rests as it may."""
    if record.phase not in REST or record.hold_reason or record.transition is not None:
        return False
    return all(row["isResting"] or (row["state"] == "running" and row["health"] == "ready") for row in rows)
