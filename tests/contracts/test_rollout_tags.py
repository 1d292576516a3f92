"""`edgegitops rollout` with real git and real keys: the effect is shown, the tag is signed, read again, and pushed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contracts.rollout_desk import APP, RolloutDesk, document
from tests.contracts.test_watching import Terminal

from edgegitops import bootstrap_node
from edgegitops.adapters.reports_sqlite import ReportsStore
from edgegitops.cli.explain import _said, _said_line
from edgegitops.cli.explain_gate import Gate, lines, tree
from edgegitops.core.model.ledger import DeploymentRecord, KeptTag, Ledger
from edgegitops.core.model.node_config import NodeConfig, Remote
from edgegitops.core.overview.waves import Force
from edgegitops.core.trust import signing
from edgegitops.core.trust.control_tags import next_number
from edgegitops.daemon.archive import Archive
from edgegitops.lab import fleet as fleets
from edgegitops.workbench_trust import verify_clone


@pytest.fixture
def desk(tmp_path: Path) -> RolloutDesk:
    """All run 1.0.0; 2.0.0 has just been pushed."""
    made = RolloutDesk(tmp_path, approvals=1)
    for site in "abcd":
        made.tell(site, made.first)
    made.second = made.release("2.0.0")  # type: ignore[attr-defined] # of this story only
    return made


def reports(desk: RolloutDesk) -> tuple[str, str]:
    return "--reports", str(desk.reports)


def test_approval_shows_whom_it_concerns_and_is_pushed_signed(desk):
    said = desk.run("approve", APP, "--wave", "pilot", "--reason", "clean", *reports(desk), "--dry-run")
    assert "wave pilot, 1 node: b/gw" in said
    assert "1.0.0 -> 2.0.0" in said
    assert "container web: replaced" in said
    made = desk.tag("approve", "--wave", "pilot", "--expires", "3d", *reports(desk))
    assert (made["tag"], made["isMade"], made["isPushed"]) == (f"rollout/{APP}/000001", True, True)
    assert made["target"] == desk.second
    assert "Previous: none" in made["message"]
    there = subprocess.run(["git", "-C", str(desk.bare), "tag"], capture_output=True, text=True, check=True).stdout
    assert made["tag"] in there


def test_nothing_is_made_without_somebody_to_ask(desk):
    said = desk.run("halt", APP, "--reason", "wait", code=64)
    assert "--yes" in said
    desk.run("halt", APP, "--reason", "wait", "--dry-run")
    assert desk.fleet.git("tag") == ""


def test_resume_names_the_halt_and_continues_the_log(desk):
    halt = desk.tag("halt", key="engineer")
    resume = desk.tag("resume")
    assert f"Resumes: {halt['payload']}" in resume["message"]
    assert f"Previous: {halt['payload']}" in resume["message"]
    assert "not-halted" in desk.run("resume", APP, "--reason", "again", "--yes", code=1)


def test_halt_that_should_end_by_itself_is_refused_since_none_does(desk):
    said = desk.run("halt", APP, "--reason", "wait", "--expires", "1d", "--yes", code=64)
    assert "rollout resume ends it" in said


def test_key_without_the_role_is_warned_of(desk):
    made = desk.tag("approve", "--wave", "pilot", key="engineer")
    assert "needs release-manager" in made["warnings"][0]


def test_tag_that_nodes_would_refuse_is_removed(desk):
    said = desk.run("halt", APP, "--reason", "wait", "--yes", key="stranger", code=5)
    assert "key-unknown" in said
    assert desk.fleet.git("tag") == ""


def test_rollback_bars_what_the_newest_change_brought(desk):
    for site in "ab":
        desk.tell(site, desk.second)
    made = desk.tag("rollback", *reports(desk))
    assert made["target"] == desk.second
    assert [(one["wave"], one["nodes"]) for one in made["groups"]] == [("canary", ["a/gw"]), ("pilot", ["b/gw"])]
    assert made["groups"][0]["versions"] == {"old": "2.0.0", "new": "1.0.0"}


@pytest.mark.parametrize("kind", ["rollback", "revoke"])
def test_revision_that_changed_no_node_cannot_be_undone(desk, kind):
    before = desk.fleet.git("rev-parse", f"{desk.first}~1")
    said = desk.run(kind, APP, "--revision", before, "--reason", "wrong", "--yes", code=1)
    assert "changes-nothing" in said
    assert desk.fleet.git("tag") == ""


def test_retry_fills_in_the_failures_that_reports_tell(desk):
    assert "nothing-to-forgive" in desk.run("retry", APP, "--reason", "x", "--yes", code=1)
    desk.tell("a", desk.first, failed=desk.second)
    made = desk.tag("retry", *reports(desk))
    assert "Forgives: a/gw@2" in made["message"]


def test_retry_ends_a_rollback(desk):
    rollback = desk.tag("rollback")
    assert f"Previous: {rollback['payload']}" in desk.tag("retry")["message"]


def test_hotfix_asks_for_a_second_owner_and_expires(desk):
    made = desk.tag("hotfix", "--expires", "4h")
    assert "Expires: " in made["message"]
    assert "second owner" in made["warnings"][0]
    assert "24 h" in desk.run("hotfix", APP, "--reason", "x", "--expires", "25h", "--yes", code=64)


def test_tag_of_somebody_else_is_fetched_before_a_number_is_taken(desk, tmp_path):
    subprocess.run(["git", "clone", "-q", str(desk.bare), str(tmp_path / "other")], check=True)
    first = desk.tag("halt")
    desk.fleet.git("tag", "-d", first["tag"])
    second = desk.tag("halt")
    assert second["tag"] == f"rollout/{APP}/000002"
    assert f"Previous: {first['payload']}" in second["message"]


def test_tag_that_never_left_this_clone_stops_no_halt_and_leaves_no_hole_behind_it(desk):
    """Somebody else has pushed another one under its number. Red where the halt continues what nobody else has."""
    mine = desk.run("halt", APP, "--reason", "mine", "--yes")
    assert "To publish it" in mine
    oid = desk.fleet.git("rev-parse", f"refs/tags/rollout/{APP}/000001").strip()
    desk.fleet.git("tag", "-d", f"rollout/{APP}/000001")
    theirs = desk.tag("halt")
    desk.fleet.git("update-ref", f"refs/tags/rollout/{APP}/000001", oid)
    said = desk.run("resume", APP, "--halt", "1", "--reason", "x", "--yes", "--push", code=5)
    assert f"git tag -d rollout/{APP}/000001" in said
    made = desk.tag("halt")
    assert made["tag"] == f"rollout/{APP}/000002"
    assert "Previous: none" in made["message"]
    assert any("git tag -d" in one for one in made["notes"])
    desk.fleet.git("tag", "-d", f"rollout/{APP}/000001")
    for number in ("1", "2"):
        desk.tag("resume", "--halt", number)
    assert {one["force"] for one in desk.look("history")["tags"] if one["kind"] == "halt"} == {"ended"}
    assert theirs["tag"] == f"rollout/{APP}/000001"


def test_payload_digest_can_be_made_by_hand_as_the_page_says(desk):
    made = desk.tag("halt")
    page = (Path(__file__).parents[2] / "docs/tasks/control-tags.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if "sha256sum" in line).replace("vision-qa", APP)
    done = subprocess.run(["bash", "-c", command], cwd=desk.fleet.work, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == made["payload"]


def test_unknown_deployment_and_wave_are_told(desk):
    assert "there are: line" in desk.run("halt", "lime", "--reason", "x", "--yes", code=5)
    assert "canary, pilot, rest" in desk.run("approve", APP, "--wave", "plot", "--reason", "x", code=64)


def test_node_that_keeps_tags_can_tell_what_they_do(desk, tmp_path):
    """What `explain` asks at a node, over a mirror as the node has it."""
    made = [desk.tag("halt", key="engineer"), desk.tag("resume")]
    made.append(desk.tag("approve", "--wave", "pilot", *reports(desk), key="engineer"))
    made.append(desk.tag("approve", "--wave", "pilot", *reports(desk)))
    desk.release("3.0.0")
    made.append(desk.tag("approve", "--wave", "pilot", *reports(desk)))
    state = tmp_path / "state"
    subprocess.run(["git", "clone", "-q", "--mirror", str(desk.bare), str(state / "mirror.git")], check=True)
    pin = desk.fleet.pin()
    given = {"repository": "", "root_sha256": "", "checkpoint": ""}
    found = verify_clone(desk.fleet.work, "HEAD", pin=given)
    kept = {
        one["payload"]: KeptTag(f"refs/tags/{one['tag']}", desk.fleet.git("rev-parse", f"refs/tags/{one['tag']}"))
        for one in made
    }
    ledger = Ledger(floor=found.belief.floor, controls=kept)
    policy = tmp_path / "policy.yaml"
    policy.write_text("{apiVersion: edgegitops/v1, kind: NodePolicy, spec: {}}", encoding="utf-8")
    remote = Remote(str(desk.bare))
    config = NodeConfig("a", "gw", state=str(state), remote=remote, pin=pin, policy_file=str(policy))
    said = bootstrap_node.said_of(config, ledger, bootstrap_node.wanted(config, ledger), APP)
    forces = [Force.ENDED, Force.IN_FORCE, Force.NO_ROLE, Force.LAPSED, Force.IN_FORCE]
    assert [force for _, force in said] == forces
    assert [_said_line(_said(*one)).partition(" at ")[0] for one in said[:3]] == [
        "000001 halt by engineer",
        "000002 resume by release-manager",
        "000003 approve wave pilot by engineer",
    ]


def test_node_tells_its_gate_from_what_it_heard(desk, tmp_path):
    """What `explain` says of the gate, over a mirror and a store of reports as the node has them."""
    desk.tell("a", desk.second)
    state = tmp_path / "state"
    subprocess.run(["git", "clone", "-q", "--mirror", str(desk.bare), str(state / "mirror.git")], check=True)
    found = verify_clone(desk.fleet.work, "HEAD", pin={"repository": "", "root_sha256": "", "checkpoint": ""})
    sent = {"a/gw": (desk.reports / "a" / "gw.report").read_bytes()}
    keys = {"a/gw": signing.public_line(desk.keys["a"])}
    Archive(ReportsStore(state / "reports.db"), desk.fleet.pin().repository).take_in(sent, keys)
    policy = tmp_path / "policy.yaml"
    policy.write_text("{apiVersion: edgegitops/v1, kind: NodePolicy, spec: {}}", encoding="utf-8")
    config = NodeConfig(
        "b", "gw", state=str(state), remote=Remote(str(desk.bare)), pin=desk.fleet.pin(), policy_file=str(policy)
    )
    ledger = Ledger(floor=found.belief.floor, report_sequence=1, installation="one")
    desired = bootstrap_node.wanted(config, ledger)
    assert desired is not None
    running = replace(desired.releases[APP], digest=desk.digest(desk.first, "b"))
    told = bootstrap_node.gate_of(config, ledger, desired, DeploymentRecord(APP, serving=running))
    assert told is not None
    gate = Gate(*told)
    assert gate.own.waves[0].tally.good == {"a/gw"}
    assert any(
        one.startswith("would help now: 1 approval by release-manager (release-manager)") for one in lines(gate, APP)
    )
    assert tree(gate)["approvals"]["lacking"] == 1


@pytest.mark.parametrize("cleanup", [(), ("--cleanup=verbatim",)], ids=["as git tidies it", "verbatim"])
def test_tag_made_by_hand_as_the_page_says_is_the_same_word(desk, tmp_path, cleanup):
    """The very text of the page, with this fleet's names; git tag -s with and without its own tidying."""
    desk.tell("a", desk.second)
    page = (Path(__file__).parents[2] / "docs/tasks/control-tags.md").read_text(encoding="utf-8")
    text = page.partition("```\napprove vision-qa wave pilot")[2].partition("```")[0]
    text = f"approve vision-qa wave pilot{text}".replace("vision-qa", APP).replace("urn:uuid:…", fleets.REPOSITORY)
    message = tmp_path / "message.txt"
    message.write_text(text.replace("2026-11-23T00:00:00Z", "2099-11-23T00:00:00Z"), encoding="utf-8")
    desk.fleet.git("config", "user.signingkey", str(desk.fleet.key("release-manager").path))
    desk.fleet.git("tag", "-s", *cleanup, "-F", str(message), f"rollout/{APP}/000001", "origin/main")
    (tag,) = desk.look("history")["tags"]
    assert (tag["kind"], tag["wave"], tag["owner"], tag["force"]) == ("approve", "pilot", "release-manager", "in-force")
    pilot = desk.look("status", *reports(desk))["waves"][1]
    assert pilot["waiting"][0]["mayStart"]
    assert f"Previous: {tag['payload']}" in desk.tag("halt")["message"]


