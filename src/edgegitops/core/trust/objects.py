"""Law: raw bytes of commits, trees and tags are read by our own strict parsers; whatever is odd is refused.

Commit: `tree`, `parent`*, `author`, `committer`, then only `gpgsig` (at most once) and `mergetag`, a blank line, the
message. Every other header is refused by name, `encoding` and `gpgsig-sha256` too. No NUL byte anywhere, and no block
that looks like a signature in the message: lenient readers take those for the commit's own. A `mergetag` (what
`git merge <signed tag>` writes) is part of the signed payload and never interpreted: the merge signer answers for it.

Tree: entries in Git's order, no name twice (not even as a file and a folder), no `.`, `..`, `.git`, no empty name, no
slash, modes that Git knows. These are rules of structure, valid everywhere in a repository; what manifest folders
allow beyond them is `listing`'s law. Names that are not UTF-8 are shown with backslash escapes.

Tag: `object`, `type`, `tag`, `tagger`, a blank line, the message, and at most one SSH signature that ends the object.

The payload of a commit or tag is its bytes without the signature: exactly what was signed. All ids are SHA-1 (40 hex).
The parsers take bytes, never raise on any, and know nothing of keys.
"""

import re
from dataclasses import dataclass
from itertools import islice
from operator import lt
from typing import NamedTuple, TypeAlias

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused

MODE_TREE = "40000"
OID = re.compile(r"[0-9a-f]{40}")
MODES_FILE = frozenset({"100644", "100755"})
MODES = MODES_FILE | {MODE_TREE, "100664", "120000", "160000"}

Row: TypeAlias = tuple[bytes, bytes, bytes]
"""Mode, name and id (20 bytes) of a tree entry, as they are stored."""

_MODES_RAW = frozenset(mode.encode() for mode in MODES)
_NAMES_REFUSED = frozenset({b".", b"..", b".git"})

