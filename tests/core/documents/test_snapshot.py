"""A revision becomes a snapshot: places, names, verbatim texts, and a memo that changes nothing."""

from dataclasses import replace

import pytest

from edgegitops.core.documents.snapshot import read_partly, read_snapshot
from edgegitops.core.model.faults import Position
from edgegitops.core.model.manifests import Faults, Snapshot
from edgegitops.core.model.selector import Requirement, Selector


def test_sound_fleet_is_read_whole(fleet):
    snapshot = fleet.sound({})
    assert snapshot.revision == "r1"
    assert (snapshot.fleet.repository, snapshot.fleet.resolver) == ("urn:uuid:1", 1)
    assert snapshot.sites["goteborg-1"].nodes["gw-a"].tags == {"role": "line"}
    assert snapshot.applications["web"].spec["containers"]["web"] == {"image": fleet.image}
    deployment = snapshot.deployments["shop"]
    assert (deployment.application, deployment.attempt, deployment.selector) == ("web", 1, Selector(is_all=True))


def test_fields_of_sites_and_nodes_are_filled(fleet):
    text = """\
tags: {region: emea}
timeZone: Europe/Stockholm
values: {plc: 10.1.2.3}
nodes:
  gw-a: {tags: {gpu: "true"}, address: 10.1.2.10, values: {serial: /dev/x}}
  gw-b: {state: maintenance}
"""
    site = fleet.sound(fleet.with_spec("site", text)).sites["goteborg-1"]
    assert (site.time_zone, site.values, site.tags) == ("Europe/Stockholm", {"plc": "10.1.2.3"}, {"region": "emea"})
    assert site.nodes["gw-a"].address == "10.1.2.10"
    assert not site.nodes["gw-a"].is_in_maintenance
    assert site.nodes["gw-b"].is_in_maintenance


def test_selector_fields_become_requirements(fleet):
    text = "selector: {matchTags: {b: [x, y], a: z}, matchExpressions: [{key: c, operator: DoesNotExist}]}"
    selector = fleet.sound(fleet.with_spec("deployment", text)).deployments["shop"].selector
    assert selector.requirements == (
        Requirement("a", "In", ("z",)),
        Requirement("b", "In", ("x", "y")),
        Requirement("c", "DoesNotExist", ()),
    )
    assert not selector.is_all


ENV = """\
env:
  A: 1.10
  B: True
  C: 0x1F
  D: 1_000
  E: "2.0"
  F: 22:22
  G: 12345678901234567890
  H: {from: node.name}
sysctls: {net.core.somaxconn: 1024}
user: 1000
"""


def test_texts_for_programs_are_kept_as_written(fleet):
    container = fleet.sound(fleet.with_container(ENV)).applications["web"].spec["containers"]["web"]
    assert container["env"] == {
        "A": "1.10",
        "B": "True",
        "C": "0x1F",
        "D": "1_000",
        "E": "2.0",
        "F": "22:22",
        "G": "12345678901234567890",
        "H": {"from": "node.name"},
    }
    assert container["sysctls"] == {"net.core.somaxconn": "1024"}
    assert container["user"] == "1000"


def test_texts_in_defaults_and_patches_are_kept_as_written_and_nulls_stay(fleet):
    texts = fleet.with_spec("application", "containerDefaults: {env: {A: 1.10}}")
    patch = "{containerDefaults: {env: {B: 2.0}}, containers: {web: {env: {A: 3.10, C: null, D: ~}, user: null}}}"
    texts |= fleet.with_spec("deployment", f"overrides: [{{selector: {{all: true}}, patch: {patch}}}]")
    snapshot = fleet.sound(texts)
    assert snapshot.applications["web"].spec["containerDefaults"] == {"env": {"A": "1.10"}}
    assert snapshot.deployments["shop"].overrides[0].patch == {
        "containerDefaults": {"env": {"B": "2.0"}},
        "containers": {"web": {"env": {"A": "3.10", "C": None, "D": None}, "user": None}},
    }


def test_values_of_a_patch_are_values_and_no_schemas(fleet):
    text = "overrides: [{selector: {all: true}, patch: {values: {threshold: 0.9, name: x}}}]"
    deployment = fleet.sound(fleet.with_spec("deployment", text)).deployments["shop"]
    assert deployment.overrides[0].patch == {"values": {"threshold": 0.9, "name": "x"}}


def test_container_that_a_patch_adds_may_be_told_in_part(fleet):
    text = "overrides: [{selector: {all: true}, patch: {containers: {web: {probes: {ready: {interval: 3s}}}}}}]"
    assert fleet.sound(fleet.with_spec("deployment", text)).deployments["shop"].overrides


