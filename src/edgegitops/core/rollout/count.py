"""Law: a wave is counted over its covered members, in whole nodes and exact shares.

Covered are the enrolled members of the wave, under the policy that is read, to whom the candidate brings something else
than their base did. With N of them:
    need    = max(minCount, ceil(minHealthy * N))
    allowed = max(0, min(floor(maxFailures * N), N - need))
Good is who runs what the candidate gives it, healthy through the soak, told freshly, and without a failure that
concerns the one who asks. Failed are all with such a failure who are in the wave, or were when it happened. Members
in maintenance are not waited for, as long as they are few; their failures count.
"""

import math
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import TypeAlias

from edgegitops.core.model.waves import REST, Edition, Gate, RolloutPolicy, Wave
from edgegitops.core.rollout.blame import Failure
from edgegitops.core.rollout.evidence import Evidence, Standpoint
from edgegitops.core.rollout.road import Road

RESTING_AT_MOST = Fraction(1, 5)


@dataclass(frozen=True)
class Tally:
    """A wave in numbers: names of covered members, of the good ones, of those failed, and of those in maintenance.
    Of a wave that nobody has to wait for and in which nobody failed, only the size is counted.

    `size` is how many nodes the wave has, `fellows` how many of them are enrolled.
    """

    wave: Wave
    covered: tuple[str, ...] = ()
    good: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    resting: tuple[str, ...] = ()
    size: int = 0
    fellows: int = 0

    @cached_property
    def need(self) -> int:
        """How many must be good."""
        return needed(self.wave.gate, len(self.covered))

    @cached_property
    def allowed(self) -> int:
        """How many may fail."""
        return allowed(self.wave.gate, len(self.covered))

    @property
    def missing(self) -> tuple[str, ...]:
        """Covered members that are not good."""
        return tuple(name for name in self.covered if name not in self.good)

    @property
    def has_too_many_resting(self) -> bool:
        """Whether too much of the wave is in maintenance for it to say anything."""
        return bool(self.resting) and len(self.resting) > max(1, math.floor(RESTING_AT_MOST * self.fellows))


def needed(gate: Gate, covered: int) -> int:
    """How many of so many covered members must be good."""
    return max(gate.min_count, math.ceil(gate.min_healthy * covered))


def allowed(gate: Gate, covered: int) -> int:
    """How many of them may fail."""
    return max(0, min(math.floor(gate.max_failures * covered), covered - needed(gate, covered)))


def wave_at(policy: RolloutPolicy, index: int) -> Wave:
    """The wave of an index; the rest behind the last that is written."""
    return policy.waves[index] if index < len(policy.waves) else Wave(REST)


def is_too_large(wave: Wave, size: int, selected: int) -> bool:
    """Whether an explicit wave has more nodes than it may have."""
    if wave.most is None:
        return False
    most = wave.most if isinstance(wave.most, int) else max(1, math.ceil(wave.most * selected))
    return size > most


Counted: TypeAlias = tuple[Evidence, Standpoint, list[Tally]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is counted over: a deployment's evidence, the failures that concern the asking node, and the standpoint.
    `counted` is what was counted before over the same chain; it holds for the very same evidence and standpoint.
    """

    deployment: str
    evidence: Evidence
    standpoint: Standpoint
    failures: frozenset[Failure] = frozenset()
    counted: MutableMapping[object, "Counted"] = field(default_factory=dict, compare=False)


def tally(road: Road, policy_of: Edition, upto: int, reading: Reading, *, is_whole: bool = False) -> list[Tally]:
    """The waves 0 to `upto` of a road under the policy and members of one edition; `is_whole`: the last one too.

    Nothing in it is the asking node's own but the failures that concern it: nodes of one wave share the counting.
    """
    way = (road.base, road.candidate, road.is_from_nothing)
    place = (reading.deployment, way, policy_of.revision, upto, is_whole, reading.failures)
    known = reading.counted.get(place)
    if known is None or known[0] is not reading.evidence or known[1] is not reading.standpoint:
        made = _tally(road, policy_of, upto, reading, is_whole=is_whole)
        known = reading.counted[place] = (reading.evidence, reading.standpoint, made)
    return known[2]


def _tally(road: Road, policy_of: Edition, upto: int, reading: Reading, *, is_whole: bool) -> list[Tally]:
    failed = _failed_waves(road, policy_of, reading.failures)
    found = []
    for at in range(upto + 1):
        wave, names = wave_at(policy_of.policy, at), policy_of.nodes.get(at, ())
        if at == upto and at not in failed and not is_whole:
            found.append(Tally(wave, size=len(names)))
            continue
        fellows = [name for name in names if policy_of.members[name].is_enrolled]
        concerned = [name for name in fellows if road.is_covered(name)]
        covered = tuple(name for name in concerned if not policy_of.members[name].is_resting)
        found.append(
            Tally(
                wave,
                covered,
                good_of(wave.gate, covered, road, reading),
                failed.get(at, frozenset()),
                resting=tuple(name for name in concerned if policy_of.members[name].is_resting),
                size=len(names),
                fellows=len(fellows),
            )
        )
    return found


def good_of(gate: Gate, covered: Iterable[str], road: Road, reading: Reading) -> frozenset[str]:
    """Who of these runs well what the road's end gives it, and has no failure that concerns the road's node."""
    guilty = {failure.node for failure in reading.failures}
    is_good = partial(reading.evidence.is_good, gate=gate, standpoint=reading.standpoint)
    after, deployment = road.after, reading.deployment
    return frozenset(name for name in covered if name not in guilty and is_good(name, deployment, after.digest(name)))


def _failed_waves(road: Road, policy_of: Edition, failures: Iterable[Failure]) -> dict[int, frozenset[str]]:
    """Who failed, by every wave that each is in or was in when it failed. Who is in none, and was not either, has no
    vote; at a revision that we do not have yet nobody knows, and it counts in the first.
    """
    found: dict[int, set[str]] = {}
    for failure in failures:
        at = road.chain.position(failure.revision)
        then = road.chain.edition(at) if at is not None else None
        now, before = policy_of.members.get(failure.node), then.members.get(failure.node) if then else None
        places = {now.wave} if now else set()
        if then is not None and before is not None:
            places.add(same_wave(then.policy, before.wave, policy_of.policy))
        for index in places or ({0} if then is None else set()):
            found.setdefault(index, set()).add(failure.node)
    return {index: frozenset(names) for index, names in found.items()}


def same_wave(old: RolloutPolicy, index: int, new: RolloutPolicy) -> int:
    """Where a wave of one policy is in another: under its name. One that is gone counts where it stood, and no later
    than the rest: what is renamed or taken away forgives nothing.
    """
    names = [*(wave.name for wave in new.waves), REST]
    name = wave_at(old, index).name
    return names.index(name) if name in names else min(index, len(new.waves))
