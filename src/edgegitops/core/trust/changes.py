"""Law: the paths that differ between two trees, found by walking both and skipping equal ids.

The cost is that of what differs, never that of the repository. A path differs where its mode or id does; a file that
became a folder differs as itself and in all that is below. A folder without files differs as itself: no difference of
two trees is without a path. Whatever is not a folder (symlink, submodule) is compared and never read.
Bounded: folders and paths of one comparison, depth, and the size of each tree object.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.lookup import Lookup, about
from edgegitops.core.trust.objects import MODE_TREE, TreeEntry, entry_of


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs; `is_added` where the first tree has neither a file nor a folder there."""

    path: str
    is_added: bool


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two folders of one path to compare; None where there is none on that side."""

    path: str
    old: str | None
    new: str | None


_Found: TypeAlias = Change | _Pair


def changes(lookup: Lookup, old: str, new: str) -> tuple[Change, ...] | Refused:
    """Every path that differs between the trees `old` and `new`, sorted."""
    found: list[Change] = []
    waiting: list[_Pair] = [] if old == new else [_Pair("", old, new)]
    limits = lookup.limits
    seen = 0
    while waiting:
        pair = waiting.pop()
        seen += 1
        if pair.path.count("/") >= limits.walk_depth:
            return Refused(new, Doubt.LIMIT_EXCEEDED, f"{pair.path!r}: deeper than {limits.walk_depth} folders")
        differing = _compare(lookup, pair)
        if isinstance(differing, Refused):
            return about(new, differing, where=repr(pair.path) if pair.path else "")
        for one in differing:
            if isinstance(one, Change):
                found.append(one)
            else:
                waiting.append(one)
        if seen + len(found) + len(waiting) > limits.entries:
            return Refused(new, Doubt.LIMIT_EXCEEDED, f"more than {limits.entries} paths differ; split the commit")
    return tuple(sorted(found, key=lambda change: change.path))


def _compare(lookup: Lookup, pair: _Pair) -> list[_Found] | Refused:
    """What differs directly in one folder."""
    old = lookup.rows(pair.old) if pair.old else ()
    new = lookup.rows(pair.new) if pair.new else ()
    if isinstance(old, Refused):
        return old
    if isinstance(new, Refused):
        return new
    if not old and not new:
        return [Change(pair.path, is_added=not pair.old)]
    before = {entry.name: entry for entry in map(entry_of, set(old).difference(new))}
    after = {entry.name: entry for entry in map(entry_of, set(new).difference(old))}
    inside = f"{pair.path}/" if pair.path else ""
    return [
        one
        for name in before.keys() | after.keys()
        for one in _sort_out(f"{inside}{name}", before.get(name), after.get(name))
    ]


def _sort_out(path: str, old: TreeEntry | None, new: TreeEntry | None) -> Iterator[_Found]:
    """What a differing entry is: a path that differs, a pair of folders to compare, or both."""
    old_folder = old.oid if old and old.mode == MODE_TREE else None
    new_folder = new.oid if new and new.mode == MODE_TREE else None
    if old_folder or new_folder:
        yield _Pair(path, old_folder, new_folder)
    if (old and not old_folder) or (new and not new_folder):
        yield Change(path, is_added=old is None)