def test_halt_after_a_tag_that_never_was_is_resumed_and_the_log_goes_on(desk, tmp_path):
    """An engineer made it by hand, with a wrong Previous or an evil mind."""
    rows = ("Kind: halt", f"Repository: {fleets.REPOSITORY}", f"Deployment: {APP}", f"Previous: {'f' * 64}")
    message = tmp_path / "message.txt"
    message.write_text("\n".join(("halt line", "", *rows)) + "\n", encoding="utf-8")
    desk.fleet.git("config", "user.signingkey", str(desk.fleet.key("engineer").path))
    desk.fleet.git("tag", "-s", "--cleanup=verbatim", "-F", str(message), f"rollout/{APP}/000001", "origin/main")
    approval = desk.tag("approve", "--wave", "pilot", *reports(desk))
    made = desk.tag("resume")
    assert [one for one in made["message"].splitlines() if "Previous" in one] == [f"Previous: {approval['payload']}"]
    assert [one["force"] for one in desk.look("history")["tags"]] == ["ended", "in-force", "in-force"]


def test_approval_of_a_release_that_a_newer_one_replaced_is_told_as_lapsed(desk):
    desk.tag("approve", "--wave", "pilot", *reports(desk))
    assert [one["force"] for one in desk.look("history")["tags"]] == ["in-force"]
    desk.release("3.0.0")
    assert [one["force"] for one in desk.look("history")["tags"]] == ["lapsed"]


