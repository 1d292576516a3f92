"""Law: each key of the node's configuration may be said anew by one environment variable, whose name follows the key.

`spec.pin.rootSha256` is EDGEGITOPS_PIN_ROOT_SHA256. The schema tells which keys there are and their types: a whole
number is read as one, a list is split at commas, all else is text; then the schema judges file and words together.
Variables that name no key are left alone: they may be of other commands.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgegitops.core.documents.yaml_reader import Document
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.node_config import variable_of
from edgegitops.core.model.schemas import SchemaSet

Path = tuple[str, ...]
# What a key is where nobody says it; the same as the defaults of core.model.node_config.
DEFAULTS: Mapping[Path, str] = {
    ("repository", "branch"): "main",
    ("repository", "interval"): "60s",
    ("engine", "socket"): "/run/podman/podman.sock",
    ("stateDirectory",): "/var/lib/edgegitops",
    ("policyFile",): "/etc/edgegitops/policy.yaml",
    ("socket",): "agent.sock in stateDirectory",
    ("engine", "connections"): "32",
    ("log", "level"): "info",
    ("log", "format"): "auto",
    ("resources", "memory"): "1Gi",
    ("resources", "disk"): "512Mi",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration (dotted, below spec), its value as text, and who said it."""

    key: str
    value: str
    origin: str


def keys(schemas: SchemaSet) -> dict[Path, str]:
    """Path below spec -> JSON type of every single key of the node's configuration."""
    schema = json.loads(schemas.texts["nodeconfig"])
    return dict(_leaves(schema["properties"]["spec"], ()))


def say_anew(tree: Tree, schemas: SchemaSet, said: Mapping[str, str]) -> Tree:
    """The document's tree with the words of these variables in it; a tree that is no NodeConfig stays as it is."""
    if not isinstance(tree, dict) or not isinstance(tree.get("spec"), dict):
        return tree
    spec = json.loads(json.dumps(tree["spec"]))
    for path, kind in keys(schemas).items():
        if variable_of(path) in said:
            _put(spec, path, _read(said[variable_of(path)], kind))
    return {**tree, "spec": spec}


def settings(document: Document, schemas: SchemaSet, said: Mapping[str, str]) -> tuple[Setting, ...]:
    """Every key that has a value, with the variable, the line of the file or the default that it comes from."""
    tree = say_anew(document.tree, schemas, said)
    found = []
    for path in sorted(keys(schemas)):
        value = _get(tree, ("spec", *path))
        mark = document.root.find(("spec", *path))
        if variable_of(path) in said:
            origin = variable_of(path)
        elif value is not None and mark is not None:
            origin = f"{document.file}:{mark.position.line}"
        elif path in DEFAULTS:
            value, origin = DEFAULTS[path], "default"
        else:
            continue
        found.append(Setting(".".join(path), value if isinstance(value, str) else json.dumps(value), origin))
    return tuple(found)


def _leaves(schema: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    for name, field in schema["properties"].items():
        if "properties" in field:
            yield from _leaves(field, (*path, name))
        else:
            kind = field.get("type", "string")
            yield (*path, name), kind if isinstance(kind, str) else "string"


def _read(text: str, kind: str) -> Tree:
    if kind == "integer" and text.strip().isdecimal() and text.isascii():
        return int(text)
    if kind == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _put(spec: dict[str, Any], path: Path, value: Tree) -> None:
    *above, last = path
    for step in above:
        below = spec.setdefault(step, {})
        if not isinstance(below, dict):
            return  # the schema says what is wrong with it
        spec = below
    spec[last] = value


def _get(tree: Tree, path: Path) -> Tree:
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree
