"""The example fleet is valid, and is believable: the sentence of its README holds, its files teach what exists."""

import subprocess
import sys
from pathlib import Path

import yaml

TOP = Path(__file__).parents[2]
FLEET = TOP / "fleet-repo-example"


def documents(pattern: str) -> list[dict]:
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(FLEET.glob(pattern))]


def test_example_fleet_is_valid() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgegitops", "validate", str(FLEET)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_example_fleet_has_the_plants_gateways_and_applications_that_its_readme_names() -> None:
    sites = documents("sites/**/*.yaml")
    assert len(sites) == 9
    assert len({site["spec"]["tags"]["region"] for site in sites}) == 3
    assert sum(len(site["spec"]["nodes"]) for site in sites) == 16
    assert len(documents("apps/*/app.yaml")) == 5


def test_example_fleet_holds_no_keys() -> None:
    assert not (FLEET / "trust").exists()
    for file in FLEET.rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert "ssh-ed25519 " not in text
            assert "PRIVATE KEY" not in text


def test_every_image_of_the_example_is_pinned_at_the_name_that_never_resolves() -> None:
    images = [
        part["image"]
        for app in documents("apps/*/app.yaml")
        for part in (*app["spec"]["containers"].values(), *app["spec"].get("jobs", {}).values())
    ]
    assert images
    for image in images:
        name, _, pin = image.partition("@")
        assert name.startswith("registry.example/")
        assert pin.startswith("sha256:")
        assert len(pin) == len("sha256:") + 64


def test_every_file_of_the_example_is_named_after_its_document() -> None:
    for folder in ("sites/**/*.yaml", "deployments/*.yaml"):
        for file in FLEET.glob(folder):
            assert yaml.safe_load(file.read_text(encoding="utf-8"))["metadata"]["name"] == file.stem
