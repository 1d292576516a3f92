"""Law: a rollout is shown wave by wave, each with its numbers, what holds its nodes, and which word of whom would help.

1. The numbers of all waves are counted on one road: that of the last wave that is not through yet. When all are
   through, on the one that the newest change began.
2. What holds a node is the node's own answer; nodes of a wave with one answer are told together.
3. An approval is asked for only where it would open something now.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import ReportedState
from edgegitops.core.model.waves import Chain, Edition, Gate, RolloutPolicy
from edgegitops.core.overview.effect import newest_change
from edgegitops.core.overview.situation import Situation
from edgegitops.core.rollout.control_log import MAY, ControlLog
from edgegitops.core.rollout.count import Reading, Tally, tally, wave_at
from edgegitops.core.rollout.evidence import is_ahead, is_fresh
from edgegitops.core.rollout.next_release import Settled, Start
from edgegitops.core.rollout.road import Road, changed_nodes
from edgegitops.core.rollout.wave_gate import Shut, case_of


class Lack(StrEnum):
    """Why a covered member is not good (yet)."""

    SILENT = "no-report"
    OTHER = "runs-another-release"
    STATE = "not-healthy"
    SOAKING = "soaking"
    OLD = "report-too-old"
    AHEAD = "knows-more-than-this-clone"
    LIED = "told-two-things-at-once"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nodes of one wave with one answer: they may start now (`shut` is None; `cause` says why), or are held. `opens_at`
    is when their gate opens at the earliest, where nothing is missing but time.
    """

    nodes: tuple[str, ...]
    shut: Shut | None = None
    cause: str = ""
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaveView:
    """One wave: its numbers, its nodes that are not through, and why each covered member that is missing is missing."""

    tally: Tally
    waiting: tuple[Waiting, ...] = ()
    missing: tuple[tuple[str, Lack], ...] = ()

    @property
    def is_through(self) -> bool:
        """Whether every node of it runs what it should, as far as reports tell."""
        return not self.waiting


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout: the revision that all is judged at, and the waves in their order. `leaving` are nodes that are to lose
    the deployment.
    """

    revision: str
    waves: tuple[WaveView, ...]
    leaving: tuple[Waiting, ...] = ()

    @property
    def is_through(self) -> bool:
        """Whether every node runs what it should."""
        return all(one.is_through for one in self.waves) and not self.leaving


def view_of(situation: Situation) -> RolloutView:
    """The rollout as it stands."""
    edition = situation.edition
    road = _main_road(situation)
    case = case_of(road, situation.log, situation.reading)
    counted = tally(road, edition, len(edition.policy.waves), case.reading, is_whole=True)
    grouped: dict[int, dict[Waiting, list[str]]] = {}
    for node, answer in situation.answers.items():
        member = edition.members.get(node)
        if not isinstance(answer, Settled):
            kind = Waiting((), cause=answer.cause) if isinstance(answer, Start) else Waiting((), answer)
            grouped.setdefault(member.wave if member else -1, {}).setdefault(kind, []).append(node)
    waiting = {
        at: tuple(
            replace(kind, nodes=tuple(nodes), opens_at=_opens_at(case.reading, edition, counted, kind.shut))
            for kind, nodes in kinds.items()
        )
        for at, kinds in grouped.items()
    }
    waves = tuple(
        WaveView(
            one, waiting.get(at, ()), tuple((node, lack_of(case.reading, edition, one, node)) for node in one.missing)
        )
        for at, one in enumerate(counted)
    )
    return RolloutView(edition.revision, waves, waiting.get(-1, ()))


def _opens_at(reading: Reading, edition: Edition, counted: Sequence[Tally], shut: Shut | None) -> datetime | None:
    """When enough of the wave that a gate waits for have soaked, if they stay as they were told to be."""
    one = next((one for one in counted if shut and one.wave.name == shut.wave), None)
    if one is None or shut is None or shut.reason is not HoldReason.GATE or shut.is_about_policy:
        return None
    latest = reading.evidence.latest
    soaking = (latest[node] for node in one.missing if lack_of(reading, edition, one, node) is Lack.SOAKING)
    times = sorted(
        said.issued_at + one.wave.gate.soak - said.deployments[reading.deployment].soaked_for for said in soaking
    )
    lacking = min(one.need, len(one.covered)) - len(one.good)
    return times[lacking - 1] if 0 < lacking <= len(times) else None


def _main_road(situation: Situation) -> Road:
    """Rule 1."""
    members = situation.edition.members
    late = [node for node in situation.pending if node in members]
    if late:
        last = max(members[node].wave for node in late)
        roads = [situation.road(node) for node in late if members[node].wave == last]
        (base, is_new), _ = Counter((road.base, road.is_from_nothing) for road in roads).most_common(1)[0]
        return next(road for road in roads if (road.base, road.is_from_nothing) == (base, is_new))
    at = situation.chain.position(newest_change(situation)) or 0
    node = max(members, key=lambda name: (members[name].wave, name), default="")
    return Road(situation.chain, node, max(at - 1, 0), situation.candidate, is_from_nothing=at == 0)


def lack_of(reading: Reading, edition: Edition, counted: Tally, node: str) -> Lack:
    """Why a covered member is not good: the first of the reasons in their order."""
    evidence, standpoint = reading.evidence, reading.standpoint
    report = evidence.latest.get(node)
    told = report.deployments.get(reading.deployment) if report else None
    if node in counted.failed:
        return Lack.FAILED
    if report is None or told is None:
        return Lack.SILENT
    if (node, report.installation) in evidence.liars:
        return Lack.LIED
    gate: Gate = counted.wave.gate
    asked = (
        (told.digest != edition.digest(node), Lack.OTHER),
        (told.state is not ReportedState.HEALTHY, Lack.STATE),
        (not is_fresh(report, gate.max_report_age, standpoint), Lack.OLD),
        (is_ahead(report, standpoint), Lack.AHEAD),
        (told.soaked_for < gate.soak, Lack.SOAKING),
    )
    return next((lack for is_so, lack in asked if is_so), Lack.FAILED)


# --- the log ----------------------------------------------------------------------------------------------------------


class Force(StrEnum):
    """What a tag of the log does now."""

    IN_FORCE = "in-force"
    ENDED = "ended"
    EXPIRED = "expired"
    LAPSED = "lapsed"
    NO_ROLE = "no-role"
    NO_PLACE = "behind-a-hole-or-in-a-fork"


def is_lapsed(situation: Situation, tag: ControlTag) -> bool:
    """Whether a later revision changed what every node of the approved wave that waits now would run."""
    if tag.kind is not ControlKind.APPROVE:
        return False
    at = situation.chain.position(tag.target)
    roads = [situation.road(node) for node in situation.pending if situation.wave(node) == tag.wave]
    return bool(roads) and all(at is not None and max(road.own_changes, default=0) > at for road in roads)


def is_overtaken(chain: Chain, tag: ControlTag) -> bool:
    """The same where nobody's whereabouts are known: later revisions changed what each node of the wave would run."""
    at, newest = chain.position(tag.target), chain.edition(len(chain.revisions) - 1)
    left = {node for node, member in newest.members.items() if wave_at(newest.policy, member.wave).name == tag.wave}
    if tag.kind is not ControlKind.APPROVE or not left:
        return False
    for step in range(len(chain.revisions) if at is None else at + 1, len(chain.revisions)):
        left -= set(changed_nodes(chain, step))
        if not left:
            return True
    return at is None


