"""Whatever stands in a manifest, a node gets a snapshot or faults; it never gets an exception."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.documents.node_files import read_node_config, read_node_policy
from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Faults, Snapshot

SCHEMAS = {
    kind: json.loads(
        (Path(__file__).parents[3] / "schemas" / f"{kind.lower()}.schema.json").read_text(encoding="utf-8")
    )
    for kind in ("Fleet", "Site", "Application", "Deployment", "NodeKeys", "NodePolicy", "NodeConfig", "Policy")
}
PLACES = {
    "Fleet": "fleet.yaml",
    "Site": "sites/emea/goteborg-1.yaml",
    "Application": "apps/web/app.yaml",
    "Deployment": "deployments/shop.yaml",
    "NodeKeys": "trust/nodes/goteborg-1.yaml",
    "Policy": "policies/p.yaml",
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def near(schema: dict[str, Any], root: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Documents that nearly fit: the right fields, now and then with junk where a value should be."""
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rsplit("/", 1)[1]], **schema}
    ways = [JUNK, st.sampled_from(schema.get("examples") or [schema.get("const")])]
    if depth < 5 and "properties" in schema:
        fields = {name: near(value, root, depth + 1) for name, value in schema["properties"].items()}
        ways += [st.fixed_dictionaries({}, optional=fields)] * 3
    if depth < 5 and isinstance(schema.get("additionalProperties"), dict):
        names = st.sampled_from(["web", "gw-a", "A", "/data", "x.y"])
        ways += [st.dictionaries(names, near(schema["additionalProperties"], root, depth + 1), max_size=2)] * 3
    if depth < 5 and isinstance(schema.get("items"), dict):
        ways.append(st.lists(near(schema["items"], root, depth + 1), max_size=2))
    return st.one_of(ways)


def documents(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    schema = SCHEMAS[kind]
    spec = near(schema["properties"]["spec"], schema)
    name = {"Site": "goteborg-1", "Application": "web", "Deployment": "shop", "NodeKeys": "goteborg-1"}.get(kind, "p")
    head = {"apiVersion": st.just("edgegitops/v1"), "kind": st.just(kind)}
    return st.fixed_dictionaries({**head, "spec": spec}, optional={"metadata": st.just({"name": name}) | JUNK})


@given(st.sampled_from(sorted(PLACES)).flatmap(lambda kind: st.tuples(st.just(kind), documents(kind))))
def test_any_manifest_gives_a_snapshot_or_faults_with_places(fleet, drawn):
    kind, tree = drawn
    found = fleet.read({PLACES[kind]: json.dumps(tree)})
    assert isinstance(found, Snapshot | Faults)
    for fault in found.faults if isinstance(found, Faults) else ():
        assert fault.position
        assert fault.message
        assert from_tree(Fault, to_tree(fault)) == fault


@given(st.sampled_from(["NodePolicy", "NodeConfig"]).flatmap(lambda kind: st.tuples(st.just(kind), documents(kind))))
def test_any_file_of_a_node_is_judged(fleet, drawn):
    kind, tree = drawn
    read = read_node_policy if kind == "NodePolicy" else read_node_config
    found = read(json.dumps(tree).encode(), "node.yaml", fleet.schemas)
    if isinstance(found, tuple):
        assert found
        assert all(fault.position and fault.message for fault in found)
