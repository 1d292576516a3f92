"""The reports child: reports of nodes come from a repository that nobody trusts, or the own one goes there.

Run as `python -m edgegitops.adapters.repository_reports_child`: an errand (errand_process), spoken as repository_remote
does. A report is one commit without parents, whose tree has one plain file `report`, at `refs/edgegitops/reports/
<site>/<node>`.

1. `collect`: the server is asked what it shows. Only refs of the nodes asked for, whose commits are not in the mirror,
   are fetched, each by its name; no history is negotiated. Very many come in pieces, and when the time is over, what
   has come is kept: the next collection goes on from there.
2. What arrived is judged ref by ref, and what has not that form is as if it were not there. A transfer that fails, as
   one does that carries too much, is tried again in halves: one node's bad ref spoils no other's. Bytes are capped by
   the number of refs that are asked for. What lies on this machine is not fetched at all: libgit2 would copy every ref.
3. What is good and new goes into a pack beside those of the mirror. When these are many, or hold more bytes beside the
   largest than it has, or one is damaged, all that is good goes into one, with what the mirror has and shall keep, and
   that one takes the place of all. What there is and could not be had is said to be lost: nobody knows what it says.
4. `publish`: the commit is made in the quarantine and put in place of the node's last one.

The mirror is only read here. Promotion is the parent's, which has not spoken to the server.
"""

import base64
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pygit2
from pygit2.enums import FileMode, ObjectType

from edgegitops.adapters.errand_process import serve
from edgegitops.adapters.repository_remote import FetchError, answered, fetch, list_refs, prepare, push, tune

REPORTS = "refs/edgegitops/reports/"
FILE = "report"
LARGEST = 256 * 1024  # core.trust.reports says it too; this process does not load the core
LARGEST_COMMIT = 4096
BYTES_AT_LEAST = 1024 * 1024
TRIES = 200
TOGETHER = 500
"""Refs of one transfer: libgit2 compares each name with each that the server shows."""
OTHERS = 2_000
MOST_PACKS = 20
FEW_BYTES = 1024 * 1024
"""So much beside the largest pack is never too much."""
TREE = re.compile(rb"100644 report\0.{20}", re.DOTALL)
COMMIT = re.compile(rb"tree ([0-9a-f]{40})\n(?!parent )")
Raw = tuple[ObjectType, bytes]


