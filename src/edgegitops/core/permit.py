"""Law: what the rollout lets this node start of each deployment, asked of history, control tags and reports.

1. A control tag that was kept (core/tagged.py) and cannot be read any more may have been a halt: nothing starts until
   it is there again.
2. History is asked only where something differs: another release is wanted than the one that runs, or somebody has
   tagged the deployment. A node whose own inputs did not change does not look at the fleet.
3. What is allowed may be another release than the newest: what the fellows of a fresh node run, or what a rollback
   goes back to. A release that is kept here is taken from memory, any other from its own revision.
4. What opens a gate was asked for a moment ago: hours may have passed since somebody last asked, before a window, and
   bad news may be there by now. While nobody answers where reports are kept, bad news counts as it was heard, and good
   news opens nothing.
Everything else about a start is asked elsewhere: windows, interlocks, holds.

What reads history and verifies is loaded where rule 2 asks for it: it is most of a worker that finds nothing to do.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from edgegitops.core.desired.admission import admit
from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.events import Event, Unlatched
from edgegitops.core.model.facts import Desired, Facts, Hold
from edgegitops.core.model.ledger import DeploymentRecord, payload_in
from edgegitops.core.model.plant import is_plausible
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Release
from edgegitops.core.model.trust import Refused, TrustLimits
from edgegitops.core.model.view import CONTROL_TAGS
from edgegitops.core.model.waves import ABSENT, Chain, Edition
from edgegitops.core.rollout.assumed import Assumed
from edgegitops.core.rollout.blame import Failure, pardon
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Counted, Reading, same_wave
from edgegitops.core.rollout.evidence import Evidence, Standpoint
from edgegitops.core.rollout.next_release import Cause, Own, Question, Settled, Start, next_release
from edgegitops.core.rollout.road import Road, road_to
from edgegitops.core.rollout.wave_gate import Case, Shut, case_of, does_trust_anybody
from edgegitops.core.trust.lookup import Lookup

if TYPE_CHECKING:
    from edgegitops.core.history import History, Library
    from edgegitops.core.tagged import Statements

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Permit:
    """What the rollout says: the release to go to (None: a removal), why it may, or what holds it. `reports` are those
    whose word it asks for, with their report keys. `source` is the desired state of an older revision that the target
    comes from. `is_opening`: waves let it, so a stale view of the repository forbids it.
    """

    target: Release | None
    hold: Hold | None = None
    cause: str = ""
    ignores_windows: bool = False
    events: tuple[Event, ...] = ()
    reports: Mapping[str, str] = field(default_factory=dict)
    source: Desired | None = None
    is_opening: bool = False


@dataclass(frozen=True)
class Rollouts:
    """The rollouts of a node at one look."""

    facts: Facts
    desired: Desired
    assumed: Assumed | None = None

    @cached_property
    def library(self) -> "Library":
        """What is known of the repository's content, kept from look to look."""
        from edgegitops.core.documents.judge import value_judge
        from edgegitops.core.history import Library

        known = self.facts.memo.get(_LIBRARY)
        if isinstance(known, Library):
            return known
        if self.facts.objects is None or self.facts.schemas is None:
            raise ValueError("no objects to read history from")
        lookup = Lookup(self.facts.objects, TrustLimits())
        made = Library(lookup, self.facts.schemas, value_judge, files=self.facts.files)
        self.facts.memo[_LIBRARY] = made
        return made

    @cached_property
    def is_clock_trusted(self) -> bool:
        """Whether the wall clock is to be believed."""
        floor = self.facts.ledger.floor
        return is_plausible(self.facts.now, floor.clock if floor else None)

    @cached_property
    def _judged(self) -> tuple["Statements", tuple[Event, ...]]:
        """Tags by payload and key, and what there is to tell of new ones."""
        if self.assumed is not None:
            return {(tag.payload, tag.key): tag for tag in self.assumed.tags}, ()
        floor, ledger = self.facts.ledger.floor, self.facts.ledger
        if floor is None or self.facts.objects is None or not (ledger.controls or self.facts.tags):
            return {}, ()
        from edgegitops.core.tagged import judge_tags
        from edgegitops.core.trust.control_tags import Signers
        from edgegitops.core.trust.root import roots_ever

        roots = roots_ever(self.facts.node.pin, self.library.lookup, floor.tree)
        if isinstance(roots, Refused):
            return {}, ()
        signers = Signers(self.facts.node.pin.repository, roots, max(self.facts.now, floor.clock))
        return judge_tags(self.facts, self.library.lookup, signers)

    @property
    def events(self) -> tuple[Event, ...]:
        """What there is to journal of control tags."""
        return self._judged[1]

    @property
    def heads(self) -> Mapping[str, tuple[str, ...]]:
        """The newest tags of each deployment that anybody has tagged."""
        return {name: log.heads for name, log in self._logs.items()}

    def log(self, deployment: str) -> ControlLog:
        """The control log of a deployment."""
        return self._logs.get(deployment) or ControlLog(now=self.facts.now if self.is_clock_trusted else None)

    @cached_property
    def _logs(self) -> Mapping[str, ControlLog]:
        told: dict[str, list[ControlTag]] = {}
        for tag in self._judged[0].values():
            told.setdefault(tag.deployment, []).append(tag)
        now = self.facts.now if self.is_clock_trusted else None
        return {name: ControlLog(frozenset(tags), now) for name, tags in sorted(told.items())}

    @cached_property
    def history(self) -> "History | Refused":
        """The chain up to the revision in force."""
        from edgegitops.core.history import history_of

        return history_of(self.desired.revision, self.facts.node.pin.checkpoint, self.library)

    def evidence(self, keys: Mapping[str, str]) -> Evidence:
        """What the stored reports say under these report keys."""
        if self.assumed is not None:
            return self.assumed.evidence
        reports, fleet, memo = self.facts.reports, self.facts.node.fleet, self.facts.memo
        from edgegitops.core.witness import evidence_of

        return self._kept("evidence", lambda: evidence_of(reports, keys, fleet, memo), keys, reports)

    def _kept(self, what: str, make: Callable[[], T], *of: object) -> T:
        """What was made of the very same things before: at an earlier look, or for another node in memory."""
        known = self.facts.memo.get(what)
        if isinstance(known, _Kept) and known.is_of(of):
            same: T = known.made
            return same
        made = make()
        self.facts.memo[what] = _Kept(of, made)
        return made

    def _keys(self, history: "History", road: Road) -> Mapping[str, str]:
        """The report keys by the candidate, and of nodes that have none there by the newest revision back to the base
        that gave them one: who was removed on the way may still accuse.
        """
        pages = (history.page(at) for at in (*_turns(road), road.candidate))
        several = [page.report_keys for page in pages if page] or [{}]
        if all(one is several[-1] for one in several):
            return several[-1]
        return self._kept("keys", partial(_keys_of, several), *several)

    def question(self, history: "History", name: str, record: DeploymentRecord) -> Question:
        """What is asked of the rollout for a deployment."""
        road = self._road(history, name, record)
        reading = self._reading(name, self._keys(history, road))
        return Question(self._own(record), road.chain, self.log(name), reading)

    def _road(self, history: "History", name: str, record: DeploymentRecord) -> Road:
        chain = history.chain(name)
        return road_to(chain, self._name, _running(record), len(chain.revisions) - 1)

    def permit(self, name: str, record: DeploymentRecord) -> Permit:
        """What the node may start of a deployment."""
        wanted = self.desired.releases.get(name)
        log = self.log(name)
        is_same = (wanted.digest if wanted else ABSENT) == _running(record)
        if not (log.tags or self._lost(name)) and (is_same or name in self.desired.refused.by_deployment):
            return Permit(wanted)
        lost = self._lost(name)
        if lost:
            words = f"{lost[0]} was believed and cannot be read any more; it has to be fetched again"
            return Permit(wanted, Hold(HoldReason.EVIDENCE, words))
        history = self.history
        if isinstance(history, Refused):
            return Permit(wanted, Hold(HoldReason.EVIDENCE, f"the history cannot be read: {history.detail}"))
        road = self._road(history, name, record)
        keys = self._keys(history, road)
        reading = self._reading(name, keys)
        found = next_release(Question(self._own(record), road.chain, log, reading))
        heard = self._fellows(name, road, keys)
        told = Permit(wanted, events=retried(record, self._name, log, road.chain), reports=heard)
        match found:
            case Settled() if is_same or name in self.desired.refused.by_deployment:
                return told
            case Settled():
                words = "history says that what runs is what is wanted, manifests say otherwise; please report it"
                return replace(told, hold=Hold(HoldReason.EVIDENCE, words))
            case Shut():
                is_asking = bool(heard) or not self._is_sure
                again = self.facts.now + self.facts.asked_every if is_asking else None
                return replace(told, hold=Hold(found.reason, found.detail, again))
            case Start():
                has_waves = bool(road.before.policy.waves or road.after.policy.waves)
                is_opening = has_waves and found.cause in {Cause.GATE, Cause.FELLOWS}
                unheard = self._unheard(found, case_of(road, log, reading), heard) if is_opening else None
                if unheard is not None:
                    return replace(told, hold=unheard)
                allowed = replace(told, cause=found.cause, ignores_windows=found.ignores_windows, is_opening=is_opening)
                return self._to_release(found, name, record, allowed)

    def _lost(self, name: str) -> list[str]:
        """Refs of the control tags of a deployment that were kept and are not there now."""
        known = self._judged[0]
        unkeyed = {(payload, "") for payload, _ in known}  # an older version noted no key
        kept = ((one.ref, (payload_in(said), one.key)) for said, one in self.facts.ledger.controls.items())
        lost = (ref for ref, said in kept if said not in known and said not in unkeyed)
        return sorted(ref for ref in lost if ref.startswith(f"{CONTROL_TAGS}{name}/"))

    def _unheard(self, found: Start, case: Case, names: Collection[str]) -> Hold | None:
        """Rule 4, of a gate that is open."""
        heard, again = self.facts.heard_from, self.facts.now + self.facts.asked_every
        if heard is None:
            return None
        if not heard >= set(names):
            words = "its gate is open by what was heard before; the newest reports are asked for"
            return Hold(HoldReason.EVIDENCE, words, again)
        if self.facts.is_answered or not (found.cause is Cause.FELLOWS or does_trust_anybody(case)):
            return None
        words = "its gate is open by reports that came before; where reports are kept nobody answers now"
        return Hold(HoldReason.EVIDENCE, words, again)

    @property
    def _is_sure(self) -> bool:
        """Whether this node knows what it has published; one that publishes nothing has nothing to know."""
        facts, said = self.facts, self.desired.reporting
        is_told_to = any(getattr(said, way) for way in facts.fleet_may_say)
        return facts.ledger.is_sure or not (facts.is_reporting or is_told_to)

    @property
    def _name(self) -> str:
        return f"{self.facts.node.site}/{self.facts.node.node}"

    def _own(self, record: DeploymentRecord) -> Own:
        failed = {digest: latch.told_in for digest, latch in record.latches.items() if not latch.is_refusal}
        serving = record.serving
        return Own(
            self._name,
            _running(record),
            latched=failed,
            failed_at={digest: latch.revision for digest, latch in record.latches.items()},
            kept=tuple(one.digest for one in record.lkg),
            predecessor=record.predecessor or ABSENT,
            left_at=record.left_at,
            left_badly=record.left_badly | failed.keys(),
            is_reversible=serving is None or serving.policy.safe,
            is_sure=self._is_sure,
        )

    def _reading(self, name: str, keys: Mapping[str, str]) -> Reading:
        floor = self.facts.ledger.floor
        known = frozenset().union(*(log.rooted for log in self._logs.values()))
        standpoint = Standpoint(self.facts.now, self.is_clock_trusted, floor.root_version if floor else 0, known)
        evidence = self.evidence(keys)
        before: list[tuple[Standpoint, dict[object, Counted]]] = self._kept("counted", list, evidence, self.history)
        if not before or before[0][0] != standpoint:
            before[:] = [(standpoint, {})]
        same, counted = before[0]
        return Reading(name, evidence, same, counted=counted)

    def _to_release(self, found: Start, name: str, record: DeploymentRecord, allowed: Permit) -> Permit:
        """The permit with the release that a start names: the wanted one, one that is kept here, or that of an older
        revision, which this node's policy has to admit like any other.
        """
        if found.digest == ABSENT:
            return replace(allowed, target=None)
        kept = (one for one in (allowed.target, *record.lkg) if one is not None and one.digest == found.digest)
        known = next(kept, None)
        if known is not None and known is not allowed.target and admit(known.spec, self.facts.policy):
            words = f"{known.short} is kept here, and this node's own policy does not allow it any more"
            return replace(allowed, hold=Hold(HoldReason.ADMISSION, words))
        if known is not None or isinstance(self.history, Refused):
            return replace(allowed, target=known or allowed.target)
        old = self.history.desired(found.revision, self.facts.node, self.facts.policy)
        release = old.releases.get(name) if old else None
        if release is None:
            words = f"revision {found.revision[:12]} cannot be run here: this node's policy or its manifests forbid it"
            return replace(allowed, hold=Hold(HoldReason.ADMISSION, words))
        return replace(allowed, target=release, source=old)

    def _fellows(self, name: str, road: Road, keys: Mapping[str, str]) -> Mapping[str, str]:
        """Whose reports the gate of this node asks for, with their keys: the members of its own wave and of those
        before it, under the policy of the candidate and under that of the base, and who was one of them at a revision
        on the way: what failed there then counts. It is among them itself, where there is anybody else.
        """
        if self._name not in road.after.members:
            return {}
        rules = [edition for edition in (road.before, road.after) if edition.policy.waves]
        waves = tuple(_wave_of(edition, self._name) for edition in rules)
        pages = [road.chain.edition(at) for at in _turns(road)]
        made = partial(_seats, rules, waves, pages, keys)
        seats = self._kept(f"fellows {name} {waves}", made, *rules, *pages, keys)
        return seats if len(seats) > (self._name in seats) else {}


