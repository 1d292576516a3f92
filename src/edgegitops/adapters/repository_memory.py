"""The in-memory twin of the mirror: objects are hashed as Git hashes them, the remote is a tip that a test sets.

A fetch sees what the remote has at that moment and can be made to fail; what was once fetched stays, as in the mirror.
"""

import hashlib
from collections.abc import Collection

from edgegitops.core.model.objects import Header, RawObject
from edgegitops.errors import UnavailableError


def object_id(kind: str, data: bytes) -> str:
    """The id that Git gives an object: 40 hex digits."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


class MemoryObjects:
    """A lookup over a dictionary that may grow."""

    def __init__(self, stored: dict[str, RawObject]) -> None:
        self._stored = stored

    def header(self, oid: str) -> Header | None:
        """Kind and size; None where there is no such object."""
        raw = self._stored.get(oid)
        return None if raw is None else Header(raw.kind, len(raw.data))

    def read(self, oid: str) -> RawObject | None:
        """The object; None where there is none."""
        return self._stored.get(oid)


class MemoryRepository:
    """Repository over dictionaries. `put` and `set_remote_tip` are the remote, `go_offline` and `come_back` the net."""

    def __init__(self) -> None:
        self._remote: dict[str, RawObject] = {}
        self._mirror: dict[str, RawObject] = {}
        self._remote_tip: str | None = None
        self._tip: str | None = None
        self._trouble: UnavailableError | None = None
        self._remote_tags: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self.tags_failed = ""
        self.pins: set[str] = set()
        self.fetches = 0

    def put(self, kind: str, data: bytes) -> str:
        """Store an object at the remote; its id."""
        oid = object_id(kind, data)
        self._remote[oid] = RawObject(kind, data)
        return oid

    def set_remote_tip(self, oid: str | None) -> None:
        """Move the remote's branch, in any direction; None removes it."""
        self._remote_tip = oid

    def set_remote_tag(self, ref: str, oid: str | None) -> None:
        """Set or move a control tag of the remote; None deletes it."""
        self._remote_tags = {name: at for name, at in self._remote_tags.items() if name != ref}
        if oid is not None:
            self._remote_tags[ref] = oid

    def go_offline(self, message: str = "the server cannot be reached", reason: str = "fetch-failed") -> None:
        """Every fetch fails so from now on."""
        self._trouble = UnavailableError("repository", "fetch", message, reason=reason)

    def come_back(self) -> None:
        """Fetches work again."""
        self._trouble = None

    def fetch(self) -> str:
        """Copy what the remote has and return its tip."""
        self.fetches += 1
        if self._trouble is not None:
            raise self._trouble
        found = self._remote.get(self._remote_tip or "")
        if self._remote_tip is None or found is None:
            raise UnavailableError("repository", "fetch", "the remote has no such branch", reason="fetch-failed")
        if found.kind != "commit":
            raise UnavailableError("repository", "fetch", f"the branch is a {found.kind}", reason="fetch-failed")
        self._mirror.update(self._remote)
        self._tip = self._remote_tip
        self._tags = {ref: oid for ref, oid in self._remote_tags.items() if self._remote[oid].kind == "tag"}
        return self._remote_tip

    def tip(self) -> str | None:
        """The tip of the last successful fetch."""
        return self._tip

    def tags(self) -> dict[str, str]:
        """The control tags that the remote showed at the last fetch."""
        return dict(self._tags)

    def keep_tags(self, objects: Collection[str]) -> None:
        """Nothing is ever dropped here."""
        del objects

    def pin(self, revision: str) -> None:
        """Remember the pin. UnavailableError: no such commit here."""
        if revision not in self._mirror or self._mirror[revision].kind != "commit":
            raise UnavailableError("repository", "pin", f"no commit {revision}", reason="fetch-failed")
        self.pins.add(revision)

    def objects(self) -> MemoryObjects:
        """The lookup of what was fetched."""
        return MemoryObjects(self._mirror)
