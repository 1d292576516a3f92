"""Every way in which a release can fail on a node ends at the old release, running, with the reason said."""

import json
import signal
from collections.abc import Iterator

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import READY, Plant, Wish, eventually, planted, simple

from edgegitops.core.model.reasons import Alarm, HoldReason, Refusal
from edgegitops.core.model.release import Phase
from edgegitops.lab import processes, registry
from edgegitops.lab.images import App, image
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

FALSE = {"exec": ["/bin/false"], "interval": "1s", "failureThreshold": 2}


def bad(name: str, **fields: object) -> Wish:
    """Version 2.0.0 with these fields of its container."""
    app = {"image": App(f"plant/{name}", "2.0.0"), **fields}
    return Wish(name, ("node-1",), {"web": app}, version="2.0.0", soak="4s", deadline="6s")


BAD = {
    "dies": bad("dies").at("2.0.0", FAIL_AFTER="2"),
    "silent": bad("silent").at("2.0.0", NEVER_READY="1"),
    "ailing": bad("ailing", probes={"ready": FALSE}),
    "dead": bad("dead", probes={"ready": READY, "live": FALSE}),
    "lost": bad("lost", entrypoint=["/bin/nowhere"], init=False),
    "port": bad("port", ports=[{"container": 8080, "host": 9090}]),
}
REASONS = {
    "dies": Refusal.ENDED_WHILE_PROVING,
    "silent": Refusal.DEADLINE_MISSED,
    "ailing": Refusal.DEADLINE_MISSED,
    "dead": Refusal.PROBE_FAILED,
    "lost": Refusal.START_FAILED,
    "port": Refusal.PORT_TAKEN,
}
OTHERS = ("absent", "late", "slow", "layered", "claimed")


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """Two nodes; everything runs at 1.0.0 on the first, and a foreign container holds port 9090 there."""
    with planted(2, *(simple(name, "node-1") for name in (*BAD, *OTHERS))) as started:
        node = started.nodes[0]
        tagged, _, digest = started.lab.registry.publish(App("foreign", "1")).partition("@")
        image = f"{tagged.rpartition(':')[0]}@{digest}"
        node.run(["podman", "run", "-d", "--name", "foreign", "-p", "9090:8080", image])
        for one in started.nodes:
            one.start_agent()
        for name in (*BAD, *OTHERS):
            eventually(lambda name=name: look.is_serving(node, name, "1.0.0"), f"{name} at 1.0.0", node)  # type: ignore[misc]
        yield started
        assert look.ids(node)["foreign"]
        assert look.containers(node)["foreign"] == "running"


def reason_of(node: VirtualNode, name: str) -> str:
    """Why the newest release of a deployment does not run."""
    (latch,) = look.record(node, name).latches.values()
    return latch.reason


def test_bad_releases_undo_themselves_and_say_why(plant: Plant) -> None:
    node = plant.nodes[0]
    before = {name: look.ids(node, name) for name in BAD}
    plant.wish(*BAD.values())
    for name in BAD:
        eventually(
            lambda name=name: look.is_serving(node, name, "1.0.0", Phase.REVERTED),  # type: ignore[misc]
            f"{name} reverted",
            node,
        )
    assert {name: reason_of(node, name) for name in BAD} == REASONS
    assert {name: look.ids(node, name) for name in BAD} == before
    shown = {one["name"]: one for one in look.status(node)["deployments"]}
    assert {name: shown[name]["latches"][0]["reason"] for name in BAD} == REASONS
    assert {alarm["subject"] for alarm in look.status(node)["alarms"]} == set(BAD)


@pytest.fixture(scope="module")
def foreign(plant: Plant) -> tuple[str, str]:
    """A name that the first node needs for a container, and the id of a foreign container that has it."""
    first, second = plant.nodes
    plant.wish(simple("claimed", "node-2").at("2.0.0"))
    eventually(lambda: look.is_serving(second, "claimed", "2.0.0"), "the name is known", second)
    name = look.only(second, "claimed")
    # The first node has lost the deployment meanwhile, and keeps its volume.
    eventually(lambda: not look.containers(first, "claimed"), "removed from the first node", first)
    image = first.run(["podman", "inspect", "--format", "{{.Image}}", "foreign"]).strip()
    foreign = first.run(["podman", "run", "-d", "--name", name, image]).strip()
    plant.wish(simple("claimed", "node-1", "node-2").at("2.0.0"))
    return name, foreign


def give_free(node: VirtualNode, name: str) -> None:
    """The foreign container gets another name; nothing where it has it already."""
    if "somebody-elses" not in look.containers(node):
        node.run(["podman", "rename", name, "somebody-elses"])


