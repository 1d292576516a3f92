"""Transcripts of a node's operator, and the JSON that programs read: each story over a fresh node whose agent is dead.

As in test_transcripts; instants, spans that pass while a story runs, and keys that are made anew are masked.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.scenarios import operator_node
from tests.scenarios.stories import as_told, command_in

HERE = Path(__file__).parent
SCHEMAS = HERE.parents[1] / "schemas" / "output"
STORIES = sorted((HERE / "operator").glob("*.txt"))
MASKS = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<instant>"),
    (r"\((\d+ (d|h|min|s) )+left\)", "(<span> left)"),
    (r"\d+ min \d+ s|\d+ s\b", "<span>"),
    (r"ssh-ed25519 \S+", "ssh-ed25519 <key>"),
    (r"age1[0-9a-z]+", "age1<key>"),
)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder with node.yaml, state, and the command in bin/."""
    command_in(tmp_path)
    operator_node.prepare(tmp_path)
    return tmp_path


def run(node: Path, command: str, *, columns: str = "100") -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{node / 'bin'}:/usr/bin:/bin",
        "COLUMNS": columns,
        "LANG": "C.UTF-8",
        "EDGEGITOPS_CONFIG": str(node / "node.yaml"),
        "EDGEGITOPS_STATE": str(node / "state"),
    }
    return subprocess.run(
        ["bash", "-c", command],
        cwd=node,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def told(story: str, node: Path) -> str:
    lines = [line for line in story.splitlines() if line.startswith("#")]
    for command in re.findall(r"(?m)^\$ (.+)$", story):
        done = run(node, command, columns="1000")
        lines += ["", f"$ {command}", *(line.rstrip() for line in done.stdout.splitlines())]
        lines += [f"[exit {done.returncode}]"] if done.returncode else []
    text = "\n".join(lines).replace(str(node), "…") + "\n"
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    for number, name in enumerate(dict.fromkeys(re.findall(r"\b[0-9a-f]{12}\b", text)), start=1):
        text = text.replace(name, f"<{number}>")
    return re.sub(r"(?m)  +", lambda gap: gap[0] if gap.start() == 0 or text[gap.start() - 1] == "\n" else "  ", text)


@pytest.mark.parametrize("file", STORIES, ids=lambda file: file.stem)
def test_story_goes_as_it_is_told(file: Path, node: Path) -> None:
    story = file.read_text(encoding="utf-8")
    if "refused" in file.stem:
        operator_node.refuse_a_commit(node)
    now = told(story, node)
    assert now == as_told(file, now)


def test_there_are_stories() -> None:
    assert len(STORIES) == 4


@pytest.mark.parametrize(
    ("command", "schema", "code"),
    [
        ("edgegitops status --json", "status", 0),
        ("edgegitops status --json --check", "status", 1),
        ("edgegitops explain machine-data-assembly --json", "explain", 0),
        ("edgegitops explain broker --json", "explain", 0),
        ("edgegitops journal show --json --lines 0", "journal", 0),
        ("edgegitops journal verify --json", "journal-verify", 0),
        ("edgegitops node check --json", "node-check", 1),
    ],
)
def test_json_has_its_published_shape(node: Path, command: str, schema: str, code: int) -> None:
    operator_node.refuse_a_commit(node)
    run(node, "edgegitops hold broker --reason audit --until 2h")
    done = run(node, command)
    assert done.returncode == code
    shape = json.loads((SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(shape).validate(json.loads(done.stdout))


def test_screens_fit_into_a_hundred_columns(node: Path) -> None:
    run(node, "edgegitops hold --reason 'a long reason that goes on and on, ask Ada' --until 2h --all")
    operator_node.refuse_a_commit(node)
    for command in ("status", "explain machine-data-assembly", "node check"):
        lines = run(node, f"edgegitops {command}").stdout.splitlines()
        assert lines
        assert [line for line in lines if len(line.rstrip()) > 100] == []


def test_explanation_fits_on_one_screen(node: Path) -> None:
    assert len(run(node, "edgegitops explain machine-data-assembly").stdout.splitlines()) <= 40
