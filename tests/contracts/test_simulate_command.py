"""`edgegitops simulate` keeps its published shape, and tells its story again to the byte."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest

TOP = Path(__file__).parents[2]
APP = "apps/broker/app.yaml"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The example fleet, with a change in its working directory."""
    fleet = tmp_path / "fleet"
    shutil.copytree(TOP / "fleet-repo-example", fleet)
    person = ["-c", "user.name=anna", "-c", "user.email=anna@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*person, "commit", "-q", "-m", "The fleet"]):
        subprocess.run(["git", "-C", str(fleet), *words], check=True)
    text = (fleet / APP).read_text(encoding="utf-8")
    (fleet / APP).write_text(text.replace("memory: 256Mi", "memory: 300Mi"), encoding="utf-8")
    return fleet


def simulated(clone: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "edgegitops", "simulate", "main", str(clone), "--at", "2026-01-05T10:00", "--json"]
    return subprocess.run([*words, *options], check=False, capture_output=True, text=True)


def test_answer_has_the_published_shape_and_is_the_same_twice(clone: Path) -> None:
    done, again = (simulated(clone, "--fail", "30%", "--seeds", "3") for _ in range(2))
    assert (done.returncode, done.stderr) == (1, "")
    answer = json.loads(done.stdout)
    rules = json.loads((TOP / "schemas/output/simulate.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(rules).validate(answer)
    assert [run["seed"] for run in answer["runs"]] == [1, 2, 3]
    assert len({json.dumps(run["changes"]) for run in answer["runs"]}) > 1
    assert again.stdout == done.stdout


def test_change_that_is_well_comes_through_wave_by_wave(clone: Path) -> None:
    done = simulated(clone)
    assert done.returncode == 0, done.stderr
    waves = json.loads(done.stdout)["runs"][0]["changes"][0]["waves"]
    assert [wave["name"] for wave in waves] == ["canary", "pilot", "share", "rest"]
    assert [wave["healthy"] for wave in waves] == [wave["nodes"] for wave in waves]
    for before, after in pairwise(waves):
        assert after["opensAfterSeconds"] > before["lastChangeAfterSeconds"]


def test_picture_that_cannot_be_written_is_said_in_words(clone: Path, tmp_path: Path) -> None:
    done = simulated(clone, "--plot", str(tmp_path / "nowhere" / "rollout.svg"))
    assert (done.returncode, done.stdout) == (64, ""), "before the run, not after it"
    assert "there is no folder" in done.stderr
    done = simulated(clone, "--plot", "/dev/full")
    assert (done.returncode, done.stderr) == (5, "denied: plot: write /dev/full: No space left on device\n")
