"""Law: whether an OpenSSH key revocation list (PROTOCOL.krl, format 1) lists a key. What cannot be read revokes all.

Sections: keys as such, by SHA-1 or SHA-256 of their blob, and certificates of an authority by serial number, range or
bitmap of serials, or key id. A key is listed where it, or the authority of its certificate, is. Signatures of the list
itself are not asked, as `ssh-keygen -r` does not.
"""

import hashlib
from enum import IntEnum

from edgegitops.core.trust.certificates import Certificate, Signing
from edgegitops.core.trust.wire import Wire

MAGIC = b"SSHKRL\n\0"


class _Section(IntEnum):
    CERTIFICATES = 1
    KEYS = 2
    SHA1 = 3
    SIGNATURE = 4
    SHA256 = 5


class _Part(IntEnum):
    SERIALS = 0x20
    RANGE = 0x21
    BITMAP = 0x22
    IDS = 0x23


_LISTED = "the key is revoked"


def is_listed(key: Signing, data: bytes) -> str:
    """Why the key counts as revoked; empty where the list does not name it."""
    try:
        return _LISTED if _is_listed(key, data) else ""
    except ValueError as error:
        return f"the revocation list cannot be read: {error}"


def _is_listed(key: Signing, data: bytes) -> bool:
    blobs = {key.key.blob} | ({key.certificate.authority.blob} if key.certificate else set())
    wire = Wire(data)
    wire.take(len(MAGIC))
    if wire.number() != 1:
        raise ValueError("its format is not 1")
    wire.take(24)  # version, date and flags
    wire.string()
    wire.string()
    while wire.left:
        kind, section = wire.take(1)[0], Wire(wire.string())
        if kind == _Section.SIGNATURE:
            wire.string()
        elif kind == _Section.CERTIFICATES:
            if key.certificate and _names_certificate(key.certificate, section):
                return True
        elif _names_key(kind, section, blobs):
            return True
    return False


def _names_key(kind: int, section: Wire, blobs: set[bytes]) -> bool:
    match kind:
        case _Section.KEYS:
            wanted = blobs
        case _Section.SHA1:
            wanted = {hashlib.sha1(blob, usedforsecurity=False).digest() for blob in blobs}
        case _Section.SHA256:
            wanted = {hashlib.sha256(blob).digest() for blob in blobs}
        case _:
            raise ValueError(f"a section of the unknown kind {kind}")
    while section.left:
        if section.string() in wanted:
            return True
    return False


def _names_certificate(certificate: Certificate, section: Wire) -> bool:
    authority = section.string()
    section.string()
    is_ours = authority in (b"", certificate.authority.blob)
    while section.left:
        kind, part = section.take(1)[0], Wire(section.string())
        if _names_serial(kind, part, certificate) and is_ours:
            return True
    return False


def _names_serial(kind: int, part: Wire, certificate: Certificate) -> bool:
    def serial() -> int:
        return int.from_bytes(part.take(8), "big")

    found = False
    match kind:
        case _Part.SERIALS:
            while part.left:
                found |= serial() == certificate.serial != 0
        case _Part.RANGE:
            found = serial() <= certificate.serial <= serial() and certificate.serial != 0
        case _Part.BITMAP:
            offset, bits = serial(), int.from_bytes(part.string(), "big")
            at = certificate.serial - offset
            found = at >= 0 and certificate.serial != 0 and at < bits.bit_length() and bool(bits >> at & 1)
        case _Part.IDS:
            while part.left:
                found |= part.string().decode("utf-8", "backslashreplace") == certificate.id
        case _:
            raise ValueError(f"a certificate section of the unknown kind {kind}")
    return found
