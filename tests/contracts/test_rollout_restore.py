"""`edgegitops rollout restore-log` with real git: what a remote lost goes back exactly as it was signed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.rollout_desk import APP, RolloutDesk, check

from edgegitops import bootstrap_node
from edgegitops.adapters.journal_sqlite import SqliteJournal
from edgegitops.core.model.events import ControlTagKept, FloorMoved
from edgegitops.workbench_trust import verify_clone

REFS = [f"refs/tags/rollout/{APP}/{number:06}" for number in (1, 2)]


@pytest.fixture
def desk(tmp_path: Path) -> RolloutDesk:
    """2.0.0 was halted and resumed; then somebody deleted the halt at the remote."""
    made = RolloutDesk(tmp_path)
    for site in "abcd":
        made.tell(site, made.first)
    made.release("2.0.0")
    made.tag("halt")
    made.tag("resume")
    made.was = [made.fleet.git("rev-parse", ref) for ref in REFS]  # type: ignore[attr-defined] # of this story only
    git(made.bare, "update-ref", "-d", REFS[0])
    return made


def git(path: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(path), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def restored(desk: RolloutDesk, *words: str, code: int = 0) -> dict[str, Any]:
    said = desk.run("restore-log", APP, *words, "--json", code=code)
    answer: dict[str, Any] = json.loads(said[said.index("{") :])
    check(answer, "rollout-restore")
    return answer


def test_tag_of_the_clone_goes_back_as_it_was(desk):
    seen = restored(desk, "--dry-run")
    assert [(one["kind"], one["forceThen"]) for one in seen["lost"]] == [("halt", "ended")]
    assert (
        seen["turns"] == [{"wave": "canary", "nodes": ["a/gw"], "before": None, "after": None}] or seen["turns"] == []
    )
    assert restored(desk, "--yes")["isPushed"]
    assert git(desk.bare, "rev-parse", REFS[0]) == desk.was[0]
    assert "shows every control tag" in desk.run("restore-log", APP)


def test_tag_that_no_ref_names_any_more_is_found_among_the_objects(desk):
    """Red where only refs are asked."""
    desk.fleet.git("tag", "-d", f"rollout/{APP}/000001")
    assert restored(desk, "--yes")["isPushed"]
    assert git(desk.bare, "rev-parse", REFS[0]) == desk.was[0] == desk.fleet.git("rev-parse", REFS[0])


def test_clone_without_it_says_who_has_it_and_takes_it_from_another(desk, tmp_path):
    late = tmp_path / "late"
    git(tmp_path, "clone", "-q", f"file://{desk.bare}", str(late))  # only what refs reach
    seen = restored(desk, str(late), "--dry-run")
    assert (seen["lost"], len(seen["sought"])) == ([], 1)
    assert "restore-log line" in desk.run("status", APP, str(late))
    restored(desk, str(late), "--yes", code=1)
    seen = restored(desk, str(late), "--from", str(desk.fleet.work), "--yes")
    assert (len(seen["lost"]), seen["sought"], seen["isPushed"]) == (1, [], True)
    assert git(desk.bare, "rev-parse", REFS[0]) == desk.was[0] == git(late, "rev-parse", REFS[0])


def test_nothing_is_pushed_without_somebody_to_ask(desk):
    assert "--yes" in desk.run("restore-log", APP, code=64)
    assert git(desk.bare, "tag", "-l") == f"rollout/{APP}/000002"


def test_name_that_another_object_took_is_told_and_not_moved(desk):
    git(desk.bare, "update-ref", REFS[0], desk.was[1])
    seen = restored(desk, "--yes", code=1)
    assert [one["kind"] for one in seen["taken"]] == ["halt"]
    assert git(desk.bare, "rev-parse", REFS[0]) == desk.was[1]


def test_node_shows_what_its_agent_keeps(desk, tmp_path):
    """As its operator calls it, over the agent's own mirror and journal; nothing is written there."""
    state = tmp_path / "state"
    git(tmp_path, "clone", "-q", "--mirror", str(desk.fleet.work), str(state / "mirror.git"))
    found = verify_clone(desk.fleet.work, "HEAD", pin={"repository": "", "root_sha256": "", "checkpoint": ""})
    assert found.belief.floor is not None
    journal = SqliteJournal(state / "journal.db")
    kept = [ControlTagKept(ref, oid, f"{at}" * 64) for at, (ref, oid) in enumerate(zip(REFS, desk.was, strict=True))]
    journal.append([FloorMoved(found.belief.floor, "ab" * 32, "security", 1), *kept], bootstrap_node.now())
    journal.close()
    pin = desk.fleet.pin()
    spec = {
        "site": "a",
        "node": "gw",
        "stateDirectory": str(state),
        "policyFile": str(tmp_path / "policy.yaml"),
        "repository": {"url": f"file://{desk.bare}"},
        "pin": {"repository": pin.repository, "rootSha256": pin.root_sha256, "checkpoint": pin.checkpoint},
    }
    config = tmp_path / "node.yaml"
    config.write_text(json.dumps({"apiVersion": "edgegitops/v1", "kind": "NodeConfig", "spec": spec}), encoding="utf-8")
    (tmp_path / "policy.yaml").write_text("{apiVersion: edgegitops/v1, kind: NodePolicy, spec: {}}", encoding="utf-8")
    before = git(state / "mirror.git", "for-each-ref")
    seen = restored(desk, "--on-node", "--config", str(config), "--yes")
    assert ([one["kind"] for one in seen["lost"]], seen["isPushed"]) == (["halt"], True)
    assert git(desk.bare, "rev-parse", REFS[0]) == desk.was[0]
    assert git(state / "mirror.git", "for-each-ref") == before


def test_tag_of_the_remote_that_bars_what_goes_back_is_named(tmp_path: Path) -> None:
    desk = RolloutDesk(tmp_path)
    desk.tag("halt")
    git(desk.bare, "update-ref", "-d", REFS[0])
    git(desk.bare, "tag", f"rollout/{APP}", "main")
    said = desk.run("restore-log", APP, "--yes", code=5)
    assert f"git push origin --delete refs/tags/rollout/{APP}" in said