class Collection:
    """One collection: what the server shows, and what of it is good."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.quarantine = Path(request["quarantine"])
        self.mirror = Path(request["mirror"])
        self.ends_at = time.monotonic() + request["limits"]["wall"] * 0.7
        self.good: dict[str, str] = {}
        self.lost: list[str] = []
        self.tries = 0

    def run(self) -> dict[str, Any]:
        """`good`: name to commit, of the nodes asked for, and `reports` their bytes; `others`: what else stays; `lost`:
        there is something that did not come; `is_new`: there are refs to promote, and `is_whole`: what the mirror had
        before goes. FetchError: the server cannot be asked.
        """
        listing = self._room("listing")
        shown = list_refs({**self.request, "quarantine": str(listing)}, REPORTS)
        shown = {name.removeprefix(REPORTS): oid for name, oid in shown.items()}
        self.clean = pygit2.Repository(str(self._room("clean")))
        noted: dict[str, str] = self.request["kept"]
        kept = {name: oid for name, oid in noted.items() if judged(self.clean.odb, pygit2.Oid(hex=oid))}
        asked = [name for name in self.request["names"] if name in shown]
        self.good = {name: shown[name] for name in asked if kept.get(name) == shown[name]}
        fresh = [name for name in asked if name not in self.good]
        place = local_path(self.request["url"])
        if place:
            self._take(pygit2.Repository(place), {name: shown[name] for name in fresh})
        for at in range(0, 0 if place else len(fresh), TOGETHER):
            self._bring(fresh[at : at + TOGETHER])
        others = [name for name in sorted(kept) if name not in self.request["names"]]
        stays = {name: kept[name] for name in others[:OTHERS]}
        is_new = {**stays, **self.good} != kept
        is_whole = kept != noted or is_piled_up(self.mirror)
        if is_new:
            known = frozenset() if is_whole else frozenset(kept.values())
            self._pack([oid for oid in (*stays.values(), *self.good.values()) if oid not in known])
        reports = {name: base64.b64encode(self._report(oid)).decode() for name, oid in self.good.items()}
        told = {"good": self.good, "reports": reports, "others": stays, "lost": self.lost}
        return {**told, "is_new": is_new, "is_whole": is_whole}

    def _report(self, commit: str) -> bytes:
        return judged(self.clean.odb, pygit2.Oid(hex=commit))[-1][1]

    def _room(self, name: str) -> Path:
        room = self.quarantine / name
        prepare(room, self.mirror, [])
        return room

    def _bring(self, names: list[str]) -> None:
        """Fetch and judge these, in halves where they do not come together."""
        if not names:
            return
        self.tries += 1
        if self.tries > TRIES or time.monotonic() > self.ends_at:
            self.lost += names
            return
        room = self._room(str(self.tries))
        limits = self.request["limits"]
        most = min(limits["bytes"], BYTES_AT_LEAST + len(names) * (LARGEST + LARGEST_COMMIT))
        request = {**self.request, "quarantine": str(room), "limits": {**limits, "bytes": most}}
        try:
            fetch(request, [f"+{REPORTS}{name}:{REPORTS}{name}" for name in names])
        except FetchError as error:
            if error.reason == "credential-denied":
                raise
            self._halve(names)
            return
        self._take_fetched(pygit2.Repository(str(room)), names)

    def _halve(self, names: list[str]) -> None:
        half = len(names) // 2
        if half:
            self._bring(names[:half])
            self._bring(names[half:])
        else:
            self.lost += names

    def _take_fetched(self, arrived: pygit2.Repository, names: list[str]) -> None:
        found = {name: arrived.references.get(f"{REPORTS}{name}") for name in names}
        self.lost += [name for name, reference in found.items() if reference is None]
        self._take(arrived, {name: str(one.target) for name, one in found.items() if one is not None})

    def _take(self, source: pygit2.Repository, commits: dict[str, str]) -> None:
        """What is good of it. A whole piece is packed from where it lies, as its objects would be thousands of
        files. Of less, good objects are copied, as each pack that lies open is a file more.
        """
        is_whole = len(commits) >= TOGETHER
        if is_whole:
            self.clean.odb.add_disk_alternate(str(Path(source.path, "objects")))
        for name, commit in commits.items():
            found = judged(source.odb, pygit2.Oid(hex=commit))
            if found and (is_whole or all(self.clean.odb.write(kind, data) for kind, data in found)):
                self.good[name] = commit

    def _pack(self, commits: list[str]) -> None:
        target = self.quarantine / "objects/pack"
        target.mkdir(parents=True)
        builder = pygit2.PackBuilder(self.clean)
        builder.set_threads(1)
        for oid in commits:
            tree = tree_of(self.clean.odb.read(pygit2.Oid(hex=oid))[1])
            for one in (pygit2.Oid(hex=oid), tree, pygit2.Oid(raw=self.clean.odb.read(tree)[1][-20:])):
                builder.add(one)
        if commits:
            builder.write(str(target))


def is_piled_up(mirror: Path) -> bool:
    """Many packs, or many bytes beside the largest: most of them are of reports that no ref names any more."""
    sizes = sorted(pack.stat().st_size for pack in (mirror / "objects/pack").glob("*.pack"))
    return len(sizes) >= MOST_PACKS or sum(sizes[:-1]) > max(sizes[-1:], default=0) + FEW_BYTES


def local_path(url: str) -> str:
    """Where a repository lies on this machine; empty: elsewhere."""
    return unquote(url.removeprefix("file://")) if url.startswith(("/", "file:///")) else ""


def judged(odb: pygit2.Odb, commit: pygit2.Oid) -> list[Raw]:
    """The three objects of a report; none where this is no report. Sizes are asked before bytes are read."""
    try:
        if not is_at_most(odb, commit, ObjectType.COMMIT, LARGEST_COMMIT):
            return []
        said = odb.read(commit)[1]
        if not COMMIT.match(said):
            return []
        tree = tree_of(said)
        if not is_at_most(odb, tree, ObjectType.TREE, len(FILE) + 28):
            return []
        listed = odb.read(tree)[1]
        if not TREE.fullmatch(listed):
            return []
        blob = pygit2.Oid(raw=listed[-20:])
        if not is_at_most(odb, blob, ObjectType.BLOB, LARGEST):
            return []
        return [(ObjectType.COMMIT, said), (ObjectType.TREE, listed), (ObjectType.BLOB, odb.read(blob)[1])]
    except (KeyError, ValueError, pygit2.GitError):
        return []


def is_at_most(odb: pygit2.Odb, oid: pygit2.Oid, kind: ObjectType, size: int) -> bool:
    """Whether an object is of this kind and of at most so many bytes."""
    return bool(odb.read_header(oid)[0] == kind and odb.read_header(oid)[1] <= size)


def tree_of(commit: bytes) -> pygit2.Oid:
    """The tree that a commit names in its first line."""
    return pygit2.Oid(hex=commit[5:45].decode("ascii"))


def publish(request: dict[str, Any]) -> dict[str, Any]:
    """Make the commit and push it. FetchError where the server does not take it."""
    tune(request)
    name = request["name"]
    quarantine = Path(request["quarantine"], "publish")
    prepare(quarantine, Path(request["mirror"]), [])
    repo = pygit2.Repository(str(quarantine))
    builder = repo.TreeBuilder()
    builder.insert(FILE, repo.create_blob(base64.b64decode(request["report"])), FileMode.BLOB)
    author = pygit2.Signature(name, f"{name.replace('/', '@')}.node")
    ref = f"{REPORTS}{name}"
    repo.create_commit(ref, author, author, f"report of {name}\n", builder.write(), [])
    push({**request, "quarantine": str(quarantine)}, ref)
    return {"is_done": True}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """The whole errand. FetchError where it fails."""
    return publish(request) if request["errand"] == "publish" else Collection(request).run()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What `run` says, or why it failed."""
    return answered(run, request)


if __name__ == "__main__":
    serve(answer)
