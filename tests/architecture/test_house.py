"""The house rules that a machine can judge: laws at the top, reason codes, sizes, names, what files may not mention."""

import ast
import re
import subprocess
from collections import Counter
from enum import StrEnum
from pathlib import Path

import pytest

from edgegitops.core.model import reasons

TOP = Path(__file__).parents[2]
SOURCES = sorted((TOP / "src").rglob("*.py"))
TESTS = sorted((TOP / "tests").rglob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(TOP))


def committed_text_files() -> list[Path]:
    """Files that Git tracks, or would: what is ignored is nobody's business."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=TOP,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [TOP / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def enums_of(module: object) -> list[type[StrEnum]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum
    ]


@pytest.mark.parametrize("file", SOURCES + TESTS, ids=named)
def test_every_file_opens_with_its_law(file: Path) -> None:
    law = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert law, f"{named(file)} has no docstring"
    assert len(law.split()) >= 3, f"{named(file)}: {law!r} says nothing"


@pytest.mark.parametrize("file", SOURCES, ids=named)
def test_files_are_named_by_their_topic(file: Path) -> None:
    assert not {"utils", "util", "helpers", "common", "base", "manager", "handler", "misc"} & set(file.stem.split("_"))


@pytest.mark.parametrize("enum", enums_of(reasons), ids=lambda enum: enum.__name__)
def test_reason_codes_are_kebab_case_and_spell_their_name(enum: type[StrEnum]) -> None:
    for member in enum:
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", member.value)
        assert member.name.lower().replace("_", "-") == member.value


@pytest.mark.parametrize("enum", enums_of(reasons), ids=lambda enum: enum.__name__)
def test_reason_codes_are_unique_within_their_kind(enum: type[StrEnum]) -> None:
    written = re.search(
        rf"class {enum.__name__}\(StrEnum\):(.*?)(?=\nclass |\Z)",
        Path(reasons.__file__).read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert written
    codes = Counter(re.findall(r'= "([^"]+)"', written[1]))
    assert [code for code, times in codes.items() if times > 1] == []
    assert len(codes) == len(enum)


def test_no_file_mentions_the_machine_that_it_was_made_on() -> None:
    # This checkout, the home that it was made in, and spelled in two halves what this file must not mention either.
    places = [f"{TOP}/", f"{Path.home()}/.", "/" + "home/"]
    places += ["pythonhosted" + ".org", "pypi" + ".org"]
    found = [
        f"{named(file)}: {place}"
        for file in committed_text_files()
        for place in places
        if place in file.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


def test_locks_carry_hashes_and_no_places() -> None:
    for lock in [TOP / f"requirements{which}.lock" for which in ("", "-dev", "-deep", "-mutate")]:
        text = lock.read_text(encoding="utf-8")
        pinned = re.findall(r"^([a-z0-9-]+)==\S+ \\$", text, re.MULTILINE | re.IGNORECASE)
        assert len(pinned) >= 10
        for block in re.split(r"(?m)^(?=[a-zA-Z0-9])", text)[1:]:
            assert "--hash=sha256:" in block
        assert not re.search(r"https?://|--index-url|--find-links|--trusted-host", text)
