"""A whole revision: every node, every fault once, emptiness only a warning."""

from dataclasses import replace

from edgegitops.core.desired.check import check_snapshot
from edgegitops.core.model.manifests import NodeEntry, Override
from edgegitops.core.model.waves import RolloutPolicy, Wave


def check(world, snapshot=None):
    return check_snapshot(snapshot or world.snapshot(), world.blobs, world.judge)


def with_nodes(snapshot, *names):
    site = snapshot.sites["plant"]
    nodes = {name: NodeEntry(name, tags={"role": "line"}) for name in names}
    return replace(snapshot, sites={"plant": replace(site, nodes=nodes)})


def test_good_revision_has_no_faults(world):
    assert check(world) == ()


def test_fault_of_many_nodes_is_told_once(world):
    bad = world.web(foo=1, restart="often")
    faults = check(bad, with_nodes(bad.snapshot(), "a", "b", "c"))
    assert [fault.code for fault in faults] == ["unknown-field", "wrong-value"]


def test_fault_that_depends_on_the_node_names_it(world):
    bad = world.web(env={"A": "${node.address}"})
    (fault,) = check(bad, with_nodes(bad.snapshot(), "a", "b", "c"))
    assert fault.message.endswith("(on plant/a and 2 more)")


def test_selector_that_matches_nothing_is_a_warning(world):
    (fault,) = check(replace(world, selector=world.only("role", "vision")))
    assert (fault.code, fault.is_warning, fault.pointer) == ("nothing-selected", True, "/spec/selector")
    patch = {"containers": {"web": {"tty": True}}}
    (fault,) = check(replace(world, overrides=[(world.only("country", "MX"), patch)]))
    assert (fault.is_warning, fault.pointer) == (True, "/spec/overrides/0/selector")


def test_wave_that_takes_no_node_is_a_warning(world):
    snapshot = world.snapshot()
    waves = (
        Wave("canary", selector=world.only("role", "line")),
        Wave("pilot", selector=world.only("role", "vision")),
        Wave("share", percent=100),
    )
    deployment = replace(snapshot.deployments["line"], rollout=RolloutPolicy(waves))
    empty, small = check(world, replace(snapshot, deployments={"line": deployment}))
    assert (empty.code, empty.is_warning, empty.message) == (
        "nothing-selected",
        True,
        "line: wave pilot takes no node of the deployment",
    )
    assert small.message.endswith("100 % of them, less those of earlier waves, are none")


def test_waves_that_take_nobody_before_all_others_are_told_to_cost_an_approval_each_time(world):
    snapshot = world.snapshot()
    waves = (Wave("canary", percent=0), Wave("pilot", selector=world.only("role", "line")), Wave("late", percent=0))
    deployment = replace(snapshot.deployments["line"], rollout=RolloutPolicy(waves))
    canary, late = check(world, replace(snapshot, deployments={"line": deployment}))
    assert canary.message.endswith("; with nobody before them, the others need an approval for each release")
    assert late.message.endswith("are none")


def test_unknown_application_is_told_even_where_nothing_is_selected(world):
    snapshot = world.snapshot()
    lost = replace(snapshot.deployments["line"], application="apq", selector=world.only("role", "vision"))
    faults = check(world, replace(snapshot, deployments={"line": lost}))
    assert {fault.code for fault in faults} == {"unknown-application", "nothing-selected"}


def test_unknown_resolver_ends_the_check(world):
    assert [fault.code for fault in check(replace(world.web(foo=1), resolver=9))] == ["resolver-unknown"]


def test_faults_stand_in_the_order_of_files_and_lines(world):
    bad = replace(world.web(foo=1, bar=2), values={"x": 1}, deployment_spec={"drift": "x"})
    override = Override(world.only("site", "plant"), {"container": 1})
    snapshot = bad.snapshot()
    snapshot = replace(snapshot, deployments={"line": replace(snapshot.deployments["line"], overrides=(override,))})
    faults = check(bad, snapshot)
    assert [fault.file for fault in faults] == sorted(fault.file for fault in faults)
    lines = [fault.position.line for fault in faults if fault.file == "apps/app/app.yaml"]
    assert lines == sorted(lines)
    assert len(lines) == 2
