"""Law: which root document is in force, and that each one follows from the pinned one by signatures.

A root document is `trust/root/<version, 6 digits>.json`; `trust/root/<version>.sig/<key id>.sig` are its signatures
over its exact bytes, namespace `edgegitops-root` (`ssh-keygen -Y sign -n edgegitops-root`). Nothing else lies there.

1. One document is pinned on the node by the SHA-256 of its exact bytes: the first, or a later one. Those before the
   pinned one are not looked at.
2. Each next version is exactly one more, for the same repository, and signed by the threshold of the root role of the
   document before it and of its own: distinct keys counted, revoked keys not. Validity in time is not asked of these
   keys: a node that was away for months must find its way through documents whose signers have expired since.
   Signatures that do not count are passed over, so junk beside the good ones changes nothing.
3. The newest version in the tree is in force. A gap in the versions is refused.

The form, JSON (instants in RFC 3339 with an offset; a key id is the hex SHA-256 of the key's blob):

    {"repository": "urn:uuid:…",                     the fleet's repository id, as pinned
     "version": 1,
     "keys": {"<key id>": {"line": "ssh-ed25519 AAAA", "owner": "anna",
                           "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2028-01-01T00:00:00Z"}},
     "roles": {"root": {"keys": ["<key id>", "<key id>"], "threshold": 2}, "engineer": {"keys": ["<key id>"]}},
     "paths": [{"path": "apps/**", "roles": ["engineer"]}],
     "revoked": [{"key": "<key id>", "reason": "stolen laptop"}],
     "issuedAt": "2026-01-01T00:00:00Z", "expiresAt": "2030-01-01T00:00:00Z"}

owner, notBefore, notAfter, threshold (then 1), revoked, issuedAt and expiresAt may be left out. `issuedAt` is a signed
statement that this instant has passed: it moves the clock floor.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import ROOT_ROLE, Pin, Refused, RootDocument, TrustLimits, TrustState
from edgegitops.core.trust import sshsig
from edgegitops.core.trust.lookup import Lookup, about
from edgegitops.core.trust.objects import MODE_TREE, MODES_FILE
from edgegitops.core.trust.root_document import FOLDER, path_of, read_root

_NAME = re.compile(r"([0-9]{6})\.(json|sig)")


@dataclass(frozen=True, slots=True)
class RootFolder:
    """What lies in `trust/root`: blob ids of documents and tree ids of their signatures, by version."""

    documents: Mapping[int, str]
    signatures: Mapping[int, str]


def trust_state(pin: Pin, objects: Objects, tree: str, *, limits: TrustLimits | None = None) -> TrustState | Refused:
    """The root document in force in the tree `tree`, found from the pinned one."""
    return find_state(pin, Lookup(objects, limits or TrustLimits()), tree)


def find_state(pin: Pin, lookup: Lookup, tree: str) -> TrustState | Refused:
    """`trust_state` over a lookup that is at hand."""
    folder = root_folder(lookup, tree)
    if isinstance(folder, Refused):
        return folder
    for version in sorted(folder.documents):
        data = lookup.blob(folder.documents[version])
        if isinstance(data, Refused):
            return about(path_of(version), data)
        if sha256_hex(data) == pin.root_sha256:
            root = read_root(data, version=version, repository=pin.repository)
            if isinstance(root, Refused):
                return root
            return _advance(TrustState(root, pin.root_sha256), folder, lookup)
    detail = f"no document there has the pinned SHA-256 {pin.root_sha256}; pin a root of this fleet and enrol again"
    return Refused(FOLDER, Doubt.ROOT_PIN, detail)


def roots_ever(pin: Pin, lookup: Lookup, tree: str) -> tuple[RootDocument, ...] | Refused:
    """Every root document of the tree from the pinned one on, oldest first; the last is in force."""
    state = find_state(pin, lookup, tree)
    folder = root_folder(lookup, tree)
    if isinstance(state, Refused) or isinstance(folder, Refused):
        return state if isinstance(state, Refused) else folder  # type: ignore[return-value] # one of the two is
    found: list[RootDocument] = []
    for version in sorted(folder.documents):
        data = lookup.blob(folder.documents[version])
        read = read_root(data, version=version, repository=pin.repository) if isinstance(data, bytes) else data
        if isinstance(data, bytes) and sha256_hex(data) == pin.root_sha256:
            found.clear()  # what lies before the pinned one is not looked at
        if isinstance(read, RootDocument):
            found.append(read)
    return tuple(found)


def following_state(state: TrustState, lookup: Lookup, tree: str) -> TrustState | Refused:
    """The state after all documents of the tree that follow the one in force; the same state where none does."""
    folder = root_folder(lookup, tree)
    return folder if isinstance(folder, Refused) else _advance(state, folder, lookup)


def _advance(state: TrustState, folder: RootFolder, lookup: Lookup) -> TrustState | Refused:
    newest = max(folder.documents, default=0)
    for version in range(state.root.version + 1, newest + 1):
        if version not in folder.documents:
            detail = f"root {version} is missing although root {newest} is there; versions go up by one"
            return Refused(path_of(version), Doubt.ROOT_VERSION, detail)
        data = lookup.blob(folder.documents[version])
        if isinstance(data, Refused):
            return about(path_of(version), data)
        root = read_root(data, version=version, repository=state.root.repository)
        if isinstance(root, Refused):
            return root
        counted = tallies((state.root, root), data, Signatures(lookup, folder.signatures.get(version)))
        unmet = next((tally for tally in counted if not tally.is_met), None)
        if unmet:
            return Refused(path_of(version), Doubt.ROOT_THRESHOLD, unmet.words)
        state = TrustState(root, sha256_hex(data))
    return state


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a root document is signed, as the root role of version `of` asks: key ids, and why each missing key is
    missing.
    """

    of: int
    threshold: int
    signed: tuple[str, ...]
    missing: Mapping[str, str]

    @property
    def is_met(self) -> bool:
        """Whether enough distinct keys signed."""
        return len(self.signed) >= self.threshold

    @property
    def words(self) -> str:
        """How many signed, and why the others do not count."""
        why = "; ".join(f"{key}: {reason}" for key, reason in self.missing.items())
        return f"{len(self.signed)} of {self.threshold} signatures that root {self.of} asks for ({why})"