def test_windows_of_the_nodes_are_shown_before_anything_is_signed(desk):
    window = {"kind": "allow", "schedule": "0 0 1 1 *", "duration": "1m", "timeZone": "Europe/Stockholm"}
    spec = {
        "tags": {"ring": "pilot"},
        "timeZone": "UTC",
        "nodes": {"gw": {"address": "10.0.0.1"}},
        "windows": {"new-year": window},
    }
    desk.fleet.commit("inventory: a window", key="inventory", files={"sites/b.yaml": document("Site", "b", spec)})
    desk.fleet.push()
    said = desk.run("approve", APP, "--wave", "pilot", "--reason", "clean", *reports(desk), "--dry-run")
    assert "on b/gw: window new-year (sites/b.yaml) is not open" in said or "too short" in said
    made = desk.tag("approve", "--wave", "pilot", *reports(desk))
    (group,) = made["groups"]
    assert (group["hasWindows"], group["shutWindows"][0]["nodes"]) == (True, ["b/gw"])


def junk(desk: RolloutDesk, *names: str) -> None:
    """Somebody pushes tags that nobody signed."""
    for name in names:
        subprocess.run(["git", "-C", str(desk.bare), "tag", f"rollout/{APP}/{name}", "main"], check=True)


def test_tags_that_nobody_believes_stop_no_halt(desk):
    """Junk takes the highest number; what is no number takes none, and what lies below a number takes that one."""
    junk(desk, "999999", "1000000", "7", "words", "999998/more")
    halt, resume = desk.tag("halt"), desk.tag("resume")
    assert [one["tag"] for one in (halt, resume)] == [f"rollout/{APP}/999997", f"rollout/{APP}/999996"]
    assert f"Previous: {halt['payload']}" in resume["message"]
    assert [one["force"] for one in desk.look("history")["tags"]] == ["in-force", "ended"]


