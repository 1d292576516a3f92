"""Law: a control tag is verified once and kept for ever; what is not believed takes no part.

1. A tag that was moved or deleted changes nothing but raises an alarm. One that does not verify raises one, too.
2. What was kept is not verified again: the journal says under which key it was, and which payload. What the key may
   do now is asked each time. What was read in this process is not read again.
3. Two keys that signed one payload said it both: whoever has any key could else take another's words for ever, where
   his copy is shown first.
4. Nothing that verifies is left out, however much there is of it: it may be a halt. One key that made very many is an
   alarm, so that a person looks at whose it is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.events import AlarmCleared, AlarmRaised, ControlTagKept, Event
from edgegitops.core.model.facts import Facts
from edgegitops.core.model.ledger import payload_in
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.control_tags import SIZE_MOST, Signers, Verified, open_control_tag, with_roles
from edgegitops.core.trust.lookup import Lookup

MOST_TOLD = 10
MANY = 1000
"""Control tags by one key: as many as three a week make in six years."""
Statements: TypeAlias = Mapping[tuple[str, str], ControlTag]
"""Control tags by payload and key."""


def judge_tags(facts: Facts, lookup: Lookup, signers: Signers) -> tuple[Statements, tuple[Event, ...]]:
    """What is believed, and what there is to tell of new tags."""
    kept = facts.ledger.controls
    noted = {(payload_in(name), one.key) for name, one in kept.items()}
    known: dict[tuple[str, str], ControlTag] = {}
    events: list[Event] = []
    refused: dict[str, str] = {}
    places = {one.ref: one.object for one in kept.values()}
    proofs = {(one.ref, one.object): Verified(payload_in(name), one.key) for name, one in kept.items() if one.key}
    for ref, oid in (*((one.ref, one.object) for one in kept.values()), *sorted(facts.tags.items())):
        found = _read(facts, lookup, (ref, oid), proofs.get((ref, oid)), signers)
        if isinstance(found, Refused):
            refused[ref] = f"{found.doubt}: {found.detail}"
        elif (found.payload, found.key) not in known:
            known[found.payload, found.key] = found
            if not noted & {(found.payload, found.key), (found.payload, "")}:
                events.append(ControlTagKept(ref, oid, found.payload, found.key))
    moved = {
        ref: f"{ref} was moved; what it said first stays in force"
        for ref, oid in places.items()
        if facts.tags.get(ref, oid) != oid
    }
    gone = {ref: f"{ref} was deleted; it stays in force" for ref in places.keys() - facts.tags.keys()}
    events += _alarms(facts, Alarm.CONTROL_TAG_REFUSED, refused)
    events += _alarms(facts, Alarm.CONTROL_TAGS_MANY, _many(known))
    if facts.tip is not None:  # before the first fetch nobody knows what is shown
        events += _alarms(facts, Alarm.CONTROL_TAG_MOVED, gone | moved)
    return known, tuple(events)


def _read(
    facts: Facts, lookup: Lookup, place: tuple[str, str], proof: Verified | None, signers: Signers
) -> ControlTag | Refused:
    """The tag at a ref and object, with the roles that its key has now."""
    opened = facts.memo.get(f"tag {place}")
    if not isinstance(opened, ControlTag | Refused):
        ref, oid = place
        data = lookup.read(oid, "tag", limit=SIZE_MOST)
        if isinstance(data, Refused):
            return data  # it may be there at the next look
        opened = open_control_tag(ref, data, signers.repository, proof)
        facts.memo[f"tag {place}"] = opened
    return opened if isinstance(opened, Refused) else with_roles(place[0], opened, signers)


def _many(known: Statements) -> dict[str, str]:
    """Keys that made more control tags than people do, with whose they are."""
    counted = Counter(tag.key for tag in known.values())
    owners = {tag.key: tag.owner for tag in known.values()}
    words = (
        f"signed more than {MANY} control tags, all are kept for ever; if they are not this person's, revoke the key"
    )
    return {f"key/{key}": f"{owners[key] or key[:12]} {words}" for key, count in counted.items() if count > MANY}


def _alarms(facts: Facts, code: Alarm, told: Mapping[str, str]) -> Iterator[Event]:
    """One alarm a ref, raised when it is news and cleared when it is over; of many, the rest is one alarm together: who
    may push tags, or a server, must not write the journal full.
    """
    standing = {one.subject: one for one in facts.ledger.alarms.values() if one.code == code}
    if len(told) > MOST_TOLD:
        rest = {"fleet": f"and {len(told) - MOST_TOLD} more"}
        told = {ref: told[ref] for ref in sorted(told)[:MOST_TOLD]} | rest
    for ref, detail in sorted(told.items()):
        if ref not in standing or standing[ref].detail != detail:
            yield AlarmRaised(code, ref, detail)
    for ref in sorted(standing.keys() - told.keys()):
        yield AlarmCleared(code, ref)
