"""`edgegitops rollout status` and `history` over a real clone and signed reports: the same answers that nodes get."""

import json
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from tests.contracts.rollout_desk import APP, RolloutDesk, check

from edgegitops.adapters.clock_system import SystemClock
from edgegitops.adapters.repository_reports import GitReports
from edgegitops.lab import enrolment


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> RolloutDesk:
    """All run 1.0.0; 2.0.0 has just been pushed; wave pilot asks for an approval."""
    made = RolloutDesk(tmp_path_factory.mktemp("desk"), approvals=1)
    for site in "abcd":
        made.tell(site, made.first)
    made.release("2.0.0")
    return made


def where(desk: RolloutDesk) -> tuple[str, str]:
    return "--reports", str(desk.reports)


def test_plan_says_who_is_in_which_wave(desk: RolloutDesk) -> None:
    said = desk.run("HEAD~1..HEAD", command="plan")
    assert "wave canary (1 of 3 that change): a/gw" in said
    assert "wave rest (3 of 3 that change): c/gw, d/gw" in said
    told = json.loads(desk.run("HEAD~1..HEAD", "--format", "json", command="plan"))
    check(told, "plan")
    assert told["changes"][0]["waves"][1] == {"name": "pilot", "nodes": ["b/gw"]}


def test_status_says_what_holds_each_wave_and_whose_word_would_help(desk: RolloutDesk) -> None:
    second = desk.fleet.tip()
    seen = desk.look("status", *where(desk))
    canary, pilot, rest = seen["waves"]
    assert canary["waiting"] == [
        {
            "nodes": ["a/gw"],
            "mayStart": True,
            "cause": "gate",
            "reason": None,
            "detail": None,
            "approval": None,
            "opensAt": None,
        }
    ]
    assert (canary["covered"], canary["good"], canary["needed"]) == (["a/gw"], [], 1)
    assert canary["missing"] == [{"node": "a/gw", "why": "runs-another-release"}]
    assert pilot["waiting"][0]["reason"] == "gate"
    assert rest["waiting"][0]["nodes"] == ["c/gw", "d/gw"]

    desk.tell("a", second, is_changing=True)
    assert "missing: a/gw: changes to it, and is not proven yet" in desk.run("status", APP, *where(desk))
    desk.tell("a", second, soaked_for=timedelta(minutes=4))
    said = desk.run("status", APP, *where(desk))
    assert "missing: a/gw: soaked for 4 min of 10 min" in said
    opens_at = datetime.fromisoformat(desk.look("status", *where(desk))["waves"][1]["waiting"][0]["opensAt"])
    assert timedelta(minutes=5) < opens_at - SystemClock().now() <= timedelta(minutes=6)
    assert f"to do: nothing; canary has soaked at {opens_at:%Y-%m-%d %H:%M:%S} UTC if it stays well" in said
    assert "to do: nothing while pilot is under way" not in said, "the rest waits for the canary too"

    desk.tell("a", second)
    asked = desk.look("status", *where(desk))["waves"][1]["waiting"][0]
    assert (asked["reason"], asked["approval"]["count"], asked["approval"]["wave"]) == ("approval", 1, "pilot")
    assert "edgegitops rollout approve line --wave pilot" in desk.run("status", APP, *where(desk))
    desk.tag("approve", "--wave", "pilot", *where(desk))
    assert desk.look("status", *where(desk))["waves"][1]["waiting"][0]["mayStart"]

    for site in "bcd":
        desk.tell(site, second)
    assert desk.look("status", *where(desk))["isThrough"]
    assert "every node runs what it should" in desk.run("status", *where(desk))

    bad = desk.release("3.0.0")
    desk.tell("a", second, hold="operator")
    said = desk.run("status", APP, *where(desk))
    assert ": under way" in said
    assert "may start now (gate): a/gw\n      held there: a/gw: an operator holds it (operator)" in said
    desk.tell("a", second, hold="gate")  # it has not heard yet what the clone knows
    assert "held there" not in desk.run("status", APP, *where(desk))

    desk.tell("a", second, failed=bad)
    said = desk.run("status", APP, *where(desk), code=1)
    assert "too-many-failures" in said
    assert ": stopped by failures" in said
    assert "edgegitops rollout retry" in said
    assert "    failed: a/gw: it was not ready in time (deadline-missed)\n" in said
    assert "missing: a/gw" not in said, "who failed is named once"
    assert said.count("edgegitops rollout retry line --reason …") == 1, "advice stands once"

    desk.tag("halt", key="engineer")
    assert ": halted\n" in desk.run("status", APP, *where(desk), code=1)
    desk.tag("resume")
    told = desk.look("history")["tags"]
    assert [(one["kind"], one["force"]) for one in told] == [
        ("approve", "lapsed"),  # 3.0.0 is another release
        ("halt", "ended"),
        ("resume", "in-force"),
    ]
    assert "000002 halt by engineer" in desk.run("history", APP)
    desk.fleet.git("tag", "-d", f"rollout/{APP}/000002")
    assert desk.look("history")["tags"][1]["force"] == "behind-a-hole-or-in-a-fork"
    assert "a tag is missing here" in desk.run("history", APP)


