"""What is shipped: the wheel carries schemas and nothing of the checkout, and every dependency has its reason."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
# Distributions that are imported under another name.
IMPORTED_AS = {"pynacl": "nacl", "pyyaml": "yaml"}


def names_of(requirements: list[str]) -> list[str]:
    """The bare distribution names of a list of requirements."""
    return [re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower() for requirement in requirements]


RUNTIME = names_of(PROJECT["project"]["dependencies"])
DEV = names_of(PROJECT["project"]["optional-dependencies"]["dev"])
DEEP = names_of(PROJECT["project"]["optional-dependencies"]["deep"])
MUTATE = names_of(PROJECT["project"]["optional-dependencies"]["mutate"])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of what is shipped, so that nothing of the checkout changes."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, copy / name)
    drop = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(TOP / "src", copy / "src", symlinks=True, ignore=drop)
    shutil.copytree(TOP / "schemas", copy / "schemas")
    program = "import setuptools.build_meta as build; build.build_wheel('out')"
    done = subprocess.run([sys.executable, "-c", program], cwd=copy, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = (copy / "out").glob("*.whl")
    return built


def test_wheel_carries_every_public_schema(wheel: Path) -> None:
    schemas = sorted(file.relative_to(TOP / "schemas") for file in (TOP / "schemas").rglob("*.json"))
    assert schemas, "there are no schemas to ship"
    with zipfile.ZipFile(wheel) as archive:
        for schema in schemas:
            assert archive.read(f"edgegitops/schemas/{schema}") == (TOP / "schemas" / schema).read_bytes()


def test_wheel_carries_every_module_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = wheel.parents[1] / "src"
    modules = {str(file.relative_to(source)) for file in source.rglob("*.py")}
    assert modules <= shipped
    assert {Path(name).suffix for name in shipped - modules} <= {".json", ".typed", ".html", ".css", ".js", ".svg"}


def test_wheel_holds_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "Apache License" in texts["LICENSE"]
    assert "edgegitops = edgegitops.__main__:main" in texts["entry_points.txt"]


@pytest.mark.parametrize("name", RUNTIME + DEV + DEEP + MUTATE)
def test_dependency_has_its_reason(name: str) -> None:
    reasons = (TOP / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(rf"(?m)^\| `{re.escape(name)}` \| (.+) \|$", reasons, re.IGNORECASE)
    assert len(rows) == 1, f"{name} needs one row in docs/dependencies.md"


def test_no_reason_without_its_dependency() -> None:
    reasons = (TOP / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert sorted(name.lower() for name in re.findall(r"(?m)^\| `([^`]+)` \|", reasons)) == sorted(
        RUNTIME + DEV + DEEP + MUTATE
    )


@pytest.mark.parametrize("name", RUNTIME)
def test_library_has_one_door(name: str) -> None:
    module = IMPORTED_AS.get(name, name)
    doors = [
        contract["allowed_importers"]
        for contract in PROJECT["tool"]["importlinter"]["contracts"]
        if contract["type"] == "protected" and module in contract["protected_modules"]
    ]
    assert len(doors) == 1, f"{module} needs one contract of type protected in pyproject.toml"
    # An adapter may be one thing in several files, named alike: repository_mirror and its child repository_fetch.
    topics = {door.rpartition(".")[2].partition("_")[0] for door in doors[0]}
    assert len(topics) == 1, f"{module} has more than one door: {doors[0]}"


def test_every_library_that_is_imported_is_declared() -> None:
    declared = {IMPORTED_AS.get(name, name) for name in RUNTIME} | {"edgegitops"} | sys.stdlib_module_names
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (TOP / "src").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {name.split(".", maxsplit=1)[0] for name in names}
    assert imported - declared == set()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_pins_what_the_project_asks_for(lock: str) -> None:
    pinned = set(re.findall(r"(?m)^([A-Za-z0-9_.-]+)==", (TOP / lock).read_text(encoding="utf-8").lower()))
    wanted = {name.replace("_", "-") for name in (RUNTIME if lock == "requirements.lock" else RUNTIME + DEV)}
    assert wanted <= pinned