def test_files_beside_an_application_belong_to_it(fleet):
    texts = {
        "apps/web/config/qa.toml": "a = 1",
        "apps/web/rules/x.yaml": "not: {a: manifest}",
        "apps/web/a/app.yaml": "- x",
    }
    application = fleet.sound(texts).applications["web"]
    assert set(application.files) == {"config/qa.toml", "rules/x.yaml", "a/app.yaml"}
    assert application.files["config/qa.toml"] == fleet.blobs(texts).files["apps/web/config/qa.toml"]


@pytest.mark.parametrize(
    "path",
    ["README.md", "ci/pipeline.yaml", "other.yaml", "sites/README.md", "trust/root/000001.json", "secrets/db.1.age",
     "deployments/notes.txt"],
)  # fmt: skip
def test_files_that_are_no_manifests_are_not_read(fleet, path):
    assert isinstance(fleet.read({path: "&a !!x [\0"}), Snapshot)


def test_node_keys_are_judged_by_their_schema(fleet):
    text = "apiVersion: edgegitops/v1\nkind: NodeKeys\nmetadata: {name: goteborg-1}\nspec: {nodes: {gw-a: {}}}\n"
    (fault,) = fleet.faults({"trust/nodes/goteborg-1.yaml": text.replace("{}}", "{reportKey: rsa}}")})
    assert fault.pointer == "/spec/nodes/gw-a/reportKey"


def test_positions_are_found_when_they_are_asked_for(fleet):
    blobs = fleet.blobs(fleet.sound_texts)
    snapshot = read_snapshot("r1", blobs.files, blobs, fleet.schemas)
    origin = snapshot.applications["web"].origin
    reads = len(blobs.reads)
    assert origin.positions["/spec/containers/web/image"] == Position(8, 14)
    assert origin.positions.get("/spec/nothing") is None
    assert len(blobs.reads) == reads + 1


def test_memo_spares_reading_what_did_not_change(fleet):
    memo: dict[str, object] = {}
    first = fleet.blobs(fleet.sound_texts)
    before = read_snapshot("r1", first.files, first, fleet.schemas, memo)
    assert len(first.reads) == 4
    changed = {**fleet.sound_texts, **fleet.with_container("tty: true")}
    second = fleet.blobs(changed)
    after = read_snapshot("r2", second.files, second, fleet.schemas, memo)
    assert second.reads == [second.files["apps/web/app.yaml"]]
    assert after == fleet_with_revision(fleet.sound(fleet.with_container("tty: true")), "r2")
    assert before.sites == after.sites


def fleet_with_revision(snapshot: Snapshot, revision: str) -> Snapshot:
    return replace(snapshot, revision=revision)


def test_memo_keeps_faults_too(fleet):
    memo: dict[str, object] = {}
    blobs = fleet.blobs({**fleet.sound_texts, **fleet.with_container("tty: no")})
    first = read_snapshot("r1", blobs.files, blobs, fleet.schemas, memo)
    reads = len(blobs.reads)
    assert isinstance(first, Faults)
    assert read_snapshot("r1", blobs.files, blobs, fleet.schemas, memo) == first
    assert len(blobs.reads) == reads


def test_same_bytes_at_another_place_are_not_taken_from_the_memo(fleet):
    memo: dict[str, object] = {}
    blobs = fleet.blobs({**fleet.sound_texts, "sites/other.yaml": fleet.sound_texts["sites/emea/goteborg-1.yaml"]})
    found = read_snapshot("r1", blobs.files, blobs, fleet.schemas, memo)
    assert [fault.code for fault in found.faults] == ["name-mismatch"]


def test_missing_object_is_told_and_nothing_else_is_lost(fleet):
    blobs = fleet.blobs(fleet.sound_texts)
    files = {**blobs.files, "sites/lost.yaml": "0" * 40}
    found = read_snapshot("r1", files, blobs, fleet.schemas)
    assert [(fault.file, fault.code) for fault in found.faults] == [("sites/lost.yaml", "unreadable")]


def test_what_is_sound_can_be_looked_at_beside_faults(fleet):
    blobs = fleet.blobs({**fleet.sound_texts, **fleet.with_container("tty: no")})
    snapshot, faults = read_partly("r1", blobs.files, blobs, fleet.schemas)
    assert len(faults) == 1
    assert set(snapshot.sites) == {"goteborg-1"}
    assert not snapshot.applications
    assert not snapshot.deployments, "its application is unsound: what it asks for cannot be known"