def test_release_that_is_taken_back_is_told_as_such_until_nobody_runs_it(tmp_path: Path) -> None:
    """Red where cli/rollout_status.py does not look for `parting`: every node would run what it should."""
    desk = RolloutDesk(tmp_path)
    second = desk.release("2.0.0")
    for site in "abcd":
        desk.tell(site, second)
    desk.tag("rollback", *where(desk))
    said = desk.run("status", APP, *where(desk), code=1)
    assert ": taken back by a rollback or revocation\n" in said
    assert "goes back now (rollback): c/gw, d/gw" in said
    for site in "abcd":
        desk.tell(site, desk.first)
    said = desk.run("status", APP, *where(desk), code=1)
    assert ": taken back by a rollback or revocation\n" in said
    assert "held: c/gw, d/gw: a rollback or revocation excludes it" in said
    desk.release("3.0.0")
    assert ": under way\n" in desk.run("status", APP, *where(desk))


def test_deployment_that_was_deleted_is_told_until_it_is_gone_and_its_removal_can_be_approved(tmp_path: Path) -> None:
    """Of four nodes, where one may lose it at once. Red where workbench_rollout.py looks at the newest commit alone."""
    desk = RolloutDesk(tmp_path)
    for site in "abcd":
        desk.tell(site, desk.first)
    desk.fleet.commit("no more", key="release-manager", files={f"deployments/{APP}.yaml": None})
    desk.fleet.push()
    for words in ((), (APP,)):
        said = desk.run("status", *words, *where(desk))
        assert "line at " in said
        assert "to be removed from 2 nodes: c/gw, d/gw" in said
        assert f"edgegitops rollout approve {APP} --wave rest --reason" in said
    made = desk.tag("approve", "--wave", "canary", *where(desk))
    assert [one["nodes"] for one in made["groups"]] == [["a/gw"]]
    assert "may start now (removal): a/gw" in desk.run("status", APP, *where(desk))
    assert "there are: canary, pilot, rest" in desk.run(
        "approve", APP, "--wave", "x", "--reason", "x", *where(desk), "--dry-run", code=64
    )
    desk.run("status", "never", *where(desk), code=5)


def test_deployment_that_never_was_and_that_a_node_tells_of_stops_no_status(tmp_path: Path) -> None:
    """One stolen key could else take the word from everybody who asks."""
    desk = RolloutDesk(tmp_path)
    for site in "abcd":
        desk.tell(site, desk.first)
    desk.tell("d", desk.first, named="never")
    assert "line at" in desk.run("status", *where(desk))


