"""Reports through Git on real nodes: two plants whose fleet.yaml names a reports repository, over http. While it is
gone everything heals, nothing opens, and an alarm names it; once it is back the rollout goes on by itself.
"""

import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.system.agent_plant import PATIENCE, _document, containers, eventually, is_serving, ledger, record

from edgegitops.adapters.reports_sqlite import ReportsStore
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.trust.reports import statement_in
from edgegitops.lab import fleet as fleets
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system
CANARY, OTHER = SITES = ("a", "b")
APP = "line"
LONG = PATIENCE * 5
WAVES = [{"name": "canary", "selector": {"matchTags": {"ring": "a"}}, "gate": {"soak": "2s"}}]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two nodes on two sites; only the fleet says where reports go, and only security knows their keys."""
    with Lab.start(SITES) as made:
        said = f"  reports:\n    git: {made.reports_url}\n    heartbeat: 2m\n"
        fleets.found(made.fleet.home, made.git_url, fleet_file=fleets.fleet_manifest(fleets.REPOSITORY) + said)
        made._learn_keys({(site, "gw"): site for site in SITES})
        made.fleet.commit(
            "inventory: two plants", key="inventory", files={f"sites/{s}.yaml": _site(made, s) for s in SITES}
        )
        made.fleet.push()
        for site in SITES:
            made.enrol(site, site=site, node="gw", poll="2s")
        yield made


def _site(lab: Lab, site: str) -> str:
    nodes = {"gw": {"address": lab.nodes[site].address}}
    return _document("Site", site, {"tags": {"ring": site}, "timeZone": "UTC", "nodes": nodes})


def release(lab: Lab, version: str) -> None:
    image = lab.registry.publish(App(f"plant/{APP}", version))
    ready = {"http": {"port": 8080, "path": "/healthz"}, "interval": "1s"}
    container = {"image": image, "probes": {"ready": ready}, "stop": {"timeout": "3s"}}
    spec = {"version": version, "update": {"minReady": "1s"}, "containers": {"web": container}}
    uses = {
        "application": APP,
        "selector": {"all": True},
        "rollout": {"waves": WAVES},
        "rollback": {"deadline": "40s", "soak": "2s"},
    }
    lab.fleet.commit(version, key="engineer", files={f"apps/{APP}/app.yaml": _document("Application", APP, spec)})
    if not (lab.fleet.work / f"deployments/{APP}.yaml").exists():
        files = {f"deployments/{APP}.yaml": _document("Deployment", APP, uses)}
        lab.fleet.commit("deploy", key="release-manager", files=files)
    lab.fleet.push()


def published(lab: Lab, site: str) -> bytes:
    """The report that a node published last, as anybody reads it with git."""
    place = ["git", "--git-dir", str(lab.directory / "git/reports.git"), "cat-file", "blob"]
    ref = f"refs/edgegitops/reports/{site}/gw:report"
    return subprocess.run([*place, ref], check=True, capture_output=True).stdout


def is_alarmed(node: VirtualNode, *words: str) -> bool:
    standing = ledger(node).alarms.get(f"{Alarm.REPORTS_UNREACHABLE} fleet")
    return standing is not None and all(word in standing.detail for word in words)


def is_running(node: VirtualNode) -> bool:
    return list(containers(node, APP).values()) == ["running"]


def test_gate_opens_by_reports_through_git_and_stays_shut_while_they_cannot_be_had(lab: Lab) -> None:
    canary, other = lab.nodes[CANARY], lab.nodes[OTHER]
    release(lab, "1.0.0")
    for node in (canary, other):
        node.start_agent()
    for node in (canary, other):
        eventually(lambda node=node: is_serving(node, APP, "1.0.0"), f"1.0.0 on {node.name}", node, LONG)
    told = {site: statement_in(published(lab, site)) for site in SITES}
    assert {site: one.report.site for site, one in told.items() if one} == {"a": "a", "b": "b"}
    assert not ledger(other).alarms

    repository = lab.directory / "git" / "reports.git"
    repository.rename(repository.with_name("away"))
    release(lab, "2.0.0")
    eventually(lambda: is_serving(canary, APP, "2.0.0"), "2.0.0 at the canary", canary, LONG)
    for node in (canary, other):
        eventually(lambda node=node: is_alarmed(node, lab.reports_url, "404"), "the alarm", node, LONG)
    eventually(lambda: record(other, APP).hold_reason == HoldReason.GATE, "the gate", other, LONG)
    (name,) = containers(other, APP)
    other.run(["podman", "kill", name])
    eventually(lambda: is_running(other) and is_serving_still(other), "healed meanwhile", other, LONG)

    repository.with_name("away").rename(repository)
    eventually(lambda: is_serving(other, APP, "2.0.0"), "2.0.0 once reports are back", other, LONG)
    for node in (canary, other):
        eventually(lambda node=node: not is_alarmed(node), "the end of the alarm", node, LONG)


def test_good_news_that_came_before_opens_nothing_while_reports_cannot_be_had(lab: Lab) -> None:
    """The operator lets go when the canary has long told that it is well, and its word is fresh. Red where
    core/permit.py takes what was heard before for good enough.
    """
    canary, other = lab.nodes[CANARY], lab.nodes[OTHER]
    other.run(["edgegitops", "hold", APP, "--reason", "a shift is on", "--until", "1h"])
    release(lab, "3.0.0")
    eventually(lambda: is_serving(canary, APP, "3.0.0"), "3.0.0 at the canary", canary, LONG)
    tip = lab.fleet.tip()
    eventually(lambda: tells_well(published(lab, CANARY), tip), "3.0.0 told to be well", canary, LONG)
    other.run(["edgegitops", "reconcile"])
    heard = other.state / "reports.db"
    eventually(
        lambda: any(tells_well(one.data, tip) for one in ReportsStore(heard).stored()["a/gw"]), "heard", other, LONG
    )
    assert record(other, APP).hold_reason == HoldReason.OPERATOR
    repository = lab.directory / "git" / "reports.git"
    repository.rename(repository.with_name("away"))
    other.run(["edgegitops", "unhold", APP])
    eventually(lambda: record(other, APP).hold_reason == HoldReason.EVIDENCE, "no evidence", other, LONG)
    eventually(lambda: is_alarmed(other, lab.reports_url), "the alarm", other, LONG)
    other.run(["edgegitops", "reconcile"])
    eventually(lambda: "nobody answers now" in record(other, APP).hold_detail, "why", other, LONG)
    assert not is_serving(other, APP, "3.0.0")
    repository.with_name("away").rename(repository)
    eventually(lambda: is_serving(other, APP, "3.0.0"), "3.0.0 once reports are back", other, LONG)


def tells_well(data: bytes, revision: str) -> bool:
    """Whether a report says that its node runs what a commit brought, for as long as the gate asks."""
    said = statement_in(data)
    told = said.report.deployments.get(APP) if said else None
    return told is not None and told.revision == revision and told.soaked_for >= timedelta(seconds=2)


def is_serving_still(node: VirtualNode) -> bool:
    """What served before serves, whatever waits."""
    serving = record(node, APP).serving
    return serving is not None and serving.version == "1.0.0"
