"""Law: no object's bytes are loaded before its kind and size are known and within bounds.

The order is always: header, kind, size, read. A pack of a few kilobytes can hold a blob of gigabytes, and only the
header tells. That an id belongs to its bytes is the word of the lookup (it is content-addressed).
"""

from collections import OrderedDict
from dataclasses import replace

from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused, TrustLimits
from edgegitops.core.trust.objects import MODE_TREE, MODES_FILE, Row, TreeEntry, entry_of, parse_rows

CACHED_ENTRIES = 100_000


class Lookup:
    """Objects within limits. The newest trees are kept parsed: a commit's trees are met again with its child's."""

    def __init__(self, objects: Objects, limits: TrustLimits) -> None:
        self.limits = limits
        self.objects = objects
        self._kept: OrderedDict[str, tuple[Row, ...]] = OrderedDict()
        self._count = 0

    def read(self, oid: str, kind: str, *, limit: int) -> bytes | Refused:
        """The bytes of the object `oid` of this kind, at most `limit` bytes of them."""
        header = self.objects.header(oid)
        if header is None:
            return Refused(oid, Doubt.OBJECT_MISSING, f"{kind} {oid} is not in the local mirror")
        if header.kind != kind:
            return Refused(oid, Doubt.MALFORMED_OBJECT, f"{oid} is a {header.kind} where a {kind} is needed")
        if header.size > limit:
            return Refused(oid, Doubt.OBJECT_TOO_LARGE, f"{kind} {oid} has {header.size} bytes, the limit is {limit}")
        found = self.objects.read(oid)
        if found is None or found.kind != kind or len(found.data) != header.size:
            return Refused(oid, Doubt.OBJECT_MISSING, f"{kind} {oid} cannot be read from the local mirror")
        return found.data

    def commit(self, oid: str) -> bytes | Refused:
        """The raw bytes of a commit."""
        return self.read(oid, "commit", limit=self.limits.object_size)

    def blob(self, oid: str) -> bytes | Refused:
        """The bytes of a blob."""
        return self.read(oid, "blob", limit=self.limits.object_size)

    def blob_doubt(self, oid: str) -> Refused | None:
        """Why the blob could not be read, without reading it."""
        header = self.objects.header(oid)
        if header is None or header.kind != "blob":
            return Refused(oid, Doubt.OBJECT_MISSING, f"blob {oid} is not in the local mirror")
        if header.size > self.limits.object_size:
            detail = f"{header.size} bytes, the limit is {self.limits.object_size}"
            return Refused(oid, Doubt.OBJECT_TOO_LARGE, detail)
        return None

    def tree(self, oid: str) -> tuple[TreeEntry, ...] | Refused:
        """The entries of a tree."""
        rows = self.rows(oid)
        return rows if isinstance(rows, Refused) else tuple(map(entry_of, rows))

    def file(self, tree: str, path: str) -> bytes | Refused | None:
        """The bytes of the file at `path` of a tree; None where there is none."""
        *folders, name = path.split("/")
        for part in folders:
            entries = self.tree(tree)
            if isinstance(entries, Refused):
                return entries
            found = next((one.oid for one in entries if one.name == part and one.mode == MODE_TREE), None)
            if found is None:
                return None
            tree = found
        entries = self.tree(tree)
        if isinstance(entries, Refused):
            return entries
        blob = next((one.oid for one in entries if one.name == name and one.mode in MODES_FILE), None)
        return None if blob is None else self.blob(blob)

    def rows(self, oid: str) -> tuple[Row, ...] | Refused:
        """The entries of a tree as raw bytes."""
        kept = self._kept.get(oid)
        if kept is not None:
            self._kept.move_to_end(oid)
            return kept
        data = self.read(oid, "tree", limit=self.limits.tree_size)
        rows = parse_rows(data) if isinstance(data, bytes) else data
        if isinstance(rows, Refused):
            return about(oid, rows)
        self._kept[oid] = rows
        self._count += len(rows) + 1
        while self._count > CACHED_ENTRIES and len(self._kept) > 1:
            self._count -= len(self._kept.popitem(last=False)[1]) + 1
        return rows


def about(subject: str, refused: Refused, *, where: str = "") -> Refused:
    """The same refusal, said of `subject`; `where` goes before its detail."""
    detail = f"{where}: {refused.detail}" if where else refused.detail
    return replace(refused, subject=subject, detail=detail)
