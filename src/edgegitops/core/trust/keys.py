"""Law: which public keys count, what one is called, and whether it made a signature. The door to `cryptography`.

Ed25519, which nearly all signatures are, is verified by libsodium (`nacl`): it takes half of the time, and it refuses
keys of small order, under which anybody can sign.

Key types: ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ssh-rsa of 3072 bits or more (signatures rsa-sha2-256
and rsa-sha2-512; never SHA-1), and the FIDO types sk-ssh-ed25519@openssh.com and sk-ecdsa-sha2-nistp256@openssh.com.
Anything else is refused by name. A FIDO signature must say that a person was present: `ssh-keygen -Y verify` does not
look, we do. A key has one encoding (uncompressed points, shortest numbers), so one key has one id: the hex SHA-256 of
its blob (RFC 4253, section 6.6; OpenSSH PROTOCOL.u2f for FIDO keys).
A second, lenient profile takes what `ssh-keygen -Y verify` takes; it is for `trust verify-ssh` alone, never for a node.
Who may sign what is not decided here.
"""

import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from nacl.bindings import crypto_sign_BYTES, crypto_sign_open, crypto_sign_PUBLICKEYBYTES
from nacl.exceptions import BadSignatureError

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.wire import Wire, string

ED25519 = "ssh-ed25519"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
P256 = "ecdsa-sha2-nistp256"
P384 = "ecdsa-sha2-nistp384"
P521 = "ecdsa-sha2-nistp521"
SK_P256 = "sk-ecdsa-sha2-nistp256@openssh.com"
RSA = "ssh-rsa"

RSA_BITS_LEAST = 3072
RSA_BITS_MOST = 16384
RSA_EXPONENT_MOST = 2**32
LINE_LENGTH_MOST = 8192
USER_PRESENT = 0x01

_CURVES: dict[str, tuple[bytes, ec.EllipticCurve, hashes.HashAlgorithm, int]] = {
    P256: (b"nistp256", ec.SECP256R1(), hashes.SHA256(), 65),
    SK_P256: (b"nistp256", ec.SECP256R1(), hashes.SHA256(), 65),
    P384: (b"nistp384", ec.SECP384R1(), hashes.SHA384(), 97),
    P521: (b"nistp521", ec.SECP521R1(), hashes.SHA512(), 133),
}
_RSA_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    b"rsa-sha2-256": hashes.SHA256(),
    b"rsa-sha2-512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """Which types of keys count, the shortest RSA key in bits, and whether a FIDO key must have been touched."""

    kinds: frozenset[str]
    rsa_bits_least: int
    must_touch: bool


STRICT = Profile(frozenset({ED25519, SK_ED25519, P256, P384, SK_P256, RSA}), RSA_BITS_LEAST, must_touch=True)
LENIENT = Profile(STRICT.kinds | {P521}, 1024, must_touch=False)

Loaded: TypeAlias = bytes | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of an allowed type. `id` is the hex SHA-256 of `blob`; `application` is set for FIDO keys. What is
    loaded of Ed25519 is the encoded point, 32 bytes.
    """

    id: str
    kind: str
    blob: bytes
    application: bytes
    loaded: Loaded


@lru_cache(maxsize=1024)
def read_key(blob: bytes, profile: Profile = STRICT) -> PublicKey | Refused:
    """The key that this blob (SSH wire form) is."""
    wire = Wire(blob)
    try:
        kind = wire.string().decode("ascii")
    except ValueError:
        return Refused("key", Doubt.MALFORMED_SIGNATURE, "the key is no SSH public key")
    try:
        loaded = _load(kind, wire, profile)
        if isinstance(loaded, Refused):
            return loaded
        application = wire.string() if kind in {SK_ED25519, SK_P256} else b""
        wire.end()
    except ValueError as error:
        return Refused("key", Doubt.MALFORMED_SIGNATURE, f"the {kind} key is malformed: {error}")
    return PublicKey(hashlib.sha256(blob).hexdigest(), kind, blob, application, loaded)


