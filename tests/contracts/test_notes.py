"""A note gives back what was kept, for the same bytes and version only; a note that is lost or changed is none."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from edgegitops.adapters import notes_directory
from edgegitops.adapters.notes_directory import DesiredNotes, ManifestNotes, NotesDirectory
from edgegitops.adapters.notes_memory import MemoryNotes
from edgegitops.adapters.objects_directory import DirectoryObjects
from edgegitops.bootstrap import load_schemas, read_config
from edgegitops.core.desired.resolve import resolve
from edgegitops.core.documents.judge import value_judge
from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.facts import Desired, Refusals
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.objects import Header, RawObject
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.pages import Page, read_page
from edgegitops.core.trust.listing import list_manifests
from edgegitops.core.trust.rules import MANIFEST_FILES, MANIFEST_FOLDERS
from edgegitops.ports import DesiredNotes as Notes

FLEET = Path(__file__).parents[1] / "vectors" / "whole_format"


@pytest.fixture(scope="module")
def desired() -> Desired:
    """What the whole format makes of a node, with all that a desired state can hold."""
    objects = DirectoryObjects(FLEET, MANIFEST_FILES | MANIFEST_FOLDERS, largest=2**20)
    read = read_snapshot("r1", list_manifests(objects, objects.tree), objects, load_schemas())
    assert isinstance(read, Snapshot)
    releases, contents, faults = resolve(read, "goteborg-1", "gw-a", objects, value_judge)
    assert releases
    assert contents
    assert faults == ()
    refused = Refusals({"x": (Fault("a.yaml", FaultCode.UNREADABLE, "no", Position(1, 2)),)})
    return Desired("r1", releases, contents, refused, is_in_maintenance=True, max_staleness=timedelta(days=2))


@pytest.fixture(params=["directory", "memory"])
def notes(request: pytest.FixtureRequest, tmp_path: Path) -> Notes:
    return MemoryNotes() if request.param == "memory" else DesiredNotes(NotesDirectory(tmp_path / "notes"), {"a": 1})


def test_note_gives_back_what_was_kept(notes: Notes, desired: Desired) -> None:
    assert notes.recall("r1") is None
    notes.keep(desired)
    assert notes.recall("r1") == desired
    assert notes.recall("r2") is None
    notes.keep(replace(desired, revision="r2"))
    assert notes.recall("r1") is None


def test_note_counts_for_the_same_node_policy_and_version_only(
    tmp_path: Path, desired: Desired, monkeypatch: pytest.MonkeyPatch
) -> None:
    DesiredNotes(NotesDirectory(tmp_path), "node", "policy").keep(desired)
    assert DesiredNotes(NotesDirectory(tmp_path), "node", "policy").recall("r1") == desired
    assert DesiredNotes(NotesDirectory(tmp_path), "node", "another").recall("r1") is None
    monkeypatch.setattr(notes_directory, "__version__", "another")
    assert DesiredNotes(NotesDirectory(tmp_path), "node", "policy").recall("r1") is None


@pytest.mark.parametrize("at", [0, 70, 200, -1])
def test_note_that_was_changed_or_cut_is_none(tmp_path: Path, desired: Desired, at: int) -> None:
    notes = DesiredNotes(NotesDirectory(tmp_path))
    notes.keep(desired)
    whole = (tmp_path / "desired").read_bytes()
    changed = bytearray(whole)
    changed[at] ^= 1
    for data in (bytes(changed), whole[:at], b""):
        (tmp_path / "desired").write_bytes(data)
        assert notes.recall("r1") is None
    (tmp_path / "desired").write_bytes(whole)
    assert notes.recall("r1") == desired


def test_folder_that_takes_no_note_hinders_nobody(desired: Desired, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    notes = DesiredNotes(NotesDirectory(tmp_path / "file"))
    notes.keep(desired)
    assert notes.recall("r1") is None


@dataclass
class Counting:
    """A lookup that tells which objects were read."""

    objects: DirectoryObjects
    read_ids: list[str] = field(default_factory=list)

    def header(self, oid: str) -> Header | None:
        return self.objects.header(oid)

    def read(self, oid: str) -> RawObject | None:
        self.read_ids.append(oid)
        return self.objects.read(oid)


def test_site_that_an_earlier_process_judged_is_not_read_again(tmp_path: Path) -> None:
    objects = Counting(DirectoryObjects(FLEET, MANIFEST_FILES | MANIFEST_FOLDERS, largest=2**20))
    tree, schemas = objects.objects.tree, load_schemas()
    first = ManifestNotes(NotesDirectory(tmp_path), "key")
    before = read_page(tree, objects, schemas, first)
    assert isinstance(before, Page)
    first.keep()
    many = {oid for path, oid in before.files.items() if path.startswith(("sites/", "trust/nodes/"))}
    assert many <= set(objects.read_ids)
    objects.read_ids.clear()
    after = read_page(tree, objects, schemas, ManifestNotes(NotesDirectory(tmp_path), "key"))
    assert isinstance(after, Page)
    assert not many & set(objects.read_ids)
    assert [after.snapshot.sites[name] for name in after.snapshot.sites] == list(before.snapshot.sites.values())
    assert (after.snapshot.keys, after.files) == (before.snapshot.keys, before.files)
    other = ManifestNotes(NotesDirectory(tmp_path), "another key")
    assert len(other) == 0


def test_files_that_nobody_asked_for_are_not_noted_again(tmp_path: Path) -> None:
    first = ManifestNotes(NotesDirectory(tmp_path))
    first.update({"a": "1", "b": "2", "c": object()})
    first.keep()
    second = ManifestNotes(NotesDirectory(tmp_path))
    assert dict(second._known) == {"a": "1", "b": "2"}
    assert second["a"] == "1"
    second["d"] = "4"
    second.keep()
    assert set(ManifestNotes(NotesDirectory(tmp_path))) == {"a", "d"}


def test_configuration_is_read_again_when_a_byte_or_a_variable_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = tmp_path / "node.yaml", tmp_path / "notes"
    pin = {"rootSha256": "1" * 64, "checkpoint": "2" * 40, "repository": "urn:test:fleet"}
    tree = {"apiVersion": "edgegitops/v1", "kind": "NodeConfig"}
    tree["spec"] = {"repository": {"url": "file:///r"}, "pin": pin, "site": "s", "node": "n"}
    file.write_text(json.dumps(tree))
    first = read_config(str(file), notes=folder)
    assert read_config(str(file), notes=folder) == first == read_config(str(file))
    file.write_text(json.dumps(tree).replace('"n"', '"m"'))
    assert read_config(str(file), notes=folder) == read_config(str(file)) != first
    monkeypatch.setenv("EDGEGITOPS_NODE", "k")
    assert read_config(str(file), notes=folder) == read_config(str(file))
    assert read_config(str(file)).node == "k"
