"""Law: what reports say is read in one way, by every node and by people: by the key that `trust/nodes/` gives a node.

1. A report counts under the report key that its node has. What was verified and noted before is not verified again.
2. A failure sticks: one that was verified under a key that the node had then counts although it has another key now, or
   none, because it was removed. Nothing else of such a report does.
3. A node is read when somebody asks for it; those that tell failures always are. What was read in this process is not
   read again.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from edgegitops.core.model.report import Statement, StoredReport
from edgegitops.core.model.trust import Refused
from edgegitops.core.rollout.evidence import Evidence, Word, word_of
from edgegitops.core.trust.reports import key_id, read_report, read_signed, statement_in


def read_sent(
    sent: Iterable[tuple[str, bytes]], keys: Mapping[str, str], fleet: str
) -> tuple[frozenset[Statement], dict[str, Refused]]:
    """What is shown of nodes (name and bytes) that have keys, read; and what is wrong with the others, by node."""
    read = [(name, read_report(data, fleet=fleet, name=name, key_line=keys[name])) for name, data in sent]
    said = frozenset(one for _, one in read if isinstance(one, Statement))
    return said, {name: one for name, one in read if isinstance(one, Refused)}


def keys_on_road(pages: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """The report keys that each node had on a road, the newest first; `pages` are the keys of its revisions, oldest
    first. Who was removed on the way, or has another key now, may still accuse.
    """
    found: dict[str, tuple[str, ...]] = {}
    for page in reversed(pages):
        for name, key in page.items():
            had = found.get(name, ())
            if key not in had:
                found[name] = (*had, key)
    return found


def with_bygone(
    evidence: Evidence, sent: Iterable[tuple[str, bytes]], bygone: Mapping[str, tuple[str, ...]], fleet: str
) -> Evidence:
    """The evidence, and the failures of what is shown of nodes under keys that they do not have any more (rule 2)."""
    said: dict[str, list[Statement]] = {}
    for one in evidence.statements:
        said.setdefault(one.report.name, []).append(one)
    gone: dict[str, list[Statement]] = {}
    for name, data in sent:
        found = (read_report(data, fleet=fleet, name=name, key_line=key) for key in bygone.get(name, ()))
        gone.setdefault(name, []).extend(one for one in found if isinstance(one, Statement))
    words = {name: word_of(said.get(name, ()), gone.get(name, ())) for name in said.keys() | gone.keys()}
    accusers = frozenset(name for name, word in words.items() if word.failures)
    return replace(evidence, heard=words, accusers=accusers)


def stored_statement(one: StoredReport, *, fleet: str, name: str) -> Statement | None:
    """What a stored report of a node says; None where it says nothing."""
    if one.said is not None:
        return one.said
    if one.is_noted:
        return statement_in(one.data)
    found = read_signed(one.data, fleet=fleet, name=name, key=one.key)
    return found if isinstance(found, Statement) else None


def evidence_of(
    stored: Mapping[str, tuple[StoredReport, ...]],
    keys: Mapping[str, str],
    fleet: str,
    memo: MutableMapping[str, object],
) -> Evidence:
    """The evidence that the stored reports are, under these keys."""
    accusers = [name for name, several in stored.items() if several[0].is_accusing or _is_accusing(several)]
    known = memo.setdefault("words", {})
    assert isinstance(known, dict)  # noqa: S101 - nobody else has this place
    return Evidence(heard=_Words(stored, keys, fleet, known), accusers=frozenset(accusers))


def _is_accusing(several: tuple[StoredReport, ...]) -> bool:
    return len(several) > 1 and any(one.is_accusing for one in several)


_Read: TypeAlias = tuple[tuple[StoredReport, ...], str, Word]
"""What was read of a node: reports, under which key, and the word that they are."""


@dataclass(frozen=True, eq=False)
class _Words(Mapping[str, Word]):
    """The words of nodes, read when they are asked for."""

    stored: Mapping[str, tuple[StoredReport, ...]]
    signers: Mapping[str, str]
    fleet: str
    known: dict[str, _Read]

    def __getitem__(self, name: str) -> Word:
        several, key = self.stored[name], self.signers.get(name, "")
        known = self.known.get(name)
        if known is not None and known[1] == key and (known[0] is several or known[0] == several):
            return known[2]
        word = self._read(name, several, key_id(key) if key else "")
        self.known[name] = (several, key, word)
        return word

    def _read(self, name: str, several: tuple[StoredReport, ...], key: str) -> Word:
        if len(several) == 1 and several[0].key == key:
            only = stored_statement(several[0], fleet=self.fleet, name=name)
            return word_of(() if only is None else (only,))
        said: list[Statement] = []
        bygone: list[Statement] = []
        for one in several:
            found = stored_statement(one, fleet=self.fleet, name=name)
            if found is not None:
                (said if one.key == key else bygone).append(found)
        return word_of(said, bygone)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)
