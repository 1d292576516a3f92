"""Law: equal trees have equal bytes, on every node and in every version: RFC 8785 JSON, hashed with SHA-256.

The one door to the library `rfc8785`. Trees of which the JSON encoder of Python makes the same, nearly all, are left to
that, which is faster: keys of ASCII sort alike by code point and by UTF-16, whole numbers are digits, and a fraction
between 1e-4 and 1e15 has its shortest digits and no exponent in both (RFC 8785, sections 3.2.2 and 3.2.3).
"""

import hashlib
import json
from collections.abc import Iterable

import rfc8785

from edgegitops.core.model.codec import Tree

_LARGEST = 2**53 - 1
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def canonical_json(tree: Tree) -> bytes:
    """RFC 8785 bytes of a JSON tree; ValueError where RFC 8785 has no form (NaN, integers beyond 2**53 - 1)."""
    return _encode(tree).encode() if _is_plain(tree) else rfc8785.dumps(tree)


def digest(tree: Tree) -> str:
    """Hex SHA-256 of the canonical bytes: 64 characters."""
    return hashlib.sha256(canonical_json(tree)).hexdigest()


def sha256_hex(data: bytes) -> str:
    """Hex SHA-256 of raw bytes: 64 characters."""
    return hashlib.sha256(data).hexdigest()


def _is_plain(tree: Tree) -> bool:
    """Whether both encoders say the same of a tree; it is looked at level by level, so that no depth is too deep."""
    waiting: list[Iterable[Tree]] = [[tree]]
    while waiting:
        for item in waiting.pop():
            kind = type(item)
            if kind is str or item is None or kind is bool:
                continue
            if kind is dict:
                if not _has_plain_keys(item):
                    return False
                waiting.append(item.values())
            elif kind is list:
                waiting.append(item)
            elif not _is_plain_number(item, kind):
                return False
    return True


def _has_plain_keys(tree: dict[str, Tree]) -> bool:
    try:
        return "".join(tree).isascii()
    except TypeError:
        return False


def _is_plain_number(number: Tree, kind: type) -> bool:
    if kind is int:
        return bool(-_LARGEST <= number <= _LARGEST)
    is_plain = kind is float and 1e-4 <= abs(number) < 1e15  # noqa: PLR2004 - see the law
    return is_plain and not number.is_integer()
