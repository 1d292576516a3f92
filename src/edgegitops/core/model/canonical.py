"""Law: equal trees have equal bytes, on every node and in every version: RFC 8785 JSON, hashed with SHA-256.

The one door to the library `rfc8785`.
"""

import hashlib

import rfc8785

from edgegitops.core.model.codec import Tree


def canonical_json(tree: Tree) -> bytes:
    """RFC 8785 bytes of a JSON tree; ValueError where RFC 8785 has no form (NaN, integers beyond 2**53 - 1)."""
    return rfc8785.dumps(tree)


def digest(tree: Tree) -> str:
    """Hex SHA-256 of the canonical bytes: 64 characters."""
    return hashlib.sha256(canonical_json(tree)).hexdigest()


def sha256_hex(data: bytes) -> str:
    """Hex SHA-256 of raw bytes: 64 characters."""
    return hashlib.sha256(data).hexdigest()
