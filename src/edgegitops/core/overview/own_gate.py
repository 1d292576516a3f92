"""Law: a node's own gate is told with the numbers that decided: the very counts, under the policy that holds the node.

1. What the node may start is the answer of the function that the agent asks (`next_release`).
2. The waves up to its own are counted on its own road, under the new policy, or where only the old one holds it, under
   that.
3. Each covered member that is missing is told with the first reason why it is, each failure that concerns this node
   with who reported it, each approval of its wave with whether it counts.
"""

from dataclasses import dataclass
from datetime import timedelta

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.waves import Approvals, Wave
from edgegitops.core.overview.waves import Force, Lack, force_of, lack_of
from edgegitops.core.rollout.blame import Failure
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Tally, wave_at
from edgegitops.core.rollout.next_release import Question, Start, next_release
from edgegitops.core.rollout.road import road_to
from edgegitops.core.rollout.wave_gate import Case, Shut, approvers, case_of, tallies


@dataclass(frozen=True, slots=True)
class Missing:
    """A covered member that is not good; `soaked_for` is as it reported it, `age` that of its report."""

    node: str
    lack: Lack
    soaked_for: timedelta | None = None
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class GateWave:
    """One wave up to the node's own, with who is missing in it. `is_own`: it is the node's."""

    tally: Tally
    missing: tuple[Missing, ...]
    is_own: bool


@dataclass(frozen=True, slots=True)
class OwnGate:
    """A node's gate: `base` and `candidate` are revisions (`base` empty: it runs nothing). `given` are approvals of its
    wave that count, `lapsed` those that do not and why, `asked` how many are asked for by whose keys. `shut` None: it
    may start, for the reason `cause`. `is_old_policy`: counted is under the policy of the base.
    """

    base: str
    candidate: str
    waves: tuple[GateWave, ...]
    failures: tuple[Failure, ...]
    asked: Approvals
    given: tuple[ControlTag, ...]
    lapsed: tuple[tuple[ControlTag, Force], ...]
    shut: Shut | None
    cause: str = ""
    is_old_policy: bool = False


def own_gate(asked: Question) -> OwnGate | None:
    """The gate of a node for what the newest revision gives it; None where it runs that, or no wave is said."""
    own, chain = asked.own, asked.chain
    candidate = len(chain.revisions) - 1
    if candidate < 0 or chain.edition(candidate).digest(own.node) == own.running:
        return None
    road = road_to(chain, own.node, own.running, candidate)
    if not road.after.policy.waves and not road.before.policy.waves:
        return None
    answer = next_release(asked)
    shut = answer if isinstance(answer, Shut) else None
    case = case_of(road, asked.log, asked.reading)
    is_old = shut is not None and shut.is_about_policy
    page = road.before if is_old else road.after
    counted = tallies(case, page)
    wave = wave_at(page.policy, len(counted) - 1)
    said = [tag for tag in asked.log.tags if tag.kind is ControlKind.APPROVE and tag.wave == wave.name]
    owners = approvers(case, wave.name, wave.approvals.roles)
    given = [tag for tag in said if tag.owner in owners and tag in asked.log.approvals]
    return OwnGate(
        "" if road.is_from_nothing else chain.revisions[road.base],
        chain.revisions[candidate],
        tuple(_wave(case, one, is_own=one is counted[-1]) for one in counted),
        tuple(case.reading.failures),
        wave.approvals,
        _sorted(given),
        tuple((tag, _why_not(asked.log, tag, wave)) for tag in _sorted([tag for tag in said if tag not in given])),
        shut,
        answer.cause if isinstance(answer, Start) else "",
        is_old,
    )


def _why_not(log: ControlLog, tag: ControlTag, wave: Wave) -> Force:
    """Why an approval does not count; a sound one lapsed: a later revision changed what the node would run."""
    force = force_of(log, tag, frozenset(wave.approvals.roles))
    return Force.LAPSED if force is Force.IN_FORCE else force


def _sorted(tags: list[ControlTag]) -> tuple[ControlTag, ...]:
    return tuple(sorted(tags, key=lambda tag: (tag.number, tag.payload)))


def _wave(case: Case, counted: Tally, *, is_own: bool) -> GateWave:
    reading = case.reading
    missing = []
    for node in counted.missing:
        report = reading.evidence.latest.get(node)
        told = report.deployments.get(reading.deployment) if report else None
        missing.append(
            Missing(
                node,
                lack_of(reading, case.road.after, counted, node),
                told.soaked_for if told else None,
                reading.standpoint.now - report.issued_at if report else None,
            )
        )
    return GateWave(counted, tuple(missing), is_own)
