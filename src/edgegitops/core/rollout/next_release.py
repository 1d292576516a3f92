"""Law: what a node starts next of a deployment, and why not yet. One function for the agent, for plans, for people who
ask, and for the twin.

Rules, in order:
1. what runs is what the candidate says: nothing to start (but see 8);
2. a digest that failed here, or that is excluded, is not started;
3. a removal asks whether it is excluded or halted, and above a few nodes for an approval;
4. a candidate that is paused is not started;
5. a hotfix by two owners skips waves and evidence, never a halt, by a tag or by failures;
6. going back to the direct predecessor soon after leaving it skips evidence, halts and failures of others: they concern
   what is left; a pause, approvals and the bound of the own wave hold it;
7. a node that runs nothing takes the newest release that at least half of its fellows run well, also where the
   candidate may not be started: a pause holds the gate, not this; where there is none, and for every other node, the
   gate of its wave decides;
8. what runs and is excluded is left for the release that the rollback names, or for the newest kept one that is not.
Windows, interlocks, holds and health are asked elsewhere, for every one of these moves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.waves import ABSENT, Chain, Gate
from edgegitops.core.rollout.blame import Failure, pardon
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading, good_of, wave_at
from edgegitops.core.rollout.exclusion import barring, excluding
from edgegitops.core.rollout.road import Road, road_to
from edgegitops.core.rollout.wave_gate import (
    Case,
    Shut,
    approving,
    ask_failures,
    ask_gate,
    ask_halted,
    ask_return,
    case_of,
    own_wave,
)


class Cause(StrEnum):
    """Why a release may start."""

    GATE = "gate"
    FELLOWS = "fellows"
    RETURN = "return"
    HOTFIX = "hotfix"
    REMOVAL = "removal"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Start:
    """A release that may start: its digest (`ABSENT`: a removal) and the revision that it is taken from."""

    digest: str
    revision: str
    cause: Cause
    ignores_windows: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What runs is what is wanted."""


@dataclass(frozen=True, slots=True)
class Own:
    """What a node knows of itself and one deployment.

    `running` is the release digest that it runs (`ABSENT`: none). `latched` maps digests that failed here to the
    sequence of the report that told it, `failed_at` to the revision that each failed in. `kept` are last-known-good
    digests, newest first. `predecessor` is what it ran before, left at `left_at`; `left_badly` are digests that it left
    by a revert or a rollback; `is_reversible` is False where the running release said that it cannot be undone.
    `is_sure` is False until a node without a journal has read its own published reports.
    """

    node: str
    running: str = ABSENT
    latched: Mapping[str, int] = field(default_factory=dict)
    failed_at: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    predecessor: str = ABSENT
    left_at: datetime | None = None
    left_badly: frozenset[str] = frozenset()
    is_reversible: bool = True
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """One deployment on one node: what is asked of the chain, the log and the evidence."""

    own: Own
    chain: Chain
    log: ControlLog
    reading: Reading


def next_release(asked: Question) -> Start | Settled | Shut:
    """What the node starts next, or why not."""
    chain, own = asked.chain, asked.own
    candidate = len(chain.revisions) - 1
    if candidate < 0:
        return Settled()
    wanted = chain.edition(candidate).digest(own.node)
    found = Settled() if wanted == own.running else _candidate(asked, candidate, wanted)
    if isinstance(found, Start):
        return found
    return _away(asked, candidate) or found


def _candidate(asked: Question, candidate: int, wanted: str) -> Start | Shut:
    own, road = asked.own, road_to(asked.chain, asked.own.node, asked.own.running, candidate)
    case = case_of(road, asked.log, asked.reading)
    revision = asked.chain.revisions[candidate]
    barred = _barred(asked, road, wanted)
    if wanted == ABSENT:
        return barred or _removal(case) or Start(ABSENT, revision, Cause.REMOVAL)
    barred = barred or _paused(road)
    if barred is None:
        hotfix = asked.log.hotfix(_since_last_change(road))
        if hotfix and own.is_sure and ask_halted(case) is None:
            return Start(wanted, revision, Cause.HOTFIX, all(tag.ignores_windows for tag in hotfix))
        if _is_return(asked, wanted, road):
            return ask_return(case) or Start(wanted, revision, Cause.RETURN)
    if not own.is_sure:
        return barred or Shut(HoldReason.EVIDENCE, "this node has no journal and has not yet read its own reports")
    found = _of_fellows(asked, candidate) if own.running == ABSENT else None
    shut = barred or ask_gate(case)
    if found is None and shut is not None and own.running == ABSENT and _fellows(asked, candidate):
        words = "and no release is run well by half of the other nodes of this wave"
        return replace(shut, detail=f"{shut.detail}; {words}")
    return found or shut or Start(wanted, revision, Cause.GATE)


def _paused(road: Road) -> Shut | None:
    if not road.after.policy.is_paused:
        return None
    return Shut(HoldReason.PAUSED, "rollout.paused is true in the deployment's manifest")


