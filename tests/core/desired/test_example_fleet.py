"""The example fleet, read from its files: it resolves on every node, and a fault in it points at its line."""

from pathlib import Path

import pytest

from edgegitops.core.desired.admission import admit
from edgegitops.core.desired.check import check_snapshot
from edgegitops.core.desired.resolve import resolve
from edgegitops.core.documents.judge import value_judge
from edgegitops.core.documents.node_files import closed_policy_text, read_node_policy
from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.schemas import SchemaSet

ROOT = Path(__file__).parents[3]
FLEET = ROOT / "fleet-repo-example"
SCHEMAS = SchemaSet({path.name.split(".")[0]: path.read_text() for path in (ROOT / "schemas").glob("*.schema.json")})
VISION = "apps/vision-qa/app.yaml"


@pytest.fixture
def texts():
    """The files of the example by path."""
    return {str(path.relative_to(FLEET)): path.read_text() for path in sorted(FLEET.rglob("*")) if path.is_file()}


def read(world, texts):
    files = {path: world.blobs.add(text.encode()) for path, text in texts.items()}
    snapshot = read_snapshot("rev", files, world.blobs, SCHEMAS)
    assert isinstance(snapshot, Snapshot), snapshot
    return snapshot


def test_example_fleet_has_neither_fault_nor_warning(world, texts):
    assert check_snapshot(read(world, texts), world.blobs, value_judge) == ()


def test_every_node_of_the_example_runs_what_its_tags_say(world, texts):
    snapshot = read(world, texts)
    for name, site in snapshot.sites.items():
        for node, entry in site.nodes.items():
            releases, contents, _ = resolve(snapshot, name, node, world.blobs, value_judge)
            assert ("broker" in releases) is (entry.tags.get("role") == "line"), node
            assert contents or not releases


def test_policy_beside_the_example_admits_everything_and_a_closed_one_all_but_the_serial_port(world, texts):
    snapshot = read(world, texts)
    opened = read_node_policy(texts["on-the-node/policy.yaml"].encode(), "policy.yaml", SCHEMAS)
    closed = read_node_policy(closed_policy_text().encode(), "policy.yaml", SCHEMAS)
    assert isinstance(opened, NodePolicy)
    assert isinstance(closed, NodePolicy)
    for name, site in snapshot.sites.items():
        for node in site.nodes:
            for release in resolve(snapshot, name, node, world.blobs, value_judge)[0].values():
                if release.deployment == "line-gateway":
                    assert [fault.pointer for fault in admit(release.spec, closed)] == ["/spec/devices"]
                    assert admit(release.spec, opened) == ()
                else:
                    assert admit(release.spec, closed) == ()


def test_digests_differ_only_where_sites_do(world, texts):
    snapshot = read(world, texts)
    before = {name: resolve(snapshot, name, "gw-line", world.blobs, value_judge)[0] for name in snapshot.sites}
    path = "sites/emea/goteborg-1.yaml"
    changed = read(world, {**texts, path: texts[path].replace("  values:\n", "  values:\n    log_level: debug\n", 1)})
    after = {name: resolve(changed, name, "gw-line", world.blobs, value_judge)[0] for name in changed.sites}
    moved = {
        name
        for name in before
        if {one: release.digest for one, release in before[name].items()}
        != {one: release.digest for one, release in after[name].items()}
    }
    assert moved == {"goteborg-1"}


@pytest.mark.parametrize(
    ("path", "line", "instead", "code"),
    [
        (VISION, "config: recipes", "config: recipe", "unknown-reference"),
        (VISION, "CAMERA_URL: ${values.camera_url}", "CAMERA_URL: ${values.camera_uri}", "unknown-value"),
        (VISION, "inspector: ready", "inspektor: ready", "unknown-reference"),
        (VISION, "file: config/qa.toml", "file: config/qa.tml", "file-missing"),
        ("deployments/broker.yaml", "application: broker", "application: brokr", "unknown-application"),
        ("deployments/vision-qa.yaml", "${values.camera_host}", "${values.camera_hots}", "unknown-value"),
        ("deployments/vision-qa.yaml", "country: MX", "country: NZ", "nothing-selected"),
    ],
)
def test_fault_points_at_the_line_that_has_to_be_edited(world, texts, path, line, instead, code):
    before = texts[path][: texts[path].index(line)]
    broken = {**texts, path: texts[path].replace(line, instead, 1)}
    faults = check_snapshot(read(world, broken), world.blobs, value_judge)
    assert {fault.code for fault in faults} == {code}
    for fault in faults:
        assert fault.file == path
        assert fault.position is not None
        assert abs(fault.position.line - (before.count("\n") + 1)) <= (1 if code == "nothing-selected" else 0)