def tallies(roots: Sequence[RootDocument], data: bytes, signatures: "Signatures") -> tuple[Tally, ...]:
    """How far the document with these exact bytes is signed, for each of `roots`: the one before it and itself."""
    wanted = sorted({key for root in roots for key in root.roles[ROOT_ROLE].keys})
    judged = {key: _signature_doubt(key, signatures.of(key), data) for key in wanted}
    counted = []
    for root in roots:
        role, revoked = root.roles[ROOT_ROLE], {revocation.key for revocation in root.revoked}
        missing = {key: judged[key] or "revoked" for key in role.keys if key in revoked or judged[key] is not None}
        good = tuple(key for key in role.keys if key not in missing)
        counted.append(Tally(root.version, role.threshold, good, missing))
    return tuple(counted)


def _signature_doubt(key: str, armor: bytes | None, data: bytes) -> str | None:
    if armor is None:
        return "no signature"
    signed = sshsig.verify(armor, data, sshsig.NAMESPACE_ROOT)
    if isinstance(signed, Refused):
        return signed.detail
    return None if signed.key_id == key else f"signed by {signed.key_id}"


class Signatures:
    """The signatures of one root document, by key id."""

    def __init__(self, lookup: Lookup, folder: str | None) -> None:
        self._lookup = lookup
        self._folder = folder

    def of(self, key: str) -> bytes | None:
        """The bytes of the key's signature; None where there are none that can be read."""
        entries = self._lookup.tree(self._folder) if self._folder else ()
        if isinstance(entries, Refused):
            return None
        for entry in entries:
            if entry.name == f"{key}.sig" and entry.mode in MODES_FILE:
                data = self._lookup.blob(entry.oid)
                return data if isinstance(data, bytes) else None
        return None


def root_folder(lookup: Lookup, tree: str) -> RootFolder | Refused:
    """What lies in `trust/root` of the tree."""
    for part in FOLDER.split("/"):
        entries = lookup.tree(tree)
        if isinstance(entries, Refused):
            return entries
        found = [entry.oid for entry in entries if entry.name == part and entry.mode == MODE_TREE]
        if not found:
            return Refused(FOLDER, Doubt.ROOT_PIN, "there is no such folder; it holds the fleet's root documents")
        tree = found[0]
    entries = lookup.tree(tree)
    if isinstance(entries, Refused):
        return entries
    kinds: dict[str, dict[int, str]] = {"json": {}, "sig": {}}
    for entry in entries:
        name = _NAME.fullmatch(entry.name)
        fits = entry.mode in MODES_FILE if name and name[2] == "json" else entry.mode == MODE_TREE
        if name is None or not fits:
            detail = f"{entry.name!r} does not belong there: only files NNNNNN.json and folders NNNNNN.sig do"
            return Refused(FOLDER, Doubt.ROOT_MALFORMED, detail)
        kinds[name[2]][int(name[1])] = entry.oid
    return RootFolder(kinds["json"], kinds["sig"])


def version_of(path: str) -> int | None:
    """The root version that a path in `trust/root` belongs to; None for all other paths."""
    name = _NAME.match(path.removeprefix(f"{FOLDER}/")) if path.startswith(f"{FOLDER}/") else None
    return int(name[1]) if name else None