@dataclass(frozen=True, slots=True)
class _Kept:
    """Something, and the things that it was made of."""

    of: tuple[object, ...]
    made: Any

    def is_of(self, things: tuple[object, ...]) -> bool:
        """Whether it was made of the very same things."""
        return len(self.of) == len(things) and all(one is other for one, other in zip(self.of, things, strict=True))


def _turns(road: Road) -> list[int]:
    """The base, and the positions on the way to the candidate at which members or waves may be others than before."""
    found: list[int] = []
    last: Edition | None = None
    for at in sorted({road.base, *road.span}):
        page = road.chain.edition(at)
        if last is None or page.members is not last.members or page.policy.waves != last.policy.waves:
            found.append(at)
        last = page
    return found


def _keys_of(several: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """The newest report key of each node; the last page itself where no page says anything else."""
    now = several[-1]
    if all(one == now for one in several):
        return now
    from edgegitops.core.witness import keys_on_road

    return {seat: had[0] for seat, had in keys_on_road(several).items()}


def _seats(
    rules: Sequence[Edition], waves: Sequence[int], pages: Sequence[Edition], keys: Mapping[str, str]
) -> dict[str, str]:
    """Every node with a report key that in one of these pages stands no later than in these waves of these rules."""
    found: dict[str, str] = {}
    for rule, upto in zip(rules, waves, strict=True):
        for page in pages:
            places = range(len(page.policy.waves) + 1)
            early = {at for at in places if same_wave(page.policy, at, rule.policy) <= upto}
            here = (seat for seat, member in page.members.items() if member.wave in early)
            found |= {seat: keys[seat] for seat in here if seat in keys}
    return found


_LIBRARY = "library"


def _wave_of(edition: Edition, node: str) -> int:
    """A node's wave; one that is not there stands behind all."""
    member = edition.members.get(node)
    return member.wave if member else len(edition.policy.waves)


def _running(record: DeploymentRecord) -> str:
    return record.serving.digest if record.serving else ABSENT


def retried(record: DeploymentRecord, me: str, log: ControlLog, chain: Chain) -> tuple[Event, ...]:
    """The end of latches whose failures a retry forgives."""
    told = (Failure(me, one.revision, digest, one.told_in) for digest, one in record.latches.items() if one.told_in)
    found = ((one.digest, pardon(one, log, chain)) for one in told)
    return tuple(Unlatched(record.name, digest, f"a retry by {tag.owner}") for digest, tag in found if tag)
