"""Joins adapters to what people do in a clone of the fleet repository; it decides nothing.

The node's own joints are in `bootstrap`. As there, every import of an adapter is inside the function that needs it.
A question that needs a valid revision and finds none is answered with InvalidDocumentError and its first fault.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops import __version__
from edgegitops.bootstrap import load_schemas
from edgegitops.core.model.manifests import Faults
from edgegitops.errors import DeniedError, InvalidDocumentError

if TYPE_CHECKING:
    from edgegitops.adapters.repository_clone import Clone, Commit
    from edgegitops.core.documents.pinning import Unpinned
    from edgegitops.core.founding import Names
    from edgegitops.core.model.trust import TrustKey
    from edgegitops.core.overview.forecast import Forecast
    from edgegitops.core.plan.look import Revision, View
    from edgegitops.core.plan.plan import Plan

WORKING_TREE = "the working directory"
_MOST_BAD_BASES = 50


def view_directory(path: Path) -> "View":
    """The fleet repository in a directory, as it stands there. DeniedError where it cannot be read."""
    return _seen(_directory(path), path, {})


def plan_directory(
    path: Path, revisions: str, *, site: str, node: str, at: datetime | None = None
) -> "tuple[Plan, datetime, tuple[Forecast, ...]]":
    """What changes between two revisions of the clone at `path`, and when that can start if it is merged `at` (None:
    now). `revisions` as git writes them, or empty.
    """
    from edgegitops.adapters.clock_system import SystemClock
    from edgegitops.adapters.zones_zoneinfo import InstalledZones
    from edgegitops.core.overview.forecast import forecasts, narrowed
    from edgegitops.core.plan.plan import plan
    from edgegitops.core.rollout.gate import Calendar

    ends = ends_of(path, revisions)
    before, after = ends.before, ends.after
    made = plan(before, after, site=site, node=node)
    whole = plan(before, after) if made.groups and site else made  # waves are of the whole fleet
    at = (at or SystemClock().now()).replace(second=0, microsecond=0)
    found = forecasts(whole, before, after, Calendar(at, is_trusted=True, zones=InstalledZones()))
    return made, at, narrowed(found, made) if site else found


@dataclass(frozen=True, slots=True)
class Ends:
    """Both sides of a change: what nodes have (None: nothing), and what comes. `way` are the trees of the commits in
    between, oldest first, with that of what comes: that one alone where it is no descendant of what nodes have.
    """

    before: "View | None"
    after: "View"
    way: tuple[str, ...]


def ends_of(path: Path, revisions: str, memo: MutableMapping[str, object] | None = None) -> Ends:
    """Both sides of `revisions` in the clone at `path`; InvalidDocumentError where what comes is not valid. `memo`
    keeps what was read of files, by what they hold.
    """
    from edgegitops.adapters.repository_clone import Clone

    clone = Clone(path)
    memo = {} if memo is None else memo
    base, commit = clone.ends(revisions) if revisions else (None, None)
    head = _revision(clone, commit) if commit else _directory(path)
    after = _seen(head, path, memo)
    if not revisions:
        base = _usual_base(clone, after)
    trees = [one.tree for one in clone.way(base, commit)] if base and commit else []
    return Ends(_newest_valid(clone, base, memo), after, tuple(trees) or (head.tree,))


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
    if base is None or not base.tree:
        return None
    here = _revision(clone, base)
    return clone.parent(base) if list_manifests(here.objects, here.tree) == head.files else base


def _newest_valid(clone: "Clone", base: "Commit | None", memo: MutableMapping[str, object]) -> "View | None":
    """The base, or the newest valid revision before it: that is what nodes keep while a revision is not valid."""
    from edgegitops.core.plan.look import look

    for _ in range(_MOST_BAD_BASES):
        if base is None or not base.tree:
            return None
        view = look(_revision(clone, base), load_schemas(), memo)
        if not isinstance(view, Faults):
            return view
        base = clone.parent(base)
    return None


def find_unpinned(path: Path) -> "dict[Unpinned, bytes]":
    """The images of the fleet repository at `path` that have no digest, each with the bytes of its file."""
    from edgegitops.core.documents.layout import FLEET_FILE, lay_out
    from edgegitops.core.documents.pinning import Unpinned, unpinned_images
    from edgegitops.core.model.trust import Refused
    from edgegitops.core.trust.listing import list_manifests

    revision = _directory(path)
    files = list_manifests(revision.objects, revision.tree)
    if isinstance(files, Refused):
        raise InvalidDocumentError(f"{files.subject}: {files.doubt}: {files.detail}")
    if FLEET_FILE not in files:
        raise InvalidDocumentError(f"{path}: there is no {FLEET_FILE}; give the top folder of a fleet repository")
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


# --- a new fleet ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Founded:
    """A new fleet: what a node pins, and where new private keys lie (None: they were given). `seat` is its node."""

    repository: str
    root_sha256: str
    commits: list[str]
    files: int
    quorum: int
    seat: str
    keys: Path | None


def names_of(fleet: str, repository: str, site: str, node: str) -> "Names":
    """What the new fleet is called."""
    from edgegitops.core.founding import Names

    return Names(fleet, repository, site, node, __version__)


def write_editor_files(path: Path) -> int:
    """Write the editor mapping and the schemas into the fleet at `path`; how many files. DeniedError: no fleet."""
    from edgegitops.adapters.founding_git import write_files
    from edgegitops.core.founding import editor_files

    if not (path / "fleet.yaml").is_file():
        raise DeniedError("init", f"write into {path}", "there is no fleet.yaml; give the top folder of a fleet")
    files = {**editor_files(), **_schema_files()}
    write_files(path, {name: text.encode() for name, text in files.items()})
    return len(files)


def found_fleet(path: Path, names: "Names", held: Mapping[str, Sequence[Path]]) -> Founded:
    """Make the repository at `path`. `held` are private keys by role; new ones beside `path` where it is empty."""
    from edgegitops.adapters.founding_git import NewRepository, sign, write_files
    from edgegitops.core import founding
    from edgegitops.core.model.canonical import sha256_hex
    from edgegitops.core.trust.root_document import write_root

    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DeniedError("init", f"write into {path}", "it is there already and not an empty folder; name a new one")
    folder = None if held else path.absolute().with_name(f"{path.absolute().name}-keys")
    held = held or _new_keys(folder or path)
    keys = {role: [_trust_key(one) for one in paths] for role, paths in held.items()}
    root = founding.root_document(names.repository, keys)
    text = write_root(root)
    by_id = {key.id: at for role, paths in held.items() for key, at in zip(keys[role], paths, strict=True)}
    signatures = {
        f"{founding.ROOT_FILE.removesuffix('.json')}.sig/{key}.sig": sign(text.encode(), by_id[key], "edgegitops-root")
        for key in root.roles["root"].keys
    }
    signers = {".edgegitops/allowed_signers": founding.allowed_signers(root.keys.values())}
    texts = {founding.ROOT_FILE: text, **founding.fleet_files(names), **_schema_files(), **signers}
    files = {**{name: words.encode() for name, words in texts.items()}, **signatures}
    path.mkdir(parents=True, exist_ok=True)
    write_files(path, files)
    signer = {role: by_id[root.roles[role].keys[0]] for role in founding.WORKING_ROLES}
    owner = root.keys[root.roles["engineer"].keys[0]].owner.partition("@")[0]
    daily = NewRepository(path, signer["engineer"], ".edgegitops/allowed_signers", owner=owner)
    groups = _by_signer(files, signer, founding.role_of)
    commits = [daily.commit(ours, f"{role}: a new fleet", key=signer[role]) for role, ours in groups.items()]
    return Founded(
        repository=names.repository,
        root_sha256=sha256_hex(text.encode()),
        commits=commits,
        files=len(files),
        quorum=root.roles["root"].threshold,
        seat=f"{names.site}/{names.node}",
        keys=folder,
    )


def _by_signer(files: Iterable[str], signer: Mapping[str, Path], role_of: Callable[[str], str]) -> dict[str, list[str]]:
    """Files by the first role of whoever signs them: one commit a key, security's first."""
    first: dict[Path, str] = {}
    for role, key in signer.items():
        first.setdefault(key, role)
    groups: dict[str, list[str]] = {role: [] for role in first.values()}
    for name in sorted(files):
        groups[first[signer[role_of(name)]]].append(name)
    return {role: names for role, names in groups.items() if names}


