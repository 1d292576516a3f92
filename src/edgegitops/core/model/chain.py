"""Law: each record of the journal names the hash of the one before it, so that none can be changed, put in or taken
out of the middle unseen.

hash = hex SHA-256 of the RFC 8785 bytes of `{"at", "body", "kind", "previous", "seq"}`; the first record's `previous`
is GENESIS. The body is kept as its canonical text: what is hashed is what is stored, byte for byte. What a journal
cannot store as Unicode (half a surrogate pair from a hostile error message) is written as its escape, never refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edgegitops.core.model.canonical import canonical_json
from edgegitops.core.model.codec import Tree, from_tree, to_tree
from edgegitops.core.model.events import Entry, Event, read_event, write_event

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Link:
    """One record as it is stored: `at` RFC 3339 in UTC, `body` canonical JSON, the hashes 64 hex characters."""

    seq: int
    at: str
    kind: str
    body: str
    previous: str
    hash: str


def forge(event: Event, at: datetime, *, seq: int, previous: str) -> Link:
    """The record of an event after the one with hash `previous`; ValueError where its numbers have no JSON form."""
    kind, tree = write_event(event)
    body = _canonical_text(tree)
    stamp = to_tree(at)
    return Link(seq, stamp, kind, body, previous, _hash(seq, stamp, kind, body, previous))


def is_whole(link: Link, previous: str) -> bool:
    """The record follows the one with hash `previous`, and nothing in it was changed."""
    return link.previous == previous and link.hash == _hash(link.seq, link.at, link.kind, link.body, previous)


def read_entry(link: Link) -> Entry:
    """The entry that the record holds; ValueError where this version cannot read it."""
    event = read_event(link.kind, json.loads(link.body))
    return Entry(link.seq, from_tree(datetime, link.at), event, link.previous, link.hash)


def _hash(seq: int, at: str, kind: str, body: str, previous: str) -> str:
    head = json.dumps(at, ensure_ascii=False)
    tail = f'"kind":{json.dumps(kind, ensure_ascii=False)},"previous":"{previous}","seq":{seq}'
    text = f'{{"at":{head},"body":{body},{tail}}}'
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical_text(tree: Tree) -> str:
    try:
        return canonical_json(tree).decode()
    except ValueError:  # half a surrogate pair; what is wrong with a number is raised again
        return canonical_json(_escaped(tree)).decode()


def _escaped(tree: Tree) -> Tree:
    if isinstance(tree, str):
        return tree.encode("utf-8", "backslashreplace").decode()
    if isinstance(tree, list):
        return [_escaped(item) for item in tree]
    if isinstance(tree, Mapping):
        return {_escaped(key): _escaped(item) for key, item in tree.items()}
    return tree
