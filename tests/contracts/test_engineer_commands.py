"""What engineers ask of a clone: plans over real Git history, answers in their published shapes, true places."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.cli.render import _yaml
from edgegitops.core.documents.yaml_reader import Document, read_yaml
from edgegitops.core.plan.compare import Change, Kind, compare
from edgegitops.core.plan.plan import Plan
from edgegitops.errors import DeniedError, InvalidDocumentError
from edgegitops.workbench import plan_directory, view_directory

TOP = Path(__file__).parents[2]
BROKER = "apps/broker/app.yaml"
NODES = 16


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A clone of the example fleet with one commit on main."""
    path = tmp_path / "fleet"
    shutil.copytree(TOP / "fleet-repo-example", path)
    git(path, "init", "-q", "--initial-branch=main")
    commit(path, "the fleet")
    return path


def git(fleet: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(fleet.parent), "GIT_CONFIG_GLOBAL": os.devnull}
    person = ("-c", "user.name=anna", "-c", "user.email=anna@example.org")
    argv = ["git", "-C", str(fleet), *person, *arguments]
    return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def commit(fleet: Path, message: str) -> str:
    git(fleet, "add", "--all")
    git(fleet, "commit", "-q", "-m", message)
    return git(fleet, "rev-parse", "HEAD")


def edit(fleet: Path, file: str, old: str, new: str) -> None:
    path = fleet / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def asked(fleet: Path, revisions: str = "") -> Plan:
    return plan_directory(fleet, revisions, site="", node="")[0]


