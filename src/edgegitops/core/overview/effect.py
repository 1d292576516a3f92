"""Law: what a control tag would change is shown before it is made: which nodes, in which wave, from what to what.

1. `approve` speaks of the nodes of its wave that do not run the candidate; `halt`, `resume`, `retry` and `hotfix` of
   all that do not.
2. `rollback` and `revoke` speak of the nodes whose digest the target changed and that run that digest. They go to the
   release that `To` names, else, as far as a fleet repository can tell, to what the target replaced. A node keeps its
   own list of good releases, and goes to the newest of it that is not excluded.
3. Of those whom an approval, a resume, a retry or a hotfix speaks of, some are held all the same: they are told with
   what the node's own function would say then. A hotfix is taken as said by two.
4. A rollback or revocation of a revision that changed no node is none: nothing would be excluded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from edgegitops.core.desired.editions import resolve_release
from edgegitops.core.desired.plant import plant_of
from edgegitops.core.desired.resolve import target_of
from edgegitops.core.history import History
from edgegitops.core.model.control import ControlKind, ControlTag, Forgiven
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.plant import Plant
from edgegitops.core.model.release import Release
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.overview.situation import Situation
from edgegitops.core.plan.compare import Change, compare
from edgegitops.core.rollout.blame import does_concern, is_told_by, pardon
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.gate import Calendar, is_in_window
from edgegitops.core.rollout.road import changed_nodes
from edgegitops.core.rollout.wave_gate import Shut

LETTING = frozenset({ControlKind.APPROVE, ControlKind.RESUME, ControlKind.RETRY, ControlKind.HOTFIX})
EXCLUDING = frozenset({ControlKind.ROLLBACK, ControlKind.REVOKE})


@dataclass(frozen=True, slots=True)
class Touched:
    """Nodes of one wave that would go the same way: positions of the chain, None for nothing. `guessed` are those of
    which nobody reported what they run.
    """

    wave: str
    nodes: tuple[str, ...]
    old: int | None
    new: int | None
    guessed: tuple[str, ...] = ()


def touched_by(situation: Situation, tag: ControlTag) -> tuple[Touched, ...]:
    """Whom a tag speaks of, wave by wave."""
    ways = _away(situation, tag) if tag.kind in EXCLUDING else _forth(situation, tag)
    groups: dict[tuple[str, str, str], list[tuple[str, int | None, int | None]]] = {}
    for node, old, new in ways:
        digests = (_digest(situation, node, old), _digest(situation, node, new))
        groups.setdefault((situation.wave(node), *digests), []).append((node, old, new))
    found = []
    for (wave, _, _), rows in groups.items():
        names = tuple(node for node, _, _ in rows)
        unheard = tuple(node for node in names if not situation.is_heard(node))
        found.append(Touched(wave, names, rows[0][1], rows[0][2], unheard))
    places = {wave.name: at for at, wave in enumerate(situation.edition.policy.waves)}
    return tuple(sorted(found, key=lambda one: places.get(one.wave, len(places))))


def held_then(situation: Situation, tag: ControlTag, roles: frozenset[str]) -> dict[Shut, tuple[str, ...]]:
    """Whom a tag would not let start yet (rule 3), were it signed by an owner with one of `roles`."""
    if tag.kind not in LETTING:
        return {}
    said = [replace(tag, payload="this", roles_now=roles)]
    if tag.kind is ControlKind.HOTFIX:
        said.append(replace(said[0], payload="the second", owner="the second", previous=("this",)))
    log = ControlLog(situation.log.tags | set(said), situation.log.now)
    then = Situation(situation.deployment, situation.chain, log, situation.reading).answers
    found: dict[Shut, tuple[str, ...]] = {}
    for node, _, _ in _forth(situation, tag):
        answer = then.get(node)
        if isinstance(answer, Shut):
            found[answer] = (*found.get(answer, ()), node)
    return found


def _forth(situation: Situation, tag: ControlTag) -> Iterator[tuple[str, int | None, int | None]]:
    for node in situation.pending:
        if tag.kind is not ControlKind.APPROVE or situation.wave(node) == tag.wave:
            road = situation.road(node)
            is_going = road.after.digest(node) == ABSENT
            yield node, None if road.is_from_nothing else road.base, None if is_going else road.candidate


def _away(situation: Situation, tag: ControlTag) -> Iterator[tuple[str, int | None, int | None]]:
    chain = situation.chain
    at = chain.position(tag.target)
    to = chain.position(tag.to) if tag.to else None
    for node in excluded(situation, tag.target):
        given = chain.edition(at).digest(node) if at is not None else ABSENT
        if at is not None and given == situation.running(node) != ABSENT:
            there = to if to is not None else at - 1
            yield node, at, None if there < 0 or chain.edition(there).digest(node) == ABSENT else there


def excluded(situation: Situation, target: str) -> tuple[str, ...]:
    """The nodes whose digest a revision changed: a rollback of it bars what it gave them."""
    at = situation.chain.position(target)
    return tuple(sorted(changed_nodes(situation.chain, at))) if at is not None else ()


def newest_change(situation: Situation) -> str:
    """The newest revision that changed the deployment on any node; empty where none did."""
    steps = range(situation.candidate, -1, -1)
    at = next((step for step in steps if next(changed_nodes(situation.chain, step), None) is not None), None)
    return situation.chain.revisions[at] if at is not None else ""


def unforgiven(situation: Situation, target: str) -> tuple[Forgiven, ...]:
    """The failures that stand in the way of the candidate, on the node itself or because they concern another, and that
    a retry of this commit would forgive.
    """
    log, chain = situation.log, situation.chain
    failures = [
        one
        for one in situation.reading.evidence.failures(situation.deployment)
        if not pardon(one, log, chain) and is_told_by(one, target, chain)
    ]
    roads = [situation.road(node) for node in _first_of_each(situation)] if failures else []
    wanted = situation.edition
    return tuple(
        Forgiven(one.node, one.sequence)
        for one in sorted(failures, key=lambda one: (one.node, one.sequence))
        if one.digest == wanted.digest(one.node) or any(does_concern(one, road) for road in roads)
    )


def _first_of_each(situation: Situation) -> Iterable[str]:
    """One pending node of each kind of road."""
    return {situation.likeness(node): node for node in situation.pending}.values()


def change_of(situation: Situation, history: History, touched: Touched) -> Change | None:
    """What becomes of the containers of a group, seen on its first node; None where nothing does."""
    seat = touched.nodes[0]
    return compare(*(_release(situation, history, at, seat) for at in (touched.old, touched.new)))


@dataclass(frozen=True, slots=True)
class Barred:
    """Nodes of a group on which the windows let nothing begin now, why, and when to ask again."""

    nodes: tuple[str, ...]
    detail: str
    until: datetime | None


def barred_by_windows(
    situation: Situation, history: History, touched: Touched, calendar: Calendar
) -> list[Barred] | None:
    """The nodes of a group whose windows are shut now; None where no node of it has any. What is asked for is the time
    that the first node's release needs.
    """
    at = touched.new if touched.new is not None else touched.old
    first = _release(situation, history, at, touched.nodes[0])
    plants = [(seat, _plant(situation, history, at, seat)) for seat in touched.nodes]
    if not any(plant.windows for _, plant in plants):
        return None
    found: dict[tuple[str, datetime | None], list[str]] = {}
    for seat, plant in plants:
        asked = is_in_window(plant, first, calendar)
        if isinstance(asked, Hold):
            found.setdefault((asked.detail, asked.until), []).append(seat)
    return [Barred(tuple(nodes), detail, until) for (detail, until), nodes in found.items()]


def _plant(situation: Situation, history: History, at: int | None, seat: str) -> Plant:
    """What site, policies and deployment say of when something may begin on a node."""
    place = history.places.get(situation.chain.edition(at).revision) if at is not None else None
    page = history.library.page(history.commits[place][1]) if place is not None else None
    site, _, node = seat.partition("/")
    target = target_of(page.snapshot, site, node) if page else None
    manifest = page.snapshot.deployments.get(situation.deployment) if page else None
    return plant_of(page.snapshot, manifest, target) if page and manifest and target else Plant()


def _release(situation: Situation, history: History, at: int | None, seat: str) -> Release | None:
    place = history.places.get(situation.chain.edition(at).revision) if at is not None else None
    page = history.library.page(history.commits[place][1]) if place is not None else None
    site, _, node = seat.partition("/")
    target = target_of(page.snapshot, site, node) if page else None
    if page is None or target is None:
        return None
    return resolve_release(page.snapshot, situation.deployment, target, history.library.means)


def _digest(situation: Situation, node: str, at: int | None) -> str:
    return situation.chain.edition(at).digest(node) if at is not None else ABSENT