def test_canary_that_is_silent_is_told_and_what_to_do(tmp_path: Path) -> None:
    desk = RolloutDesk(tmp_path)
    for site in "bcd":
        desk.tell(site, desk.first)
    desk.tell("a", desk.first, ago=timedelta(hours=2))
    desk.release("2.0.0")
    said = desk.run("status", APP, *where(desk))
    assert "missing: a/gw: does not run it yet\n    silent: a/gw: no report that is young enough to count\n" in said
    assert "state: maintenance" in said
    assert "silent: b/gw" not in said
    assert "to do: nothing while canary is under way; above is who is missing there" in said


def test_fleet_that_names_no_place_of_reports_is_told_so_instead_of_being_silent(tmp_path: Path) -> None:
    """Red where workbench_rollout.py does not look whether there is any way."""
    desk = RolloutDesk(tmp_path)
    for command, words in (("rollout", ("status", APP)), ("fleet", ("status",))):
        said = desk.run(*words, command=command)
        assert "no place of reports is known: fleet.yaml names none" in said
    assert "silent: " not in desk.run("status", APP)


def test_reports_come_from_a_git_repository_too(tmp_path: Path) -> None:
    """By its address, and where none is given, as fleet.yaml says; what cannot be had is told."""
    desk = RolloutDesk(tmp_path)
    bare = tmp_path / "reports.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    for site in "abcd":
        desk.tell(site, desk.first)
        GitReports(tmp_path / f"{site}.git", str(bare)).publish(
            f"{site}/gw", (desk.reports / site / "gw.report").read_bytes()
        )
    told = json.loads(desk.run("status", "--reports", str(bare), "--json", command="fleet"))
    assert told["sums"]["as-wanted"] == 4
    fleet = (desk.fleet.work / "fleet.yaml").read_text(encoding="utf-8")
    manifest = yaml.safe_load(fleet)
    manifest["spec"]["reports"] = {"directory": str(desk.reports)}
    desk.fleet.commit("security: reports", key="security", files={"fleet.yaml": json.dumps(manifest)})
    desk.fleet.push()
    assert desk.look("status")["isThrough"]
    assert "could not be had" not in desk.run("status", APP)
    desk.reports.rename(tmp_path / "away")
    assert "reports could not be had" in desk.run("status", APP)


def test_halt_is_told_where_nothing_waits_and_a_tag_that_no_node_tells_of(tmp_path: Path) -> None:
    desk = RolloutDesk(tmp_path)
    for site in "abcd":
        desk.tell(site, desk.first)
    assert "no node tells of" not in desk.run("status", APP, *where(desk))
    desk.tag("halt")
    said = desk.run("status", APP, *where(desk))
    assert "every node runs what it should" in said
    assert "halt 000001 by release-manager at" in said
    assert "edgegitops rollout resume line --reason … ends it" in said
    assert "git push origin refs/tags/rollout/line/000001" in said
    payload = desk.look("history")["tags"][0]["payload"]
    desk.tell("d", desk.first, heads={APP: (payload,)})
    assert "git push" not in desk.run("status", APP, *where(desk))
    desk.tag("resume")
    assert "stands" not in desk.run("status", APP, *where(desk))


def test_words_on_another_deployment_make_no_report_one_that_knows_more(tmp_path: Path) -> None:
    """Nodes have the tags of all deployments; who looks at one of them needs no others in the clone."""
    desk = RolloutDesk(tmp_path)
    second = desk.release("2.0.0")
    desk.tell("a", second, heads={"other": ("0" * 64,)})
    assert desk.look("status", *where(desk))["waves"][1]["waiting"][0]["mayStart"]
    desk.tell("a", second, heads={APP: ("0" * 64,)})
    assert not desk.look("status", *where(desk))["waves"][1]["waiting"][0]["mayStart"]


def test_long_lines_are_folded_below_their_own_text(tmp_path: Path) -> None:
    desk = RolloutDesk(tmp_path)
    for site in "abcd":
        desk.tell(site, desk.first)
    desk.release("2.0.0")
    said = desk.run("status", APP, *where(desk), columns=80).splitlines()
    assert max(map(len, said)) <= 80
    held = next(at for at, line in enumerate(said) if line.startswith("    held: b/gw"))
    assert said[held + 1].startswith("      ")


