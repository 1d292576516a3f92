"""Law: every value and every field of a deployment on a node is told with the place that gave it.

A value comes from the highest level that gives it (see values). A field comes from the last document that says it: the
application, its container defaults, or an override that matches the node (see patching); what steers updates comes from
the deployment. A text with references is told as written and as replaced. Lists are told as a whole, since a patch
replaces them as a whole. What nobody wrote has its default and is not told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgegitops.core.desired.deployments import unknown_application
from edgegitops.core.desired.patching import patched
from edgegitops.core.desired.places import Path, Place, trace
from edgegitops.core.desired.values import Target, Values, values_of
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Position
from edgegitops.core.model.manifests import DeploymentManifest, Snapshot

_NOT_FIELDS = frozenset({"values", "application", "selector", "overrides"})
_DEFAULTS = "containerDefaults"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a field is as it is: its dotted `path`, what it is, as what it was written, and who wrote it where."""

    path: str
    value: Tree
    written: Tree
    level: str
    file: str
    position: Position | None


@dataclass(frozen=True, slots=True)
class Reasons:
    """Those of one deployment on one node; `values` are the values that its application declares."""

    values: tuple[Reason, ...] = ()
    fields: tuple[Reason, ...] = ()


def reasons_of(snapshot: Snapshot, deployment: DeploymentManifest, target: Target) -> Reasons:
    """Where everything came from; nothing where the application does not exist."""
    if unknown_application(snapshot, deployment):
        return Reasons()
    application = snapshot.applications[deployment.application]
    tree, layers, _ = patched(application, deployment, target.tags)
    values = values_of(application, deployment, target)
    fields = [
        _reason(path, leaf, trace(layers, path), values) for path, leaf in _leaves(tree) if path[0] not in _NOT_FIELDS
    ]
    own = Place(deployment.origin, ("spec",))
    policy = [
        _reason(path, leaf, own.below(*path), values)
        for path, leaf in _leaves(dict(deployment.spec))
        if path[0] not in _NOT_FIELDS
    ]
    given = [
        Reason(f"values.{one.name}", one.value, one.written, one.level, one.place.origin.file, one.place.position)
        for one in values.given()
    ]
    return Reasons(tuple(given), (*fields, *policy))


def _reason(path: Path, leaf: Tree, place: Place, values: Values) -> Reason:
    value = _replaced(leaf, place, values)
    return Reason(".".join(path), value, leaf, _level(place.path), place.origin.file, place.position)


def _replaced(leaf: Tree, place: Place, values: Values) -> Tree:
    if isinstance(leaf, list):
        return [_replaced(item, place, values) for item in leaf]
    if isinstance(leaf, dict):
        return {key: _replaced(item, place, values) for key, item in leaf.items()}
    return values.expand(leaf, place) if isinstance(leaf, str) else leaf


def _level(path: Sequence[str]) -> str:
    match list(path[:3]):
        case ["spec", "overrides", number]:
            return f"override {int(number) + 1}"
        case ["spec", key, *_] if key == _DEFAULTS:
            return _DEFAULTS
        case ["spec", ("rollback" | "rollout" | "drift" | "prune" | "dependsOn" | "windows" | "interlocks"), *_]:
            return "deployment"
        case _:
            return "application"


def _leaves(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Everything that is no map with entries, in the order in which it is written."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value
