"""A secret on a real node: it reaches the program and nothing else, outlives a power cut, and turns over.

Two canaries are looked for in everything that the agent leaves or says. One goes into files; the other into a variable,
which Podman itself keeps and shows (4.3), so only our own part is searched for that one. Seen red by writing a value
into the label of the container, and by a log line of what was opened.
"""

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from tests.system.agent_plant import _document, containers, eventually, ids, only, planted, record

from edgegitops import workbench_secrets
from edgegitops.adapters.secrets_pyrage import make_identity
from edgegitops.core.model.release import Phase
from edgegitops.lab import enrolment
from edgegitops.lab.images import App
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

FILE, VARIABLE = "canary-in-a-file-8c41", "canary-in-a-variable-77d0"
CANARIES = (FILE, VARIABLE)


class Watch:
    """Reads argv and environment of every process of this machine, again and again, and keeps where a canary was."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.looks = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(0.02):
            self.looks += 1
            for place in Path("/proc").glob("[0-9]*"):
                self._look(place)

    def _look(self, place: Path) -> None:
        try:
            argv, environ = ((place / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            return
        is_ours = b"edgegitops" in argv and b"pytest" not in argv
        for canary in CANARIES if is_ours else (FILE,):
            if canary.encode() in argv + environ:
                self.found.add(f"{argv!r}: {canary}")


@pytest.fixture(scope="module")
def plant() -> Iterator[object]:
    with planted(1) as made:
        (node,) = made.nodes
        keys = {"ageKey": make_identity(node.home / "age.key"), "reportKey": enrolment.report_key(node)}
        text = _document("NodeKeys", "lab", {"nodes": {node.name: keys}})
        made.commit("security: keys of the nodes", "security", {"trust/nodes/lab.yaml": text})
        made.lab.enrol(node.name, poll="1s", reports=["directory"])
        with (node.home / "node.yaml").open("a") as file:
            file.write('  metrics: {listen: "127.0.0.1:9464"}\n')
        yield made


def application(plant, version: int, secret: int) -> str:
    image = plant.lab.registry.publish(App("plant/safe", f"{version}.0.0"))
    config = {"inline": "pass=${secrets.db}", "template": True, "secrets": ["db"]}
    one = {"image": image, "mounts": {"/run/db": {"secret": "db"}, "/etc/db.conf": {"config": "c"}}}
    two = {"image": image, "env": {"P": {"secret": "var"}}}
    secrets = {"db": {"version": secret}, "var": {"version": 1}}
    spec = {"version": f"{version}", "update": {"minReady": "0s"}, "secrets": secrets, "configs": {"c": config}}
    return _document("Application", "safe", {**spec, "containers": {"files": one, "vars": two}})


def wanted(plant, version: int, secret: int) -> None:
    """What the engineer writes; secrets come before, by who may."""
    plant.commit("engineer: safe", "engineer", {"apps/safe/app.yaml": application(plant, version, secret)})
    uses = {"application": "safe", "selector": {"all": True}, "rollback": {"soak": "0s", "deadline": "40s"}}
    text = _document("Deployment", "safe", uses)
    if not (plant.lab.fleet.work / "deployments/safe.yaml").exists():
        plant.commit("release: safe", "release-manager", {"deployments/safe.yaml": text})


def encrypted(plant, name: str, text: str) -> None:
    workbench_secrets.encrypt(plant.lab.fleet.work, name, text.encode(), version=None, others=[])
    plant.commit(f"security: {name}", "security", {})


def is_healthy(node: VirtualNode, version: str) -> bool:
    known = record(node, "safe")
    return known.phase is Phase.HEALTHY and known.serving is not None and known.serving.version == version


def shown(node: VirtualNode, part: str, line: str) -> str:
    return node.run(["podman", "exec", only(node, "safe", part), "/bin/sh", "-c", line])


def said(node: VirtualNode) -> dict[str, bytes]:
    """Everything that the agent left behind or answers."""
    argv = (["status", "--json"], ["explain", "safe"], ["journal", "export"], ["node", "check"], ["reconcile"])
    answers = {" ".join(words): node.attempt(["edgegitops", *words]) for words in argv}
    found = {name: done.stdout + done.stderr for name, done in answers.items()}
    metrics = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
    found["metrics"] = node.run(["python3", "-c", metrics]).encode()
    found["inspect"] = node.run(["podman", "inspect", only(node, "safe", "files")]).encode()
    found["labels"] = node.run(["podman", "ps", "-a", "--format", "{{.Labels}}"]).encode()
    reports = [*node.home.parents[1].glob("reports/*/*.report")]
    assert reports, "the node reports"
    for place in (*node.state.rglob("*"), *node.home.glob("*.log"), *node.home.glob("*.yaml"), *reports):
        if place.is_file():
            found[str(place)] = place.read_bytes()
    return found


def leaks(node: VirtualNode) -> list[str]:
    forms = [form for canary in CANARIES for form in (canary.encode(), base64.b64encode(canary.encode())[:-4])]
    return [name for name, data in said(node).items() if any(form in data for form in forms)]


def test_secret_reaches_its_program_and_nothing_else(plant) -> None:
    (node,) = plant.nodes
    work = plant.lab.fleet.work
    (work / "apps/safe").mkdir(parents=True)
    (work / "apps/safe/app.yaml").write_text(application(plant, 1, 1))
    (work / "deployments").mkdir(exist_ok=True)
    uses = {"application": "safe", "selector": {"all": True}, "rollback": {"soak": "0s", "deadline": "40s"}}
    (work / "deployments/safe.yaml").write_text(_document("Deployment", "safe", uses))
    for name, text in (("db", FILE), ("var", VARIABLE)):
        workbench_secrets.encrypt(work, name, text.encode(), version=None, others=[])
    texts = {
        str(one.relative_to(work)): one.read_text() for one in work.rglob("*") if one.suffix in {".age", ".recipients"}
    }
    plant.lab.fleet.git("stash", "-u")
    plant.commit("security: secrets", "security", texts)
    wanted(plant, 1, 1)
    with Watch() as watch:
        node.boot()
        eventually(lambda: is_healthy(node, "1"), "version 1 serves", node)
    assert shown(node, "files", "cat /run/db") == FILE
    assert shown(node, "files", "cat /etc/db.conf") == f"pass={FILE}"
    assert f"P={VARIABLE}" in shown(node, "vars", "tr '\\0' '\\n' </proc/1/environ")
    assert leaks(node) == []
    assert watch.looks > 5
    assert watch.found == set()
    assert FILE.encode() not in b"".join(one.read_bytes() for one in node.home.rglob("config.json"))


def test_power_cut_without_a_network_costs_no_secret(plant) -> None:
    (node,) = plant.nodes
    before = ids(node, "safe")
    node.power_cut()
    node.power_on()
    node.unplug()
    try:
        node.start_podman()
        node.start_agent()
        eventually(lambda: set(containers(node, "safe").values()) == {"running"}, "both run again", node)
        assert ids(node, "safe") == before
        assert shown(node, "files", "cat /run/db /etc/db.conf") == f"{FILE}pass={FILE}"
        assert leaks(node) == []
    finally:
        node.plug()


def test_rekeying_restarts_nothing_and_rotation_is_a_release(plant) -> None:
    (node,) = plant.nodes
    work = plant.lab.fleet.work
    before = ids(node, "safe")
    done = workbench_secrets.rekey(work, (), node.home / "age.key", is_all=True, others=[])
    assert [one.file for one in done] == ["db.1", "var.1"]
    tip = plant.commit("security: rekeyed", "security", {})
    eventually(lambda: tip in node.run(["edgegitops", "status", "--json"]), "the rekeyed revision is in force", node)
    assert ids(node, "safe") == before
    encrypted(plant, "db", f"{FILE}-2")
    wanted(plant, 2, 2)
    eventually(lambda: is_healthy(node, "2"), "version 2 serves", node)
    eventually(lambda: len(containers(node, "safe")) == 2, "the old ones are gone", node)
    assert shown(node, "files", "cat /run/db") == f"{FILE}-2"
    assert {"db.1.age", "db.2.age", "var.1.age"} <= {one.name for one in (node.state / "secrets").iterdir()}
    assert leaks(node) == []


def test_node_without_its_key_holds_and_says_so_and_stops_nothing(plant) -> None:
    (node,) = plant.nodes
    before = ids(node, "safe")
    key = node.home / "age.key"
    key.rename(node.home / "age.away")
    encrypted(plant, "db", f"{FILE}-3")
    wanted(plant, 3, 3)
    eventually(lambda: record(node, "safe").hold_reason == "secret-unreadable", "it is held", node)
    assert ids(node, "safe") == before
    assert set(containers(node, "safe").values()) == {"running"}
    assert "secret rekey" in node.run(["edgegitops", "explain", "safe"])
    assert leaks(node) == []
    (node.home / "age.away").rename(key)
    time.sleep(1)
    node.attempt(["edgegitops", "reconcile"])
    eventually(lambda: is_healthy(node, "3"), "version 3 serves", node, 120)
