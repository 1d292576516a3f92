"""What an operator types on a real node while the agent runs: hold, look, retry, explain, read logs, retire."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.system import agent_plant as look
from tests.system.agent_plant import FOREIGN, Plant, eventually, planted, simple

from edgegitops.core.model import events as e
from edgegitops.core.model.release import Phase
from edgegitops.lab.images import App
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

SCHEMAS = Path(__file__).parents[2] / "schemas" / "output"
PRESS = simple("press", "node-1")


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """One node with a foreign container, whose agent polls so rarely that only a word makes it look."""
    with planted(1, PRESS) as started:
        node = started.nodes[0]
        started.lab.enrol(node.name, poll="60m")
        tagged, _, digest = started.lab.registry.publish(App("foreign", "1")).partition("@")
        node.run(["podman", "run", "-d", "--name", FOREIGN, f"{tagged.rpartition(':')[0]}@{digest}"])
        node.start_agent()
        eventually(partial(look.is_serving, node, "press", "1.0.0"), "press 1.0.0", node)
        yield started


def call(node: VirtualNode, *words: str, code: int = 0) -> str:
    done = node.attempt(["edgegitops", *words])
    assert done.returncode == code, f"{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode()


def answer(node: VirtualNode, *words: str, schema: str, code: int = 0) -> dict:
    tree = json.loads(call(node, *words, "--json", code=code))
    Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text())).validate(tree)
    return tree


def test_healthy_node_is_as_wanted_and_fit(plant: Plant) -> None:
    node = plant.nodes[0]
    shown = answer(node, "status", "--check", schema="status")
    assert (shown["isAsWanted"], shown["signedBy"], shown["daemon"]) == (True, "release-manager", "running")
    (one,) = shown["deployments"]
    (web,) = one["containers"]
    assert (web["container"], web["state"], web["health"]) == ("web", "running", "ready")
    told = answer(node, "explain", "press", schema="explain")
    assert (told["isAsWanted"], told["reasons"]) == (True, [])
    assert told["release"]["digest"] == told["wanted"]["digest"]
    checked = answer(node, "node", "check", schema="node-check")
    assert {one["name"] for one in checked["findings"] if one["verdict"] == "fail"} == set()


def test_logs_are_found_by_the_names_of_the_manifest(plant: Plant) -> None:
    node = plant.nodes[0]
    for name in ("press/web", "web", look.only(node, "press")):
        assert "plant/press" in call(node, "logs", name, "--lines", "5")
    assert "there are: press/web" in call(node, "logs", "nothing", code=1)
    call(node, "logs", FOREIGN, code=1)


def test_hold_beats_git_and_its_end_lets_the_release_in(plant: Plant) -> None:
    node = plant.nodes[0]
    call(node, "hold", "press", "--reason", "audit, ask Ada", "--until", "2h")
    plant.wish(PRESS.at("1.1.0"))
    call(node, "reconcile")
    eventually(lambda: look.record(node, "press").hold_reason == "operator", "a hold", node)
    told = answer(node, "explain", "press", schema="explain")
    assert (told["release"]["version"], told["wanted"]["version"]) == ("1.0.0", "1.1.0")
    assert [reason["code"] for reason in told["reasons"]] == ["operator"]
    assert "audit, ask Ada" in told["reasons"][0]["text"]
    assert answer(node, "status", "--check", schema="status", code=1)["isAsWanted"] is False
    call(node, "unhold", "press")
    eventually(partial(look.is_serving, node, "press", "1.1.0"), "press 1.1.0", node)


def test_hold_with_the_agent_dead_is_obeyed_by_the_next_one(plant: Plant) -> None:
    node = plant.nodes[0]
    node.stop_agent()
    assert "The agent does not run" in call(node, "hold", "--reason", "audit", "--until", "2h", "--all")
    node.run(["podman", "stop", "-t", "1", look.only(node, "press")])
    since = look.ledger(node).seq
    node.start_agent()
    eventually(lambda: any(isinstance(one, e.WorkerStopped) for one in look.happened(node, since)), "a look", node)
    assert look.containers(node, "press") == {look.only(node, "press"): "exited"}
    call(node, "unhold")
    eventually(partial(look.is_serving, node, "press", "1.1.0"), "press 1.1.0 again", node)


def test_reconcile_tries_again_at_once_what_waits_for_its_back_off(plant: Plant) -> None:
    node, wish = plant.nodes[0], PRESS.at("1.2.0")
    plant.wish(wish, publish=False)
    call(node, "reconcile")
    eventually(lambda: look.record(node, "press").hold_reason == "image-unavailable", "no image", node)
    told = answer(node, "explain", "press", schema="explain")
    assert told["reasons"][0]["code"] == "image-unavailable"
    plant.wish(wish)
    call(node, "reconcile")
    eventually(partial(look.is_serving, node, "press", "1.2.0"), "press 1.2.0", node, seconds=20)


def test_failed_release_is_explained_with_what_to_do(plant: Plant) -> None:
    node = plant.nodes[0]
    plant.wish(replace(PRESS.at("1.3.0", NEVER_READY="1"), deadline="3s"))
    call(node, "reconcile")
    eventually(lambda: look.record(node, "press").phase is Phase.REVERTED, "a revert", node)
    eventually(lambda: look.record(node, "press").hold_reason == "latched", "a latch", node)
    text = call(node, "explain", "press")
    assert "failed on this node and is not started again" in text
    assert "raise metadata.attempt in deployments/press.yaml" in text
    assert "reverted" in text.splitlines()[-1]


def test_retired_node_has_nothing_of_the_fleet_and_all_that_is_foreign(plant: Plant) -> None:
    node = plant.nodes[0]
    said = node.attempt(["edgegitops", "node", "retire", "--yes"]).stderr.decode()
    assert "the agent runs, and nothing was removed" in said
    node.stop_agent()
    assert "Nothing was done" in call(node, "node", "retire", code=1)
    assert look.only(node, "press")
    call(node, "node", "retire", "--yes")
    assert set(look.containers(node)) == {FOREIGN}
    assert look.containers(node)[FOREIGN] == "running"
    assert not node.state.exists()
    assert "press.data" in node.run(["podman", "volume", "ls", "-q"])
    call(node, "node", "retire", "--yes", "--volumes")
    assert "press.data" not in node.run(["podman", "volume", "ls", "-q"])
