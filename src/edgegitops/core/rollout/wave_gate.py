"""Law: a node may start the candidate only where the gate of its wave is open under the policy that the candidate
brings and under the one that it replaces: no commit loosens the rule by which it is judged itself.

In order, under each of the two:
1. an unresumed halt, or more failures than allowed in any wave up to the node's own, shuts it;
2. a wave that is larger than it may be shuts it, and so does one with too many members in maintenance;
3. evidence that is too little - no covered member in any earlier wave, fewer than `minCount` in one, or a revision that
   changed this node and no covered member of an earlier wave - asks for the covered members that exist and an approval.
   Where no earlier wave has a covered member at all, a few nodes of one site may go at once;
4. else every earlier wave must have passed;
5. the approvals that the wave asks for must be there.
Where it is open under the candidate's policy, and shut under the old one for a reason other than 1, approvals of the
new policy by the owners that the old one asks for let the new one alone decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.waves import Edition, Wave
from edgegitops.core.rollout.blame import does_concern, pardon
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading, Tally, is_too_large, tally, wave_at
from edgegitops.core.rollout.road import Road

HARD = frozenset({HoldReason.HALTED, HoldReason.TOO_MANY_FAILURES})


@dataclass(frozen=True, slots=True)
class Shut:
    """Why a gate is shut. `approvals` is how many more owners could open it now, of keys with one of `roles`."""

    reason: HoldReason
    detail: str
    wave: str = ""
    approvals: int = 0
    roles: tuple[str, ...] = ()
    is_about_policy: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: a road, the control log, and what is counted over (its failures are those that concern it)."""

    road: Road
    log: ControlLog
    reading: Reading


def case_of(road: Road, log: ControlLog, reading: Reading) -> Case:
    """The case of a road: only failures that concern it and that nobody forgave are looked at."""
    told = reading.evidence.failures(reading.deployment)
    failures = frozenset(one for one in told if not pardon(one, log, road.chain) and does_concern(one, road))
    return Case(road, log, replace(reading, failures=told if len(failures) == len(told) else failures))


def ask_gate(case: Case) -> Shut | None:
    """None: open. The same case, the same answer."""
    return _ask_under_both(case, _ask_under)


def ask_return(case: Case) -> Shut | None:
    """For a return, which skips the rest: whether the node's own wave is not too large, and its approvals are there,
    under both.
    """
    return _ask_under_both(case, _ask_return)


def _ask_return(case: Case, policy_of: Edition) -> Shut | None:
    wave, index = own_wave(case, policy_of), _own_index(case, policy_of)
    size = sum(member.wave == index for member in policy_of.members.values())
    return _ask_size(wave, size, len(policy_of.members)) or approving(case, wave)


def _ask_size(wave: Wave, size: int, selected: int) -> Shut | None:
    if not is_too_large(wave, size, selected):
        return None
    return Shut(HoldReason.WAVE_TOO_LARGE, f"wave {wave.name} has {size} nodes and may have {wave.most}", wave.name)


def ask_halted(case: Case) -> Shut | None:
    """Rule 1 alone, under both policies."""
    road = case.road
    return next(filter(None, (ask_failures(case, tallies(case, one)) for one in (road.after, road.before))), None)


def does_trust_anybody(case: Case) -> bool:
    """Whether the good word of another node is counted for it, under either policy."""
    return any(one.good for page in (case.road.before, case.road.after) for one in tallies(case, page)[:-1])


def _ask_under_both(case: Case, ask: Callable[[Case, Edition], Shut | None]) -> Shut | None:
    before, after = case.road.before, case.road.after
    now = ask(case, after)
    if now is not None or (before.members is after.members and before.policy == after.policy):
        return now
    then = ask(case, before)
    if then is None or then.reason in HARD:
        return then
    asked = own_wave(case, case.road.before).approvals
    lacking = max(1, asked.count) - len(_policy_owners(case))
    if lacking <= 0:
        return None
    words = f"under the policy that this revision replaces: {then.detail}"
    wave = own_wave(case, case.road.after).name
    return Shut(then.reason, words, wave, lacking, asked.roles, is_about_policy=True)


def tallies(case: Case, policy_of: Edition) -> list[Tally]:
    """The waves up to the node's own under an edition's policy."""
    return tally(case.road, policy_of, _own_index(case, policy_of), case.reading)


def own_wave(case: Case, policy_of: Edition) -> Wave:
    """The wave of the case's node under an edition."""
    return wave_at(policy_of.policy, _own_index(case, policy_of))


def _own_index(case: Case, policy_of: Edition) -> int:
    member = policy_of.members.get(case.road.node)
    return member.wave if member else len(policy_of.policy.waves)


def ask_failures(case: Case, counted: Sequence[Tally]) -> Shut | None:
    """Rule 1: halts by tag, and halts by failures."""
    if case.log.halts:
        first = case.log.halts[0]
        return Shut(HoldReason.HALTED, f"halted by {first.owner}{first.reason and ': '}{first.reason}")
    for one in counted:
        if len(one.failed) > one.allowed:
            words = f"{_names(one.failed)} failed; wave {one.wave.name} allows {one.allowed}"
            return Shut(HoldReason.TOO_MANY_FAILURES, words, one.wave.name)
    return None


