"""Joins adapters to what people do in a clone of the fleet repository; it decides nothing.

The node's own joints are in `bootstrap`. As there, every import of an adapter is inside the function that needs it.
A question that needs a valid revision and finds none is answered with InvalidDocumentError and its first fault.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops.bootstrap import load_schemas
from edgegitops.core.model.manifests import Faults
from edgegitops.errors import InvalidDocumentError

if TYPE_CHECKING:
    from edgegitops.adapters.repository_clone import Clone, Commit
    from edgegitops.core.documents.pinning import Unpinned
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


def find_unpinned(path: Path) -> "dict[Unpinned, bytes]":
    """The images of the fleet repository at `path` that have no digest, each with the bytes of its file."""
    from edgegitops.core.documents.layout import lay_out
    from edgegitops.core.documents.pinning import Unpinned, unpinned_images
    from edgegitops.core.model.trust import Refused
    from edgegitops.core.trust.listing import list_manifests

    revision = _directory(path)
    files = list_manifests(revision.objects, revision.tree)
    if isinstance(files, Refused):
        raise InvalidDocumentError(f"{files.subject}: {files.doubt}: {files.detail}")
    found: dict[Unpinned, bytes] = {}
    for leaf in lay_out(files).leaves:
        raw = revision.objects.read(leaf.oid) if leaf.kind in {"Application", "Deployment"} else None
        for one in unpinned_images(raw.data, leaf.file) if raw else ():
            if not isinstance(one, Unpinned):
                raise InvalidDocumentError(f"{one.file}: {one.code}: {one.message}; `edgegitops validate` tells all")
            found[one] = raw.data if raw else b""
    return found


def resolve_images(images: Iterable[str], insecure: Collection[str], told: Callable[[str], None]) -> dict[str, str]:
    """Image -> digest, asked from their registries; `told` hears each image before it is asked for."""
    from edgegitops.adapters.image_registry import ImageRegistry

    registry = ImageRegistry(insecure)
    digests = {}
    for image in images:
        told(image)
        digests[image] = registry.digest(image)
    return digests


def write_pins(path: Path, found: "Mapping[Unpinned, bytes]", digests: Mapping[str, str]) -> None:
    """Write the digests behind the images. InvalidDocumentError: an image has to be pinned by hand; nothing written."""
    from edgegitops.adapters.yaml_edit import replace_file
    from edgegitops.core.documents.pinning import pinned

    spots: dict[str, list[Unpinned]] = {}
    for one in found:
        spots.setdefault(one.file, []).append(one)
    texts = {}
    for file, ours in spots.items():
        old = found[ours[0]]
        new = pinned(old, ours, digests)
        if not isinstance(new, bytes):
            at = f"{new.file}:{new.position.line}:{new.position.column}"
            raise InvalidDocumentError(f"{at}: write the image on one line: {new.image}@{digests[new.image]}")
        texts[file] = (old, new)
    for file, (old, new) in texts.items():
        replace_file(path / file, old, new)