def test_number_is_the_one_behind_the_highest_else_the_highest_hole():
    assert next_number(frozenset()) == 1
    assert next_number(frozenset({1, 2, 7})) == 8
    assert next_number(frozenset({1, 999_999})) == 999_998
    assert next_number(frozenset(range(1, 1_000_000))) is None


@pytest.fixture
def asking(tmp_path: Path) -> tuple[RolloutDesk, Terminal]:
    """Somebody who is about to halt and to push that, in a terminal."""
    desk = RolloutDesk(tmp_path)
    desk.fleet.git("config", "user.signingkey", str(desk.fleet.key("release-manager").path))
    words = [sys.executable, "-m", "edgegitops", "rollout", "halt", APP, "--reason", "rejects", "--push"]
    return desk, Terminal(words, desk.fleet.work)


def test_one_question_says_both_that_it_signs_and_that_it_pushes(asking: tuple[RolloutDesk, Terminal]) -> None:
    desk, screen = asking
    screen.until(f"Sign rollout/{APP}/000001 and push it to origin?")
    os.write(screen.handle, b"y\n")
    screen.until("Pushed to origin.")
    assert screen.child.wait(timeout=60) == 0
    assert desk.fleet.git("ls-remote", "origin", "refs/tags/*").split()[1] == f"refs/tags/rollout/{APP}/000001"


