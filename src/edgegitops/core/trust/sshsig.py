"""Law: the strict profile of SSHSIG (OpenSSH PROTOCOL.sshsig), the one signature primitive of the product.

1. Armor: LF line ends, base64 lines of at most 76 characters in canonical base64, nothing before BEGIN, nothing after
   END but one LF. 2. Magic, version 1. 3. The namespace is exactly the one asked for. 4. `reserved` is empty.
5. The hash is sha256 or sha512. 6. No bytes after the signature. 7. The key and the signature are of the types in
   `keys`, and the signature fits.
The signature carries its own key: that it fits says who signed, not that this key may. That is `rules`' to judge.
"""

import binascii
import hashlib
import re
from dataclasses import dataclass

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust import keys
from edgegitops.core.trust.wire import Wire, string

NAMESPACE_GIT = "git"
NAMESPACE_ROOT = "edgegitops-root"
NAMESPACE_FRESHNESS = "edgegitops-freshness"

MAGIC = b"SSHSIG"
ARMOR_SIZE_MOST = 32 * 1024

_ARMOR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END SSH SIGNATURE-----\n?", re.DOTALL
)
HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class SignedBy:
    """The key that made a signature: `key_id` is the hex SHA-256 of `key_blob`."""

    key_id: str
    key_blob: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an armored signature says, not yet checked against a message."""

    key_blob: bytes
    namespace: bytes
    hash: bytes
    signature: bytes


def verify(armor: bytes, message: bytes, namespace: str) -> SignedBy | Refused:
    """Who signed exactly these bytes for this purpose."""
    envelope = read_envelope(armor)
    if isinstance(envelope, Refused):
        return envelope
    if envelope.namespace != namespace.encode():
        given = ascii(envelope.namespace[:80].decode("ascii", "backslashreplace"))
        return _refused(Doubt.WRONG_NAMESPACE, f"made for {given}, not for '{namespace}'")
    key = keys.read_key(envelope.key_blob)
    if isinstance(key, Refused):
        return key
    digest = HASHES[envelope.hash](message).digest()
    signed = MAGIC + string(envelope.namespace) + string(b"") + string(envelope.hash) + string(digest)
    return keys.check(key, envelope.signature, signed) or SignedBy(key.id, key.blob)


def read_envelope(armor: bytes) -> Envelope | Refused:
    """The parts of an armored signature."""
    if len(armor) > ARMOR_SIZE_MOST:
        return _refused(Doubt.MALFORMED_SIGNATURE, f"longer than {ARMOR_SIZE_MOST} bytes")
    found = _ARMOR.fullmatch(armor)
    if found is None:
        return _refused(Doubt.MALFORMED_SIGNATURE, "not an SSH signature in LF armor, or something is around it")
    encoded = found[1].replace(b"\n", b"")
    try:
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error:
        return _refused(Doubt.MALFORMED_SIGNATURE, "the armor is not base64")
    if binascii.b2a_base64(data, newline=False) != encoded:
        return _refused(Doubt.MALFORMED_SIGNATURE, "the armor is not canonical base64")
    try:
        return _read_blob(data)
    except ValueError as error:
        return _refused(Doubt.MALFORMED_SIGNATURE, f"malformed: {error}")


def _read_blob(data: bytes) -> Envelope | Refused:
    wire = Wire(data)
    if wire.take(len(MAGIC)) != MAGIC:
        raise ValueError("it does not start with SSHSIG")
    version = wire.number()
    if version != 1:
        raise ValueError(f"its version is {version}, not 1")
    key_blob, namespace, reserved, hash_ = wire.string(), wire.string(), wire.string(), wire.string()
    signature = wire.string()
    wire.end()
    if reserved:
        raise ValueError("its reserved field is not empty")
    if hash_ not in HASHES:
        name = ascii(hash_[:80].decode("ascii", "backslashreplace"))
        return _refused(Doubt.ALGORITHM_REFUSED, f"the hash {name}, sha256 and sha512 are allowed")
    return Envelope(key_blob, namespace, hash_, signature)


def _refused(doubt: Doubt, detail: str) -> Refused:
    return Refused("signature", doubt, detail)