def _load(kind: str, wire: Wire, profile: Profile) -> Loaded | Refused:
    if kind not in profile.kinds:
        return Refused("key", Doubt.ALGORITHM_REFUSED, f"the key type {kind[:80]!r} is not allowed")
    if kind in {ED25519, SK_ED25519}:
        point = wire.string()
        if len(point) != crypto_sign_PUBLICKEYBYTES:
            raise ValueError(f"its point has {len(point)} bytes, not {crypto_sign_PUBLICKEYBYTES}")
        return point
    if kind in _CURVES:
        name, curve, _, size = _CURVES[kind]
        if wire.string() != name:
            raise ValueError("its curve is not that of its type")
        point = wire.string()
        if len(point) != size:
            raise ValueError("its point is not uncompressed")
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    exponent, modulus = wire.positive(), wire.positive()
    bits = modulus.bit_length()
    if not profile.rsa_bits_least <= bits <= RSA_BITS_MOST:
        detail = f"an RSA key of {bits} bits, {profile.rsa_bits_least} to {RSA_BITS_MOST} are allowed"
        return Refused("key", Doubt.ALGORITHM_REFUSED, detail)
    if exponent > RSA_EXPONENT_MOST:
        raise ValueError("its exponent is too large")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def read_line(line: str) -> PublicKey | Refused:
    """The key of an OpenSSH public key line: `type base64 [comment]`, without options before the type."""
    kind, blob = _parts(line)
    if not blob:
        return Refused("key", Doubt.MALFORMED_SIGNATURE, "not an OpenSSH public key line: type, base64, comment")
    key = read_key(blob)
    if isinstance(key, PublicKey) and key.kind != kind:
        return Refused("key", Doubt.MALFORMED_SIGNATURE, f"the line says {kind[:80]!r}, its key is {key.kind}")
    return key


def id_in(line: str) -> str:
    """The id that the key of such a line has, if it is one, which shows where something is verified under it; empty
    where the line has no such form.
    """
    kind, blob = _parts(line)
    is_of_kind = blob != b"" and blob.startswith(string(kind.encode()))
    return hashlib.sha256(blob).hexdigest() if is_of_kind else ""


def _parts(line: str) -> tuple[str, bytes]:
    """The type and the blob of a line; no blob where it has not the form."""
    kind, _, rest = line.partition(" ")
    encoded = rest.partition(" ")[0]
    try:
        blob = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        return kind, b""
    is_line = len(line) <= LINE_LENGTH_MOST and line.isprintable()
    is_canonical = is_line and binascii.b2a_base64(blob, newline=False).decode() == encoded
    return kind, blob if is_canonical else b""


def check(key: PublicKey, signature: bytes, message: bytes, profile: Profile = STRICT) -> Refused | None:
    """None where `signature` (SSH wire form) of `message` was made by `key`."""
    wire = Wire(signature)
    try:
        kind = wire.string()
        if isinstance(key.loaded, rsa.RSAPublicKey):
            if kind not in _RSA_HASHES:
                return Refused("signature", Doubt.ALGORITHM_REFUSED, f"RSA signatures of type {_shown(kind)}")
        elif kind != key.kind.encode():
            return Refused("signature", Doubt.ALGORITHM_REFUSED, f"type {_shown(kind)} by a {key.kind} key")
        inner = wire.string()
        if key.application:
            flags, counter = wire.take(1), wire.take(4)
            message = _digest(key.application) + flags + counter + _digest(message)
            if profile.must_touch and not flags[0] & USER_PRESENT:
                return Refused("signature", Doubt.NO_USER_PRESENCE, "the security key was not touched for it")
        wire.end()
        _check_inner(key, kind, inner, message)
    except (InvalidSignature, BadSignatureError):
        return Refused("signature", Doubt.SIGNATURE_MISMATCH, f"it is not by key {key.id} over these bytes")
    except ValueError as error:
        return Refused("signature", Doubt.MALFORMED_SIGNATURE, f"malformed: {error}")
    return None


def _check_inner(key: PublicKey, kind: bytes, inner: bytes, message: bytes) -> None:
    """InvalidSignature, BadSignatureError: it does not fit; ValueError: it has no such form."""
    match key.loaded:
        case bytes():
            if len(inner) != crypto_sign_BYTES:  # what follows would read on, and take the rest for the message
                raise ValueError(f"it has {len(inner)} bytes, not {crypto_sign_BYTES}")
            crypto_sign_open(inner + message, key.loaded)
        case rsa.RSAPublicKey():
            if len(inner) != (key.loaded.key_size + 7) // 8:
                raise ValueError("its length is not that of the RSA key")
            key.loaded.verify(inner, message, padding.PKCS1v15(), _RSA_HASHES[kind])
        case _:
            wire = Wire(inner)
            r, s = wire.positive(), wire.positive()
            wire.end()
            key.loaded.verify(encode_dss_signature(r, s), message, ec.ECDSA(_CURVES[key.kind][2]))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _shown(name: bytes) -> str:
    return ascii(name[:80].decode("ascii", "backslashreplace"))