def edgegitops(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "edgegitops", *arguments]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def answered(schema: str, *arguments: str) -> Any:
    done = edgegitops(*arguments)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    rules = json.loads((TOP / f"schemas/output/{schema}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(rules).validate(answer)
    return answer


EDITS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "a comment": lambda fleet: edit(fleet, BROKER, "# Always name", "# Always, always name"),
    "a limit": lambda fleet: edit(fleet, BROKER, "memory: 256Mi", "memory: 300Mi"),
    "a probe": lambda fleet: edit(fleet, BROKER, "failureThreshold: 3", "failureThreshold: 4"),
    "a value of the fleet": lambda fleet: edit(fleet, "fleet.yaml", "log_level: info", "log_level: debug"),
    "a value of a site": lambda fleet: edit(fleet, "sites/emea/turin-1.yaml", "plc_host: 10.", "plc_host: 11."),
    "a config file": lambda fleet: edit(fleet, "apps/vision-qa/config/qa.toml", "\n", "\n# more\n"),
    "a file of a folder": lambda fleet: edit(fleet, "apps/vision-qa/config/recipes/housing-25.toml", "\n", "\n# x\n"),
    "a policy": lambda fleet: edit(fleet, "deployments/broker.yaml", "deadline: 2m", "deadline: 9m"),
    "an override": lambda fleet: edit(fleet, "deployments/vision-qa.yaml", "es_MX", "es_ES"),
    "a selector": lambda fleet: edit(fleet, "deployments/broker.yaml", "role: line", "role: vision"),
    "a tag": lambda fleet: edit(fleet, "sites/emea/goteborg-1.yaml", "line-type: assembly", "line-type: casting"),
    "an attempt": lambda fleet: edit(fleet, "deployments/broker.yaml", "attempt: 1", "attempt: 2"),
    "a deployment gone": lambda fleet: (fleet / "deployments/vision-qa.yaml").unlink(),
    "a site gone": lambda fleet: (fleet / "sites/emea/brno-1.yaml").unlink(),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS.keys())
def test_a_plan_says_what_comparing_every_node_says(fleet: Path, change: Callable[[Path], object]) -> None:
    before = view_directory(fleet)
    old = {seat.name: before.releases(seat)[0] for seat in before.seats()}
    change(fleet)
    after = view_directory(fleet)
    naive: set[tuple[str, Change]] = set()
    for seat in after.seats():
        new = after.releases(seat)[0]
        names = old[seat.name].keys() | new.keys()
        found = [compare(old[seat.name].get(name), new.get(name)) for name in names]
        naive |= {(seat.name, one) for one in found if one}
    made = asked(fleet, "main")
    assert {(node, group.change) for group in made.groups for node in group.nodes} == naive
    assert len({group.change for group in made.groups}) == len(made.groups)


def test_a_node_that_vanishes_keeps_what_it_runs_and_one_that_comes_is_told(fleet: Path) -> None:
    edit(fleet, "sites/emea/brno-1.yaml", "gw-line:", "gw-new:")
    made = asked(fleet, "main")
    assert (made.joining, made.leaving) == (("brno-1/gw-new",), ("brno-1/gw-line",))
    assert {group.change.kind for group in made.groups} == {Kind.APPEARS}


def test_a_node_in_maintenance_is_named(fleet: Path) -> None:
    edit(fleet, "sites/emea/turin-1.yaml", "gw-line:\n", "gw-line:\n      state: maintenance\n")
    commit(fleet, "rest")
    edit(fleet, BROKER, "memory: 256Mi", "memory: 300Mi")
    assert asked(fleet).resting == ("turin-1/gw-line",)


def test_without_words_a_branch_is_compared_with_where_it_left_main(fleet: Path) -> None:
    left = git(fleet, "rev-parse", "HEAD")
    git(fleet, "update-ref", "refs/remotes/origin/main", left)
    edit(fleet, BROKER, "memory: 256Mi", "memory: 300Mi")
    commit(fleet, "on the branch")
    edit(fleet, "deployments/broker.yaml", "deadline: 2m", "deadline: 9m")
    made = asked(fleet)
    assert made.base == left[:12]
    assert [group.change.policy for group in made.groups] == [("deadline: 2m -> 9m",)]
    assert made.groups[0].change.kind is Kind.CHANGES


def test_a_clean_clone_shows_its_last_commit(fleet: Path) -> None:
    first = git(fleet, "rev-parse", "HEAD")
    edit(fleet, BROKER, "memory: 256Mi", "memory: 300Mi")
    tip = commit(fleet, "more")
    git(fleet, "update-ref", "refs/remotes/origin/main", tip)
    made = asked(fleet)
    assert made.base == first[:12]
    assert len(made.groups) == 1


def test_ranges_mean_what_git_means(fleet: Path) -> None:
    git(fleet, "checkout", "-q", "-b", "mine")
    edit(fleet, BROKER, "memory: 256Mi", "memory: 300Mi")
    commit(fleet, "mine")
    git(fleet, "checkout", "-q", "main")
    edit(fleet, "deployments/broker.yaml", "deadline: 2m", "deadline: 9m")
    commit(fleet, "theirs")
    (two,), (three,) = asked(fleet, "main..mine").groups, asked(fleet, "main...mine").groups
    assert (two.change.policy, three.change.policy) == (("deadline: 9m -> 2m",), ())
    assert asked(fleet, "main..main").groups == ()


def test_a_base_that_is_not_valid_gives_way_to_what_nodes_keep(fleet: Path) -> None:
    good = git(fleet, "rev-parse", "HEAD")
    edit(fleet, BROKER, "memory: 256Mi", "memory: 256mb")
    bad = commit(fleet, "a slip")
    edit(fleet, BROKER, "memory: 256mb", "memory: 300Mi")
    made = asked(fleet, bad)
    assert made.base == good[:12]
    assert [group.change.containers[0].fields for group in made.groups] == [("resources.memory",)]


def test_a_new_side_that_is_not_valid_has_no_plan(fleet: Path) -> None:
    edit(fleet, BROKER, "memory: 256Mi", "memory: 256mb")
    with pytest.raises(InvalidDocumentError, match=r"1 fault: apps/broker/app\.yaml:52:17: wrong-format"):
        asked(fleet)


def test_faults_that_only_some_nodes_meet_are_told_with_a_node(fleet: Path) -> None:
    edit(fleet, "sites/emea/turin-1.yaml", "plc_host", "plc_hots")
    done = edgegitops("plan", "main", str(fleet))
    assert done.returncode == 1
    assert (
        "the value 'plc_host' has no default, and nothing gives it (turin-1/gw-line keeps what it runs)" in done.stdout
    )
    answer = json.loads(edgegitops("plan", "main", str(fleet), "--format", "json").stdout)
    assert [fault["node"] for fault in answer["faults"]] == ["turin-1/gw-line"]


def test_before_the_first_commit_everything_appears(tmp_path: Path) -> None:
    path = tmp_path / "fleet"
    shutil.copytree(TOP / "fleet-repo-example", path)
    git(path, "init", "-q")
    made = asked(path)
    assert (made.base, {group.change.kind for group in made.groups}) == ("nothing", {Kind.APPEARS})


def test_a_revision_that_is_not_here_says_what_to_do(fleet: Path) -> None:
    with pytest.raises(DeniedError, match="unshallow"):
        asked(fleet, "origin/main...HEAD")


def test_a_plan_over_hundreds_of_sites_stays_a_page(fleet: Path) -> None:
    text = (fleet / "sites/emea/goteborg-1.yaml").read_text(encoding="utf-8")
    for number in range(200):
        (fleet / f"sites/p-{number}.yaml").write_text(text.replace("name: goteborg-1", f"name: p-{number}"))
    commit(fleet, "many")
    edit(fleet, BROKER, "memory: 256Mi", "memory: 300Mi")
    done = edgegitops("plan", "main", str(fleet), "--format", "markdown")
    assert done.returncode == 0
    assert f"208 of {NODES + 400} nodes change, 208 containers replaced" in done.stdout
    assert "208 nodes of 208 sites: aachen-1/gw-bench" in done.stdout
    assert len(done.stdout.splitlines()) < 40


def test_text_of_a_manifest_does_nothing_in_a_comment_on_a_pull_request(fleet: Path) -> None:
    edit(fleet, BROKER, "PORT: 1883", 'PORT: 1883\n        "@team|<b>`x`": 1')
    table = edgegitops("plan", "main", str(fleet), "--format", "markdown").stdout
    assert "env.&#64;team\\|\\<b\\>\\`x\\`" in table


def test_answers_have_their_published_shapes(fleet: Path) -> None:
    edit(fleet, BROKER, "memory: 256Mi", "memory: 300Mi")
    (fleet / "deployments/machine-data-casting.yaml").unlink()
    planned = answered("plan", "plan", "main", str(fleet), "--format", "json")
    assert {row["kind"] for row in planned["changes"]} == {"changes", "disappears"}
    assert len(answered("match", "match", "*", str(fleet), "--json")["nodes"]) == NODES
    arguments = ("--site", "turin-1", "--why", "--format", "json", str(fleet))
    rendered = answered("render", "render", *arguments)
    assert [row["deployment"] for row in rendered["nodes"][0]["deployments"]] == ["broker"]


def test_every_reason_points_at_the_text_that_it_tells(fleet: Path) -> None:
    view = view_directory(fleet)
    looked_at = 0
    for seat in view.seats():
        for reasons in view.reasons(seat).values():
            assert reasons.values
            for one in (*reasons.values, *reasons.fields):
                assert one.position, one
                lines = (fleet / one.file).read_text(encoding="utf-8").splitlines()
                there = lines[one.position.line - 1][one.position.column - 1 :]
                if isinstance(one.written, str | int | float | bool) and not there.startswith("|"):
                    said = str(one.written).lower() if isinstance(one.written, bool) else str(one.written)
                    assert there.strip("\"'").startswith(said), one
                    looked_at += 1
    assert looked_at > 100


def test_the_nearest_level_is_the_one_that_is_told(fleet: Path) -> None:
    edit(fleet, "sites/emea/turin-1.yaml", "    plc_host: 10", "    log_level: debug\n    plc_host: 10")
    view = view_directory(fleet)
    (seat,) = view.seats("turin-1", "gw-line")
    (other,) = view.seats("goteborg-1", "gw-line")
    levels = [
        next(
            (one.level, one.value, one.file)
            for one in view.reasons(each)["broker"].values
            if one.path.endswith("log_level")
        )
        for each in (seat, other)
    ]
    assert levels == [("site", "debug", "sites/emea/turin-1.yaml"), ("fleet", "info", "fleet.yaml")]


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(1 - 2**53, 2**53 - 1), WORDS, st.sampled_from(["no", "1e3", "0x1f"])
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS.filter(bool), inner, max_size=3)
)


