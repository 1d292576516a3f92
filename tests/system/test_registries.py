"""Images and artifacts of real registries: locked ones, lying ones, forbidden ones, and what goes when nobody needs it.

The lab's registry is served a second time behind a password: the same data, another port.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, Wish, eventually, planted

from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.lab import oci, processes, registry
from edgegitops.lab.commands import environment
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

LOCKED_PORT = 5001
LOGIN = "plant:plant-secret"
# what `htpasswd -B -C 4` makes of it
HTPASSWD = "plant:$2b$04$MrXVdAf7b0C0NlQOQJu19.X/GAr.0B4LaOp3B6nBFuUgQgXOVsWxq\n"


def locked(lab: Lab) -> str:
    """Serve the lab's registry behind a password, too; its address."""
    home, address = lab.directory / "registry/locked", f"{lab.wiring.address}:{LOCKED_PORT}"
    home.mkdir()
    (home / "htpasswd").write_text(HTPASSWD)
    config = home / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: '{lab.directory}/registry/data'}}}}\n"
        f"auth: {{htpasswd: {{realm: plant, path: '{home}/htpasswd'}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    surroundings = environment({processes.MARK: str(lab.directory), "OTEL_TRACES_EXPORTER": "none"})
    processes.start([registry.program(), "serve", str(config)], env=surroundings, log=home / "log")
    return address


def auth_file(node: VirtualNode) -> Path:
    return node.home / "auth.json"


def write_login(node: VirtualNode, place: str, login: str) -> None:
    """As `podman login` writes it."""
    kept = {"auths": {place: {"auth": base64.b64encode(login.encode()).decode()}}}
    auth_file(node).write_text(json.dumps(kept))


def allow(node: VirtualNode, *registries: str) -> None:
    """As an administrator writes the node's own policy."""
    head = "apiVersion: edgegitops/v1\nkind: NodePolicy\n"
    (node.home / "policy.yaml").write_text(f"{head}spec: {{registries: {json.dumps(registries)}}}\n")


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    with planted(1) as started:
        node, lab = started.nodes[0], started.lab
        places = [lab.registry.address, locked(lab)]
        allow(node, "registry.example", *places)
        config = node.home / "node.yaml"
        access = {"authFile": str(auth_file(node)), "insecure": places}
        config.write_text(f"{config.read_text()}  registry: {json.dumps(access)}\n")
        write_login(node, places[1], LOGIN)
        node.start_agent()
        yield started


def app(name: str, version: str = "1.0.0", **others: object) -> Wish:
    """One container without data."""
    web = {"image": App(f"plant/{name}", version), "mounts": {}}
    return Wish(name, ("node-1",), {"web": web}, version=version, **others)  # type: ignore[arg-type]


def published_model(lab: Lab, version: str) -> str:
    """An artifact of two files."""
    tree = oci.artifact({"weights.bin": f"weights {version}".encode(), "labels/en.txt": b"scratch\ndent\n"})
    return lab.registry.push("models/defects", version, tree)


def modelled(plant: Plant, version: str) -> Wish:
    """An application with an artifact of the same version; two releases are kept."""
    there = published_model(plant.lab, version).replace("registry.example", plant.lab.registry.address)
    web = {"image": App("plant/modelled", version), "mounts": {"/models": {"artifact": "defects", "readOnly": True}}}
    return Wish(
        "modelled", ("node-1",), {"web": web}, version=version, artifacts={"defects": there}, keep=2, deadline="20s"
    )


def images(node: VirtualNode) -> set[str]:
    """Every name by digest that the engine has."""
    rows = node.engine.get("/images/json?all=true")
    return {name for row in rows for name in row.get("RepoDigests") or ()}


def digest(reference: str) -> str:
    return reference.rpartition("@")[2]


def has(node: VirtualNode, app: App) -> bool:
    return any(one.endswith(look.reference(app).rpartition("@")[2]) for one in images(node))


def weights(node: VirtualNode) -> set[str]:
    """What the artifacts on the node say of themselves."""
    return {file.read_text() for file in (node.state / "contents/artifacts").rglob("weights.bin")}


