"""A directory as Git objects: the ids are Git's own, links are never followed, the rules of a node apply."""

import os
import subprocess
from pathlib import Path

import pytest

from edgegitops.adapters.objects_directory import DirectoryObjects
from edgegitops.core.trust.listing import list_manifests
from edgegitops.errors import DeniedError

NAMES = frozenset({"fleet.yaml", "apps", "sites"})
LARGEST = 1000


def git(folder: Path, *argv: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *argv], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(path: Path, text: str = "x\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_tree_has_the_id_that_git_gives_it(tmp_path):
    for name in ("fleet.yaml", "apps/web/app.yaml", "apps/web-2/app.yaml", "apps/web.d", "apps/é/x", "sites/a.yaml"):
        write(tmp_path / name, f"{name}\n")
    (tmp_path / "sites/a.yaml").chmod(0o755)
    (tmp_path / "sites/link.yaml").symlink_to("a.yaml")
    (tmp_path / "sites/empty/deep").mkdir(parents=True)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    assert DirectoryObjects(tmp_path, NAMES, largest=LARGEST).tree == git(tmp_path, "write-tree")


def test_every_file_is_read_by_its_id(tmp_path):
    write(tmp_path / "fleet.yaml", "a: 1\n")
    write(tmp_path / "apps/web/app.yaml", "b: 1\n")
    objects = DirectoryObjects(tmp_path, NAMES, largest=LARGEST)
    files = list_manifests(objects, objects.tree)
    assert {path: objects.read(oid).data for path, oid in files.items()} == {
        "fleet.yaml": b"a: 1\n",
        "apps/web/app.yaml": b"b: 1\n",
    }
    assert objects.header(files["fleet.yaml"]).size == 5


def test_other_top_level_names_are_not_looked_at(tmp_path):
    write(tmp_path / "fleet.yaml")
    before = DirectoryObjects(tmp_path, NAMES, largest=LARGEST).tree
    write(tmp_path / "secret-notes/x")
    write(tmp_path / ".git/config")
    assert DirectoryObjects(tmp_path, NAMES, largest=LARGEST).tree == before


def test_large_file_has_a_header_and_no_bytes(tmp_path):
    write(tmp_path / "fleet.yaml", "x" * (LARGEST + 1))
    objects = DirectoryObjects(tmp_path, NAMES, largest=LARGEST)
    oid = git(tmp_path, "hash-object", "fleet.yaml")
    assert objects.header(oid).size == LARGEST + 1
    assert objects.read(oid) is None


def test_links_are_stored_and_never_followed(tmp_path):
    outside = tmp_path / "outside"
    write(outside / "app.yaml", "secret\n")
    root = tmp_path / "root"
    (root / "apps").mkdir(parents=True)
    (root / "apps/web").symlink_to(outside)
    (root / "sites").symlink_to("/")
    objects = DirectoryObjects(root, NAMES, largest=LARGEST)
    assert objects.read(git(tmp_path, "hash-object", "outside/app.yaml")) is None
    refused = list_manifests(objects, objects.tree)
    assert refused.doubt == "tree-refused"


def test_a_link_that_turns_in_a_circle_ends(tmp_path):
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps/loop").symlink_to("..")
    assert DirectoryObjects(tmp_path, NAMES, largest=LARGEST).tree


def test_pipes_are_not_seen_as_git_does_not_see_them(tmp_path):
    write(tmp_path / "sites/a.yaml")
    before = DirectoryObjects(tmp_path, NAMES, largest=LARGEST).tree
    os.mkfifo(tmp_path / "sites/pipe.yaml")
    assert DirectoryObjects(tmp_path, NAMES, largest=LARGEST).tree == before


def test_directory_that_is_not_there_is_denied_by_name(tmp_path):
    with pytest.raises(DeniedError, match=str(tmp_path / "no")):
        DirectoryObjects(tmp_path / "no", NAMES, largest=LARGEST)


def test_folders_without_end_are_denied(tmp_path):
    write(tmp_path / "apps" / "/".join("d" * 70) / "x")
    with pytest.raises(DeniedError, match="nested"):
        DirectoryObjects(tmp_path, NAMES, largest=LARGEST)


def test_unknown_id_is_nothing(tmp_path):
    objects = DirectoryObjects(tmp_path, NAMES, largest=LARGEST)
    assert objects.header("0" * 40) is None
    assert objects.read("0" * 40) is None
