"""`edgegitops simulate` keeps its published shape, and tells its story again to the byte."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
from click import UsageError
from click.testing import CliRunner

from edgegitops.cli.simulate import share_of, simulate

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


@pytest.mark.parametrize("said", ["200%", "-5%", "NaN", "nan%", "inf%", "0.5", "1/2%", "1e1%", "100.1%", "%", ""])
def test_what_is_no_share_is_a_usage_error_that_says_what_is_allowed(clone: Path, said: str) -> None:
    """Red where it is called a selector with a letter too many, or taken as a tenth of itself."""
    for option in ("--fail", "--offline", "--lose-reports"):
        done = CliRunner().invoke(simulate, ["", str(clone), option, said])
        assert isinstance(done.exception, SystemExit)
        assert (done.exit_code, done.stdout) == (UsageError.exit_code, "")
        assert option in done.stderr
        assert "expected a share from 0% to 100%, such as 5%" in done.stderr


def test_share_is_read_exactly() -> None:
    shares = {"0%": Fraction(0), "5%": Fraction(1, 20), "0.5%": Fraction(1, 200), "100%": Fraction(1)}
    assert {said: share_of(said) for said in shares} == shares
