"""Law: schemas are compiled once for each set, and nothing outside the set is ever looked up.

A `pattern` must match as ECMAScript reads it: `$` is the very end of the text. Formats are notes for people, not rules.
The one door to `jsonschema` together with `judge`, which reads its errors.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from edgegitops.core.documents.marks import to_pointer
from edgegitops.core.documents.yaml_reader import shown
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.errors import BrokenInvariantError

PATCH = "patch"


@dataclass(frozen=True)
class Validators:
    """Lower-case kind -> validator; `patch` is the spec of an application of which nothing is required."""

    by_kind: Mapping[str, Validator]

    def errors(self, kind: str, tree: Tree) -> list[ValidationError]:
        """Every error of a tree; KeyError where the set has no schema of that kind."""
        return list(self.by_kind[kind].iter_errors(tree))


_COMPILED: WeakKeyDictionary[SchemaSet, Validators] = WeakKeyDictionary()


def validators_of(schemas: SchemaSet) -> Validators:
    """The compiled validators of a set; BrokenInvariantError where a text is no JSON."""
    found = _COMPILED.get(schemas)
    if found is None:
        found = _COMPILED[schemas] = _compile(schemas)
    return found


def _compile(schemas: SchemaSet) -> Validators:
    by_kind = {}
    for kind, text in schemas.texts.items():
        try:
            schema = json.loads(text)
        except ValueError as error:
            raise BrokenInvariantError(f"the schema of {kind} is no JSON: {error}") from error
        by_kind[kind] = _validator(written_out(schema))
        if kind == "application":
            by_kind[PATCH] = _validator(written_out(patch_schema(schema)))
    return Validators(by_kind)


def _validator(schema: Tree) -> Validator:
    made: Validator = _JUDGE(schema, registry=Registry())
    return made


def written_out(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same schema with every local reference replaced by what it refers to: following them is half of the cost.

    Beside a reference stand only notes for people, and those of the definition say more about its form, so they win.
    BrokenInvariantError where definitions refer to one another in a circle.
    """
    definitions = schema.get("$defs", {})
    done: dict[str, Any] = {}

    def put(node: Any, above: tuple[str, ...]) -> Any:  # noqa: ANN401 - a schema is any JSON
        if isinstance(node, list):
            return [put(item, above) for item in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).removeprefix("#/$defs/")
        if not name:
            return {
                key: value if key == "examples" else put(value, above) for key, value in node.items() if key != "$defs"
            }
        if name in above:
            raise BrokenInvariantError(f"the definition {name} of a schema refers to itself")
        if name not in done:
            done[name] = put(definitions[name], (*above, name))
        return {**{key: value for key, value in node.items() if key != "$ref"}, **done[name]}

    flat: Mapping[str, Any] = put(schema, ())
    return flat


def schema_problem(schema: Tree) -> str:
    """Why this is no JSON Schema that can be used, in words; empty where it is one."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = to_pointer(list(error.path))
        return f"{where} {shown(error.message, _MESSAGE)}".strip()
    except RecursionError:
        return "it is nested too deeply"
    except Exception as error:  # noqa: BLE001 - the library breaks in many ways on what strangers write (a{99999999999})
        return shown(str(error), _MESSAGE)
    return ""


def value_problems(schema: Tree, value: Tree) -> list[tuple[str, str]]:
    """JSON pointer and sentence of each error of a value by a schema that `schema_problem` has passed."""
    try:
        errors = list(_validator(schema).iter_errors(value))
    except Exception as error:  # noqa: BLE001 - see schema_problem; `$ref: #/allOf/x` is a ValueError
        return [("", f"its schema cannot be used: {shown(str(error), _MESSAGE)}")]
    return sorted((to_pointer(list(error.absolute_path)), shown(error.message, _MESSAGE)) for error in errors)


_MESSAGE = 200


def patch_schema(application: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a merge patch over an application's spec: the same fields, none required.

    Nulls (deletions) must be taken out of a patch before it is judged.
    """
    spec = application["properties"]["spec"]
    relaxed: dict[str, Any] = _relax({**spec, "$defs": application.get("$defs", {})})
    # inside a patch, `values` are values, not their schemas
    relaxed["properties"]["values"] = {"type": "object"}
    return relaxed


def _relax(node: Any) -> Any:  # noqa: ANN401 - a schema is any JSON
    if isinstance(node, list):
        return [_relax(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if not _is_demand(key, value)}
    return {key: value if key in {"examples", "enum", "const"} else _relax(value) for key, value in kept.items()}


def _is_demand(key: str, value: object) -> bool:
    if key == "required":
        return isinstance(value, list)
    if key == "minProperties":
        return isinstance(value, int)
    return key == "oneOf" and required_choice(value) is not None


def required_choice(branches: object) -> tuple[str, ...] | None:
    """The field names of `oneOf: [{required: [a]}, {required: [b]}]`; None for any other `oneOf`."""
    if not isinstance(branches, list):
        return None
    names = []
    for branch in branches:
        if not isinstance(branch, dict) or set(branch) != {"required"} or len(branch["required"]) != 1:
            return None
        names.append(branch["required"][0])
    return tuple(names)


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    """ECMAScript's `$` is the end of the text; Python's also stands before a last line feed."""
    return re.compile(re.sub(r"(?<!\\)\$(?=\Z|\)|\|)", r"\\Z", pattern), re.ASCII | re.DOTALL)


def _pattern(_validator: Validator, pattern: str, instance: object, _schema: object) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _regex(pattern).search(instance):
        yield ValidationError("does not match")


_JUDGE = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