def _barred(asked: Question, road: Road, digest: str) -> Shut | None:
    """Rule 2. A retry that names the failure, or another digest, is the way out."""
    if _is_latched(asked, digest):
        return Shut(HoldReason.LATCHED, "it failed on this node; a retry or a new attempt lets it try again")
    tag = excluding(asked.log, road)
    if tag is None:
        return None
    words = f"a {tag.kind} by {tag.owner} of {tag.target[:12]} excludes it{tag.reason and ': '}{tag.reason}"
    return Shut(HoldReason.EXCLUDED, words)


def _is_latched(asked: Question, digest: str) -> bool:
    sequence = asked.own.latched.get(digest)
    if digest == ABSENT or sequence is None:
        return False
    failure = Failure(asked.own.node, asked.own.failed_at.get(digest, ""), digest, sequence)
    return pardon(failure, asked.log, asked.chain) is None


def _removal(case: Case) -> Shut | None:
    road = case.road
    if case.log.halts:
        return ask_failures(case, ())
    going = [
        name for name, digest in road.before.digests.items() if digest != ABSENT and name not in road.after.digests
    ]
    if len(going) <= road.before.policy.direct_most:
        return None
    wave = own_wave(case, road.before)
    asked = replace(wave.approvals, count=max(1, wave.approvals.count))
    words = f"{len(going)} nodes would lose it"
    return approving(case, replace(wave, approvals=asked), words)


def _since_last_change(road: Road) -> list[str]:
    """Commits of the road from the one that last changed this node on: what was said of them is said of now."""
    return list(road.chain.revisions[road.last_change :])


def _is_return(asked: Question, wanted: str, road: Road) -> bool:
    own, now = asked.own, asked.reading.standpoint.now
    if own.left_at is None or wanted != own.predecessor or wanted in own.left_badly or not own.is_reversible:
        return False
    longest = min(road.before.policy.revert_within, road.after.policy.revert_within)
    return asked.reading.standpoint.is_clock_trusted and now - own.left_at <= longest


def _of_fellows(asked: Question, candidate: int) -> Start | None:
    """Rule 7: the newest release that enough of the wave's other members report to be well."""
    own, reading = asked.own, asked.reading
    fellows = _fellows(asked, candidate)
    page = asked.chain.edition(candidate)
    gate = wave_at(page.policy, page.members[own.node].wave).gate if fellows else Gate()
    for at in reversed(range(candidate + 1)) if fellows else ():
        digest = asked.chain.edition(at).digest(own.node)
        if digest == ABSENT:
            continue
        road = road_to(asked.chain, own.node, ABSENT, at)
        case = case_of(road, asked.log, reading)
        if _is_well(case, fellows, gate) and _barred(asked, road, digest) is None and ask_halted(case) is None:
            return Start(digest, asked.chain.revisions[at], Cause.FELLOWS)
    return None


def _fellows(asked: Question, candidate: int) -> list[str]:
    """The other members of the node's wave that ever ran the deployment, but those in maintenance."""
    own, reading = asked.own, asked.reading
    members = asked.chain.edition(candidate).members
    wave = members[own.node].wave if own.node in members else None
    return [
        name
        for name, member in members.items()
        if name != own.node
        and member.wave == wave
        and member.is_enrolled
        and not member.is_resting
        and reading.evidence.has_run(reading.deployment, name)
    ]


def _is_well(case: Case, fellows: list[str], gate: Gate) -> bool:
    """Whether enough of them (there is one at least) run it well: by the gate of their wave now, and of the node's own
    wave in that release's revision.
    """
    road, reading = case.road, case.reading
    well = good_of(gate, fellows, road, reading) & good_of(own_wave(case, road.after).gate, fellows, road, reading)
    return len(well) * 2 >= len(fellows)


def _away(asked: Question, candidate: int) -> Start | Shut | None:
    """Rule 8; None where what runs may go on."""
    own = asked.own
    if own.running == ABSENT:
        return None
    tags = barring(asked.log, asked.chain, own.node, own.running)
    tag = next((one for one in reversed(tags) if asked.log.counts(one)), None)
    if tag is None:
        return None
    for digest, position in _refuges(asked, candidate, tag.to):
        if not barring(asked.log, asked.chain, own.node, digest) and not _is_latched(asked, digest):
            return Start(digest, asked.chain.revisions[position], Cause.ROLLBACK)
    return Shut(HoldReason.EXCLUDED, "what runs here is excluded, and nothing is kept here to go back to")


def _refuges(asked: Question, candidate: int, named: str) -> list[tuple[str, int]]:
    """Kept releases with the newest position of each, the named one first."""
    own, chain = asked.own, asked.chain
    places: list[tuple[str, int]] = []
    for digest in own.kept:
        at = next(
            (step for step in reversed(range(candidate + 1)) if chain.edition(step).digest(own.node) == digest), None
        )
        if at is not None and digest not in {own.running, ABSENT}:
            places.append((digest, at))
    position = chain.position(named) if named else None
    wanted = chain.edition(position).digest(own.node) if position is not None else ABSENT
    return sorted(places, key=lambda place: place[0] != wanted)
