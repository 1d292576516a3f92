"""What is not believed or not valid changes nothing on a node: the old release runs on, and the node says why."""

from collections.abc import Iterator

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, eventually, planted, simple

from edgegitops.core.model.reasons import Alarm, Doubt
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """One node at 1.0.0."""
    with planted(1, simple("app", "node-1")) as started:
        node = started.nodes[0]
        node.start_agent()
        eventually(lambda: look.is_serving(node, "app", "1.0.0"), "the first release", node)
        yield started


def refused(node: VirtualNode, tip: str, reason: str) -> None:
    """The tip is refused for this reason, and the old release runs on in the same container."""
    before = look.ids(node)
    eventually(lambda: look.ledger(node).refused_tip == tip, f"{tip} refused: {reason}", node)
    assert look.status(node)["refusedTip"] == {"commit": tip, "reason": reason}
    assert look.is_serving(node, "app", "1.0.0")
    assert look.ids(node) == before


def take_back(plant: Plant, good: str) -> None:
    """Force the branch back; the node believes it again and has no alarm."""
    node = plant.nodes[0]
    plant.lab.fleet.git("reset", "-q", "--hard", good)
    plant.lab.fleet.push(force=True)
    eventually(lambda: not look.ledger(node).refused_tip and not look.ledger(node).alarms, "no doubt any more", node)


@pytest.mark.parametrize(
    ("key", "path", "reason"),
    [
        (None, "apps/app/app.yaml", Doubt.UNSIGNED),
        ("engineer", "deployments/app.yaml", Doubt.ROLE_MISSING),
        ("release-manager", "apps/app/app.yaml", Doubt.ROLE_MISSING),
        ("stranger", "apps/app/app.yaml", Doubt.KEY_UNKNOWN),
    ],
)
def test_commit_of_whoever_may_not_is_refused(plant: Plant, key: str | None, path: str, reason: str) -> None:
    fleet, node = plant.lab.fleet, plant.nodes[0]
    good = fleet.tip()
    text = (fleet.work / path).read_text().replace("\n}", "\n }")
    tip = plant.commit("whoever", key, {path: text})
    refused(node, tip, reason)
    (alarm,) = look.status(node)["alarms"]
    assert alarm["code"] == Alarm.REVISION_REFUSED
    assert tip[:12] in alarm["detail"]
    take_back(plant, good)


def test_manifest_with_a_mistake_keeps_the_last_good_one_until_it_is_mended(plant: Plant) -> None:
    fleet, node = plant.lab.fleet, plant.nodes[0]
    text = (fleet.work / "apps/app/app.yaml").read_text()
    tip = plant.commit("a mistake", "engineer", {"apps/app/app.yaml": text.replace('"image"', '"imgae"')})
    eventually(lambda: look.ledger(node).invalid_revision == tip, "found invalid", node)
    (alarm,) = look.status(node)["alarms"]
    assert alarm["code"] == Alarm.REVISION_INVALID
    assert "apps/app/app.yaml" in alarm["detail"]
    assert "imgae" in alarm["detail"]
    assert look.is_serving(node, "app", "1.0.0")
    plant.wish(simple("app", "node-1").at("1.1.0"))
    eventually(lambda: look.is_serving(node, "app", "1.1.0"), "the mended release", node)
    assert not look.ledger(node).alarms
    plant.wish(simple("app", "node-1"))
    eventually(lambda: look.is_serving(node, "app", "1.0.0"), "the old content once more", node)


@pytest.mark.parametrize("onto", ["HEAD~1", "HEAD~2"])
def test_history_that_was_rewritten_is_never_followed(plant: Plant, onto: str) -> None:
    """A branch set back (its commits are all known and signed), and another history grown from there."""
    fleet, node = plant.lab.fleet, plant.nodes[0]
    good = fleet.tip()
    floor = look.ledger(node).floor
    fleet.git("reset", "-q", "--hard", onto)
    tip = fleet.push(force=True)
    if onto == "HEAD~2":
        tip = plant.commit("another history", "engineer", {"apps/app/README.md": "forked\n"})
    eventually(lambda: any(one.code == Alarm.HISTORY_DIVERGED for one in look.ledger(node).alarms.values()), tip, node)
    assert look.ledger(node).floor == floor
    assert look.is_serving(node, "app", "1.0.0")
    take_back(plant, good)


@pytest.mark.parametrize("is_alive", [True, False], ids=["agent alive", "agent dead"])
def test_operator_begins_anew_after_a_history_that_was_rewritten_on_purpose(plant: Plant, *, is_alive: bool) -> None:
    """The command asks nothing of the network; the node's only road to the repository is unplugged meanwhile."""
    fleet, node = plant.lab.fleet, plant.nodes[0]
    leaked = plant.commit("a leaked password", "engineer", {"apps/app/README.md": f"secret, alive: {is_alive}\n"})
    eventually(lambda: look.ledger(node).floor.commit == leaked, "the commit that goes", node)
    fleet.git("reset", "-q", "--hard", "HEAD~1")
    fleet.push(force=True)
    tip = plant.commit("rewritten", "engineer", {"apps/app/README.md": f"alive: {is_alive}\n"})
    eventually(lambda: Alarm.HISTORY_DIVERGED in {one.code for one in look.ledger(node).alarms.values()}, tip, node)
    before = look.ids(node)
    if not is_alive:
        node.stop_agent()
    node.unplug()
    said = node.run(["edgegitops", "trust", "reanchor", tip, "--reason", "history cleaned"])
    assert f"begins anew at {tip[:12]}" in said
    assert ("The agent does not run" in said) != is_alive
    node.plug()
    if not is_alive:
        node.start_agent()
    eventually(lambda: look.ledger(node).floor.commit == tip and not look.ledger(node).alarms, "begun anew", node)
    assert any(event.kind == "reanchored" for event in look.happened(node))
    assert look.is_serving(node, "app", "1.0.0")
    assert look.ids(node) == before
    again = node.attempt(["edgegitops", "trust", "reanchor", tip, "--reason", "again"])
    assert (again.returncode, b"stands at" in again.stdout) == (1, True)


def test_operators_slip_is_mended_by_another_word_of_his(plant: Plant) -> None:
    node = plant.nodes[0]
    first = plant.lab.fleet.git("rev-list", "--max-parents=0", "HEAD").strip()
    done = node.attempt(["edgegitops", "trust", "reanchor", "HEAD", "--reason", "x"])
    assert done.returncode == 64
    slip = ["edgegitops", "trust", "reanchor", "0" * 40, "--reason", "a slip"]
    refused = node.attempt(slip)
    assert (refused.returncode, b"commit-unknown" in refused.stdout) == (1, True)
    elsewhere = node.run([*slip, "--force"])
    assert "not in the local mirror" in elsewhere
    back = node.run(["edgegitops", "trust", "reanchor", first, "--reason", "the slip is mended"])
    assert f"begins anew at {first[:12]}" in back
    tip = plant.lab.fleet.tip()
    eventually(lambda: not look.ledger(node).anchor and look.ledger(node).floor.commit == tip, "at the tip", node)
    assert not look.ledger(node).alarms