def roles_of(policy: RolloutPolicy, tag: ControlTag) -> frozenset[str]:
    """The roles of which the signer of a tag needs one; none where any known key may."""
    if tag.kind is not ControlKind.APPROVE:
        return MAY[tag.kind]
    at = next((at for at, one in enumerate(policy.waves) if one.name == tag.wave), len(policy.waves))
    return frozenset(wave_at(policy, at).approvals.roles)


def words_of(chain: Chain, log: ControlLog) -> tuple[tuple[ControlTag, Force], ...]:
    """Every control tag, by number, and what it does now, for a node. The chain has at least one revision."""
    policy = chain.edition(len(chain.revisions) - 1).policy
    tags = sorted(log.tags, key=lambda tag: (tag.number, tag.payload))
    forces = [(tag, force_of(log, tag, roles_of(policy, tag))) for tag in tags]
    return tuple(
        (tag, Force.LAPSED if force is Force.IN_FORCE and is_overtaken(chain, tag) else force) for tag, force in forces
    )


def force_of(log: ControlLog, tag: ControlTag, roles: frozenset[str] = frozenset()) -> Force:
    """What a tag does now. `roles` are those of which an approval needs one."""
    match tag.kind:
        case ControlKind.HALT:
            return Force.IN_FORCE if tag.payload in {one.payload for one in log.halts} else Force.ENDED
        case ControlKind.REVOKE | ControlKind.ROLLBACK if tag in log.exclusions:
            return Force.IN_FORCE
        case ControlKind.REVOKE | ControlKind.ROLLBACK:
            return Force.ENDED if MAY[tag.kind] & tag.roles else Force.NO_ROLE
        case _:
            needed = MAY[tag.kind] or roles
            if not (needed or tag.roles_now) & tag.roles_now:
                return Force.NO_ROLE
            if tag.expires_at is not None and log.now is not None and log.now >= tag.expires_at:
                return Force.EXPIRED
            return Force.IN_FORCE if log.counts(tag) else Force.NO_PLACE