def test_artifact_is_seen_in_a_container_and_goes_with_its_image_when_no_release_needs_it(plant: Plant) -> None:
    node = plant.nodes[0]
    foreign = plant.lab.registry.publish(App("foreign", "1"))
    node.run(["podman", "pull", foreign.partition("@")[0]])
    versions = ("1.0.0", "2.0.0", "3.0.0", "4.0.0")
    for version in versions:
        plant.wish(modelled(plant, version))
        eventually(lambda version=version: look.is_serving(node, "modelled", version), version, node)  # type: ignore[misc]
        shown = ["podman", "exec", look.only(node, "modelled"), "cat", "/models/weights.bin", "/models/labels/en.txt"]
        assert node.run(shown) == f"weights {version}scratch\ndent\n"
    eventually(lambda: weights(node) == {"weights 3.0.0", "weights 4.0.0"}, "old artifacts go", node)
    gone = [App("plant/modelled", version) for version in versions[:2]]
    eventually(lambda: not any(has(node, one) for one in gone), "old images go", node)
    assert [has(node, App("plant/modelled", version)) for version in versions[2:]] == [True, True]
    assert has(node, App("foreign", "1"))
    assert look.is_chain_whole(node)


def test_locked_registry_gives_an_image_for_the_login_of_the_file_and_holds_for_a_wrong_one(plant: Plant) -> None:
    node = plant.nodes[0]
    place = f"{plant.lab.wiring.address}:{LOCKED_PORT}"
    published = plant.lab.registry.publish(App("plant/locked", "1.0.0"))
    model = published_model(plant.lab, "locked").replace("registry.example", place)
    mounts = {"/models": {"artifact": "defects", "readOnly": True}}
    web = {"image": published.replace("registry.example", place), "mounts": mounts}
    write_login(node, place, "plant:wrong")
    plant.wish(Wish("locked", ("node-1",), {"web": web}, artifacts={"defects": model}))
    for spoil in (None, lambda: auth_file(node).write_text('{"auths": {}}'), auth_file(node).unlink):
        if spoil is not None:
            spoil()
        eventually(lambda: is_denied(node, "locked"), "a hold that names the file", node)
    assert look.containers(node, "locked") == {}
    write_login(node, place, LOGIN)
    eventually(lambda: look.is_serving(node, "locked", "1.0.0"), "the mended file", node, 90)
    assert "weights locked" in weights(node)


def is_denied(node: VirtualNode, name: str) -> bool:
    known = look.record(node, name)
    return known.hold_reason == HoldReason.CREDENTIAL_DENIED and str(auth_file(node)) in known.hold_detail


def test_manifest_that_is_not_what_its_digest_says_is_refused(plant: Plant) -> None:
    node, lab = plant.nodes[0], plant.lab
    wrong = digest(lab.registry.publish(App("plant/lying", "1.0.0")))
    blob = lab.directory / "registry/data/docker/registry/v2/blobs/sha256" / wrong[7:9] / wrong[7:] / "data"
    other = digest(lab.registry.publish(App("plant/lying", "2.0.0")))
    blob.write_bytes(blob.parents[1].parent.joinpath(other[7:9], other[7:], "data").read_bytes())
    plant.wish(app("lying"), publish=False)
    eventually(lambda: bool(look.record(node, "lying").latches), "the refusal", node)
    (latch,) = look.record(node, "lying").latches.values()
    assert (latch.reason, latch.is_refusal) == (Refusal.IMAGE_DIGEST_WRONG, True)
    assert look.containers(node, "lying") == {}
    assert not has(node, App("plant/lying", "2.0.0"))
    plant.wish(replace(app("lying", "3.0.0")))
    eventually(lambda: look.is_serving(node, "lying", "3.0.0"), "an honest one", node)


def test_podman_itself_rejects_what_the_policy_of_the_node_does_not_name(plant: Plant) -> None:
    node = plant.nodes[0]
    policy = node.home / "policy.yaml"
    everything = policy.read_text()
    allow(node, "registry.example/plant")
    node.run(["sh", "-c", "edgegitops node image-policy > /etc/containers/policy.json"])
    policy.write_text(everything)  # so that it is Podman that says no
    strange = plant.lab.registry.publish(App("strange/app", "1.0.0"))
    pulled = node.attempt(["podman", "pull", strange.replace(":1.0.0@", "@")])
    assert b"rejected by policy" in pulled.stderr
    plant.wish(Wish("strange", ("node-1",), {"web": {"image": strange, "mounts": {}}}), app("named"), publish=True)
    eventually(lambda: look.is_serving(node, "named", "1.0.0"), "an image that is named", node)
    eventually(lambda: bool(look.record(node, "strange").latches), "the refusal", node)
    (latch,) = look.record(node, "strange").latches.values()
    assert (latch.reason, latch.is_refusal) == (Refusal.ADMISSION_DENIED, True)
    told = node.run(["edgegitops", "explain", "strange"])
    assert "this node's own policy, or that of Podman (policy.json), does not allow it" in " ".join(told.split())
    assert "rejected by policy" in " ".join(told.split())
