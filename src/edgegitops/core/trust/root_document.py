"""Law: the bytes of one root document are read strictly, and it must make sense by itself.

Strict JSON (`strict_json`), no unknown field. Sense: its version is that of its file name,
its repository the pinned one; each key's id is the SHA-256 of its blob and its type is allowed; roles name known keys
once and have a threshold that they can reach, the root role without revoked keys; path rules name known roles and are
literal paths, `<folder>/**`, or `**`. That instants carry an offset is the codec's law. The form is shown in `root`.
"""

import json
import re
from collections.abc import Iterator

from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import ROOT_ROLE, Refused, Role, RootDocument, TrustKey
from edgegitops.core.trust import keys
from edgegitops.core.trust.strict_json import read_strict

FOLDER = "trust/root"

_PATH = re.compile(r"(?!/)(?:[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*(?:/\*\*)?|\*\*)")


def path_of(version: int) -> str:
    """Where the root document of this version lies."""
    return f"{FOLDER}/{version:06}.json"


def read_root(data: bytes, *, version: int, repository: str) -> RootDocument | Refused:
    """The root document of this version of this repository."""
    subject = path_of(version)
    try:
        root = _read(data)
        faults = [*_faults(root)]
    except (ValueError, RecursionError) as error:  # RecursionError: JSON nested thousands deep
        return Refused(subject, Doubt.ROOT_MALFORMED, f"not a root document: {error}")
    if faults:
        return Refused(subject, Doubt.ROOT_MALFORMED, "; ".join(faults[:5]))
    if root.version != version:
        return Refused(subject, Doubt.ROOT_VERSION, f"the document says version {root.version}")
    if root.repository != repository:
        detail = f"it is of repository {root.repository!r}, this node belongs to {repository!r}"
        return Refused(subject, Doubt.REPOSITORY_MISMATCH, detail)
    return root


def write_root(root: RootDocument) -> str:
    """The document's JSON: the exact bytes that are signed. A key's id is its place in `keys`."""
    tree = to_tree(root)
    for key in tree["keys"].values():
        del key["id"]
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"


def _read(data: bytes) -> RootDocument:
    tree = read_strict(data)
    if isinstance(tree, dict) and isinstance(tree.get("keys"), dict):
        for key, fields in tree["keys"].items():
            if isinstance(fields, dict):
                if "id" in fields:
                    raise ValueError(f"$.keys.{key}: expected no key id")
                fields["id"] = key
    return from_tree(RootDocument, tree)


def _faults(root: RootDocument) -> Iterator[str]:
    if not re.fullmatch(r"[!-~]{1,300}", root.repository):
        yield "the repository id is not 1 to 300 printable ASCII characters without spaces"
    for key in root.keys.values():
        yield from _key_faults(key)
    for name, role in root.roles.items():
        yield from _role_faults(name, role, root)
    if ROOT_ROLE not in root.roles:
        yield "there is no role root"
    for rule in root.paths:
        if not _PATH.fullmatch(rule.path):
            yield f"the path {rule.path!r} is neither literal nor <folder>/** nor **"
        yield from (f"the path {rule.path!r} names no role {role!r}" for role in rule.roles if role not in root.roles)


def _key_faults(key: TrustKey) -> Iterator[str]:
    read = keys.read_line(key.line)
    if isinstance(read, Refused):
        yield f"key {key.id[:64]!r}: {read.detail}"
    elif read.id != key.id:
        yield f"key {key.id[:64]!r}: the SHA-256 of its blob is {read.id}"
    if not key.owner.isprintable():
        yield f"key {key.id[:64]!r}: its owner is not printable"


def _role_faults(name: str, role: Role, root: RootDocument) -> Iterator[str]:
    revoked = {revocation.key for revocation in root.revoked}
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", name):
        yield f"the role {name[:64]!r} is no name of a-z 0-9 -"
    if len(set(role.keys)) != len(role.keys):
        yield f"role {name!r} names a key twice"
    yield from (f"role {name!r} names the unknown key {key[:64]!r}" for key in role.keys if key not in root.keys)
    able = [key for key in role.keys if name != ROOT_ROLE or key not in revoked]
    if role.threshold < 1 or (role.threshold > len(able) and (name == ROOT_ROLE or role.keys)):
        yield f"role {name!r} has a threshold of {role.threshold} and {len(able)} keys that could meet it"
