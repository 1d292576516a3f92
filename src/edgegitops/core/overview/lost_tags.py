"""Law: a control tag that the remote does not show any more is shown again by whoever has it, exactly as it was signed.

1. Lost is a tag that verifies here and whose payload no shown tag has.
2. It goes back under the name that it carries. Where another object has that name now, it cannot: a ref would have to
   move, and the tag that is there counts for everybody who saw it.
3. Sought is a payload that a tag continues, or that a node tells as its newest, and that nobody here has. Who told it
   has it for ever.
Showing a tag again changes nothing for who knows it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgegitops.core.model.control import ControlTag
from edgegitops.core.overview.situation import Situation
from edgegitops.core.overview.waves import Force, force_of
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.evidence import Evidence
from edgegitops.core.rollout.next_release import Start
from edgegitops.core.rollout.wave_gate import Shut


@dataclass(frozen=True, slots=True)
class Held:
    """A verified tag, and where it is: `ref` is the name that it carries, `object` the id of its tag object."""

    ref: str
    object: str
    tag: ControlTag


@dataclass(frozen=True, slots=True)
class Sought:
    """A payload that nobody here has: the known tags that continue it, and the nodes that told it as their newest."""

    payload: str
    continued_by: tuple[ControlTag, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Losses:
    """What a remote lost of one deployment. `lost` can go back; of `taken` another object has the name now. `shown` is
    the log as who knows only the remote reads it, `whole` the one with what goes back.
    """

    lost: tuple[Held, ...]
    taken: tuple[Held, ...]
    shown: ControlLog
    whole: ControlLog

    def force_then(self, tag: ControlTag, roles: frozenset[str] = frozenset()) -> Force:
        """What a tag does once everything that can go back has gone back."""
        return force_of(self.whole, tag, roles)

    def force_now(self, tag: ControlTag, roles: frozenset[str] = frozenset()) -> Force:
        """What a shown tag does for who knows only the remote."""
        return force_of(self.shown, tag, roles)


def losses(held: Iterable[Held], shown: Mapping[str, str], log: ControlLog) -> Losses:
    """What is lost of what is held. `shown` is what the remote shows, ref to object; `log` has the instant."""
    by_payload: dict[str, Held] = {}
    told = set(shown.values())
    for one in sorted(held, key=lambda one: (one.object not in told, one.ref, one.object)):
        by_payload.setdefault(one.tag.payload, one)
    there = {one.tag for one in by_payload.values() if one.object in told}
    gone = sorted((one for one in by_payload.values() if one.tag not in there), key=lambda one: one.ref)
    lost = tuple(one for one in gone if one.ref not in shown)
    return Losses(
        lost,
        tuple(one for one in gone if one.ref in shown),
        ControlLog(frozenset(there), log.now),
        ControlLog(frozenset(there | {one.tag for one in lost}), log.now),
    )


def sought(log: ControlLog, evidence: Evidence, deployment: str) -> tuple[Sought, ...]:
    """The payloads that are named and that this log does not have, by payload."""
    tellers: dict[str, set[str]] = {}
    for one in evidence.statements:
        for head in one.report.heads.get(deployment, ()):
            tellers.setdefault(head, set()).add(one.report.name)
    named = log.missing | (tellers.keys() - log.by_payload.keys())
    tags = sorted(log.tags, key=lambda tag: (tag.number, tag.payload))
    return tuple(
        Sought(payload, tuple(tag for tag in tags if payload in tag.previous), tuple(sorted(tellers.get(payload, ()))))
        for payload in sorted(named)
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """Nodes of one wave for which a log says something else than another: what each says (None: they may start)."""

    wave: str
    nodes: tuple[str, ...]
    before: Shut | None
    after: Shut | None


def turns(situation: Situation, found: Losses) -> tuple[Turn, ...]:
    """Whom it would concern that the tags are shown again, of those who know only what the remote shows."""
    before, after = (_answers(situation, log) for log in (found.shown, found.whole))
    groups: dict[tuple[str, Shut | None, Shut | None], list[str]] = {}
    for node, told in before.items():
        if node in after and told != after[node]:
            groups.setdefault((situation.wave(node), told, after[node]), []).append(node)
    return tuple(Turn(wave, tuple(nodes), old, new) for (wave, old, new), nodes in groups.items())


def _answers(situation: Situation, log: ControlLog) -> dict[str, Shut | None]:
    """What each pending node would be told under a log: held, or None where it may start."""
    others = frozenset(situation.reading.standpoint.payloads) - situation.log.rooted
    standpoint = replace(situation.reading.standpoint, payloads=others | log.rooted)
    seen = Situation(situation.deployment, situation.chain, log, replace(situation.reading, standpoint=standpoint))
    answers = seen.answers.items()
    return {
        node: None if isinstance(answer, Start) else answer
        for node, answer in answers
        if isinstance(answer, Start | Shut)
    }
