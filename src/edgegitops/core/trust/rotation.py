"""Law: how people make the next root document: it is the last one with what they ask for, one version on.

A document waits until the threshold of the one before it and its own have signed; of the first, its own. What is in
force never changes: a document that waits may be written again, and then its signatures, made over other bytes, go.
Nothing here is pinned: this is a person's own clone, and what a node believes is `root`'s to judge.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import (
    ROOT_ROLE,
    Refused,
    Revocation,
    Role,
    RootDocument,
    TrustKey,
    TrustLimits,
)
from edgegitops.core.trust.lookup import Lookup, about
from edgegitops.core.trust.root import RootFolder, Signatures, Tally, root_folder, tallies
from edgegitops.core.trust.root_document import path_of, read_root
from edgegitops.core.trust.strict_json import read_strict


@dataclass(frozen=True, slots=True)
class Standing:
    """The root documents of a clone. `in_force` is the newest that is signed enough (None: not even the first),
    `waiting` the one after it that is not yet, `counted` its tallies, else those of what is in force. `first_sha256` is
    what nodes of a new fleet pin, `data` the bytes of the newest.
    """

    in_force: RootDocument | None
    waiting: RootDocument | None
    counted: tuple[Tally, ...]
    first_sha256: str
    data: bytes

    @property
    def newest(self) -> RootDocument:
        """The document that waits, else the one in force."""
        found = self.waiting or self.in_force
        if found is None:
            raise ValueError("a standing without any document")
        return found


def read_standing(objects: Objects, tree: str, *, limits: TrustLimits | None = None) -> Standing | Refused:
    """What the root documents of a tree say, and how far the newest is signed."""
    lookup = Lookup(objects, limits or TrustLimits())
    folder = root_folder(lookup, tree)
    if isinstance(folder, Refused):
        return folder
    standing: Standing | None = None
    for version in range(min(folder.documents, default=1), max(folder.documents, default=0) + 1):
        if standing is not None and standing.waiting is not None:
            detail = f"it waits for signatures, and root {version} is there already; sign one after the other"
            return Refused(path_of(standing.waiting.version), Doubt.ROOT_THRESHOLD, detail)
        found = _follow(standing, folder, version, lookup)
        if isinstance(found, Refused):
            return found
        standing = found
    return standing or Refused(path_of(1), Doubt.ROOT_PIN, "there is no root document; edgegitops trust init makes one")


def _follow(standing: Standing | None, folder: RootFolder, version: int, lookup: Lookup) -> Standing | Refused:
    before = standing.in_force if standing else None
    if version not in folder.documents:
        return Refused(path_of(version), Doubt.ROOT_VERSION, "it is missing although a later one is there")
    data = lookup.blob(folder.documents[version])
    if isinstance(data, Refused):
        return about(path_of(version), data)
    root = read_root(data, version=version, repository=before.repository if before else _repository(data))
    if isinstance(root, Refused):
        return root
    counted = tallies((before, root) if before else (root,), data, Signatures(lookup, folder.signatures.get(version)))
    is_met = all(tally.is_met for tally in counted)
    first = standing.first_sha256 if standing else sha256_hex(data)
    return Standing(root if is_met else before, None if is_met else root, counted, first, data)


def _repository(data: bytes) -> str:
    """The repository id that a document says, for the first one; whether it is a sound document is asked later."""
    try:
        tree = read_strict(data)
    except (ValueError, RecursionError):
        return ""
    return str(tree.get("repository", "")) if isinstance(tree, dict) else ""


def with_key(root: RootDocument, key: TrustKey, roles: Iterable[str]) -> RootDocument:
    """The document with this key in these roles; a role that is not there yet begins with it."""
    members = dict(root.roles)
    for role in roles:
        old = members.get(role, Role(()))
        members[role] = replace(old, keys=tuple(dict.fromkeys((*old.keys, key.id))))
    return replace(root, keys={**root.keys, key.id: key}, roles=members)


def without_key(root: RootDocument, key: str) -> RootDocument:
    """The document without this key, also in its roles."""
    kept = {
        name: replace(role, keys=tuple(one for one in role.keys if one != key)) for name, role in root.roles.items()
    }
    return replace(root, keys={one: line for one, line in root.keys.items() if one != key}, roles=kept)


def revoking(root: RootDocument, key: str, reason: str) -> RootDocument:
    """The document that revokes this key; the root role loses it, so that its threshold counts who is left."""
    role = root.roles[ROOT_ROLE]
    left = replace(role, keys=tuple(one for one in role.keys if one != key))
    revoked = (*(one for one in root.revoked if one.key != key), Revocation(key, reason))
    return replace(root, roles={**root.roles, ROOT_ROLE: left}, revoked=revoked)


def with_thresholds(root: RootDocument, thresholds: Mapping[str, int]) -> RootDocument:
    """The document with these thresholds; ValueError where it has no such role."""
    unknown = sorted(thresholds.keys() - root.roles.keys())
    if unknown:
        raise ValueError(f"there is no role {unknown[0]!r}; there are {', '.join(sorted(root.roles))}")
    changed = {name: replace(root.roles[name], threshold=number) for name, number in thresholds.items()}
    return replace(root, roles={**root.roles, **changed})


def following(standing: Standing, *, issued_at: datetime) -> RootDocument:
    """What the next document starts from: the waiting one as it is, else the one in force, one version on."""
    if standing.waiting is not None or standing.in_force is None:
        return replace(standing.newest, issued_at=issued_at)
    return replace(standing.in_force, version=standing.in_force.version + 1, issued_at=issued_at)


def find_key(root: RootDocument, name: str) -> str:
    """The id of the key that an id, its beginning, or an owner means. ValueError: none, or several."""
    found = [key.id for key in root.keys.values() if name and (key.id.startswith(name) or key.owner == name)]
    if len(found) != 1:
        known = ", ".join(f"{key.id[:12]} ({key.owner})" for key in root.keys.values())
        raise ValueError(f"{name!r} means {len(found) or 'no'} keys of root {root.version}; it has {known}")
    return found[0]
