"""Names, order and sharing of what a release is made of."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.stage import FLEET, LINE, container, release

from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.spec import Condition, NetworkSpec, Restart
from edgegitops.core.reconcile.parts import Part, parts_of
from edgegitops.errors import BrokenInvariantError


def needing(**needs: str):
    """Containers by name, each with the names that it depends on."""
    waits = {name: dict.fromkeys(one.split(), Condition.STARTED) for name, one in needs.items()}
    return release({name: container(name, needs=one) for name, one in waits.items()})


@pytest.mark.parametrize(
    ("needs", "levels"),
    [
        ({"a": ""}, ["a"]),
        ({"a": "", "b": ""}, ["ab"]),
        ({"a": "b", "b": ""}, ["b", "a"]),
        ({"a": "b c", "b": "d", "c": "", "d": ""}, ["cd", "b", "a"]),
    ],
)
def test_level_of_start_is_the_longest_way_to_what_depends_on_nothing(needs, levels):
    found = parts_of(FLEET, needing(**needs)).levels()
    assert ["".join(sorted(part.container for part in level)) for level in found] == levels


def test_cycle_is_our_bug_because_resolution_refuses_it():
    with pytest.raises(BrokenInvariantError, match="a, b"):
        parts_of(FLEET, needing(a="b", b="a"))


def test_names_are_a_function_of_deployment_part_and_digest():
    parts = parts_of(FLEET, release({"app": container("app", volume="data")}))
    (part,) = parts.containers
    assert part.name == f"{LINE}.app.{part.digest[:12]}"
    assert parts.networks == {"net": f"{LINE}.net.{parts.release.spec.network_digest('net')[:12]}"}
    assert parts.volumes == {"data": f"{LINE}.data"}


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (release({"app": container("app", "1"), "db": container("db", "2")}), {"app"}),
        (release({"app": container("app", "1"), "db": container("db", "1")}, attempt=2), {"app", "db"}),
        (release({"app": container("app", "1", restart=Restart.NEVER), "db": container("db", "1")}), {"app", "db"}),
        (release({"app": container("app", "1"), "db": container("db", "1")}, net=NetworkSpec(internal=True)), set()),
    ],
    ids=["one image", "attempt", "care", "network"],
)
def test_two_releases_share_exactly_the_parts_that_the_engine_is_told_alike(other, shared):
    first = parts_of(FLEET, release({"app": container("app", "1"), "db": container("db", "1")}))
    names = parts_of(FLEET, other).names()
    assert {part.container for part in first.containers if part.name in names} == shared


@pytest.mark.parametrize(
    ("fleet", "deployment", "is_ours"),
    [(FLEET, LINE, True), ("urn:other", LINE, False), (FLEET, "other", False), ("", "", False)],
)
def test_ownership_is_told_by_labels_never_by_names(fleet, deployment, is_ours):
    parts = parts_of(FLEET, release())
    labels = {"io.edgegitops.fleet": fleet, "io.edgegitops.deployment": deployment}
    assert parts.is_ours(ContainerSeen(parts.containers[0].name, "i", ContainerState.RUNNING, labels)) is is_ours


def test_labels_of_the_manifest_never_hide_ours():
    one = container("app")
    liar = replace(one, create=replace(one.create, labels={"io.edgegitops.fleet": "urn:other", "line": "7"}))
    parts = parts_of(FLEET, release({"app": liar}))
    labels = parts.create_container(parts.containers[0]).labels
    assert (labels["io.edgegitops.fleet"], labels["line"]) == (FLEET, "7")


@pytest.mark.parametrize(
    ("restart", "rests"),
    [(Restart.ALWAYS, set()), (Restart.ON_FAILURE, {0}), (Restart.NEVER, {0, 1, None})],
)
def test_restart_policy_says_which_ends_are_accepted(restart, rests):
    part = Part("n", "c", "d", 0, container("c", restart=restart))
    assert {code for code in (0, 1, None) if part.may_rest(code)} == rests


@given(st.permutations(["a", "b", "c", "d"]))
def test_order_in_the_manifest_changes_nothing(order):
    known = {name: container(name, needs={"a": Condition.READY} if name != "a" else {}) for name in "abcd"}
    permuted = release({name: known[name] for name in order})
    assert parts_of(FLEET, permuted).containers == parts_of(FLEET, release(known)).containers
    assert permuted.digest == release(known).digest
