"""Each test of a threat fails when its defence is taken out of a copy of the source: seen again, not only written down.

Tests that need root and Podman are left to the hand that wrote them: they take minutes each.
"""

import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
from tests.threats import SOURCE, TOP, Red, reds

PLAIN = [red for red in reds() if "/system/" not in red.test]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package in an environment of its own, which has everything else from this one. Processes that the
    tests start, and that look at no variable, run the copy, too.
    """
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(SOURCE, folder / "src" / "edgegitops", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOP / "schemas", folder / "schemas")
    venv.create(folder / "venv", symlinks=True)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    (packages / "copy.pth").write_text(f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n")
    return folder


def tried(copy: Path, test: str) -> subprocess.CompletedProcess[str]:
    """The test against the copy."""
    python = str(copy / "venv" / "bin" / "python")
    words = [python, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "EDGEGITOPS_"))}
    return subprocess.run(words, cwd=TOP, env=environment, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("red", PLAIN, ids=lambda red: f"{red.name} {red.old}")
def test_test_of_a_threat_is_red_without_its_defence(copy: Path, red: Red) -> None:
    file = copy / "src" / "edgegitops" / red.file.relative_to(SOURCE)
    whole = file.read_text(encoding="utf-8")
    assert red.old in whole
    file.write_text(whole.replace(red.old, red.new), encoding="utf-8")
    try:
        done = tried(copy, red.test)
    finally:
        file.write_text(whole, encoding="utf-8")
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]


def test_a_test_of_a_threat_is_green_against_the_copy(copy: Path) -> None:
    done = tried(copy, PLAIN[0].test)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