def _ask_under(case: Case, policy_of: Edition) -> Shut | None:
    counted = tallies(case, policy_of)
    own, earlier = counted[-1], counted[:-1]
    shut = ask_failures(case, counted) or _ask_sizes(counted, len(policy_of.members))
    if shut is not None:
        return shut
    waiting = _unproven(earlier)
    if waiting is not None:
        return waiting
    asked = own.wave.approvals
    is_little = bool(earlier) and _is_too_little(case, earlier) and not _is_direct(case, policy_of, earlier)
    if asked.count or not is_little:
        return approving(case, own.wave)
    wave = replace(own.wave, approvals=replace(asked, count=1))
    shut = approving(case, wave, "earlier waves can show too little for it")
    return replace(shut, reason=HoldReason.TOO_LITTLE_EVIDENCE) if shut else None


def approving(case: Case, wave: Wave, words: str = "its gate asks for it") -> Shut | None:
    """Whether the approvals of a wave are there."""
    asked = wave.approvals
    lacking = asked.count - len(approvers(case, wave.name, asked.roles))
    if lacking <= 0:
        return None
    detail = f"wave {wave.name} waits for {lacking} approval{'s'[: lacking > 1]}: {words}"
    return Shut(HoldReason.APPROVAL, detail, wave.name, lacking, asked.roles)


def _ask_sizes(counted: Sequence[Tally], selected: int) -> Shut | None:
    for one in counted:
        shut = _ask_size(one.wave, one.size, selected)
        if shut is not None:
            return shut
    for one in counted[:-1]:
        if one.has_too_many_resting:
            words = f"{len(one.resting)} of the {one.fellows} nodes of wave {one.wave.name} are in maintenance"
            return Shut(HoldReason.GATE, words, one.wave.name)
    return None


def _is_too_little(case: Case, earlier: Sequence[Tally]) -> bool:
    if not any(one.covered for one in earlier):
        return True
    if any(0 < len(one.covered) < one.wave.gate.min_count for one in earlier):
        return True
    return not all(_is_witnessed(case.road, at, earlier) for at in case.road.own_changes)


def _is_witnessed(road: Road, at: int, earlier: Sequence[Tally]) -> bool:
    before = road.chain.edition(at - 1) if at else Edition("")
    after = road.chain.edition(at)
    return any(before.digest(name) != after.digest(name) for one in earlier for name in one.covered)


def _unproven(earlier: Sequence[Tally]) -> Shut | None:
    """The first earlier wave that has not passed: where it is too small for what it asks, all of it has to be good."""
    for one in earlier:
        covered = len(one.covered)
        need = min(one.need, covered)
        if len(one.good) < need:
            words = f"wave {one.wave.name}: {len(one.good)} of {covered} good, {need} needed; missing"
            return Shut(HoldReason.GATE, f"{words} {_names(one.missing)}", one.wave.name)
    return None


def _is_direct(case: Case, policy_of: Edition, earlier: Sequence[Tally]) -> bool:
    """Whether nobody comes before, and all that changed on the whole road is a few nodes of one site."""
    touched = case.road.touched
    is_few = len(touched) <= policy_of.policy.direct_most and len({name.partition("/")[0] for name in touched}) <= 1
    return is_few and not any(one.covered for one in earlier)


def approvers(case: Case, wave: str, roles: Sequence[str]) -> set[str]:
    """Distinct owners who approved this wave at a revision after which this node's digest did not change."""
    return {
        tag.owner
        for tag in case.log.approvals
        if tag.wave == wave and _is_by(tag, roles) and _stands_at(case, tag) is not None
    }


def _policy_owners(case: Case) -> set[str]:
    """Distinct owners who said that the candidate's policy alone decides, since it last changed."""
    wave = own_wave(case, case.road.after).name
    roles = own_wave(case, case.road.before).approvals.roles
    return {
        tag.owner
        for tag in case.log.approvals
        if tag.is_for_current_policy and tag.wave == wave and _is_by(tag, roles) and _is_same_since(case, tag)
    }


def _is_same_since(case: Case, tag: ControlTag) -> bool:
    at = _stands_at(case, tag)
    if at is None:
        return False
    pages = (case.road.chain.edition(step) for step in range(at, case.road.candidate))
    after = case.road.after
    return all(page.policy == after.policy and page.members == after.members for page in pages)


def _stands_at(case: Case, tag: ControlTag) -> int | None:
    """The position that a tag speaks of; None where that is not on the way, or this node changed after it."""
    at = case.road.chain.position(tag.target)
    return at if at is not None and case.road.last_change <= at <= case.road.candidate else None


def _is_by(tag: ControlTag, roles: Sequence[str]) -> bool:
    return bool(tag.roles_now & set(roles))


def _names(names: Sequence[str] | frozenset[str], most: int = 5) -> str:
    told = sorted(names)
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return ", ".join(told[:most]) + more
