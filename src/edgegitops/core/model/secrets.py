"""Law: a secret is some bytes under a name and a version, and is bound to both where it is encrypted.

1. What is encrypted says its own name and version first, so that one file put in the place of another is found out.
2. A template that was worked out as far as it may leave a node's memory has marks where secrets belong; only a text
   without NUL becomes one, so nobody but this file makes a mark.
3. A key of a secret is one of its lines `KEY=value`. As a text (a variable, a part of a template) a secret loses one
   line end at its end, because files have one and passwords do not.
4. No message of an error holds a part of the secret.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

FILE_NAME = re.compile(r"(?P<name>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.(?P<version>[1-9][0-9]{0,8})\.age\Z")
LARGEST = 512 * 1024
"""Bytes of one secret; Podman takes no more either."""

_MAGIC = b"edgegitops-secret/v1\n"
_MARK = re.compile("\0(text|json):([a-z0-9-]+):([^\0]*)\0")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret at a version, or the value of one of its keys (`key` empty: the whole)."""

    name: str
    version: int
    key: str = ""

    @property
    def file(self) -> str:
        """What the files of this version are called, without their ending: `db.2`."""
        return f"{self.name}.{self.version}"


def bind(name: str, version: int, body: bytes) -> bytes:
    """What is encrypted of a secret. ValueError: it is too large."""
    if len(body) > LARGEST:
        raise ValueError(f"a secret has at most {LARGEST} bytes; this one has {len(body)}")
    return _MAGIC + f"name: {name}\nversion: {version}\n\n".encode() + body


def unbind(file: str, plain: bytes) -> bytes:
    """The body of what was decrypted as `file` (`db.2`). ValueError: it is no secret of ours, or another one."""
    head, mark, body = plain.partition(b"\n\n")
    if not mark or not plain.startswith(_MAGIC):
        raise ValueError("what is encrypted there was not written by edgegitops secret encrypt")
    name, _, version = file.rpartition(".")
    if head + b"\n\n" != bind(name, int(version), b""):
        raise ValueError("what is encrypted there says that it is another secret or version")
    return body


def text_of(body: bytes, key: str = "") -> str:
    """The secret as a text, or the value of its key. ValueError: it is no text, or has no such key."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8 text; mount it whole") from None
    if "\0" in text:
        raise ValueError("it holds a NUL; mount it whole")
    if not key:
        return text.removesuffix("\n").removesuffix("\r")
    pairs, _ = read_pairs(text)
    if key not in pairs:
        raise ValueError(f"it has no line {key}=…")
    return pairs[key]


def bytes_of(body: bytes, key: str = "") -> bytes:
    """What a file shows: the whole as it is, or the value of a key. ValueError as of `text_of`."""
    return text_of(body, key).encode() if key else body


def read_pairs(text: str) -> tuple[dict[str, str], tuple[int, ...]]:
    """Lines `KEY=value` by key, and the numbers of lines that are none. All after the first `=` is the value as it
    stands; empty lines and lines that begin with `#` are left out.
    """
    pairs: dict[str, str] = {}
    bad = []
    for number, line in enumerate(text.splitlines(), start=1):
        key, mark, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if mark and key.strip():
            pairs[key.strip()] = value
        else:
            bad.append(number)
    return pairs, tuple(bad)


def mark_of(name: str, key: str, *, is_json: bool = False) -> str:
    """What stands in a template where a secret belongs."""
    return f"\0{'json' if is_json else 'text'}:{name}:{key}\0"


def has_other_nul(text: str) -> bool:
    """Whether a text has a NUL that belongs to no mark: then nobody knows which marks are ours."""
    return "\0" in _MARK.sub("", text)


def fill(template: bytes, versions: Mapping[str, int], find: Callable[[SecretRef], bytes]) -> bytes:
    """A template with its secrets; `find` answers the body of one. ValueError as of `text_of`."""

    def value(match: re.Match[str]) -> str:
        how, name, key = match.groups()
        text = text_of(find(SecretRef(name, versions[name])), key)
        return json.dumps(text) if how == "json" else text

    return _MARK.sub(value, template.decode()).encode()
