"""Law: a revision is a whole: it becomes a snapshot, or all its faults at once.

Each manifest is read under guard, must be of the kind of its place and carry the name of its file, and is judged by its
schema; then come what no schema can tell (empty selectors, unwritten values in patches, unusable value schemas) and
what this release does not obey yet. Names are unique by kind. References between documents are left to resolution.

What one file gives depends on its path and its bytes alone, so it may be kept in a memo for as long as the schemas stay
the same. Of sites and node keys a large fleet has thousands: they are kept as texts, which may outlive the process.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from edgegitops.core.documents.judge import Page, in_order, judge
from edgegitops.core.documents.layout import FLEET_FILE, PLACES, Layout, Leaf, kind_fault, lay_out
from edgegitops.core.documents.manifests import (
    read_application,
    read_deployment,
    read_fleet,
    read_node_keys,
    read_policy,
    read_site,
)
from edgegitops.core.documents.marks import Positions
from edgegitops.core.documents.node_keys import keys_twice
from edgegitops.core.documents.plant import rule_faults
from edgegitops.core.documents.rollout import read_rollout, rollout_faults
from edgegitops.core.documents.selectors import selector_faults
from edgegitops.core.documents.shelf import Sheet, Shelf, text_of
from edgegitops.core.documents.unsupported import unsupported_faults
from edgegitops.core.documents.validators import PATCH, Validators, schema_problem, validators_of
from edgegitops.core.documents.written import keep_written, unwritten_faults, without_nulls
from edgegitops.core.documents.yaml_reader import MAX_SIZE, Document, read_yaml
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.manifests import (
    Application,
    DeploymentManifest,
    Faults,
    Fleet,
    NodeKeys,
    Origin,
    PolicyManifest,
    Site,
    Snapshot,
)
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.report import HEARTBEAT
from edgegitops.core.model.schemas import SchemaSet

Manifest: TypeAlias = Fleet | Site | Application | DeploymentManifest | PolicyManifest | NodeKeys


@dataclass(frozen=True, slots=True)
class Sound:
    """A manifest without faults of its own; `text` is it as a text, where such are kept."""

    value: Manifest | Sheet[Manifest]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Unsound:
    """A manifest with faults."""

    faults: tuple[Fault, ...]


MANY = ("Site", "NodeKeys")
_DISTINCT = "distinct"
_READERS: dict[str, Callable[[Mapping[str, Tree], Origin], Manifest]] = {
    "Fleet": read_fleet,
    "Site": read_site,
    "Application": read_application,
    "Deployment": read_deployment,
    "Policy": read_policy,
    "NodeKeys": read_node_keys,
}


def read_snapshot(
    revision: str,
    files: Mapping[str, str],
    objects: Objects,
    schemas: SchemaSet,
    memo: MutableMapping[str, object] | None = None,
) -> Snapshot | Faults:
    """The snapshot of a revision whose tree has these files (path -> blob id), or every fault of it.

    `memo` spares reading files again that have not changed; it belongs to one SchemaSet, grows, and may be emptied at
    any time. Raises what `objects` raises, and BrokenInvariantError where the schemas themselves are broken.
    """
    snapshot, faults = read_partly(revision, files, objects, schemas, memo)
    if faults or snapshot is None:
        return Faults(revision, faults)
    return snapshot


def read_partly(
    revision: str,
    files: Mapping[str, str],
    objects: Objects,
    schemas: SchemaSet,
    memo: MutableMapping[str, object] | None = None,
) -> tuple[Snapshot | None, tuple[Fault, ...]]:
    """Every fault, and a snapshot of what is sound, so that `validate` can look for faults between documents too.

    The snapshot is None where the fleet itself is unsound; it has no deployment that is unsound, whose application is,
    or that waits for such a one. It is whole only where there are no faults: a node never uses it otherwise. Raises as
    `read_snapshot`.
    """
    layout = lay_out(files)
    validators = validators_of(schemas)
    found = [(leaf, _recall(leaf, objects, validators, memo)) for leaf in layout.leaves]
    faults = [*layout.faults, *_names_twice(layout), *_fleet_missing(layout)]
    for _, result in found:
        if isinstance(result, Unsound):
            faults.extend(result.faults)
    unsound = {(leaf.kind, leaf.name) for leaf, result in found if isinstance(result, Unsound)}
    values = [result.value for _, result in found if isinstance(result, Sound)]
    many: dict[str, Shelf[Manifest]] = {
        kind: Shelf({leaf.name: one.value for leaf, one in found if leaf.kind == kind and isinstance(one, Sound)})
        for kind in MANY
    }
    faults.extend(_keys_twice(layout, many["NodeKeys"], memo))
    return _assemble(revision, layout, values, unsound, many), tuple(sorted(faults, key=in_order))


def _keys_twice(
    layout: Layout, keys: Mapping[str, Manifest], memo: MutableMapping[str, object] | None
) -> Sequence[Fault]:
    """Keys that stand in two places; files among which none did are not compared again."""
    told = sha256_hex(
        "\n".join(f"{leaf.oid}:{leaf.file}" for leaf in layout.leaves if leaf.kind == "NodeKeys").encode()
    )
    place = f"keys:{told}"
    if memo is not None and memo.get(place) == _DISTINCT:
        return ()
    faults = tuple(keys_twice([one for one in keys.values() if isinstance(one, NodeKeys)]))
    if memo is not None and not faults:
        memo[place] = _DISTINCT
    return faults


def _assemble(
    revision: str,
    layout: Layout,
    values: Sequence[Manifest | Sheet[Manifest]],
    unsound: Collection[tuple[str, str]],
    many: Mapping[str, Mapping[str, Any]],
) -> Snapshot | None:
    fleet = next((value for value in values if isinstance(value, Fleet)), None)
    applications = [value for value in values if isinstance(value, Application)]
    deployments = [value for value in values if isinstance(value, DeploymentManifest)]
    if fleet is None:
        return None
    return Snapshot(
        revision=revision,
        fleet=fleet,
        sites=many["Site"],
        applications={value.name: replace(value, files=layout.beside.get(value.name, {})) for value in applications},
        deployments={value.name: _in_fleet(value, fleet) for value in _answerable(deployments, unsound)},
        policies={value.name: value for value in values if isinstance(value, PolicyManifest)},
        keys=many["NodeKeys"],
        secrets=layout.secrets,
    )


def _in_fleet(deployment: DeploymentManifest, fleet: Fleet) -> DeploymentManifest:
    """How old reports may be follows from how often the fleet reports, where the deployment does not say it."""
    heartbeat = fleet.reporting.heartbeat
    if heartbeat == HEARTBEAT:
        return deployment
    return replace(deployment, rollout=read_rollout(deployment.spec, heartbeat))


def _answerable(
    deployments: Sequence[DeploymentManifest], unsound: Collection[tuple[str, str]]
) -> Iterator[DeploymentManifest]:
    """Those that need nothing unsound: about the others a second fault would tell what the first one told."""
    gone = {name for kind, name in unsound if kind == "Deployment"}
    gone |= {one.name for one in deployments if ("Application", one.application) in unsound}
    while more := {one.name for one in deployments if gone & _waits_for(one)} - gone:
        gone |= more
    return (one for one in deployments if one.name not in gone)


def _waits_for(deployment: DeploymentManifest) -> set[str]:
    written = deployment.spec.get("dependsOn")
    return set(written) if isinstance(written, dict) else set()


def _names_twice(layout: Layout) -> Iterator[Fault]:
    first: dict[tuple[str, str], str] = {}
    for leaf in layout.leaves:
        other = first.setdefault((leaf.kind, leaf.name), leaf.file)
        if other != leaf.file:
            message = f"the {leaf.kind} {leaf.name} stands in {other} too"
            hint = "rename one of them, the file and metadata.name"
            yield Fault(leaf.file, FaultCode.DUPLICATE_NAME, message, Position(1, 1), suggestion=hint)


def _fleet_missing(layout: Layout) -> Iterator[Fault]:
    if not any(leaf.kind == "Fleet" for leaf in layout.leaves):
        message = "there is no fleet.yaml at the top of the repository"
        hint = "is this the top folder of a fleet repository?"
        yield Fault(FLEET_FILE, FaultCode.FILE_MISSING, message, expected="kind: Fleet", suggestion=hint)


def _recall(
    leaf: Leaf, objects: Objects, validators: Validators, memo: MutableMapping[str, object] | None
) -> Sound | Unsound:
    if memo is None:
        return _read(leaf, objects, validators)
    key = f"{leaf.oid}:{leaf.file}"
    kept = memo.get(key)
    if not isinstance(kept, Sound | Unsound | str):
        read = _read(leaf, objects, validators)
        kept = memo[key] = read.text if isinstance(read, Sound) and read.text else read
    if isinstance(kept, str):
        origin = Origin(leaf.file, PositionsOnDemand(leaf.file, leaf.oid, objects))
        return Sound(Sheet(kept, origin, _READERS[leaf.kind]))
    return kept


def _read(leaf: Leaf, objects: Objects, validators: Validators) -> Sound | Unsound:
    data = _bytes(leaf, objects)
    if isinstance(data, Fault):
        return Unsound((data,))
    document = read_yaml(data, leaf.file)
    if not isinstance(document, Document):
        return Unsound(document)
    keep_written(leaf.kind, document.tree, document.root)
    faults = tuple(sorted(set(_judged(leaf, document, validators)), key=in_order))
    if faults:
        return Unsound(faults)
    origin = Origin(leaf.file, PositionsOnDemand(leaf.file, leaf.oid, objects))
    text = text_of(document.tree) if leaf.kind in MANY else ""
    return Sound(_READERS[leaf.kind](document.tree, origin), text)


def _bytes(leaf: Leaf, objects: Objects) -> bytes | Fault:
    header = objects.header(leaf.oid)
    if header is not None and header.size > MAX_SIZE:
        message = f"the file has {header.size} bytes; a manifest may have {MAX_SIZE}"
        hint = "move large contents into config files beside app.yaml"
        return Fault(leaf.file, FaultCode.TOO_LARGE, message, Position(1, 1), suggestion=hint)
    found = objects.read(leaf.oid) if header is not None and header.kind == "blob" else None
    if found is None:
        return Fault(leaf.file, FaultCode.UNREADABLE, f"the object {leaf.oid} of this file cannot be read")
    return found.data


def _judged(leaf: Leaf, document: Document, validators: Validators) -> Iterator[Fault]:
    tree = document.tree
    page = Page(leaf.file, document.root)
    if not isinstance(tree, dict):
        message = "the document is no map"
        yield page.fault(FaultCode.WRONG_TYPE, message, expected="apiVersion, kind, metadata and spec")
        return
    if tree.get("kind") != leaf.kind:
        code, message, expected, suggestion = kind_fault(leaf.file, leaf.kind, tree.get("kind"))
        where = ("kind",) if "kind" in tree else ()
        yield page.fault(code, message, where, expected=expected, suggestion=suggestion)
        return
    yield from _judged_kind(leaf.kind, tree, page, validators)
    yield from _name_faults(leaf, tree, page)


def _judged_kind(kind: str, tree: Mapping[str, Tree], page: Page, validators: Validators) -> Iterator[Fault]:
    gaps = list(unsupported_faults(kind, tree, page))
    inside = tuple(f"{gap.pointer}/" for gap in gaps)
    yield from gaps
    yield from (fault for fault in _all_faults(kind, tree, page, validators) if not fault.pointer.startswith(inside))


def _all_faults(kind: str, tree: Mapping[str, Tree], page: Page, validators: Validators) -> Iterator[Fault]:
    yield from judge(validators, kind.lower(), tree, page)
    yield from selector_faults(tree, page)
    spec = tree.get("spec")
    if kind == "Deployment" and isinstance(spec, dict):
        yield from _patch_faults(spec, page, validators)
        yield from rollout_faults(spec, page)
    if kind in {"Site", "Policy", "Deployment"} and isinstance(spec, dict):
        yield from rule_faults(spec, page)
    if kind == "Application" and isinstance(spec, dict):
        yield from _value_schema_faults(spec, page)


def _patch_faults(spec: Mapping[str, Tree], page: Page, validators: Validators) -> Iterator[Fault]:
    overrides = spec.get("overrides")
    for number, override in enumerate(overrides if isinstance(overrides, list) else ()):
        patch = override.get("patch") if isinstance(override, dict) else None
        if isinstance(patch, dict):
            inside = Page(page.file, page.root, ("spec", "overrides", number, "patch"))
            yield from judge(validators, PATCH, without_nulls(patch), inside)
            yield from unwritten_faults(patch, inside)


def _value_schema_faults(spec: Mapping[str, Tree], page: Page) -> Iterator[Fault]:
    values = spec.get("values")
    for name, schema in values.items() if isinstance(values, dict) else ():
        problem = schema_problem(schema) if isinstance(schema, dict) else ""
        if problem:
            message = f"the schema of the value {name} is no JSON Schema: {problem}"
            yield page.fault(FaultCode.WRONG_VALUE, message, ("spec", "values", name), expected="{type: string}")


def _name_faults(leaf: Leaf, tree: Mapping[str, Tree], page: Page) -> Iterator[Fault]:
    metadata = tree.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if leaf.name and isinstance(name, str) and name != leaf.name:
        message = f"metadata.name is {name[:64]}, but the file says {leaf.name}"
        hint = f"name: {leaf.name}, or rename the {'folder' if leaf.kind == 'Application' else 'file'}"
        yield page.fault(
            FaultCode.NAME_MISMATCH, message, ("metadata", "name"), expected=PLACES[leaf.kind], suggestion=hint
        )


class PositionsOnDemand(Mapping[str, Position]):
    """Positions of a file that are worked out when the first is asked for: sound documents are many, faults are few.

    Asking may raise what `objects` raises.
    """

    __slots__ = ("_file", "_known", "_objects", "_oid")

    def __init__(self, file: str, oid: str, objects: Objects) -> None:
        self._file = file
        self._oid = oid
        self._objects = objects
        self._known: Mapping[str, Position] | None = None

    def _positions(self) -> Mapping[str, Position]:
        if self._known is None:
            found = self._objects.read(self._oid)
            document = read_yaml(found.data, self._file) if found else ()
            self._known = Positions(document.root) if isinstance(document, Document) else {}
        return self._known

    def __getitem__(self, pointer: str) -> Position:
        return self._positions()[pointer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions())

    def __len__(self) -> int:
        return len(self._positions())