def _new_keys(folder: Path) -> dict[str, list[Path]]:
    """Two root keys and one for all working roles, made in a folder that was not there."""
    from edgegitops.adapters.founding_git import make_key

    if folder.exists():
        raise DeniedError(
            "init", f"make keys in {folder}", "it is there already; give keys with --key, or move it away"
        )
    made = {name: make_key(folder / name, name) for name in ("root-1", "root-2", "work")}
    return {"root": [made["root-1"], made["root-2"]], "security": [made["work"]]}


def _trust_key(path: Path) -> "TrustKey":
    """The public half, as the trust root names it. DeniedError: a type of key that nodes would not believe."""
    from edgegitops.adapters.founding_git import public_line
    from edgegitops.core.model.trust import Refused, TrustKey
    from edgegitops.core.trust.keys import read_line

    line = public_line(path)
    read = read_line(line)
    if isinstance(read, Refused):
        raise DeniedError("init", f"use {path}", read.detail, reason=read.doubt)
    kind, encoded, *comment = line.split(" ", 2)
    return TrustKey(id=read.id, line=f"{kind} {encoded}", owner=comment[0] if comment else path.stem)


def _schema_files() -> dict[str, str]:
    from edgegitops.core.founding import SCHEMAS

    return {f"{SCHEMAS}/{kind}.schema.json": text for kind, text in sorted(load_schemas().texts.items())}
