"""A small fleet of the twin, written as manifests: one container on every node, waves by tag."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run as call

from edgegitops.twin.fleet import Fleet
from edgegitops.twin.story import Happening, Mark, Story
from edgegitops.twin.weather import Weather
from edgegitops.workbench_simulate import Trial, open_trial

PUSHED = datetime(2026, 6, 1, 8, tzinfo=UTC)
PERSON = ("-c", "user.name=anna", "-c", "user.email=anna@example.org", "-c", "commit.gpgsign=false")
HEAD = "apiVersion: edgegitops/v1\nkind: {kind}\nmetadata:\n  name: {name}\n"
APP = """spec:
  version: {version}
  containers:
    web:
      image: registry.example/app:1@sha256:{image}
      env: {{VERSION: "{version}"}}
      probes:
        ready: {{http: {{port: 8080, path: /}}}}
"""
DEPLOYMENT = """spec:
  application: app
  selector: {matchTags: {role: line}}
  rollout:
    waves:
      - name: canary
        selector: {matchTags: {ring: canary}}
        GATE
      - name: pilot
        selector: {matchTags: {ring: pilot}}
        GATE
"""


def found(folder: Path, rings: dict[str, int], gate: str = "") -> Path:
    """A clone with two commits: the fleet at version 1, and version 2. `rings` says how many nodes each has."""
    write(folder, "fleet.yaml", HEAD.format(kind="Fleet", name="small") + FLEET)
    names = [(f"{ring}-{at}", ring) for ring, count in rings.items() for at in range(count)]
    for at, (name, ring) in enumerate(names):
        write(folder, f"sites/{name}.yaml", HEAD.format(kind="Site", name=name) + SITE.format(ring=ring, at=at + 1))
    policy = DEPLOYMENT.replace("GATE", f"gate: {gate}" if gate else "")
    write(folder, "deployments/app.yaml", HEAD.format(kind="Deployment", name="app") + policy)
    call(["git", "-C", str(folder), "init", "-q", "-b", "main"], check=True)
    for version in ("1.0.0", "2.0.0"):
        text = HEAD.format(kind="Application", name="app") + APP.format(version=version, image="ab" * 32)
        write(folder, "apps/app/app.yaml", text)
        call(["git", "-C", str(folder), "add", "-A"], check=True)
        call(["git", "-C", str(folder), *PERSON, "commit", "-q", "-m", version], check=True)
    return folder


FLEET = "spec:\n  repository: urn:edgegitops:small\n  resolver: 1\n"
SITE = "spec:\n  tags: {{role: line, ring: {ring}}}\n  nodes:\n    gw:\n      address: 10.1.1.{at}\n"


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def trial_of(folder: Path) -> Trial:
    return open_trial(folder, "HEAD~1..HEAD", PUSHED)


def lived(trial: Trial, weather: Weather) -> Story:
    return Fleet(trial.setting, weather, trial.make_hands).run()


def when(story: Story, mark: Mark, is_of: Callable[[str], bool]) -> list[Happening]:
    """What happened to some nodes."""
    return [one for one in story.happenings if one.mark is mark and is_of(one.node)]
