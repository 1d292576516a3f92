"""Law: what was worked out from bytes that have not changed since need not be worked out again by the next worker.

1. A note is a hint about nothing but work that was done: the key under which it stands is a digest of all that went
   into it, with the version of the program. Another key, and it is no note.
2. A note that is missing, cut short or changed is no note either: it carries a digest of itself. Losing one costs a
   worker a moment.
3. It is written beside and renamed. It is not waited for: after a power cut rule 2 decides.

What was verified stays verified, because only what was believed and valid is noted, and in a folder of root's own.
"""

import base64
import contextlib
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

from edgegitops import __version__
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.facts import Desired

T = TypeVar("T")
LARGEST_CONTENTS: Final = 1024 * 1024


def key_of(*parts: object) -> str:
    """The key of what comes of these values (JSON trees) and of this version of the program."""
    return sha256_hex(json.dumps([__version__, *parts], sort_keys=True).encode())


class NotesDirectory:
    """Notes by name in a folder. One process writes at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, kind: type[T], name: str, key: str) -> T | None:
        """The value that was noted under this name and key; None where there is no such note."""
        try:
            head, _, body = (self._folder / name).read_bytes().partition(b"\n")
            if head.decode() != f"{key} {sha256_hex(body)}":
                return None
            return from_tree(kind, json.loads(body))
        except (OSError, ValueError, RecursionError):
            return None

    def keep(self, name: str, key: str, value: object) -> None:
        """Note it in place of what the name had; what hinders that costs the next worker a moment, no more."""
        body = json.dumps(to_tree(value)).encode()
        beside = self._folder / f".{name}.new"
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "wb") as file:
                file.write(f"{key} {sha256_hex(body)}\n".encode() + body)
            beside.replace(self._folder / name)


@dataclass(frozen=True, slots=True)
class _Noted:
    """JSON has no bytes, so the files stand beside."""

    desired: Desired
    contents: Mapping[str, str]
    secrets: Mapping[str, str]


class ManifestNotes(MutableMapping[str, object]):
    """`ports.ManifestNotes` in a folder: what manifest files say, by blob id and path, where it is a text; all else is
    forgotten with the process. What this process did not ask for is not noted again.
    """

    def __init__(self, notes: NotesDirectory, *parts: object) -> None:
        self._notes = notes
        self._parts = parts
        self._asked: set[str] = set()
        self._is_news = False

    @property
    def known(self) -> MutableMapping[str, object]:
        """Itself."""
        return self

    @cached_property
    def _key(self) -> str:
        return key_of(*self._parts)

    @cached_property
    def _known(self) -> dict[str, object]:
        return dict(self._notes.recall(dict[str, str], "manifests", self._key) or {})

    def __getitem__(self, place: str) -> object:
        found = self._known[place]
        self._asked.add(place)
        return found

    def __setitem__(self, place: str, said: object) -> None:
        self._is_news = self._is_news or isinstance(said, str)
        self._asked.add(place)
        self._known[place] = said

    def __delitem__(self, place: str) -> None:
        del self._known[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def keep(self) -> None:
        """Note what was asked for, if there is news."""
        if self._is_news:
            asked = {place: self._known[place] for place in self._asked}
            self._notes.keep(
                "manifests", self._key, {place: said for place, said in asked.items() if type(said) is str}
            )
            self._is_news = False


class DesiredNotes:
    """`ports.DesiredNotes` in a folder: the desired state for one node with one policy."""

    def __init__(self, notes: NotesDirectory, *parts: object) -> None:
        self._notes = notes
        self._parts = parts

    def recall(self, revision: str) -> Desired | None:
        """The desired state that this revision made, with all that it needs; None where it is not noted."""
        noted = self._notes.recall(_Noted, "desired", key_of(revision, *self._parts))
        if noted is None:
            return None
        contents = {name: base64.b64decode(text) for name, text in noted.contents.items()}
        secrets = {name: base64.b64decode(text) for name, text in noted.secrets.items()}
        return replace(noted.desired, contents=contents, secrets=secrets)

    def keep(self, desired: Desired) -> None:
        """Note it, where its files are not too large to be read each time."""
        if sum(map(len, desired.contents.values())) > LARGEST_CONTENTS:
            return
        contents = {name: base64.b64encode(data).decode() for name, data in desired.contents.items()}
        secrets = {name: base64.b64encode(data).decode() for name, data in desired.secrets.items()}
        noted = _Noted(replace(desired, contents={}, secrets={}), contents, secrets)
        self._notes.keep("desired", key_of(desired.revision, *self._parts), noted)