def test_node_that_still_signs_with_its_key_of_before_is_not_silent(tmp_path: Path) -> None:
    """Red where only the newest keys are asked: it has not fetched the commit that gives it another."""
    desk = RolloutDesk(tmp_path)
    for site in "abcd":
        desk.tell(site, desk.first)
    line = desk.node_key("b")
    keys = {"trust/nodes/b.yaml": enrolment.keys_manifest("b", {"gw": line})}
    desk.fleet.commit("security: another key for b", key="security", files=keys)
    desk.fleet.push()
    told = json.loads(desk.run("status", *where(desk), "--json", command="fleet"))
    assert (told["sums"].get("silent", 0), told["sums"]["trouble"], told["sums"]["as-wanted"]) == (0, 1, 3)
    (row,) = [one for one in told["nodes"] if one["node"] == "b/gw"]
    assert ["the key that this node had before" in one for one in row["doubts"]] == [True]
    desk.tell("b", desk.first)
    assert json.loads(desk.run("status", *where(desk), "--json", command="fleet"))["sums"]["as-wanted"] == 4


@pytest.fixture
def failed(tmp_path: Path) -> RolloutDesk:
    """2.0.0 runs well on the canary; on the pilot its disk died."""
    made = RolloutDesk(tmp_path)
    for site in "abcd":
        made.tell(site, made.first)
    second = made.release("2.0.0")
    made.tell("a", second)
    made.tell("b", made.first, failed=second)
    assert "b/gw failed" in made.run("status", APP, *where(made), code=1)
    return made


def remove(desk: RolloutDesk) -> None:
    desk.fleet.commit("security: b is gone", key="security", files={"trust/nodes/b.yaml": None})
    desk.fleet.commit("inventory: b is gone", key="inventory", files={"sites/b.yaml": None})
    desk.fleet.push()


def reinstall(desk: RolloutDesk) -> None:
    files: dict[str, str | bytes | None] = {
        "trust/nodes/b.yaml": enrolment.keys_manifest("b", {"gw": desk.node_key("b")})
    }
    desk.fleet.commit("security: b has another key", key="security", files=files)
    desk.fleet.push()


@pytest.mark.parametrize("leave", [remove, reinstall])
def test_failure_of_a_node_that_was_removed_or_reinstalled_is_seen_and_can_be_forgiven(failed, leave) -> None:
    """Nodes count it too. Red where workbench_rollout.py does not ask `_with_bygone`."""
    leave(failed)
    said = failed.run("status", APP, *where(failed), code=1)
    assert "held: c/gw, d/gw" in said
    assert "(too-many-failures): b/gw failed; wave pilot allows 0" in said
    assert "removed from" not in said  # of its old reports nothing but the failure counts
    assert "Forgives: b/gw@2" in failed.tag("retry", *where(failed))["message"]
    assert "too-many-failures" not in failed.run("status", APP, *where(failed))


def test_failure_that_no_report_tells_any_more_is_told_by_who_is_held_and_can_be_forgiven_by_its_number(failed) -> None:
    """The reinstalled node's first report stands where the other one was; the nodes have heard that one."""
    reinstall(failed)
    failed.tell("b", failed.first)
    tip = failed.fleet.tip()
    failed.tell("c", failed.first, hold="too-many-failures", floor=tip)
    said = failed.run("status", APP, *where(failed))
    assert "held there all the same: c/gw: it failed on more nodes than its waves allow (too-many-failures)" in said
    assert "rollout retry line --node SITE/NODE@REPORT" in said
    for word in ("b/gw@x", "@2", "b@2"):
        failed.run("retry", APP, "--reason", "x", "--node", word, "--yes", code=64)
    made = failed.tag("retry", "--node", "b/gw@2", *where(failed))
    assert "Forgives: b/gw@2\n" in made["message"]
    assert "held there" not in failed.run("status", APP, *where(failed))  # it has not heard of the retry yet
