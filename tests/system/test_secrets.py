"""Secrets, seen from inside of real containers: what was encrypted is what a program finds, and nobody else."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.manifest_plant import Plant

from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.steps import RemoveContainer, StartContainer, StopContainer
from edgegitops.errors import UnavailableError
from edgegitops.lab.lab import Lab

pytestmark = pytest.mark.system

BODY = b'PASSWORD=s3cr3t "quoted"\nUSER=app\n'
SPEC = """
version: "1"
secrets: {db: {version: 2}}
configs:
  c:
    inline: "site=${site.name} pass=${secrets.db.PASSWORD} json=${json(secrets.db.PASSWORD)}"
    template: true
    secrets: [db]
  d: {directory: d, template: true, secrets: [db]}
containers:
  one:
    image: IMAGE
    user: "7:5"
    mounts:
      /run/db: {secret: db, uid: 7}
      /etc/db/password: {secret: db, key: PASSWORD, mode: "0440", uid: 7, gid: 5}
      /etc/c: {config: c, uid: 7}
      /etc/d: {config: d, mode: "0444"}
    env: {P: {secret: db, key: PASSWORD}, USER: plain}
    envFrom: [{secret: db}]
    security: {readOnlyRoot: true, capabilities: {drop: [ALL]}}
"""
FILES = {"apps/line/d/x.conf": "x=${secrets.db.USER}"}


@pytest.fixture(scope="module")
def machine() -> Iterator[Lab]:
    with Lab.start(1) as lab:
        yield lab


@pytest.fixture
def plant(machine: Lab, tmp_path: Path) -> Iterator[Plant]:
    made = Plant(machine, tmp_path)
    made.secrets.stored["db.2"] = BODY
    yield made
    made.clean()


def test_program_finds_its_secrets_in_files_templates_and_variables(plant: Plant) -> None:
    parts = plant.run(SPEC, FILES)
    assert plant.inside(parts, "one", "cat /run/db").encode() + b"\n" == BODY
    assert plant.inside(parts, "one", "ls -ln /run/db").split()[:4] == ["-r--------", "1", "7", "0"]
    assert plant.inside(parts, "one", "cat /etc/db/password") == 's3cr3t "quoted"'
    assert plant.inside(parts, "one", "ls -ln /etc/db/password").split()[:4] == ["-r--r-----", "1", "7", "5"]
    assert plant.inside(parts, "one", "cat /etc/c") == 'site=plant pass=s3cr3t "quoted" json="s3cr3t \\"quoted\\""'
    assert plant.inside(parts, "one", "cat /etc/d/x.conf") == "x=app"
    shown = plant.inside(parts, "one", "tr '\\0' '\\n' </proc/1/environ").splitlines()
    assert {'P=s3cr3t "quoted"', 'PASSWORD=s3cr3t "quoted"', "USER=plain"} <= set(shown)
    assert plant.inside(parts, "one", "echo x >/run/db || true; echo done").endswith("done")
    stored = [one.read_bytes() for one in plant.contents.rglob("*") if one.is_file()]
    assert not any(b"s3cr3t" in data for data in stored), "templates with secrets lie in memory only"


def test_start_puts_back_what_a_power_cut_took(plant: Plant) -> None:
    parts = plant.run(SPEC, FILES)
    (name,) = plant.names(parts).values()
    plant.engine.perform(StopContainer(name, timedelta(seconds=1)))
    shutil.rmtree(plant.shown)
    plant.node.run(["podman", "secret", "rm", "--all"])
    plant.engine.perform(StartContainer(name))
    assert plant.inside(parts, "one", "cat /etc/db/password") == 's3cr3t "quoted"'
    assert 's3cr3t "quoted"' in plant.inside(parts, "one", "tr '\\0' '\\n' </proc/1/environ")


def test_secret_that_cannot_be_opened_holds_and_makes_nothing(plant: Plant) -> None:
    plant.secrets.has_key = False
    with pytest.raises(UnavailableError) as held:
        plant.run(SPEC, FILES)
    assert held.value.reason == HoldReason.SECRET_UNREADABLE
    assert plant.engine.observe().containers == ()


def test_missing_key_is_told_without_the_secret(plant: Plant) -> None:
    with pytest.raises(UnavailableError, match=r"secret db\.2: it has no line TOKEN=") as held:
        plant.run(SPEC.replace("key: PASSWORD", "key: TOKEN"), FILES)
    assert "s3cr3t" not in str(held.value)


def test_container_takes_its_secrets_along_when_it_goes(plant: Plant) -> None:
    parts = plant.run(SPEC, FILES)
    assert len(plant.node.run(["podman", "secret", "ls", "-q"]).split()) == 2
    for name in plant.names(parts).values():
        plant.engine.perform(RemoveContainer(name))
    assert plant.node.run(["podman", "secret", "ls", "-q"]).split() == []
    assert list(plant.shown.iterdir()) == []
