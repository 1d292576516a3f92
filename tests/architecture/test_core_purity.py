"""The core imports only what is on this list: a deny-list leaks, an allow-list does not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "src" / "edgegitops" / "core"

# Modules of the standard library that only compute. A new line here is a design decision: the module must touch no
# clock, file, network, thread, process, chance or log.
COMPUTES_ONLY = {
    "base64",
    "binascii",
    "bisect",
    "collections",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "graphlib",
    "hashlib",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "posixpath",
    "re",
    "string",
    "struct",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
    "weakref",
    "zoneinfo",
}
# Libraries and the one folder of the core that may open their door.
DOORS = {
    "cryptography": "trust",
    "jsonschema": "documents",
    "nacl": "trust",
    "referencing": "documents",
    "rfc8785": "model",
    "yaml": "documents",
}
OWN = ("edgegitops.core", "edgegitops.errors")
FILES = sorted(CORE.rglob("*.py"))


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, full module name) of every import, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def refused_imports(file: Path, source: str) -> list[str]:
    """What a file of the core imports and may not."""
    folder = file.relative_to(CORE).parts[0]
    refused = []
    for line, module in imports_of(ast.parse(source)):
        top = module.split(".", maxsplit=1)[0]
        is_own = any(module == own or module.startswith(f"{own}.") for own in OWN)
        if not (is_own or top in COMPUTES_ONLY or DOORS.get(top) == folder):
            refused.append(f"{file.name}:{line} imports {module}")
    return refused


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_core_imports_only_what_computes(file: Path) -> None:
    assert refused_imports(file, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_core_never_reaches_for_the_world_by_name(file: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls.isdisjoint({"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"})


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "def late():\n    import time",
        "from pathlib import Path",
        "from edgegitops.ports import Clock",
        "import yaml",
    ],
)
def test_allow_list_refuses_what_it_should(source: str) -> None:
    assert refused_imports(CORE / "model" / "drawn.py", source) != []
