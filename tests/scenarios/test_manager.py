"""Transcripts of a release manager: real git, real keys, signed reports; each story over a fresh fleet of four sites.

As in test_transcripts; `% …` is what others do meanwhile: `% release 2.0.0`, `% tell a 2.0.0` (a node reports that it
runs it well), `% tell a 1.0.0 failed 2.0.0`. Ids are masked, and instants, but for those of January 2026. The manager's
key signs, unless a command begins with `as security: `.
"""

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.rollout_desk import RINGS, RolloutDesk, document
from tests.scenarios.stories import as_told, command_in

HERE = Path(__file__).parent
STORIES = sorted((HERE / "manager").glob("*.txt"))
MASKS = (
    (r"(?!2026-01-)\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "<instant>"),
    (r"(?!2026-01-)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<instant>"),
    (r"\((\d+ (d|h|min|s) ?)+left\)", "(<span> left)"),
)


class Story:
    """A fleet on which a story is played."""

    def __init__(self, home: Path) -> None:
        self.desk = RolloutDesk(home, approvals=1)
        self.revisions = {"1.0.0": self.desk.first}
        self.bin = command_in(home)
        self.desk.fleet.git("push", "-q", str(self.desk.bare), "main")

    def happen(self, words: list[str]) -> None:
        """What others do."""
        match words:
            case ["release", version]:
                self.revisions[version] = self.desk.release(version)
            case ["tell", sites, version]:
                for site in sites:
                    self.desk.tell(site, self.revisions[version])
            case ["tell", sites, version, "soaked", minutes]:
                for site in sites:
                    self.desk.tell(site, self.revisions[version], soaked_for=timedelta(minutes=int(minutes)))
            case ["tell", site, version, "failed", other]:
                self.desk.tell(site, self.revisions[version], failed=self.revisions[other])
            case ["window", site, schedule, zone]:
                window = {"kind": "allow", "schedule": schedule.replace("_", " "), "duration": "4h", "timeZone": zone}
                spec = {
                    "tags": {"ring": RINGS[site]},
                    "timeZone": "UTC",
                    "nodes": {"gw": {"address": "10.0.0.1"}},
                    "windows": {"night": window},
                }
                files: dict[str, str | bytes | None] = {f"sites/{site}.yaml": document("Site", site, spec)}
                self.desk.fleet.commit("inventory: a window", key="inventory", files=files)
                self.desk.fleet.push()
            case _:
                raise ValueError(f"nobody does {words}")

    def answer(self, command: str) -> list[str]:
        """What a command says."""
        who, colon, rest = command.removeprefix("as ").partition(": ")
        key, command = (who, rest) if command.startswith("as ") and colon else ("release-manager", command)
        self.desk.fleet.git("config", "user.signingkey", str(self.desk.fleet.key(key).path))
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.desk.home),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LANG": "C.UTF-8",
            "COLUMNS": "120",
            "REPORTS": str(self.desk.reports),
        }
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.desk.fleet.work,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        return lines + ([f"[exit {done.returncode}]"] if done.returncode else [])


def told(text: str, home: Path) -> str:
    """The story with the answers of now."""
    story = Story(home)
    lines = [line for line in text.splitlines() if line.startswith("#")]
    for mark, words in re.findall(r"(?m)^([$%]) (.+)$", text):
        lines += ["", f"{mark} {words}"]
        if mark == "%":
            story.happen(words.split())
        else:
            lines += story.answer(words)
    found = "\n".join(lines).replace(str(home), "…") + "\n"
    for pattern, mask in MASKS:
        found = re.sub(pattern, mask, found)
    found = re.sub(r"\b\d+ s ago", "<span> ago", found)
    ids = dict.fromkeys(one[:12] for one in re.findall(r"\b[0-9a-f]{12}\b|\b[0-9a-f]{40}\b|\b[0-9a-f]{64}\b", found))
    for number, name in enumerate(ids, start=1):
        found = re.sub(rf"\b{name}[0-9a-f]*\b", f"<{number}>", found)
    return re.sub(r"(?m)(?<=\S)  +", "  ", found)


@pytest.mark.parametrize("file", STORIES, ids=lambda file: file.stem)
def test_story_goes_as_it_is_told(file: Path, tmp_path: Path) -> None:
    story = file.read_text(encoding="utf-8")
    now = told(story, tmp_path)
    assert now == as_told(file, now)


def test_there_are_stories() -> None:
    assert STORIES
