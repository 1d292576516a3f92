"""Docs say what the code says: reference pages are in step, links lead somewhere, command lines of pages are taken by
the command, schemas explain every field.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from edgegitops.cli.main import edgegitops
from edgegitops.core.model import reasons

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


def commands_of(page: Path) -> list[list[str]]:
    """The words behind `edgegitops` of each command line in a page's blocks and in its text."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", text)
    blocks = "\n".join(block for language, block in fences if not language).replace("\\\n", " ")
    inline = re.findall(r"`(edgegitops [^`]+)`", re.sub(r"(?ms)^```.*?^```$", "", text).replace("\n", " "))
    lines = re.findall(r"(?m)^(?:\$ )?(?:\.venv/bin/)?(edgegitops .*)$", blocks) + inline
    return [words for line in lines for words in simple_commands(line)]


def simple_commands(line: str) -> Iterator[list[str]]:
    """What stands behind `edgegitops` in each part of a shell line."""
    lexer = shlex.shlex(re.sub(r"<[a-z]+>", "x", line), posix=True, punctuation_chars="|&;<>")
    lexer.wordchars += "@:{}()!,…"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>"):
            if words[:1] == ["edgegitops"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def parse(words: list[str]) -> None:
    """Raise where the command does not take these words: an unknown command or option, an option without a value."""
    command: click.Command = edgegitops
    context = click.Context(command, info_name="edgegitops")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context, **found.context_settings)
    parser = command.make_parser(context)
    options, rest, _ = parser.parse_args(list(words))
    if not isinstance(command, click.Group):
        assert not rest, f"{rest} is too much"
    inside = options.get("argv")
    if command.name == "exec" and isinstance(inside, tuple) and inside[:1] == ("edgegitops",):
        parse(list(inside[1:]))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_command_lines_of_a_page_are_taken_by_the_command(page: Path) -> None:
    wrong = []
    for words in commands_of(page):
        try:
            parse(words)
        except (click.UsageError, AssertionError) as error:
            wrong.append(f"edgegitops {' '.join(words)}: {error}")
    assert wrong == []


def test_command_lines_are_found_and_a_wrong_one_is_told() -> None:
    assert len(commands_of(TOP / "docs/tasks/troubleshooting.md")) > 10
    for line in ("valdiate", "status --no-such", "lab exec gw edgegitops stat", "hold --until"):
        with pytest.raises(click.UsageError):
            parse(line.split())


def test_every_property_of_every_schema_is_explained() -> None:
    assert SCHEMAS
    silent = [
        f"{named(file)}{pointer}"
        for file in SCHEMAS
        for pointer, field in properties_of(json.loads(file.read_text(encoding="utf-8")))
        if not (isinstance(field, dict) and field.get("description", "").strip())
    ]
    assert silent == []


def test_every_reason_code_has_its_sentence_and_no_other_has_one() -> None:
    page = (TOP / "docs/reason-codes.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    told = {code for codes, sentence in rows if sentence.strip() for code in re.findall(r"`([a-z0-9-]+)`", codes)}
    enums = [one for one in vars(reasons).values() if isinstance(one, type) and one.__module__ == reasons.__name__]
    codes = {str(code) for enum in enums for code in enum}  # type: ignore[attr-defined] # enums of strings all
    assert len(enums) == 5
    assert codes - told == set()
    assert told - codes == set()
