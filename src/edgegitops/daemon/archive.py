"""Law: what was heard is kept if its node signed it, as long as it says something that nothing newer of its node says.

Else whoever writes to a shared folder could fill the disk, or push bad news out with old good ones. What is there
already is not verified again. Two threads may hand in what they have.
"""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock

from edgegitops.core.model.report import Statement, StoredReport
from edgegitops.ports import ReportStore


class Archive:
    """The store of a node of this fleet, with the judgement of what is worth keeping."""

    def __init__(self, store: ReportStore, fleet: str) -> None:
        self._store = store
        self._fleet = fleet
        self._guard = Lock()
        self._known: Mapping[str, tuple[StoredReport, ...]] | None = None

    def all(self) -> Mapping[str, tuple[StoredReport, ...]]:
        """Everything that is stored, by node; read when somebody looks, and once."""
        with self._guard:
            return self._all()

    def _all(self) -> Mapping[str, tuple[StoredReport, ...]]:
        if self._known is None:
            self._known = self._store.stored()
        return self._known

    def own(self, name: str, key_line: str = "") -> list[tuple[Statement, bytes]]:
        """What is stored of this node itself, with the bytes, newest first; `key_line`: only what that key signed."""
        from edgegitops.core.trust.reports import key_id
        from edgegitops.core.witness import stored_statement

        with self._guard:
            several = self._of(name)
        if key_line:
            several = tuple(one for one in several if one.key == key_id(key_line))
        read = [(stored_statement(one, fleet=self._fleet, name=name), one.data) for one in several]
        return [(said, data) for said, data in read if said is not None]

    def _of(self, name: str) -> tuple[StoredReport, ...]:
        known = self._known if self._known is not None else self._store.stored(name)
        return known.get(name, ())

    def take_in(self, sent: Mapping[str, bytes], keys: Mapping[str, str]) -> None:
        """Keep what is news of what a transport shows; `keys` are the report keys of the nodes. UnavailableError: the
        store cannot be written.
        """
        from edgegitops.core.trust.reports import key_id, read_signed

        with self._guard:
            stored = self._all() if self._known is not None or len(sent) > 1 else self._store.stored(*sent)
            news: dict[str, tuple[StoredReport, ...]] = {}
            for name, data in sent.items():
                key, several = key_id(keys.get(name, "")), stored.get(name, ())
                if not key or _has(several, data, key):
                    continue
                said = read_signed(data, fleet=self._fleet, name=name, key=key)
                if isinstance(said, Statement) and not several:
                    news[name] = (StoredReport(data, key, is_noted=True, is_accusing=_is_accusing(said), said=said),)
                elif isinstance(said, Statement):
                    news[name] = self._with(name, several, said, StoredReport(data, key, is_noted=True))
            changed = {name: several for name, several in news.items() if several != stored.get(name)}
            if changed:
                self._store.keep(changed)
                if self._known is not None:
                    self._known = {**self._known, **changed}

    def _with(
        self, name: str, several: tuple[StoredReport, ...], said: Statement, fresh: StoredReport
    ) -> tuple[StoredReport, ...]:
        """What is kept of a node, with a statement more."""
        from edgegitops.core.rollout.retention import worth_keeping
        from edgegitops.core.witness import stored_statement

        known = {said: fresh}
        for one in several:
            older = stored_statement(one, fleet=self._fleet, name=name)
            if older is not None and (older != said or one.key == fresh.key):  # the same, wrapped anew, is no news
                known[older] = one
        bygone = {statement for statement, one in known.items() if one.key != fresh.key}
        kept = worth_keeping({statement: len(one.data) for statement, one in known.items()}, bygone)
        return tuple(replace(known[one], is_noted=True, is_accusing=_is_accusing(one), said=one) for one in kept)


def _has(several: tuple[StoredReport, ...], data: bytes, key: str) -> bool:
    """Whether these bytes are there, noted under this key."""
    for one in several:  # noqa: SIM110 - ten thousand generators take longer than this
        if one.data == data and one.key == key and one.is_noted:
            return True
    return False


def _is_accusing(one: Statement) -> bool:
    return any(told.failures for told in one.report.deployments.values())
