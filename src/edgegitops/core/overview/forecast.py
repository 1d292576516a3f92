"""Law: when a change can start at the earliest is what the nodes' own rules say along a clock that runs ahead.

1. Supposed: every node runs what the base gave it, is connected, well and ready in the typical time, every report
   comes at once, and each approval is given when it is asked for.
2. What a node may start at an instant is the answer of the function that the node asks (`next_release`), under the
   evidence that there would be then; its windows are asked as the node asks them.
3. Nodes that stand alike (waves, what changes, windows, spans) get one answer.
4. What never opens under 1 is told with what holds it.
Not foreseen: interlocks, operators' holds, downloads, the node's own policy, and failures.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from edgegitops.core.desired.editions import members_of
from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.plant import Plant
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedState, Statement
from edgegitops.core.model.waves import ABSENT, Edition, Editions, Member
from edgegitops.core.plan.compare import Kind, shown_span
from edgegitops.core.plan.look import View
from edgegitops.core.plan.plan import Plan, Timing
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading, wave_at
from edgegitops.core.rollout.evidence import Evidence, Standpoint
from edgegitops.core.rollout.gate import Calendar, is_in_window
from edgegitops.core.rollout.next_release import Own, Question, Settled, Start, next_release
from edgegitops.core.rollout.wave_gate import Shut

_BASE, _HEAD = "base", "head"
_SAME, _OLD, _NEW = "same", "old", "new"
_LONG = timedelta(days=3650)
_STEPS_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Need:
    """An approval that has to be given: for which wave, by how many owners of keys with one of these roles."""

    wave: str
    count: int
    roles: tuple[str, ...]
    is_about_policy: bool = False


@dataclass(frozen=True, slots=True)
class Never:
    """Nodes that do not start, and what holds them."""

    nodes: tuple[str, ...]
    reason: HoldReason
    detail: str


@dataclass(frozen=True, slots=True)
class Starts:
    """One wave: when its first and its last node can start (None: none can), what it waits for in words, and the
    approvals that it needs.
    """

    wave: str
    nodes: tuple[str, ...]
    first: datetime | None
    last: datetime | None
    waits: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    never: tuple[Never, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """The starts of one deployment, wave by wave."""

    deployment: str
    waves: tuple[Starts, ...]


def forecasts(made: Plan, base: View | None, head: View, calendar: Calendar) -> tuple[Forecast, ...]:
    """When what a plan of the whole fleet changes can start, by deployment; the calendar says from when on."""
    names = sorted({group.change.deployment for group in made.groups if group.change.kind is not Kind.POLICY})
    return tuple(_Ahead(name, made, _chain(name, made, base, head), calendar).told() for name in names)


def narrowed(found: Iterable[Forecast], made: Plan) -> tuple[Forecast, ...]:
    """Only what concerns the nodes of a plan of a part of the fleet. Instants stay those of the whole waves."""
    ours = {node for group in made.groups for node in group.nodes}
    cut = (
        Forecast(one.deployment, tuple(_cut(wave, ours) for wave in one.waves if ours.intersection(wave.nodes)))
        for one in found
    )
    return tuple(one for one in cut if one.waves)


def _cut(wave: Starts, ours: Collection[str]) -> Starts:
    never = (replace(one, nodes=tuple(node for node in one.nodes if node in ours)) for one in wave.never)
    nodes = tuple(node for node in wave.nodes if node in ours)
    return replace(wave, nodes=nodes, never=tuple(one for one in never if one.nodes))


def _chain(name: str, made: Plan, base: View | None, head: View) -> Editions:
    """The two revisions; digests are words, for only whether two of one node are equal counts here."""
    kinds = {node: one.change.kind for one in made.groups if one.change.deployment == name for node in one.nodes}
    before = _page(_BASE, name, base, {node: _OLD for node, kind in kinds.items() if kind is not Kind.POLICY})
    after = _page(_HEAD, name, head, {node: _NEW for node, kind in kinds.items() if kind is not Kind.POLICY})
    return Editions((before, after) if base is not None else (after,))


def _page(revision: str, name: str, view: View | None, changed: Mapping[str, str]) -> Edition:
    manifest = view.snapshot.deployments.get(name) if view else None
    if view is None or manifest is None:
        return Edition(revision, is_there=False)
    members = members_of(view.snapshot, name)
    return Edition(revision, manifest.rollout, members, {node: changed.get(node, _SAME) for node in members})


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the answer for a node is made of (rule 3)."""

    before: Member | None
    after: Member | None
    digests: tuple[str, str]
    timing: Timing


