"""A person's clone of the fleet repository: names of revisions become trees. Nothing is ever checked out or written.

`BASE..HEAD` compares two revisions, `BASE...HEAD` begins where HEAD left BASE; a single name is the base, and what
stands in the working directory is the new side. Without names the base is where this branch left its origin's main
branch.

DeniedError: no clone, or no such revision. What is asked of it is decided elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from edgegitops.errors import DeniedError

_PORT = "clone"
_MAIN = ("refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master")
_RANGE = re.compile(r"(?P<base>[^.].*?)?(?P<dots>\.{2,3})(?P<head>.*)\Z")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the clone; `name` is how the person called it, with the abbreviated id.

    `tree` is the fleet's; empty where the commit does not have its folder.
    """

    id: str
    tree: str
    name: str
    parent: str = ""


class Clone:
    """The Git repository in whose working directory `path` lies: its top, or the folder of the fleet in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        pygit2.settings.owner_validation = False  # objects are read, nothing of the clone is run
        found = pygit2.discover_repository(str(path.resolve()))
        if found is None:
            hint = "give a folder of a clone of the fleet repository"
            raise DeniedError(_PORT, f"open {path}", f"no Git repository is there; {hint}")
        self._repo = pygit2.Repository(found)
        top = self._repo.workdir
        inside = path.resolve().relative_to(Path(top).resolve()) if top else Path()
        self._folder = "" if inside == Path() else inside.as_posix()

    @property
    def store(self) -> Path:
        """The folder of the repository itself (`.git`)."""
        return Path(self._repo.path)

    @property
    def odb(self) -> pygit2.Odb:
        """The object store."""
        return self._repo.odb

    def commit(self, name: str) -> Commit:
        """The commit that a name or id means. DeniedError: there is none here."""
        try:
            commit = self._repo.revparse_single(name).peel(pygit2.Commit)
        except (pygit2.GitError, KeyError, ValueError) as error:
            hint = "fetch it, or deepen a shallow clone (git fetch --unshallow)"
            raise DeniedError(_PORT, f"find {name}", f"no such revision in {self.path}; {hint}") from error
        return self._told(commit, name)

    def ends(self, revisions: str) -> tuple[Commit, Commit | None]:
        """Base and head of a range; the head is None where the working directory is meant."""
        match = _RANGE.match(revisions)
        if match is None:
            return self.commit(revisions), None
        base, head = self.commit(match["base"] or "HEAD"), self.commit(match["head"] or "HEAD")
        if match["dots"] == "...":
            base = self._merge_base(base, head) or base
        return base, head

    def usual_base(self) -> Commit | None:
        """Where this branch left its origin's main branch, else HEAD; None before the first commit."""
        if self._repo.head_is_unborn:
            return None
        head = self.commit("HEAD")
        known = (self.commit(name) for name in _MAIN if name in self._repo.references)
        return next((base for main in known if (base := self._merge_base(main, head))), head)

    def newest(self) -> Commit:
        """What everybody has: the tip of its origin's main branch as it was fetched last, else HEAD."""
        known = (name for name in _MAIN if name in self._repo.references)
        return self.commit(next(known, "HEAD"))

    def refs(self, prefix: str) -> dict[str, str]:
        """The objects that refs below a prefix name, tags unpeeled."""
        names = (name for name in self._repo.references if name.startswith(prefix))
        return {name: str(self._repo.references[name].resolve().target) for name in sorted(names)}

    def loose_tags(self) -> Iterator[str]:
        """The ids of all tag objects that are here, named by a ref or not."""
        odb = self._repo.odb
        yield from (str(oid) for oid in odb if odb.read_header(oid)[0] == ObjectType.TAG)

    def parent(self, commit: Commit) -> Commit | None:
        """The first parent; None where there is none."""
        return self.commit(commit.parent) if commit.parent else None

    def way(self, base: Commit, head: Commit) -> list[Commit]:
        """The commits after base up to head by first parents, oldest first; none where head does not come from base."""
        found: list[Commit] = []
        commit: Commit | None = head
        while commit is not None and commit.id != base.id:
            found.append(commit)
            commit = self.parent(commit)
        return found[::-1] if commit is not None else []

    def _merge_base(self, one: Commit, other: Commit) -> Commit | None:
        found = self._repo.merge_base(pygit2.Oid(hex=one.id), pygit2.Oid(hex=other.id))
        return self._told(self._repo[found].peel(pygit2.Commit), str(found)) if found else None

    def _told(self, commit: pygit2.Commit, name: str) -> Commit:
        short = str(commit.id)[:12]
        shown = short if str(commit.id).startswith(name) else f"{name} ({short})"
        parent = str(commit.parent_ids[0]) if commit.parent_ids else ""
        return Commit(str(commit.id), self._tree(commit), shown, parent)

    def _tree(self, commit: pygit2.Commit) -> str:
        if not self._folder:
            return str(commit.tree_id)
        try:
            found = commit.tree[self._folder]
        except KeyError:
            return ""
        return str(found.id) if isinstance(found, pygit2.Tree) else ""