_IDENT = rb"[^<>\n\r]*<[^<>\n\r]*> [0-9]{1,20} [+-][0-9]{4}"
_COMMIT = re.compile(
    rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n)*)author (" + _IDENT + rb")\ncommitter (" + _IDENT + rb")\n"
)
_TAG = re.compile(rb"object ([0-9a-f]{40})\ntype (commit|tree|blob|tag)\ntag ([^\n\r]+)\ntagger (" + _IDENT + rb")\n\n")
_HEADER = re.compile(rb"([!-~]+) ([^\n]*\n(?: [^\n]*\n)*)")
_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0/]+)\0(.{20})", re.DOTALL)
_LOOKS_SIGNED = re.compile(
    rb"^(?:gpgsig[!-~]* )?-----BEGIN (?:SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----", re.MULTILINE
)
_SSH_BEGIN = re.compile(rb"^-----BEGIN SSH SIGNATURE-----$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. `signature` is the armor without the header's indentation; `payload` all bytes but the signature."""

    tree: str
    parents: tuple[str, ...]
    author: bytes
    committer: bytes
    signature: bytes | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class Tag:
    """An annotated tag: which object (`kind`: commit, tree, blob, tag) it names, and how it is called itself."""

    object: str
    kind: str
    name: str
    tagger: bytes
    signature: bytes | None
    payload: bytes


class TreeEntry(NamedTuple):
    """One entry of a tree."""

    mode: str
    name: str
    oid: str


def parse_commit(data: bytes) -> Commit | Refused:
    """The commit that these bytes are."""
    if b"\0" in data:
        return _refused("commit", "a NUL byte")
    head = _COMMIT.match(data)
    end = data.find(b"\n\n") + 1
    if head is None or end < head.end():
        return _refused("commit", "its headers are not tree, parents, author, committer, in this order and form")
    if _LOOKS_SIGNED.search(data, end + 1):
        return _refused("commit", "a block in the message that looks like a signature")
    spans = _signature_spans(data, head.end(), end)
    if isinstance(spans, Refused):
        return spans
    start, stop = spans
    return Commit(
        tree=head[1].decode(),
        parents=tuple(line[7:].decode() for line in head[2].splitlines()),
        author=head[3],
        committer=head[4],
        signature=data[start + 7 : stop].replace(b"\n ", b"\n") if stop else None,
        payload=data[:start] + data[stop:] if stop else data,
    )


def _signature_spans(data: bytes, at: int, end: int) -> tuple[int, int] | Refused:
    """Where the gpgsig header starts and stops within data[at:end]; (0, 0) where there is none."""
    found = (0, 0)
    while at < end:
        header = _HEADER.match(data, at, end)
        if header is None:
            return _refused("commit", "a header line of no known form")
        if header[1] == b"gpgsig":
            if found != (0, 0):
                return _refused("commit", "more than one gpgsig header")
            found = header.span()
        elif header[1] != b"mergetag":
            return _refused("commit", f"a header {_shown(header[1])}, only gpgsig and mergetag are allowed here")
        at = header.end()
    return found


def first_parent(data: bytes) -> str | None:
    """The first parent of a commit that may be malformed otherwise; None where it has none.

    For finding the way back only: what it names is judged for itself, and a malformed commit is refused in its turn.
    """
    found = re.match(rb"tree [0-9a-f]{40}\nparent ([0-9a-f]{40})\n", data)
    return found[1].decode() if found else None


def parse_tree(data: bytes) -> tuple[TreeEntry, ...] | Refused:
    """The entries of the tree that these bytes are, in Git's order."""
    rows = parse_rows(data)
    return rows if isinstance(rows, Refused) else tuple(map(entry_of, rows))


def parse_rows(data: bytes) -> tuple[Row, ...] | Refused:
    """`parse_tree` in raw bytes, for who compares thousands of entries and looks at few (`entry_of`)."""
    rows = tuple(_ENTRY.findall(data))
    modes, names = [row[0] for row in rows], [row[1] for row in rows]
    # findall skips what does not match; where nothing was skipped the lengths add up (2 separators, 20 id bytes)
    if sum(map(len, modes)) + sum(map(len, names)) + 22 * len(rows) != len(data):
        return _refused("tree", "bytes that are no entry")
    if not _MODES_RAW.issuperset(modes):
        mode, name, _ = next(row for row in rows if row[0] not in _MODES_RAW)
        return _refused("tree", f"the entry {_shown(name)} with mode {mode.decode()}")
    keys = [name + b"/" if mode == b"40000" else name for mode, name, _ in rows]
    if not all(map(lt, keys, islice(keys, 1, None))):
        at = next(at for at in range(1, len(keys)) if keys[at] <= keys[at - 1])
        return _refused("tree", f"the entry {_shown(names[at])} out of order or twice")
    if len(set(names)) != len(names):
        return _refused("tree", "a name that is a file and a folder")
    odd = [name for name in names if name.lower() in _NAMES_REFUSED] if b" ." in data else []
    if odd:
        return _refused("tree", f"an entry named {_shown(odd[0])}")
    return rows


def entry_of(row: Row) -> TreeEntry:
    """The entry of a raw row."""
    mode, name, oid = row
    return TreeEntry(mode.decode(), name.decode("utf-8", "backslashreplace"), oid.hex())


def parse_tag(data: bytes) -> Tag | Refused:
    """The annotated tag that these bytes are."""
    if b"\0" in data:
        return _refused("tag", "a NUL byte")
    head = _TAG.match(data)
    if head is None:
        return _refused("tag", "its headers are not object, type, tag, tagger, and nothing else")
    marks = list(_LOOKS_SIGNED.finditer(data, head.end()))
    if len(marks) > 1 or (marks and not _SSH_BEGIN.match(data, marks[0].start())):
        return _refused("tag", "more than one signature, or one that is no SSH signature")
    cut = marks[0].start() if marks else len(data)
    try:
        name = head[3].decode()
    except UnicodeDecodeError:
        return _refused("tag", "a name that is not UTF-8")
    return Tag(
        object=head[1].decode(),
        kind=head[2].decode(),
        name=name,
        tagger=head[4],
        signature=data[cut:] or None,
        payload=data[:cut],
    )


def _refused(kind: str, what: str) -> Refused:
    return Refused(kind, Doubt.MALFORMED_OBJECT, f"the {kind} has {what}" if what[:4] != "its " else f"{kind}: {what}")


def _shown(name: bytes) -> str:
    """Bytes of a stranger, short and printable."""
    return ascii(name[:80].decode("utf-8", "backslashreplace"))