def test_question_that_is_broken_off_makes_nothing(asking: tuple[RolloutDesk, Terminal]) -> None:
    desk, screen = asking
    screen.until("and push it to origin?")
    os.write(screen.handle, b"\x04")  # the end of input; it waits in the terminal, a signal may come before it is asked
    assert screen.child.wait(timeout=60) == 130
    assert desk.fleet.git("tag", "--list") == ""


def test_tag_that_could_not_be_pushed_stays_and_it_is_said_how_to_publish_it(tmp_path: Path) -> None:
    desk = RolloutDesk(tmp_path)
    hook = desk.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    said = desk.run("halt", APP, "--reason", "rejects", "--yes", "--push", code=5)
    assert "not today" in said
    assert f"To publish it: git push origin refs/tags/rollout/{APP}/000001" in said
    assert desk.fleet.git("tag", "--list").strip() == f"rollout/{APP}/000001"


@pytest.mark.parametrize("name", ["rollout", f"rollout/{APP}"])
def test_tag_of_the_clone_that_bars_all_others_is_named_before_anybody_is_asked(tmp_path: Path, name: str) -> None:
    """Git keeps no ref below another. Red where git's own words come after the question."""
    desk = RolloutDesk(tmp_path)
    desk.fleet.git("update-ref", f"refs/tags/{name}", "HEAD")
    said = desk.run("halt", APP, "--reason", "rejects", code=5)
    assert f"git tag -d {name};" in said
    desk.fleet.git("tag", "-d", name)
    desk.tag("halt")


@pytest.mark.parametrize("name", ["rollout", f"rollout/{APP}"])
def test_tag_of_the_remote_that_bars_all_others_is_named(tmp_path: Path, name: str) -> None:
    desk = RolloutDesk(tmp_path)
    subprocess.run(["git", "-C", str(desk.bare), "tag", name, "main"], check=True)
    said = desk.run("halt", APP, "--reason", "rejects", "--yes", "--push", code=5)
    for advice in (f"git push origin --delete refs/tags/{name}", f"git push origin refs/tags/rollout/{APP}/000001"):
        assert advice in said
        desk.fleet.git(*advice.split()[1:])
    assert [one["kind"] for one in desk.look("history")["tags"]] == ["halt"]