@given(st.dictionaries(WORDS.filter(bool), TREES, min_size=1, max_size=4))
def test_yaml_that_is_shown_reads_back_as_what_it_shows(tree: dict[str, Any]) -> None:
    read = read_yaml("\n".join(_yaml(tree)).encode(), "shown")
    assert isinstance(read, Document), read
    assert read.tree == tree


def test_a_fleet_in_a_folder_of_its_repository_is_planned_too(fleet: Path, tmp_path: Path) -> None:
    top = tmp_path / "whole"
    top.mkdir()
    git(top, "init", "-q", "--initial-branch=main")
    (top / "README").write_text("nothing of a fleet yet")
    commit(top, "a repository")
    shutil.copytree(fleet, top / "plant" / "fleet", ignore=shutil.ignore_patterns(".git"))
    commit(top, "the fleet comes in")
    edit(top / "plant" / "fleet", BROKER, "version: ", "version: 9")
    inside = top / "plant" / "fleet"
    assert {group.change.kind for group in asked(inside, "HEAD~1").groups} == {Kind.APPEARS}
    assert asked(inside).nodes == asked(fleet).nodes
    with pytest.raises(InvalidDocumentError):
        asked(top)


@pytest.mark.parametrize(
    ("words", "missing"),
    [(("--node", "goteborg-1/gw-vison"), "goteborg-1/gw-vison; it has"), ((), "lab/node-1; name some with --node")],
)
def test_a_lab_refuses_nodes_that_its_fleet_does_not_have_and_names_those_that_it_has(
    fleet: Path, words: tuple[str, ...], missing: str
) -> None:
    done = edgegitops("lab", "up", "--fleet", str(fleet), *words, "--dir", str(fleet / "lab"))
    assert done.returncode == 3
    assert f"has no node {missing}" in done.stderr
    assert "toledo-1/gw-vision" in done.stderr
    assert not (fleet / "lab").exists()
