"""Law: metrics are a rendering of what the resident knows anyway; a scrape asks nobody and waits for nothing.

The resident publishes a `Pulse` after each turn; a scrape renders the last one in Prometheus' text format 0.0.4. Labels
are names of this node's deployments and containers, and codes of core.model.reasons: they grow with the node, never
with time. Instants are seconds since 1970, as in every metric whose name ends with `_timestamp_seconds`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edgegitops.core.model.facts import Handover
from edgegitops.core.model.ledger import Health

Samples = list[tuple[Mapping[str, str], float]]
Soak = tuple[timedelta, timedelta]


@dataclass(slots=True)
class Counts:
    """What the resident counts from its start on, and when it last saw something go well (None: not yet). A pulse
    carries a copy.
    """

    workers: int = 0
    deaths: int = 0
    polls: int = 0
    poll_failures: int = 0
    fetch_failures: int = 0
    looked_at: datetime | None = None
    polled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """The resident between two turns. `healths` by engine name of the container, `soaks` by deployment: observed
    healthy time, and how much is needed.
    """

    version: str
    started_at: datetime
    handover: Handover = field(default_factory=Handover)
    counts: Counts = field(default_factory=Counts)
    healths: Mapping[str, Health] = field(default_factory=dict)
    soaks: Mapping[str, Soak] = field(default_factory=dict)
    is_working: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is asked of the machine at a scrape: bytes of the journal, resident bytes of this process."""

    journal: int = 0
    memory: int = 0


def render(pulse: Pulse, sizes: Sizes) -> str:
    """The whole exposition."""
    lines: list[str] = []
    for name, kind, words, samples in _families(pulse, sizes):
        if samples:
            lines += [f"# HELP edgegitops_{name} {words}", f"# TYPE edgegitops_{name} {kind}"]
            lines += [f"edgegitops_{name}{_labels(labels)} {value:.15g}" for labels, value in samples]
    return "\n".join([*lines, ""])


def _families(pulse: Pulse, sizes: Sizes) -> Iterator[tuple[str, str, str, Samples]]:
    """Name, type, help, samples."""
    yield "build_info", "gauge", "The agent that answers.", [({"version": pulse.version}, 1)]
    yield "start_timestamp_seconds", "gauge", "When the agent started.", _at(pulse.started_at)
    yield "memory_bytes", "gauge", "Resident memory of the agent's long-lived process.", [({}, sizes.memory)]
    yield "journal_bytes", "gauge", "Size of the journal and its write-ahead log.", [({}, sizes.journal)]
    yield from _counted(pulse.counts)
    yield "worker_running", "gauge", "1 while a worker looks and acts.", [({}, pulse.is_working)]
    if pulse.counts.looked_at is not None:
        yield from _node(pulse)
        yield from _deployments(pulse)
        yield from _containers(pulse)


def _counted(counts: Counts) -> Iterator[tuple[str, str, str, Samples]]:
    yield "workers_total", "counter", "Workers that were started.", [({}, counts.workers)]
    yield "worker_deaths_total", "counter", "Workers that ended badly.", [({}, counts.deaths)]
    yield "polls_total", "counter", "Times that the repository was asked for its tip.", [({}, counts.polls)]
    yield "poll_failures_total", "counter", "Polls without an answer.", [({}, counts.poll_failures)]
    yield "fetch_failures_total", "counter", "Fetches that brought nothing.", [({}, counts.fetch_failures)]
    yield "last_look_timestamp_seconds", "gauge", "When a worker last ended well.", _at(counts.looked_at)
    yield "last_poll_timestamp_seconds", "gauge", "When the repository last answered.", _at(counts.polled_at)


def _node(pulse: Pulse) -> Iterator[tuple[str, str, str, Samples]]:
    bulletin, handover = pulse.handover.bulletin, pulse.handover
    yield "as_wanted", "gauge", "1 where all that is wanted here serves, healthy.", [({}, handover.is_as_wanted)]
    yield "floor_timestamp_seconds", "gauge", "Time of the newest verified commit.", _at(bulletin.floor_at)
    yield (
        "clock_trusted",
        "gauge",
        "0 where the clock is before a time that has passed.",
        [({}, bulletin.is_clock_plausible)],
    )
    yield "operator_holds", "gauge", "Holds of operators that stand.", [({}, bulletin.operator_holds)]
    alarms = sorted(bulletin.alarms.items())
    yield "alarms", "gauge", "Standing alarms by code.", [({"code": code}, one.count) for code, one in alarms]
    yield (
        "alarm_timestamp_seconds",
        "gauge",
        "Since when the oldest alarm of a code stands.",
        [({"code": code}, one.since.timestamp()) for code, one in alarms],
    )


def _deployments(pulse: Pulse) -> Iterator[tuple[str, str, str, Samples]]:
    lines = pulse.handover.bulletin.deployments
    yield (
        "deployment_phase",
        "gauge",
        "1 for the phase that a deployment is in.",
        [({"deployment": one.name, "phase": one.phase}, 1) for one in lines],
    )
    yield (
        "deployment_phase_timestamp_seconds",
        "gauge",
        "Since when it is in that phase.",
        [({"deployment": one.name}, one.phase_at.timestamp()) for one in lines if one.phase_at],
    )
    yield (
        "deployment_hold_timestamp_seconds",
        "gauge",
        "Since when something holds a deployment, and what.",
        [
            ({"deployment": one.name, "reason": one.hold_reason}, one.hold_since.timestamp())
            for one in lines
            if one.hold_reason and one.hold_since
        ],
    )
    soaks = sorted(pulse.soaks.items())
    yield (
        "deployment_soaked_seconds",
        "gauge",
        "Healthy time observed without a break.",
        [({"deployment": name}, soaked.total_seconds()) for name, (soaked, _) in soaks],
    )
    yield (
        "deployment_soak_needed_seconds",
        "gauge",
        "Healthy time that a release must show.",
        [({"deployment": name}, needed.total_seconds()) for name, (_, needed) in soaks],
    )


def _containers(pulse: Pulse) -> Iterator[tuple[str, str, str, Samples]]:
    watches = sorted(pulse.handover.watches, key=lambda one: one.container)
    yield (
        "container_health",
        "gauge",
        "1 for what the probes of a running container say.",
        [
            (
                {
                    "deployment": one.deployment,
                    "container": one.container,
                    "health": pulse.healths.get(one.container, one.health),
                },
                1,
            )
            for one in watches
        ],
    )


def _at(instant: datetime | None) -> Samples:
    return [({}, instant.timestamp())] if instant is not None else []


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
