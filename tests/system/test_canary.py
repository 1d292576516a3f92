"""Canary waves on real nodes: four sites, real Podman, real Git over HTTP, reports through a folder that all share.

A good release goes wave by wave, each after the soak of the one before; a bad one undoes itself at the canary and
starts nowhere else; a halt by a signed tag holds, a resume lets go on.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from tests.system.agent_plant import _document, containers, eventually, happened, is_serving, ledger, record

from edgegitops import bootstrap
from edgegitops.core.model import events as e
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import Phase
from edgegitops.core.trust.objects import Tag, parse_tag
from edgegitops.lab import fleet as fleets
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system
CANARY, PILOT, *REST = SITES = ("a", "b", "c", "d")
RINGS = {"a": "canary", "b": "pilot", "c": "rest", "d": "rest"}
APP = "line"
LONG = 90.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Four nodes on four sites that know one another's report keys; nothing is deployed."""
    with Lab.start(SITES) as made:
        fleets.found(made.fleet.home, made.git_url)
        made._learn_keys({(site, "gw"): site for site in SITES})
        sites = {f"sites/{site}.yaml": _site(made, site) for site in SITES}
        made.fleet.commit("inventory: four plants", key="inventory", files=sites)
        made.fleet.push()
        for site in SITES:
            made.enrol(site, site=site, node="gw", poll="1s", reports=True)
        yield made


def _site(lab: Lab, site: str) -> str:
    nodes = {"gw": {"address": lab.nodes[site].address}}
    return _document("Site", site, {"tags": {"ring": RINGS[site]}, "timeZone": "UTC", "nodes": nodes})


def release(lab: Lab, version: str, **faults: str) -> str:
    """Commit a version of the application and, once, its deployment; the tip."""
    image = lab.registry.publish(App(f"plant/{APP}", version, faults))
    ready = {"http": {"port": 8080, "path": "/healthz"}, "interval": "1s"}
    container = {"image": image, "probes": {"ready": ready}, "stop": {"timeout": "3s"}}
    spec = {"version": version, "update": {"minReady": "1s"}, "containers": {"web": container}}
    waves = [
        {"name": ring, "selector": {"matchTags": {"ring": ring}}, "gate": {"soak": "2s"}}
        for ring in ("canary", "pilot")
    ]
    uses: dict[str, Any] = {
        "application": APP,
        "selector": {"all": True},
        "rollout": {"waves": waves},
        "rollback": {"deadline": "40s", "soak": "2s"},
    }
    files = {f"apps/{APP}/app.yaml": _document("Application", APP, spec)}
    lab.fleet.commit(f"engineer: {version}", key="engineer", files=files)
    deployment = _document("Deployment", APP, uses)
    if not (lab.fleet.work / f"deployments/{APP}.yaml").exists():
        lab.fleet.commit(
            "release-manager: deploy", key="release-manager", files={f"deployments/{APP}.yaml": deployment}
        )
    return lab.fleet.push()


def tag(lab: Lab, number: int, kind: str, *trailers: str, key: str = "release-manager", after: str = "none") -> str:
    """A control tag as a person makes it with `git tag -s`; the digest of its payload."""
    name = f"rollout/{APP}/{number:06}"
    lines = [
        f"Kind: {kind}",
        f"Repository: {fleets.REPOSITORY}",
        f"Deployment: {APP}",
        f"Previous: {after}",
        "Reason: the line asks for it",
        *trailers,
    ]
    settings = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={lab.fleet.key(key).path}"]
    message = f"{kind} {APP}\n\n" + "\n".join(lines)
    lab.fleet.git(*settings, "tag", "-s", "-m", message, name)
    lab.fleet.git("push", "-q", "origin", f"refs/tags/{name}")
    found = parse_tag(f"{lab.fleet.git('cat-file', 'tag', name)}\n".encode())
    assert isinstance(found, Tag)
    return hashlib.sha256(found.payload).hexdigest()


def start_of(node: VirtualNode, version: str) -> datetime | None:
    """When a release of this version was told to start on a node."""
    began: dict[str, str] = {}
    journal = bootstrap.read_journal(node.state)
    try:
        for entry in journal.entries():
            match entry.event:
                case e.TransitionBegan(_, transition) if transition.new is not None:
                    began[transition.id] = transition.new.version
                case e.PhaseMoved(_, transition_id, _, Phase.SWITCHING) if began.get(transition_id) == version:
                    return entry.at
    finally:
        journal.close()
    return None


def healthy_at(node: VirtualNode, version: str) -> bool:
    return is_serving(node, APP, version)


def is_running(node: VirtualNode, version: str) -> bool:
    """This version serves and runs, whatever waits."""
    serving = record(node, APP).serving
    return serving is not None and serving.version == version and "running" in containers(node, APP).values()


def everywhere(lab: Lab, holds: Callable[[VirtualNode], bool], what: str, sites: Sequence[str] = SITES) -> None:
    """Wait until it holds on every node."""
    for site in sites:
        node = lab.nodes[site]
        eventually(partial(holds, node), f"{what} on {site}", node, LONG)


def hold(node: VirtualNode) -> str:
    return record(node, APP).hold_reason


def test_releases_go_wave_by_wave_and_a_bad_one_stops_at_the_canary(lab: Lab) -> None:
    nodes = lab.nodes
    release(lab, "1.0.0")
    for node in nodes.values():
        node.start_agent()
    everywhere(lab, lambda node: healthy_at(node, "1.0.0"), "1.0.0")
    begun = {site: start_of(nodes[site], "1.0.0") for site in SITES}
    assert begun[CANARY] < begun[PILOT] < min(begun[site] for site in REST)  # type: ignore[operator,type-var]

    release(lab, "2.0.0", FAIL_AFTER="1")
    canary = nodes[CANARY]
    eventually(lambda: record(canary, APP).phase is Phase.REVERTED, "the bad release undone", canary, LONG)
    everywhere(lab, lambda node: hold(node) == HoldReason.TOO_MANY_FAILURES, "a stop", (PILOT, *REST))
    assert all(start_of(nodes[site], "2.0.0") is None for site in (PILOT, *REST))
    assert is_serving(canary, APP, "1.0.0", Phase.REVERTED)
    assert all(is_running(nodes[site], "1.0.0") for site in (PILOT, *REST))

    halt = tag(lab, 1, "halt", key="engineer")
    everywhere(lab, lambda node: halt in ledger(node).controls, "the halt")
    release(lab, "3.0.0")
    eventually(lambda: hold(canary) == HoldReason.HALTED, "the halt holds", canary)
    tag(lab, 2, "resume", f"Resumes: {halt}", after=halt)
    everywhere(lab, lambda node: healthy_at(node, "3.0.0"), "the fix")
    assert all(start_of(nodes[site], "2.0.0") is None for site in (PILOT, *REST))
    for node in nodes.values():
        assert not any(isinstance(one, e.AlarmRaised) and one.code == Alarm.BUG for one in happened(node))


def test_reports_tell_no_more_than_they_should(lab: Lab) -> None:
    for site in SITES:
        data = (lab.directory / "reports" / site / "gw.report").read_bytes().partition(b"\n-----BEGIN")[0]
        told = json.loads(data)
        assert set(told) <= {
            "fleet",
            "site",
            "node",
            "installation",
            "boot",
            "sequence",
            "issuedAt",
            "rootVersion",
            "floor",
            "heads",
            "deployments",
            "alarms",
        }