@dataclass
class _Ahead:
    """The clock that runs ahead, over one deployment."""

    name: str
    made: Plan
    chain: Editions
    calendar: Calendar
    started: dict[_Kind, datetime] = field(default_factory=dict)
    tags: list[ControlTag] = field(default_factory=list)
    waits: dict[_Kind, dict[str, None]] = field(default_factory=dict)
    needs: dict[_Kind, dict[Need, None]] = field(default_factory=dict)
    held: dict[_Kind, Shut | Hold] = field(default_factory=dict)

    def told(self) -> Forecast:
        """Run ahead until nothing more starts."""
        kinds = self._kinds()
        now: datetime | None = self.calendar.now
        for _ in range(_STEPS_AT_MOST):
            open_ = [kind for kind in kinds if kind not in self.started]
            if now is None or not open_:
                break
            now = self._turn(now, open_, kinds)
        return Forecast(self.name, tuple(self._waves(kinds)))

    def _kinds(self) -> dict[_Kind, list[str]]:
        before, after = self._ends
        found: dict[_Kind, list[str]] = {}
        for node in sorted({node for one in self.made.groups for node in one.nodes}):
            digests = before.digest(node) if before else ABSENT, after.digest(node)
            if digests[0] != digests[1]:
                timing = self.made.timings.get((self.name, node), Timing())
                members = (before.members.get(node) if before else None, after.members.get(node))
                found.setdefault(_Kind(*members, digests, timing), []).append(node)
        return found

    @property
    def _ends(self) -> tuple[Edition | None, Edition]:
        pages = self.chain.pages
        return (pages[0] if len(pages) > 1 else None), pages[-1]

    def _turn(self, now: datetime, open_: Sequence[_Kind], kinds: Mapping[_Kind, list[str]]) -> datetime | None:
        """Ask at one instant; the next one at which something can be different."""
        reading = self._reading(now, kinds)
        log = ControlLog(frozenset(self.tags), now)
        asked: dict[Need, None] = {}
        again: list[datetime] = []
        for kind in open_:
            node = kinds[kind][0]
            answer = next_release(Question(Own(node, kind.digests[0]), self.chain, log, reading))
            held = self._held(kind, answer, now)
            if held is None:
                self.started[kind] = now
                self.held.pop(kind, None)
                continue
            self.held[kind] = held
            self.waits.setdefault(kind, {}).update(dict.fromkeys(self._words(kind, held)))
            if isinstance(held, Shut) and held.approvals:
                need = Need(held.wave, held.approvals, held.roles, held.is_about_policy)
                self.needs.setdefault(kind, {})[need] = None
                asked[need] = None
            elif isinstance(held, Hold) and held.until is not None:
                again.append(held.until)
        if asked:
            self._approve(asked)
            return now
        again += [at + self._soak(kind) for kind, at in self.started.items()]
        return min((at for at in again if at > now), default=None)

    def _held(self, kind: _Kind, answer: Start | Settled | Shut, now: datetime) -> Shut | Hold | None:
        if kind.after is not None and kind.after.is_resting:
            return Hold(HoldReason.MAINTENANCE, "the site's manifest puts it in maintenance")
        if isinstance(answer, Shut):
            return answer
        plant, calendar = Plant(kind.timing.windows), replace(self.calendar, now=now)
        found = is_in_window(plant, None, calendar, and_for=kind.timing.needs)
        return found if isinstance(found, Hold) else None

    def _words(self, kind: _Kind, held: Shut | Hold) -> Iterator[str]:
        if isinstance(held, Hold):
            zones = sorted({one.zone for one in kind.timing.windows})
            yield f"{held.detail} ({', '.join(zones)})" if zones else held.detail
        elif held.reason is HoldReason.GATE and held.wave:
            policies = [page.policy for page in self.chain.pages]
            waves = (one for policy in policies for one in policy.waves if one.name == held.wave)
            soak = max((one.gate.soak for one in waves), default=timedelta())
            yield f"wave {held.wave} has to be well for {shown_span(soak)}"

    def _approve(self, asked: Mapping[Need, None]) -> None:
        for need in asked:
            for _ in range(need.count):
                number = len(self.tags) + 1
                self.tags.append(
                    ControlTag(
                        f"{number}",
                        number,
                        self.name,
                        ControlKind.APPROVE,
                        _HEAD,
                        f"owner {number}",
                        roles=frozenset(need.roles),
                        roles_now=frozenset(need.roles),
                        previous=(f"{number - 1}",) if number > 1 else (),
                        wave=need.wave,
                        is_for_current_policy=need.is_about_policy,
                    )
                )

    def _soak(self, kind: _Kind) -> timedelta:
        """From the start until the nodes count as good, under both policies."""
        before, after = self._ends
        seats = [(before, kind.before), (after, kind.after)]
        soaks = [wave_at(page.policy, member.wave).gate.soak for page, member in seats if page and member]
        return kind.timing.typical + max(soaks, default=timedelta())

    def _reading(self, now: datetime, kinds: Mapping[_Kind, list[str]]) -> Reading:
        said = [one for kind, nodes in kinds.items() for node in nodes if (one := self._said(kind, node, now))]
        if any(kind.digests[0] == ABSENT for kind in kinds):  # who is new asks how its fellows are
            told = {node for nodes in kinds.values() for node in nodes}
            others = (node for node in self._ends[1].members if node not in told)
            said += [_statement(self.name, node, _SAME, _LONG, now) for node in others]
        standpoint = Standpoint(now, is_clock_trusted=True, root_version=1, payloads={tag.payload for tag in self.tags})
        return Reading(self.name, Evidence(frozenset(said)), standpoint)

    def _said(self, kind: _Kind, node: str, now: datetime) -> Statement | None:
        at = self.started.get(kind)
        if at is None:
            old = kind.digests[0]
            return _statement(self.name, node, old, _LONG, now) if old != ABSENT else None
        return _statement(self.name, node, kind.digests[1], now - at - kind.timing.typical, now)

    def _waves(self, kinds: Mapping[_Kind, list[str]]) -> Iterator[Starts]:
        groups: dict[tuple[int, str], list[_Kind]] = {}
        before, after = self._ends
        for kind in kinds:
            page, member = (after, kind.after) if kind.after is not None or before is None else (before, kind.before)
            at = member.wave if member else len(page.policy.waves)
            groups.setdefault((at, wave_at(page.policy, at).name), []).append(kind)
        for (_, name), ours in sorted(groups.items(), key=lambda one: one[0]):
            yield self._wave(name, ours, kinds)

    def _wave(self, name: str, ours: Sequence[_Kind], kinds: Mapping[_Kind, list[str]]) -> Starts:
        starts = [self.started[kind] for kind in ours if kind in self.started]
        never: dict[tuple[HoldReason, str], list[str]] = {}
        for kind in ours:
            held = self.held.get(kind)
            if held is not None:
                never.setdefault((held.reason, held.detail), []).extend(kinds[kind])
        return Starts(
            name,
            tuple(sorted(node for kind in ours for node in kinds[kind])),
            min(starts, default=None),
            max(starts, default=None),
            tuple(dict.fromkeys(words for kind in ours if kind in self.started for words in self.waits.get(kind, ()))),
            tuple(dict.fromkeys(need for kind in ours for need in self.needs.get(kind, ()))),
            tuple(Never(tuple(sorted(nodes)), *why) for why, nodes in never.items()),
        )


def _statement(name: str, node: str, digest: str, soaked_for: timedelta, now: datetime) -> Statement:
    """What a node that is well would report at an instant; before it is ready, that it changes."""
    state = ReportedState.HEALTHY if soaked_for >= timedelta() else ReportedState.CHANGING
    told = ReportedDeployment(_HEAD, digest, state, max(soaked_for, timedelta()))
    site, _, own = node.partition("/")
    report = Report("", site, own, "one", "boot", 1, now, 1, _HEAD, deployments={name: told})
    return Statement(report, f"{node} {now}")
