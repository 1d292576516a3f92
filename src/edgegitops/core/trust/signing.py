"""Law: what a node says itself is signed as ssh-keygen would sign it: SSHSIG with SHA-512, by an Ed25519 key.

The key's bytes are handed in and never kept; no message of an error shows them.
"""

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from edgegitops.core.trust.keys import ED25519
from edgegitops.core.trust.sshsig import MAGIC
from edgegitops.core.trust.wire import string

_WIDTH = 70
_HASH = b"sha512"


def sign(message: bytes, private: bytes, namespace: str) -> bytes:
    """The armored signature of a message. ValueError: the bytes are no OpenSSH Ed25519 key without passphrase."""
    key = _loaded(private)
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    tail = string(namespace.encode()) + string(b"") + string(_HASH)
    signature = key.sign(MAGIC + tail + string(hashlib.sha512(message).digest()))
    blob = string(ED25519.encode()) + string(raw)
    whole = MAGIC + (1).to_bytes(4, "big") + string(blob) + tail + string(string(ED25519.encode()) + string(signature))
    text = base64.b64encode(whole).decode()
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def public_line(private: bytes) -> str:
    """The OpenSSH line of the public half. ValueError as above."""
    return _loaded(private).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _loaded(private: bytes) -> Ed25519PrivateKey:
    try:
        key = load_ssh_private_key(private, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it is no OpenSSH private key without passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is no Ed25519 key")  # noqa: TRY004 - the value of a file, not a type of ours
    return key
