"""Law: what a node tells of itself is what its memory says, and nothing else: no data of the process, no secrets.

1. A deployment is told by what serves, or while a new release is proven, by that one: it is what runs.
2. A failure is told until a retry or a new attempt makes it moot, with the sequence of the report that first told it.
3. A report is news where something but its sequence and its instant differs from the last one; of a soak that goes on,
   round spans are news. Else it is due after a heartbeat.
4. Newest control tags are told of deployments that are here, of each at most so many: whoever tags names that nobody
   has, or splits a log without end, makes no report longer than it may be.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.ledger import DeploymentRecord, Latch, Ledger
from edgegitops.core.model.release import Phase
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState
from edgegitops.core.model.waves import ABSENT

LONG_AGO = datetime.fromtimestamp(0, UTC)
ROUND = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        1,
        2,
        5,
        10,
        20,
        30,
        60,
        120,
        300,
        600,
        900,
        1200,
        1800,
        2700,
        3600,
        7200,
        14400,
        28800,
        43200,
        86400,
    )
)
LONGEST = timedelta.max
HEADS_MOST = 16
STATES: Mapping[Phase, ReportedState] = {
    Phase.ABSENT: ReportedState.ABSENT,
    Phase.PENDING: ReportedState.WAITING,
    Phase.PREPARING: ReportedState.WAITING,
    Phase.READY: ReportedState.WAITING,
    Phase.SWITCHING: ReportedState.CHANGING,
    Phase.PROVING: ReportedState.CHANGING,
    Phase.REVERTING: ReportedState.CHANGING,
    Phase.REMOVING: ReportedState.CHANGING,
    Phase.HEALTHY: ReportedState.HEALTHY,
    Phase.REVERTED: ReportedState.REVERTED,
    Phase.REGRESSED: ReportedState.UNHEALTHY,
    Phase.STUCK: ReportedState.STUCK,
    Phase.REFUSED: ReportedState.WAITING,
    Phase.SUPERSEDED: ReportedState.WAITING,
    Phase.CANCELLED: ReportedState.WAITING,
}
"""How a phase is told; what only waits for a change is told by what serves meanwhile (`_state`)."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: the installation id, drawn once for each journal, and the boot."""

    node: NodeIdentity
    installation: str
    boot: str


def report_of(
    ledger: Ledger, voice: Voice, heads: Mapping[str, tuple[str, ...]], *, sequence: int, now: datetime
) -> Report:
    """The report of this instant under a sequence."""
    node, floor = voice.node, ledger.floor
    told = {name: _told(record, sequence) for name, record in sorted(ledger.deployments.items())}
    return Report(
        fleet=node.fleet,
        site=node.site,
        node=node.node,
        installation=voice.installation,
        boot=voice.boot,
        sequence=sequence,
        issued_at=now,
        root_version=floor.root_version if floor else 0,
        floor=floor.commit if floor else "",
        heads={name: several[:HEADS_MOST] for name, several in heads.items() if several and name in told},
        deployments=told,
        alarms=tuple(sorted({str(one.code) for one in ledger.alarms.values()})),
    )


def _told(record: DeploymentRecord, sequence: int) -> ReportedDeployment:
    running = record.serving
    transition = record.transition
    if transition is not None and transition.phase in (Phase.SWITCHING, Phase.PROVING):
        running = transition.new
    return ReportedDeployment(
        revision=running.revision if running else "",
        digest=running.digest if running else ABSENT,
        state=_state(record),
        soaked_for=record.soaked_for if running else timedelta(),
        failures=_failures(record.latches.values(), sequence),
        holds=(record.hold_reason,) if record.hold_reason else (),
    )


def _state(record: DeploymentRecord) -> ReportedState:
    """What waits for a change is as healthy as what serves has shown to be."""
    told = STATES[record.phase]
    if told is not ReportedState.WAITING or record.serving is None:
        return told
    is_well = record.soaked_for > timedelta() or record.waited_for == timedelta()
    return ReportedState.HEALTHY if is_well else ReportedState.UNHEALTHY


def _failures(latches: Iterable[Latch], sequence: int) -> tuple[ReportedFailure, ...]:
    found = [one for one in latches if not one.is_refusal]
    found.sort(key=lambda one: (one.at, one.digest))
    return tuple(
        ReportedFailure(one.revision, one.digest, one.told_in or sequence, one.reason, one.at) for one in found
    )


def soaks_asked(ledger: Ledger) -> dict[str, timedelta]:
    """For how long later waves ask what serves to be healthy, by deployment."""
    return {name: record.serving.policy.gate_soak for name, record in ledger.deployments.items() if record.serving}


def is_news(
    old: Report | None, new: Report, *, heartbeat: timedelta, asked: Mapping[str, timedelta] | None = None
) -> bool:
    """Whether a report is worth sending after the last one that was sent; `asked` is what `soaks_asked` says."""
    if old is None or new.issued_at - old.issued_at >= heartbeat or new.issued_at < old.issued_at:
        return True
    return _essence(old, asked or {}) != _essence(new, asked or {})


def _essence(report: Report, asked: Mapping[str, timedelta]) -> Report:
    """Without what changes by itself: healthy time counts by steps, and the one that a gate asks for is one."""
    still = {
        name: replace(one, soaked_for=_round(one.soaked_for, asked.get(name, LONGEST)))
        for name, one in report.deployments.items()
    }
    return replace(report, sequence=0, issued_at=LONG_AGO, deployments=still)


def _round(span: timedelta, asked: timedelta) -> timedelta:
    return max((one for one in (*ROUND, asked) if one <= span), default=timedelta())
