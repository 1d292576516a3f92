"""Law: which files a revision gives to the reader of manifests, and what manifest folders may hold.

Manifest paths are `fleet.yaml` and everything under trust, sites, apps, deployments, secrets, policies. There:
names are `[A-Za-z0-9_][A-Za-z0-9._-]{0,99}`, no two names of a folder differ only by case, modes are 100644 and 40000
(100755 is taken as 100644; symlinks and submodules are refused), at most 12 parts a path, at most 1 MiB a file.
Everything else in the repository may be as it likes: it is neither read nor walked.
These rules make a revision invalid, not untrusted: the floor moves on past it, and the next commit can mend it.
"""

import re
from collections.abc import Container, Mapping

from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused, TrustLimits
from edgegitops.core.trust.lookup import Lookup, about
from edgegitops.core.trust.objects import MODE_TREE, MODES_FILE, TreeEntry
from edgegitops.core.trust.rules import MANIFEST_FILES, MANIFEST_FOLDERS

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_KINDS = {"120000": "a symlink", "160000": "a submodule"}


def list_manifests(
    objects: Objects, tree: str, *, limits: TrustLimits | None = None, known: Container[str] = ()
) -> Mapping[str, str] | Refused:
    """Blob ids of all manifest paths of the tree, sorted by path. Files of which `known` has `<blob id>:<path>` were
    read before, and are not looked at.
    """
    lookup = Lookup(objects, limits or TrustLimits())
    top = lookup.tree(tree)
    if isinstance(top, Refused):
        return top
    found: dict[str, str] = {}
    waiting: list[tuple[str, str]] = []
    manifests = [entry for entry in top if entry.name in MANIFEST_FILES | MANIFEST_FOLDERS]
    for entry in manifests:
        if (entry.mode == MODE_TREE) != (entry.name in MANIFEST_FOLDERS):
            kind = "folder" if entry.name in MANIFEST_FOLDERS else "file"
            return Refused(entry.name, Doubt.TREE_REFUSED, f"{entry.name!r} must be a {kind}")
    refused = _take(lookup, "", manifests, (found, waiting), known)
    while waiting and not refused:
        path, oid = waiting.pop()
        entries = lookup.tree(oid)
        refused = entries if isinstance(entries, Refused) else _take(lookup, path, entries, (found, waiting), known)
        if refused and refused.subject == oid:
            refused = about(path, refused)
    return refused or dict(sorted(found.items()))


def _take(
    lookup: Lookup,
    folder: str,
    entries: tuple[TreeEntry, ...] | list[TreeEntry],
    to: tuple[dict[str, str], list[tuple[str, str]]],
    known: Container[str],
) -> Refused | None:
    """Put the entries of one folder to the files or to the folders to look into."""
    files, folders = to
    limits = lookup.limits
    if folder.count("/") + 2 > limits.depth and entries:
        return Refused(folder, Doubt.LIMIT_EXCEEDED, f"{folder!r}: a path has more than {limits.depth} parts")
    if len(files) + len(folders) + len(entries) > limits.entries:
        return Refused(folder, Doubt.LIMIT_EXCEEDED, f"more than {limits.entries} files in manifest folders")
    names: dict[str, str] = {}
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        twin = names.setdefault(entry.name.lower(), entry.name)
        if twin is not entry.name:
            return Refused(path, Doubt.TREE_REFUSED, f"{path!r} differs from {twin!r} only by case; rename one")
        doubt = _entry_doubt(path, entry)
        if doubt:
            return doubt
        if entry.mode == MODE_TREE:
            folders.append((path, entry.oid))
            continue
        doubt = None if f"{entry.oid}:{path}" in known else lookup.blob_doubt(entry.oid)
        if doubt:
            return about(path, doubt, where=repr(path))
        files[path] = entry.oid
    return None


def _entry_doubt(path: str, entry: TreeEntry) -> Refused | None:
    if not _NAME.fullmatch(entry.name):
        what = "a letter, digit or _, then up to 99 of letters, digits, . _ -"
        return Refused(path, Doubt.TREE_REFUSED, f"{path!r}: a name in a manifest folder is {what}; rename it")
    if entry.mode != MODE_TREE and entry.mode not in MODES_FILE:
        kind = _KINDS.get(entry.mode, f"an entry of mode {entry.mode}")
        return Refused(path, Doubt.TREE_REFUSED, f"{path!r}: {kind} where only files and folders are allowed")
    return None