def test_name_that_a_foreign_container_holds_is_left_to_it(plant: Plant, foreign: tuple[str, str]) -> None:
    """The name is given free at the end; that it is taken then is asked last of all, because it takes a minute."""
    first, (name, stranger) = plant.nodes[0], foreign
    eventually(lambda: look.record(first, "claimed").hold_reason == HoldReason.NAME_TAKEN, "hold for the name", first)
    (alarm,) = [one for one in look.status(first)["alarms"] if one["subject"] == "claimed"]
    assert (alarm["code"], name in alarm["detail"]) == (Alarm.NAME_CONFLICT, True)
    assert look.ids(first, "claimed") == {name: stranger}
    assert look.containers(first, "claimed") == {name: "running"}
    give_free(first, name)


def test_image_that_is_not_there_holds_until_it_is(plant: Plant) -> None:
    node = plant.nodes[0]
    wanted = simple("absent", "node-1").at("2.0.0")
    plant.wish(wanted, publish=False)
    eventually(
        lambda: look.record(node, "absent").hold_reason == HoldReason.IMAGE_UNAVAILABLE, "hold for the image", node
    )
    assert list(look.containers(node, "absent").values()) == ["running"]
    plant.wish(wanted)
    eventually(lambda: look.is_serving(node, "absent", "2.0.0"), "the image that came", node)


def test_registry_that_is_down_holds_until_it_is_up(plant: Plant) -> None:
    node, lab = plant.nodes[0], plant.lab
    wanted = simple("late", "node-1").at("2.0.0")
    lab.registry.publish(App("plant/late", "2.0.0"))
    server = processes.read(lab.directory / "registry/pid")
    assert server is not None
    server.end()
    plant.wish(wanted, publish=False)
    eventually(
        lambda: look.record(node, "late").hold_reason == HoldReason.IMAGE_UNAVAILABLE, "hold for the registry", node
    )
    assert list(look.containers(node, "late").values()) == ["running"]
    _, served = registry.serve(lab.directory / "registry", lab.wiring.address, str(lab.directory))
    served.write(lab.directory / "registry/pid")
    eventually(lambda: look.is_serving(node, "late", "2.0.0"), "the registry that came back", node)


def test_registry_that_hangs_holds_up_its_own_release_alone(plant: Plant) -> None:
    node, lab = plant.nodes[0], plant.lab
    wanted = simple("slow", "node-1").at("2.0.0")
    lab.registry.publish(App("plant/slow", "2.0.0"))
    server = processes.read(lab.directory / "registry/pid")
    assert server is not None
    server.signal(signal.SIGSTOP)
    try:
        plant.wish(wanted, publish=False)
        eventually(lambda: look.record(node, "slow").phase is Phase.PREPARING, "the pull is under way", node)
        before = len(look.starts(node, "late"))
        node.run(["podman", "kill", "-s", "KILL", look.only(node, "late")])
        eventually(lambda: len(look.starts(node, "late")) > before, "another one is healed meanwhile", node, 20)
        assert list(look.containers(node, "slow").values()) == ["running"]
    finally:
        server.signal(signal.SIGCONT)
    eventually(lambda: look.is_serving(node, "slow", "2.0.0"), "the registry that goes on", node)


def test_layer_that_the_registry_lost_holds_until_it_is_back(plant: Plant) -> None:
    node, lab = plant.nodes[0], plant.lab
    wanted = App("plant/layered", "2.0.0")
    layer = json.loads(image(wanted).manifest)["layers"][-1]["digest"]
    blob = lab.directory / "registry/data/docker/registry/v2/blobs/sha256" / layer[7:9] / layer[7:] / "data"
    lab.registry.publish(wanted)
    kept = blob.rename(blob.with_name("away"))
    plant.wish(simple("layered", "node-1").at("2.0.0"), publish=False)
    eventually(
        lambda: look.record(node, "layered").hold_reason == HoldReason.IMAGE_UNAVAILABLE, "hold for the layer", node
    )
    assert list(look.containers(node, "layered").values()) == ["running"]
    kept.rename(blob)
    eventually(lambda: look.is_serving(node, "layered", "2.0.0"), "the layer that came back", node)


def test_name_that_was_given_free_is_taken(plant: Plant, foreign: tuple[str, str]) -> None:
    first, second = plant.nodes
    name, stranger = foreign
    give_free(first, name)
    eventually(lambda: look.is_serving(first, "claimed", "2.0.0"), "the name that was given free", first, seconds=110)
    assert look.ids(first)["somebody-elses"] == stranger
    assert look.record(second, "claimed").phase is Phase.HEALTHY
