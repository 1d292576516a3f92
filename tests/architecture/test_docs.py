"""Docs say what the code says: reference pages are in step, links lead somewhere, schemas explain every field."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parents[2]
PAGES = [TOP / "README.md", TOP / "fleet-repo-example" / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
SCHEMAS = sorted((TOP / "schemas").rglob("*.json"))


def named(path: Path) -> str:
    return str(path.relative_to(TOP))


def properties_of(schema: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """(pointer, schema) of every property of a JSON schema, however deep."""
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items() if isinstance(schema.get("properties"), dict) else ():
            yield f"{path}/properties/{name}", field
        # Conditions only compare fields that are explained where they are declared.
        for key, value in ((key, schema[key]) for key in schema.keys() - {"if", "then", "else", "not"}):
            yield from properties_of(value, f"{path}/{key}")
    if isinstance(schema, list):
        for at, value in enumerate(schema):
            yield from properties_of(value, f"{path}/{at}")


def test_reference_pages_are_in_step_with_schemas_and_help() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_reference.py", "--check"], cwd=TOP, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_make_targets_that_a_page_names_exist(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (TOP / "Makefile").read_text(encoding="utf-8")))
    assert set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))) <= targets


def test_every_property_of_every_schema_is_explained() -> None:
    assert SCHEMAS
    silent = [
        f"{named(file)}{pointer}"
        for file in SCHEMAS
        for pointer, field in properties_of(json.loads(file.read_text(encoding="utf-8")))
        if not (isinstance(field, dict) and field.get("description", "").strip())
    ]
    assert silent == []
