"""Transcripts: command in, whole answer out. Each *.txt here is one story over a fresh copy of the example fleet.

`# …` opens the story, `$ …` is a shell command, what follows is all that it wrote to both streams, and `[exit N]`
stands where N is not 0. `EDGEGITOPS_REWRITE=1 make test` writes the answers anew; then the diff is the review.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.scenarios.stories import as_told, command_in

HERE = Path(__file__).parent
FLEET = HERE.parents[1] / "fleet-repo-example"
STORIES = sorted(HERE.glob("*.txt"))


def told(story: str, folder: Path) -> str:
    """The story with the answers that its commands give now, run one after another in `folder`."""
    tools = command_in(folder)
    shutil.copytree(FLEET, folder / "fleet")
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "COLUMNS": "100", "LANG": "C.UTF-8", "HOME": str(folder)}
    opening = story.partition("\n$ ")[0]
    lines = [line for line in opening.splitlines() if line.startswith("#")]
    for command in re.findall(r"(?m)^\$ (.+)$", story):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines += ["", f"$ {command}", *done.stdout.splitlines()]
        lines += [f"[exit {done.returncode}]"] if done.returncode else []
    return "\n".join(lines).replace(str(folder), "…") + "\n"


@pytest.mark.parametrize("file", STORIES, ids=lambda file: file.stem)
def test_story_goes_as_it_is_told(file: Path, tmp_path: Path) -> None:
    story = file.read_text(encoding="utf-8")
    now = told(story, tmp_path)
    assert now == as_told(file, now)


def test_there_are_stories() -> None:
    assert STORIES
