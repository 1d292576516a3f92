"""What opens a gate was asked for a moment ago: a node does not start on what it heard hours before."""

import pytest
from tests.core.rollout.world import NOW
from tests.core.test_history import Repo, manifest, site

from edgegitops.bootstrap import load_schemas
from edgegitops.core.model.facts import Desired, Facts, Hold, NodeIdentity
from edgegitops.core.model.ledger import DeploymentRecord, Ledger
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.trust import Pin
from edgegitops.core.permit import Rollouts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVkZ2VnaXRvcHMtdGVzdC1rZXktMDAwMDAw"
NODE, FELLOW = "b/gw", "a/gw"


def two(*enrolled: str) -> Repo:
    """Two nodes in one first wave, whose gate is open at once; it asks what the other one says of failures."""
    made = Repo()
    waves = {"waves": [{"name": "canary", "selector": {"matchTags": {"ring": "canary"}}}]}
    spec = {"application": "app", "selector": {"all": True}, "rollout": waves}
    keys = {
        f"trust__nodes__{one}": manifest("NodeKeys", one, {"nodes": {"gw": {"reportKey": f"{KEY}{end}"}}})
        for one, end in (("a", "MDAw"), ("b", "MDAx"))
        if one in enrolled
    }
    made.commit(deployments__app=manifest("Deployment", "app", spec), sites__b=site("b", "canary"), **keys)
    return made


@pytest.fixture
def repo() -> Repo:
    """Both have report keys."""
    return two("a", "b")


def held(repo: Repo, heard_from: frozenset[str] | None) -> Hold | None:
    node = NodeIdentity("urn:edgegitops:test", "b", "gw", Pin("urn:edgegitops:test", "0" * 64, repo.commits[0]))
    facts = Facts(
        now=NOW,
        boot_id="boot",
        node=node,
        policy=NodePolicy(registries=("registry.example",)),
        ledger=Ledger(),
        observed=Observed(NOW),
        objects=repo.store.objects(),
        schemas=load_schemas(),
        heard_from=heard_from,
    )
    desired = Rollouts(facts, Desired(repo.commits[-1], {})).history.desired(repo.commits[-1], node, facts.policy)
    permit = Rollouts(facts, desired).permit("app", DeploymentRecord("app"))
    return permit.hold


def test_gate_that_is_open_by_what_was_heard_before_waits_for_news(repo):
    """Red where core/permit.py has `if False:` for `if not heard >= set(names):`."""
    hold = held(repo, frozenset({NODE}))
    assert hold is not None
    assert hold.reason is HoldReason.EVIDENCE
    assert hold.until is not None, "it is asked again"


@pytest.mark.parametrize("heard_from", [frozenset({FELLOW, NODE}), None])
def test_gate_opens_once_news_were_asked_for_or_there_is_nowhere_to_ask(repo, heard_from):
    assert held(repo, heard_from) is None


def test_who_has_no_report_key_is_not_waited_for():
    assert held(two("b"), frozenset()) is None
