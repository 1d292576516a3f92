"""Law: what is believed of a tip, as events. The floor never moves back; a refused tip is judged once.

A tip that is the floor, or that was refused before, costs nothing; only a doubt that time or a fetch may end (a wrong
clock, a missing object) is judged again. What the walk accepted moves the floor, even where a later commit was
refused: the last good prefix is in force and the refusal is an alarm. An anchor, an operator's word, goes before the
floor until it is reached.
A tip that ended two workers in a row is passed over for an hour, so that no input, whatever it does to us, keeps a
node from healing for longer than two tries take.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edgegitops.core.model.events import AlarmCleared, AlarmRaised, Event, FloorMoved, TipRefused
from edgegitops.core.model.facts import Facts
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Alarm, Doubt
from edgegitops.core.model.trust import Belief, Floor
from edgegitops.core.trust.descent import is_after

PASSING = frozenset(
    {Doubt.KEY_NOT_YET_VALID, Doubt.KEY_EXPIRED, Doubt.ROOT_EXPIRED, Doubt.OBJECT_MISSING, Doubt.WORKER_DIED}
)

PASSED_OVER_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Believed:
    """The ledger with the floor as it will be once the events are journalled, and those events. `until`: when a tip
    that is passed over now is judged again.
    """

    ledger: Ledger
    events: tuple[Event, ...] = ()
    until: datetime | None = None


def believe(facts: Facts) -> Believed:
    """Judge the fetched tip, if it is news."""
    ledger = facts.ledger
    is_settled = facts.tip == ledger.refused_tip and ledger.refused_reason not in PASSING
    if facts.tip is None or facts.objects is None or is_settled:
        return Believed(ledger)
    if ledger.floor is not None and ledger.floor.commit == facts.tip and not ledger.anchor:
        return Believed(ledger, _cleared(ledger))
    until = _passed_over_until(facts)
    if until is not None:
        return Believed(ledger, until=until)
    from edgegitops.core.trust.walk import walk  # what verifies is loaded where something is to be verified

    belief = walk(facts.node.pin, ledger.floor, facts.tip, facts.objects, now=facts.now, anchor=ledger.anchor)
    events = (*_moved(ledger, belief), *_refused(ledger, facts.tip, belief))
    if not belief.refused:
        events = (*events, *_cleared(ledger))
    return Believed(replace(ledger, floor=belief.floor or ledger.floor), events)


def blamed(ledger: Ledger, tip: str) -> tuple[Event, ...]:
    """What to journal of a fetched tip when workers died in a row: nothing where this tip was judged already."""
    is_judged = tip == ledger.refused_tip and ledger.refused_reason not in PASSING
    if is_judged or (ledger.floor is not None and ledger.floor.commit == tip):
        return ()
    words = "two workers died while they judged it; it is passed over and tried again every hour, please report this"
    detail = f"{Doubt.WORKER_DIED}: commit {tip[:12]}: {words}"
    refused = TipRefused(tip, tip, Doubt.WORKER_DIED, words, ledger.anchor)
    return refused, AlarmRaised(Alarm.REVISION_REFUSED, "fleet", detail)


def is_newer(copy: Floor, floor: Floor | None, objects: Objects | None) -> bool:
    """Whether the second copy of the floor is ahead of the journal's: the journal was lost or put back from a backup.

    Where an operator began anew, the later beginning counts. Where the mirror cannot tell, the versions of the trust
    root and the clock floor do: neither ever goes back.
    """
    if floor is None:
        return True
    if copy.era != floor.era:
        return copy.era > floor.era
    if copy.payload == floor.payload:
        return False
    is_descendant = is_after(copy.commit, floor.commit, objects) if objects is not None else None
    if is_descendant is None:
        return (copy.root_version, copy.clock) > (floor.root_version, floor.clock)
    return is_descendant


def _passed_over_until(facts: Facts) -> datetime | None:
    """When the tip that ended workers may be judged again; None: now. A clock that was set back delays nothing."""
    ledger = facts.ledger
    alarm = ledger.alarms.get(f"{Alarm.REVISION_REFUSED} fleet")
    if (ledger.refused_tip, ledger.refused_reason) != (facts.tip, Doubt.WORKER_DIED) or alarm is None:
        return None
    is_recent = alarm.since <= facts.now < alarm.since + PASSED_OVER_FOR
    return alarm.since + PASSED_OVER_FOR if is_recent else None


def _moved(ledger: Ledger, belief: Belief) -> tuple[Event, ...]:
    is_anchored = bool(ledger.anchor) and belief.refused is None
    if belief.floor is None or (belief.floor == ledger.floor and not is_anchored):
        return ()
    last = belief.accepted[-1] if belief.accepted else None
    signer, owner = (last.key, last.owner) if last else ("", "")
    return (FloorMoved(belief.floor, signer, owner, len(belief.accepted), ledger.anchor),)


def _refused(ledger: Ledger, tip: str, belief: Belief) -> tuple[Event, ...]:
    refused = belief.refused
    if refused is None:
        return ()
    is_fork = refused.doubt is Doubt.HISTORY_DIVERGED
    code = Alarm.HISTORY_DIVERGED if is_fork else Alarm.REVISION_REFUSED
    detail = f"{refused.doubt}: commit {refused.subject[:12]}: {refused.detail}"
    alarm = AlarmRaised(code, "fleet", detail)
    standing = ledger.alarms.get(f"{code} fleet")
    raised = () if standing is not None and standing.detail == detail else (alarm,)
    is_told = (ledger.refused_tip, ledger.refused_reason) == (tip, refused.doubt)
    told = () if is_told else (TipRefused(tip, refused.subject, refused.doubt, refused.detail, ledger.anchor),)
    return (*told, *raised)


def _cleared(ledger: Ledger) -> tuple[Event, ...]:
    codes = (Alarm.REVISION_REFUSED, Alarm.HISTORY_DIVERGED)
    return tuple(AlarmCleared(code, "fleet") for code in codes if f"{code} fleet" in ledger.alarms)
