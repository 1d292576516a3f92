"""Law: what is read once for nodes that are alike is what each of them would have been read by itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgegitops.core.desired.deployments import Means
from edgegitops.core.desired.editions import seats
from edgegitops.core.desired.resolve import resolve_at
from edgegitops.core.documents.judge import value_judge
from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.manifests import NodeEntry, Snapshot
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.waves import Gate, RolloutPolicy, Wave

ROOT = Path(__file__).parents[3]
FLEET = ROOT / "fleet-repo-example"
SCHEMAS = SchemaSet({path.name.split(".")[0]: path.read_text() for path in (ROOT / "schemas").glob("*.schema.json")})


def kept(snapshot, blobs, judge):
    """How many readings are kept; every node is the same by the shared ones and by its own."""
    together = Means(blobs, judge)
    for target in (target for _ in range(2) for _, target in seats(snapshot)):
        assert repr(resolve_at(snapshot, target, together)) == repr(resolve_at(snapshot, target, Means(blobs, judge)))
    return len(together.alike)


def of_nodes(world, **nodes):
    """A snapshot of the world in which its site has these nodes."""
    snapshot = world.snapshot()
    site = snapshot.sites["plant"]
    return replace(snapshot, sites={"plant": replace(site, nodes=nodes)})


def gateway(name, **said):
    return NodeEntry(name, **said)


def both(world, one, two):
    """How many readings two nodes that differ by this take."""
    snapshot = of_nodes(world, **{"gw-a": gateway("gw-a", **one), "gw-b": gateway("gw-b", **two)})
    return kept(snapshot, world.blobs, world.judge)


def test_nodes_of_the_example_are_the_same_read_together(world):
    files = {
        str(path.relative_to(FLEET)): world.blobs.add(path.read_bytes()) for path in FLEET.rglob("*") if path.is_file()
    }
    snapshot = read_snapshot("rev", files, world.blobs, SCHEMAS)
    assert isinstance(snapshot, Snapshot), snapshot
    kept(snapshot, world.blobs, value_judge)


def test_nodes_that_differ_by_nothing_that_is_asked_for_are_read_once(world):
    assert both(world, {"address": "10.1.2.10", "tags": {"line": "1"}}, {"address": "10.1.2.11"}) == 1


@pytest.mark.parametrize(
    "env",
    [
        {"WHO": "${node.name}"},
        {"WHO": "${node.address}"},
        {"WHO": "${tags.line}"},
        {"WHO": "${json(tags.line)}"},
        {"WHO": {"from": "node.name"}},
        {"WHO": {"from": "node.address"}},
    ],
)
def test_what_asks_for_a_name_is_read_for_each_node(world, env):
    one, two = ({"address": f"10.1.2.{at}", "tags": {"line": str(at)}} for at in (10, 11))
    assert both(world.web(env=env), one, two) == 0


@pytest.mark.parametrize("level", ["fleet_values", "site_values", "values"])
def test_value_that_asks_for_a_name_is_read_for_each_node(world, level):
    asking = world.app(values={"who": {"type": "string"}}).web(env={"WHO": "${values.who}"})
    assert both(replace(asking, **{level: {"who": "${node.name}"}}), {}, {}) == 0


def test_values_of_nodes_tell_them_apart(world):
    asking = world.app(values={"who": {"type": "string"}}).web(env={"WHO": "${values.who}"})
    assert both(asking, {"values": {"who": "anna"}}, {"values": {"who": "bo"}}) == 2


def test_overrides_tell_nodes_apart(world):
    patch = {"containers": {"web": {"env": {"LINE": "1"}}}}
    overridden = replace(world, overrides=[(world.only("line", "1"), patch)])
    assert both(overridden, {"tags": {"line": "1"}}, {"tags": {"line": "2"}}) == 2


def test_waves_tell_nodes_apart(world):
    """A node soaks for as long as the gate of its own wave asks for."""
    snapshot = of_nodes(world, **{name: gateway(name, tags={"line": name}) for name in ("gw-a", "gw-b")})
    policy = RolloutPolicy((Wave("canary", world.only("line", "gw-a"), gate=Gate(min_count=2)),))
    line = replace(snapshot.deployments["line"], rollout=policy)
    assert kept(replace(snapshot, deployments={"line": line}), world.blobs, world.judge) == 2


def test_sites_are_told_apart_by_zone_and_values(world):
    asking = world.app(values={"who": {"type": "string"}}).web(env={"WHO": "${values.who}"})
    snapshot = replace(asking, site_values={"who": "anna"}).snapshot()
    site = snapshot.sites["plant"]
    sites = {
        "plant": site,
        "mill": replace(site, name="mill"),
        "north": replace(site, name="north", time_zone="Europe/Oslo"),
        "south": replace(site, name="south", values={"who": "bo"}),
    }
    assert kept(replace(snapshot, sites=sites), asking.blobs, asking.judge) == 3


def test_pool_of_a_site_is_its_own_though_it_is_read_together(world):
    snapshot = world.snapshot()
    pooled = replace(snapshot.sites["plant"], name="mill", network_pool="10.213.0.0/16")
    assert kept(replace(snapshot, sites={**snapshot.sites, "mill": pooled}), world.blobs, world.judge) == 1


def test_faults_are_told_for_each_node(world):
    assert both(world.web(env={"WHO": "${values.who}"}), {}, {}) == 0
