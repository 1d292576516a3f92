"""The published schemas: valid, closed, described, with examples that they accept, and in step with quantities."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edgegitops.core.documents.judge import value_judge
from edgegitops.core.documents.validators import patch_schema, validators_of, written_out
from edgegitops.core.model import quantities
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.errors import BrokenInvariantError

FOLDER = Path(__file__).parents[3] / "schemas"
FILES = sorted(FOLDER.glob("*.schema.json"))
KINDS = {"fleet", "site", "application", "deployment", "policy", "nodekeys", "nodepolicy", "nodeconfig"}


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every subschema, with where it stands; examples are no schemas."""
    if isinstance(schema, dict):
        yield path, schema
        for key, value in schema.items():
            if key not in {"examples", "enum", "const", "default"}:
                yield from nodes(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from nodes(value, f"{path}/{number}")


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, node in nodes(schema):
        if node.get("type") == "object":
            for name, value in node.get("properties", {}).items():
                yield f"{path}/properties/{name}", value


def test_every_kind_has_its_schema():
    assert {path.name.split(".")[0] for path in FILES} == KINDS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_schema_is_valid_and_of_2020_12(path):
    schema = load(path)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:edgegitops:schemas/v1/{path.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_property_has_a_description_and_examples(path):
    lacking = [
        where for where, value in properties(load(path)) if not value.get("description") or not value.get("examples")
    ]
    assert not lacking


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_schema_accepts_its_own_examples(path):
    schema = load(path)
    refused = []
    for where, node in nodes(schema):
        judge = Draft202012Validator({**node, "$defs": schema.get("$defs", {})})
        refused += [(where, value) for value in node.get("examples", ()) if not judge.is_valid(value)]
    assert not refused


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_object_with_properties_is_closed(path):
    open_ones = [
        where
        for where, node in nodes(load(path))
        if "properties" in node and node.get("type") == "object" and node.get("additionalProperties") is not False
    ]
    assert not open_ones


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_references_stay_inside_the_file(path):
    schema = load(path)
    references = {node["$ref"] for _, node in nodes(schema) if isinstance(node.get("$ref"), str)}
    assert references <= {f"#/$defs/{name}" for name in schema.get("$defs", {})}


def patterns(definition: str) -> set[str]:
    found = (load(path).get("$defs", {}).get(definition, {}).get("pattern") for path in FILES)
    return {pattern for pattern in found if pattern}


def test_schemas_and_parsers_take_the_same_quantities():
    assert patterns("duration") == {quantities.DURATION_PATTERN}
    assert patterns("memory") == {quantities.MEMORY_PATTERN}
    assert patterns("cpus") == {quantities.CPUS_PATTERN}


@given(st.text(alphabet="0123456789.KMGTismhd", max_size=8))
def test_what_the_pattern_takes_the_parser_reads(text):
    if re.search(quantities.DURATION_PATTERN, text):
        quantities.parse_duration(text)
    if re.search(quantities.CPUS_PATTERN, text):
        quantities.parse_cpus(text)
    if re.search(quantities.MEMORY_PATTERN, text) and "." not in text:
        quantities.parse_memory(text)


def test_patch_schema_demands_nothing_and_knows_every_field():
    application = load(FOLDER / "application.schema.json")
    relaxed = patch_schema(application)
    Draft202012Validator.check_schema(relaxed)
    assert set(relaxed["properties"]) == set(application["properties"]["spec"]["properties"])
    assert not [where for where, node in nodes(relaxed) if isinstance(node.get("required"), list)]


def test_schemas_are_compiled_once_for_each_set(fleet):
    assert validators_of(fleet.schemas) is validators_of(fleet.schemas)
    other = SchemaSet(dict(fleet.schemas.texts))
    assert validators_of(other) is not validators_of(fleet.schemas)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_schema_without_references_says_the_same(path):
    schema = load(path)
    flat = written_out(schema)
    assert not [where for where, node in nodes(flat) if "$ref" in node]
    whole, short = Draft202012Validator(schema), Draft202012Validator(flat)
    for tree in (
        {},
        {"apiVersion": 1, "spec": {"nodes": {"A": 3}, "containers": {"x": {"image": 1, "env": {"A": []}}}}},
    ):
        told = [
            sorted((list(error.path), error.message) for error in judge.iter_errors(tree)) for judge in (whole, short)
        ]
        assert told[0] == told[1]


def test_definitions_in_a_circle_are_our_bug():
    with pytest.raises(BrokenInvariantError, match="itself"):
        written_out({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}})


def test_number_beyond_all_floats_is_told_and_raises_nothing():
    (message,) = value_judge({"multipleOf": 0.1}, 10**400)
    assert "schema" in message


def test_broken_schema_is_our_bug():
    with pytest.raises(BrokenInvariantError, match="no JSON"):
        validators_of(SchemaSet({"site": "{"}))


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "integer"}, 1, ()),
        ({"type": "integer"}, "x", ("'x' is not of type 'integer'",)),
        ({"type": "object", "properties": {"a": {"maximum": 3}}}, {"a": 4}, ("/a 4 is greater than the maximum of 3",)),
        (True, object, ()),
        ({"pattern": "^a$"}, "a\n", ("does not match",)),
    ],
)
def test_values_are_judged_by_the_schema_of_their_application(schema, value, told):
    assert value_judge(schema, value) == told


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"$ref": "https://example.com/s.json"},
        {"$ref": "#"},
        {"pattern": "("},
        7,
        {"$ref": "file:///etc/passwd"},
        {"pattern": "a{99999999999}"},
        {"$ref": "#/allOf/x", "allOf": [{}]},
        {"pattern": "a", "$ref": "#/pattern/0/x"},
    ],
)
def test_schema_of_a_value_that_cannot_be_used_is_told_and_nothing_is_fetched(schema):
    (message,) = value_judge(schema, "x")
    assert "schema" in message
