"""Law: the questions of `ssh-keygen -Y`, with its answers and exit codes, in the lenient profile.

find-principals: whom an allowed_signers file names for the key of a signature. match-principals: which of its lines
name an identity. check-novalidate: whether a signature fits its message. verify: the same, by a key that the file names
for this identity and namespace at this time, and that no revocation file lists.

Git asks these of `gpg.ssh.program`. A node never does: it has the strict profile and the trust root.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from edgegitops.core.model.trust import Refused
from edgegitops.core.trust import keys
from edgegitops.core.trust.allowed_signers import Complaints, Question, Zone, ask, find_names, read_lines
from edgegitops.core.trust.certificates import Signing, read_signing
from edgegitops.core.trust.krl import MAGIC as KRL_MAGIC
from edgegitops.core.trust.krl import is_listed
from edgegitops.core.trust.sshsig import HASHES, MAGIC
from edgegitops.core.trust.wire import Wire, string

FAILED = 255
NOT_NAMED = 210
NO_FILE = 232
MALFORMED = 252
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----\n", b"\n-----END SSH SIGNATURE-----"
_SHORT = {
    keys.ED25519: "ED25519",
    keys.SK_ED25519: "ED25519-SK",
    keys.RSA: "RSA",
    keys.P256: "ECDSA",
    keys.P384: "ECDSA",
    keys.P521: "ECDSA",
    keys.SK_P256: "ECDSA-SK",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An exit code, and the lines for standard output and standard error."""

    code: int
    out: tuple[str, ...] = ()
    err: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signers:
    """An allowed_signers file: its text, its name, and the zone of its times."""

    text: str
    path: str
    zone: Zone


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed signature, not yet checked against a message."""

    key: Signing
    namespace: bytes
    hash: bytes
    made: bytes


def read_signature(armor: bytes) -> Signature | str:
    """The parts of an armored signature as ssh-keygen reads it, or what is wrong with it."""
    opened = _open(armor)
    if isinstance(opened, str):
        return opened
    key, wire = opened
    try:
        namespace, _, hash_, made = (wire.string() for _ in range(4))
        wire.end()
    except ValueError as error:
        return f"invalid format: {error}"
    return Signature(key, namespace, hash_, made)


def _open(armor: bytes) -> tuple[Signing, Wire] | str:
    """The key that a signature names, and what follows it."""
    head, mark, _ = armor.partition(_END)
    if not head.startswith(_BEGIN) or not mark:
        return "Couldn't parse signature: missing header or footer"
    try:
        wire = Wire(base64.b64decode(b"".join(head.removeprefix(_BEGIN).split()), validate=True))
        if wire.take(len(MAGIC)) != MAGIC or wire.number() != 1:
            return "Couldn't parse signature: its magic or version is not known"
        key = read_signing(wire.string())
    except ValueError as error:
        return f"Couldn't parse signature: {error}"
    return key.detail if isinstance(key, Refused) else (key, wire)


def check_signature(signature: Signature, message: bytes, namespace: str) -> str:
    """Why the signature is not one of this message for this purpose; empty where it is."""
    if signature.namespace != namespace.encode():
        return "Couldn't verify signature: namespace does not match"
    if signature.hash not in HASHES:
        return "Couldn't verify signature: unsupported hash algorithm"
    digest = HASHES[signature.hash](message).digest()
    signed = MAGIC + b"".join(string(part) for part in (signature.namespace, b"", signature.hash, digest))
    refused = keys.check(signature.key.key, signature.made, signed, keys.LENIENT)
    return f"Signature verification failed: {refused.detail}" if refused else ""


def fingerprint(key: Signing) -> str:
    """`SHA256:…` of the plain key, also of one that came in a certificate."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.key.blob).digest()).decode().rstrip("=")


def find_principals(armor: bytes, signers: Signers, at: int) -> Answer:
    """Whom the file names for the key of this signature, one a line; nothing is verified."""
    opened = _open(armor)
    if isinstance(opened, str):
        return Answer(FAILED, err=(opened, "No principal matched."))
    complaints = Complaints(signers.path)
    lines = read_lines(signers.text, signers.zone, complaints)
    found = ask(lines, Question(opened[0], at), complaints)
    if found is None:
        return Answer(FAILED, err=(*complaints.told, "No principal matched."))
    names = found.split(",")
    return Answer(0, tuple(names[: names.index("")] if "" in names else names), tuple(complaints.told))


def match_principals(identity: str, signers: Signers) -> Answer:
    """The principals of every line that names this identity."""
    found = find_names(signers.text, identity, signers.zone)
    if isinstance(found, str):
        return Answer(MALFORMED, err=(f"{signers.path}:{found}",))
    return Answer(0, tuple(found)) if found else Answer(NOT_NAMED, err=("No principal matched.",))


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a signature beside that it fits: who may have made it (None: anybody), and no key of `revoked`
    (the bytes of a revocation file; None: there is none). `shows_key`: the key is printed too.
    """

    namespace: str
    at: int
    principal: str = ""
    signers: Signers | None = None
    revoked: bytes | None = None
    shows_key: bool = False


def verify(armor: bytes, message: bytes, wish: Wish) -> Answer:
    """Whether the signature is good; without signers that is check-novalidate."""
    signature = read_signature(armor)
    problem = signature if isinstance(signature, str) else check_signature(signature, message, wish.namespace)
    if isinstance(signature, str) or problem:
        return _bad(problem)
    key = signature.key
    if wish.revoked is not None:
        problem = _revoked(key, wish.revoked)
        if problem:
            return _bad(problem)
    if wish.signers is not None:
        complaints = Complaints(wish.signers.path)
        lines = read_lines(wish.signers.text, wish.signers.zone, complaints)
        if ask(lines, Question(key, wish.at, wish.principal, wish.namespace), complaints) is None:
            return _bad(*complaints.told)
    whom = f" for {wish.principal}" if wish.signers is not None else ""
    kind = _SHORT[key.key.kind] + ("-CERT" if key.certificate else "")
    words = f'Good "{wish.namespace}" signature{whom} with {kind} key {fingerprint(key)}'
    return Answer(0, (words, key.line) if wish.shows_key else (words,))


def _bad(*problems: str) -> Answer:
    return Answer(FAILED, ("Could not verify signature.",), tuple(one for one in problems if one))


def _revoked(key: Signing, data: bytes) -> str:
    """Why the key is revoked by this file (a KRL, or public keys line by line); empty where it is not."""
    if data.startswith(KRL_MAGIC):
        return is_listed(key, data)
    blobs: Sequence[bytes] = (key.key.blob, key.blob, *((key.certificate.authority.blob,) if key.certificate else ()))
    for line in data.decode("utf-8", "replace").split("\n"):
        words = line.split()
        encoded = words[1] if len(words) > 1 and not words[0].startswith("#") else ""
        if encoded and any(base64.b64encode(blob).decode() == encoded for blob in blobs):
            return "the key is revoked"
    return ""
