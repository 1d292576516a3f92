"""Writes docs/reference/ from the public schemas and from --help: the pages say what the code says, never more.

`python docs/make_reference.py` writes the pages; `--check` writes nothing and ends with 1 where a page is out of step.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgegitops.cli.main import COMMANDS, edgegitops
from edgegitops.core.documents.unsupported import _BY_KIND as GAPS

TOP = Path(__file__).parents[1]
PAGES = TOP / "docs" / "reference"
WIDTH = 100
NOTE = "<!-- Written by `make docs`; change the schemas or the help texts instead. -->\n"
CONTAINER = ("spec", "containers", "*")
TWINS = (("spec", "containerDefaults"), ("spec", "jobs", "*"))
LATER = (
    "The schemas hold the whole format. What this version cannot obey yet is marked, and refused with "
    "`not-supported-yet` instead of being passed over in silence."
)
Schema = dict[str, Any]


def pages() -> dict[str, str]:
    """File name -> text of every reference page."""
    return {"commands.md": commands_page(), "manifests.md": manifests_page()}


def commands_page() -> str:
    """Every command with its help, in the order of the table."""
    blocks = [f"{NOTE}\n# Commands\n"]
    blocks += [f"## `{path}`\n\n```\n{text}\n```\n" for path, text in helps(edgegitops, "edgegitops")]
    return "\n".join(blocks)


def helps(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    """(call, help text) of a command and of all below it."""
    context = click.Context(command, info_name=path, max_content_width=WIDTH, terminal_width=WIDTH)
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        names = list(COMMANDS) if command is edgegitops else command.list_commands(context)
        for name in names:
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from helps(child, f"{path} {name}")


def manifests_page() -> str:
    """Every field of every kind, with the schema's own words."""
    blocks = [f"{NOTE}\n# Manifests, field by field\n\n{LATER}\n"]
    for file in sorted((TOP / "schemas").glob("*.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        title = schema.get("title", file.stem)
        found = list(fields(schema, schema, ()))
        known = {path for path, _, _ in found}
        kind = schema["properties"].get("kind", {}).get("const", "")
        rows = [
            row(path, {**field, "gap": gap_of(kind, path)}, is_required=needed)
            for path, field, needed in found
            if not is_told(path, known)
        ]
        head = "| field | type | what it says |\n| --- | --- | --- |"
        blocks.append(f"## {title}\n\n{head}\n" + "\n".join(rows) + "\n")
    return "\n".join(blocks)


def fields(root: Schema, schema: Schema, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Schema, bool]]:
    """(path, schema, is required) of every field below; `*` is any name of a map, `[]` any item of a list."""
    schema = resolved(root, schema)
    required = set(schema.get("required", []))
    for name, field in schema.get("properties", {}).items():
        yield (*path, name), resolved(root, field), name in required
        yield from fields(root, field, (*path, name))
    for branch in (*schema.get("oneOf", []), *schema.get("anyOf", [])):
        if "properties" in resolved(root, branch) and "properties" not in schema:
            yield from fields(root, branch, path)
    every = schema.get("additionalProperties")
    if isinstance(every, dict):
        yield from fields(root, every, (*path, "*"))
    for pattern in schema.get("patternProperties", {}).values():
        yield from fields(root, pattern, (*path, "*"))
    items = schema.get("items")
    if isinstance(items, dict):
        yield from fields(root, items, (*path, "[]"))


def gap_of(kind: str, path: tuple[str, ...]) -> str:
    """What is refused of a field as not supported yet; empty where it works."""
    gaps = [gap for gap in GAPS.get(kind, ()) if gap.path == path]
    return f"*{'Some values are not' if gaps[0].applies else 'Not'} supported yet: {gaps[0].sentence}.*" if gaps else ""


def is_told(path: tuple[str, ...], known: set[tuple[str, ...]]) -> bool:
    """Whether another part of the page tells the same: a job and the defaults have the fields of a container."""
    return any(
        path[: len(twin)] == twin and len(path) > len(twin) and CONTAINER + path[len(twin) :] in known for twin in TWINS
    )


def resolved(root: Schema, schema: Schema) -> Schema:
    """The schema with a `$ref` into the same document followed; words beside the reference win."""
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#").strip("/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")] if part else target
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def row(path: tuple[str, ...], field: Schema, *, is_required: bool) -> str:
    """One line of the table."""
    name = ".".join(path).replace(".[]", "[]")
    says = re.sub(r"\s+", " ", str(field.get("description", ""))).strip().rstrip(".") + "."
    extra = [f"One of {', '.join(f'`{value}`' for value in field['enum'])}."] if "enum" in field else []
    extra += [f"Default `{json.dumps(field['default'])}`."] if "default" in field else []
    extra += ["**Required.**"] if is_required else []
    extra += [field["gap"]] if field["gap"] else []
    return f"| `{name}` | {kind_of(field)} | {' '.join([says, *extra]).replace('|', '&#124;')} |"


def kind_of(field: Schema) -> str:
    """The JSON type or types of a field."""
    if "const" in field:
        return f"`{field['const']}`"
    kinds = field.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    for branch in field.get("oneOf", []) + field.get("anyOf", []):
        inner = branch.get("type", [])
        kinds += [inner] if isinstance(inner, str) else inner
    return " or ".join(dict.fromkeys(map(str, kinds))) or "any"


def main() -> int:
    """Write the pages, or with --check compare them; 1 where one is out of step."""
    stale = 0
    for name, text in pages().items():
        page = PAGES / name
        if "--check" in sys.argv[1:]:
            is_stale = not page.is_file() or page.read_text(encoding="utf-8") != text
            stale += is_stale
            sys.stdout.write(f"{page.relative_to(TOP)}: {'out of step, run `make docs`' if is_stale else 'in step'}\n")
        else:
            page.write_text(text, encoding="utf-8")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
