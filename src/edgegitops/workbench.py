"""Joins adapters to what people do in a clone of the fleet repository; it decides nothing.

The node's own joints are in `bootstrap`. As there, every import of an adapter is inside the function that needs it.
A question that needs a valid revision and finds none is answered with InvalidDocumentError and its first fault.
"""

from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops.bootstrap import load_schemas
from edgegitops.core.model.manifests import Faults
from edgegitops.errors import InvalidDocumentError

if TYPE_CHECKING:
    from edgegitops.adapters.repository_clone import Clone, Commit
    from edgegitops.core.plan.look import Revision, View
    from edgegitops.core.plan.plan import Plan

WORKING_TREE = "the working directory"
_MOST_BAD_BASES = 50


def view_directory(path: Path) -> "View":
    """The fleet repository in a directory, as it stands there. DeniedError where it cannot be read."""
    return _seen(_directory(path), path, {})


def plan_directory(path: Path, revisions: str, *, site: str, node: str) -> "Plan":
    """What changes between two revisions of the clone at `path`; `revisions` as git writes them, or empty."""
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.core.plan.plan import plan

    clone = Clone(path)
    memo: dict[str, object] = {}
    base, commit = clone.ends(revisions) if revisions else (None, None)
    head = _revision(clone, commit) if commit else _directory(path)
    after = _seen(head, path, memo)
    if not revisions:
        base = _usual_base(clone, after)
    return plan(_newest_valid(clone, base, memo), after, site=site, node=node)


def _directory(path: Path) -> "Revision":
    from edgegitops.adapters.objects_directory import DirectoryObjects
    from edgegitops.core.documents.yaml_reader import MAX_SIZE
    from edgegitops.core.plan.look import Revision
    from edgegitops.core.trust.rules import MANIFEST_FILES, MANIFEST_FOLDERS

    objects = DirectoryObjects(path, MANIFEST_FILES | MANIFEST_FOLDERS, largest=MAX_SIZE)
    return Revision(WORKING_TREE, objects.tree, objects)


def _revision(clone: "Clone", commit: "Commit") -> "Revision":
    from edgegitops.adapters.repository_pygit2 import MirrorObjects
    from edgegitops.core.plan.look import Revision

    return Revision(commit.name, commit.tree, MirrorObjects(lambda: clone.odb, str(clone.path)))


def _seen(revision: "Revision", path: Path, memo: MutableMapping[str, object]) -> "View":
    from edgegitops.core.plan.look import look

    view = look(revision, load_schemas(), memo)
    if isinstance(view, Faults):
        first = view.faults[0]
        at = f":{first.position.line}:{first.position.column}" if first.position else ""
        count = f"{len(view.faults)} fault" + ("s, the first" if len(view.faults) > 1 else "")
        told = f"{count}: {first.file}{at}: {first.code}: {first.message}"
        raise InvalidDocumentError(f"{revision.name}: {told}; `edgegitops validate {path}` tells all")
    return view


def _usual_base(clone: "Clone", head: "View") -> "Commit | None":
    """Where this branch left main; where nothing has changed since, the commit before, so that there is a story."""
    from edgegitops.core.trust.listing import list_manifests

    base = clone.usual_base()
    if base is None:
        return None
    here = _revision(clone, base)
    return clone.parent(base) if list_manifests(here.objects, here.tree) == head.files else base


def _newest_valid(clone: "Clone", base: "Commit | None", memo: MutableMapping[str, object]) -> "View | None":
    """The base, or the newest valid revision before it: that is what nodes keep while a revision is not valid."""
    from edgegitops.core.plan.look import look

    for _ in range(_MOST_BAD_BASES):
        if base is None:
            return None
        view = look(_revision(clone, base), load_schemas(), memo)
        if not isinstance(view, Faults):
            return view
        base = clone.parent(base)
    return None
