"""Law: what an OpenSSH certificate says, and whether its authority signed it (OpenSSH PROTOCOL.certkeys).

For the lenient profile alone: a node knows keys and no authorities. A certificate is read whole or refused; that it is
for users and valid at an instant is asked by `why_not`. Critical options are not looked at, as `ssh-keygen -Y verify`
does not: they limit logins, not signatures.
"""

import base64
from dataclasses import dataclass

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust import keys
from edgegitops.core.trust.wire import Wire, string

SUFFIX = "-cert-v01@openssh.com"
USER = 1
_PARTS = {keys.ED25519: 1, keys.SK_ED25519: 2, keys.RSA: 2, keys.P256: 2, keys.P384: 2, keys.P521: 2, keys.SK_P256: 3}
_KINDS = {kind.removesuffix("@openssh.com") + SUFFIX: kind for kind in _PARTS}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: whose key, by which authority, for which principals, and when (seconds since 1970)."""

    key: keys.PublicKey
    authority: keys.PublicKey
    serial: int
    purpose: int
    id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int

    def why_not(self, at: int) -> str:
        """Why it does not count at this instant; empty where it does."""
        if self.purpose != USER:
            return "Certificate invalid: not a user certificate"
        if at < self.valid_after:
            return "Certificate invalid: not yet valid"
        if at >= self.valid_before:
            return "Certificate invalid: expired"
        return "Certificate lacks principal list" if not self.principals else ""


@dataclass(frozen=True, slots=True)
class Signing:
    """Whose key a signature was made with: the key itself, and the certificate where it came in one."""

    key: keys.PublicKey
    blob: bytes
    certificate: Certificate | None = None

    @property
    def kind(self) -> str:
        """The type as it stands in a public key line."""
        return Wire(self.blob).string().decode()

    @property
    def line(self) -> str:
        """The public key line, without a comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"


def read_signing(blob: bytes) -> Signing | Refused:
    """The key, or the certificate, that these bytes are, in the lenient profile."""
    try:
        kind = Wire(blob).string().decode("ascii")
    except ValueError:
        return Refused("key", Doubt.MALFORMED_SIGNATURE, "the key is no SSH public key")
    if kind not in _KINDS:
        key = keys.read_key(blob, keys.LENIENT)
        return key if isinstance(key, Refused) else Signing(key, blob)
    try:
        found = _read(blob, _KINDS[kind])
    except ValueError as error:
        return Refused("key", Doubt.MALFORMED_SIGNATURE, f"the certificate is malformed: {error}")
    return found if isinstance(found, Refused) else Signing(found.key, blob, found)


def _read(blob: bytes, kind: str) -> Certificate | Refused:
    wire = Wire(blob)
    wire.string()
    wire.string()  # the nonce
    key = keys.read_key(
        string(kind.encode()) + b"".join(string(wire.string()) for _ in range(_PARTS[kind])), keys.LENIENT
    )
    serial, purpose, name = int.from_bytes(wire.take(8), "big"), wire.number(), wire.string()
    principals, after, before = wire.string(), wire.take(8), wire.take(8)
    _, _, reserved, authority = wire.string(), wire.string(), wire.string(), wire.string()
    signed = len(blob) - wire.left
    signature = wire.string()
    wire.end()
    del reserved
    issuer = keys.read_key(authority, keys.LENIENT)
    if isinstance(key, Refused):
        return key
    if isinstance(issuer, Refused):
        return issuer
    refused = keys.check(issuer, signature, blob[:signed], keys.LENIENT)
    if refused:
        return refused
    return Certificate(
        key=key,
        authority=issuer,
        serial=serial,
        purpose=purpose,
        id=name.decode("utf-8", "backslashreplace"),
        principals=_names(principals),
        valid_after=int.from_bytes(after, "big"),
        valid_before=int.from_bytes(before, "big"),
    )


def _names(data: bytes) -> tuple[str, ...]:
    wire, found = Wire(data), []
    while wire.left:
        found.append(wire.string().decode("utf-8", "backslashreplace"))
    return tuple(found)
