"""Law: where a rollout stands, for somebody who is no node: what each node runs is what it reports.

1. A node's word is its newest report. Of a node without one it is supposed that it runs what it was given before the
   candidate; that is a guess, and is told as one.
2. What each node may do is answered by the function that the node itself asks (`next_release`).
3. Nodes that stand on equal roads get one answer. Two roads are equal where the same revisions gave both nodes a
   change, and made their digests equal to one another, as far as failures, exclusions and the way to the candidate look
   back.
4. Who runs what a rollback or revocation bars is to leave it, also where that is the candidate. What a node keeps to go
   back to is not in reports: it is supposed to be all that it was given before. A return to its direct predecessor is
   not foreseen here.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import ReportedDeployment
from edgegitops.core.model.waves import ABSENT, REST, Chain, Edition, Wave
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading, wave_at
from edgegitops.core.rollout.exclusion import barring
from edgegitops.core.rollout.next_release import Own, Question, Settled, Start, next_release
from edgegitops.core.rollout.road import Road, road_to
from edgegitops.core.rollout.wave_gate import Shut


@dataclass(frozen=True)
class Situation:
    """One deployment in the whole fleet. The chain has at least one revision."""

    deployment: str
    chain: Chain
    log: ControlLog
    reading: Reading

    @property
    def candidate(self) -> int:
        """The position of the newest valid revision."""
        return len(self.chain.revisions) - 1

    @property
    def edition(self) -> Edition:
        """What that revision says."""
        return self.chain.edition(self.candidate)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Every node that is to have the deployment, or tells that it still has it, by name."""
        told = (name for name in self.reading.evidence.latest if self.told(name) is not None)
        known = {name for name in told if self.running(name) != ABSENT}
        return tuple(sorted(known | self.edition.members.keys()))

    def told(self, node: str) -> ReportedDeployment | None:
        """What a node reports of the deployment; None where it says nothing of it."""
        report = self.reading.evidence.latest.get(node)
        return report.deployments.get(self.deployment) if report else None

    def is_heard(self, node: str) -> bool:
        """Whether the node ever reported anything."""
        return node in self.reading.evidence.latest

    def running(self, node: str) -> str:
        """The digest that a node runs (rule 1)."""
        if self.is_heard(node):
            told = self.told(node)
            return told.digest if told else ABSENT
        return self._given_before(node)

    def _given_before(self, node: str) -> str:
        wanted = self.edition.digest(node)
        older = (self.chain.edition(at).digest(node) for at in range(self.candidate - 1, -1, -1))
        return next((digest for digest in older if digest != wanted), ABSENT)

    @cached_property
    def pending(self) -> tuple[str, ...]:
        """The nodes that do not run what the candidate says."""
        return tuple(name for name in self.nodes if self.running(name) != self.edition.digest(name))

    @cached_property
    def parting(self) -> tuple[str, ...]:
        """The nodes that run what the candidate says, and are to leave it (rule 4)."""
        late = frozenset(self.pending)
        return tuple(name for name in self.nodes if name not in late and self._is_barred(name))

    def _is_barred(self, node: str) -> bool:
        return bool(barring(self.log, self.chain, node, self.running(node)))

    def kept_at(self, node: str) -> tuple[int, ...]:
        """Where the chain gave a node each release that it had before the one that it runs, newest first (rule 4)."""
        found: dict[str, int] = {}
        has_run = False
        for at in range(self.candidate, -1, -1):
            digest = self.chain.edition(at).digest(node)
            has_run = has_run or digest == self.running(node)
            if has_run and digest not in {ABSENT, self.running(node)}:
                found.setdefault(digest, at)
        return tuple(found.values())

    def road(self, node: str) -> Road:
        """The way of a node to the candidate."""
        return road_to(self.chain, node, self.running(node), self.candidate)

    def wave(self, node: str) -> str:
        """The name of the node's wave; of one that is to lose the deployment, that of its base."""
        road = self.road(node) if node not in self.edition.members else None
        page = road.before if road else self.edition
        member = page.members.get(node)
        return wave_at(page.policy, member.wave if member else len(page.policy.waves)).name

    @cached_property
    def waves(self) -> dict[str, Wave]:
        """Every wave that may be approved: those of the candidate, and of what it removes somewhere."""
        gone = (node for node in self.pending if node not in self.edition.members)
        policies = {id(one): one for one in (self.road(node).before.policy for node in gone)}
        policies[0] = self.edition.policy
        return {wave.name: wave for policy in policies.values() for wave in (*policy.waves, Wave(REST))}

    @cached_property
    def answers(self) -> dict[str, Start | Settled | Shut]:
        """What each node that is to change may start now, or why not (rules 2 to 4)."""
        known: dict[Hashable, Start | Settled | Shut] = {}
        found: dict[str, Start | Settled | Shut] = {}
        for node in (*self.pending, *self.parting):
            key = self.likeness(node)
            if key not in known:
                known[key] = self._ask(node)
            found[node] = self._for(node, known[key])
        return found

    def _for(self, node: str, answer: Start | Settled | Shut) -> Start | Settled | Shut:
        """An answer that another node got, with this node's own digest. In maintenance it begins nothing at all."""
        member = self.edition.members.get(node)
        if isinstance(answer, Start) and member is not None and member.is_resting:
            return Shut(HoldReason.MAINTENANCE, "nothing begins there until that ends")
        at = self.chain.position(answer.revision) if isinstance(answer, Start) else None
        if not isinstance(answer, Start) or at is None:
            return answer
        return replace(answer, digest=self.chain.edition(at).digest(node))

    def _ask(self, node: str) -> Start | Settled | Shut:
        told = self.told(node)
        failed_at = {one.digest: one.revision for one in (told.failures if told else ())}
        kept = self.kept_at(node) if self._is_barred(node) else ()
        own = Own(
            node,
            self.running(node),
            latched=dict(self._latched(node)),
            failed_at=failed_at,
            kept=tuple(self.chain.edition(at).digest(node) for at in kept),
        )
        return next_release(Question(own, self.chain, self.log, self.reading))

    def _latched(self, node: str) -> Iterator[tuple[str, int]]:
        told = self.told(node)
        yield from ((one.digest, one.sequence) for one in (told.failures if told else ()))

    def likeness(self, node: str) -> Hashable:
        """What the answer for a node is made of, but its name."""
        road = self.road(node)
        looked_at = sorted({at for step in {*self._looked_back, *road.span, road.base} for at in (step - 1, step)})
        digests = [self.chain.edition(at).digest(node) for at in looked_at if at >= 0]
        pattern = tuple((digests.index(digest), digest == ABSENT) for digest in digests)
        failed = frozenset(self._latched(node))
        has_run = self.reading.evidence.has_run(self.deployment, node)
        seats = tuple(page.members.get(node) for page in (road.before, road.after))
        own = (node, failed) if failed else self.kept_at(node) if self._is_barred(node) else None
        return road.base, road.is_from_nothing, self.running(node) == ABSENT, pattern, seats, own, has_run

    @cached_property
    def _looked_back(self) -> frozenset[int]:
        """Positions at which something failed, or that a rollback speaks of."""
        failures = (one.revision for one in self.reading.evidence.failures(self.deployment))
        targets = (tag.target for tag in self.log.exclusions)
        places = (self.chain.position(one) for one in (*failures, *targets))
        return frozenset(at for at in places if at is not None)
