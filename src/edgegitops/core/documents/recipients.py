"""Law: beside each age file stands, in the open, for whom it was encrypted; an age file does not say that itself.

1. `secrets/<name>.<version>.recipients` is a list that `age -R` takes: keys, one a line, each under a comment that says
   whose it is. Its first line has the SHA-256 of the age file, so the two cannot part unnoticed.
2. It is signed by the commit and ruled by the same path rule as the age file. It is a word of whoever encrypted, good
   enough to find a forgotten node before merge; whether a node really can read is found by the node.
3. An age file has one X25519 stanza a recipient, so their number is compared too.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgegitops.core.model.canonical import sha256_hex

RECIPIENT = re.compile(r"age1[0-9a-z]{20,200}\Z")
_NODE = "# node "
_WORDS = "# edgegitops/v1 recipients of {}, whose age file has the SHA-256 {}"
_HEAD = re.compile(_WORDS.format(r"(?P<file>\S+)", "(?P<sha256>[0-9a-f]+)"))
_BEGIN, _END = b"-----BEGIN AGE ENCRYPTED FILE-----", b"-----END AGE ENCRYPTED FILE-----"
_STANZA = b"\n-> X25519 "


@dataclass(frozen=True, slots=True)
class Recipients:
    """For whom an age file was encrypted: the keys of nodes by `site/node`, and keys of others (people)."""

    sha256: str
    nodes: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def keys(self) -> tuple[str, ...]:
        """Every key once, sorted."""
        return tuple(sorted({*self.nodes.values(), *self.others}))


def write_recipients(file: str, age: bytes, nodes: Mapping[str, str], others: tuple[str, ...]) -> str:
    """The list that stands beside the age file of `file` (`db.2`)."""
    lines = [_WORDS.format(file, sha256_hex(age))]
    for node, key in sorted(nodes.items()):
        lines += [f"{_NODE}{node}", key]
    for key in sorted(set(others)):
        lines += ["# a person", key]
    return "\n".join([*lines, ""])


def read_recipients(file: str, data: bytes) -> Recipients:
    """The list of the secret `file` (`db.2`). ValueError says what is wrong with it."""
    lines = data.decode("ascii", "replace").splitlines()
    head = _HEAD.fullmatch(lines[0]) if lines else None
    if head is None or head["file"] != file:
        raise ValueError(f"its first line does not say that it is the list of {file}")
    nodes: dict[str, str] = {}
    others: list[str] = []
    said = ""
    for line in filter(None, lines[1:]):
        if line.startswith("#"):
            said = line
        elif not RECIPIENT.match(line):
            raise ValueError(f"{line[:80]!r} is no age key")
        elif said.startswith(_NODE):
            nodes[said.removeprefix(_NODE)] = line
            said = ""
        else:
            others.append(line)
            said = ""
    return Recipients(head["sha256"], nodes, tuple(others))


def count_stanzas(age: bytes) -> int:
    """How many X25519 recipients an age file has, armored or not. ValueError: it is no age file."""
    if age.lstrip().startswith(_BEGIN):
        body = age.strip().removeprefix(_BEGIN).partition(_END)[0]
        try:
            age = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            raise ValueError("its armor is damaged") from None
    head, mark, _ = age.partition(b"\n--- ")
    if not mark or not head.startswith(b"age-encryption.org/v1\n"):
        raise ValueError("it is no age file")
    return head.count(_STANZA)
