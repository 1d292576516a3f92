"""`init`: what it makes is valid, signed and believed as a node believes, with real git and real ssh-keygen."""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgegitops.adapters.repository_clone import Clone
from edgegitops.adapters.repository_pygit2 import MirrorObjects
from edgegitops.cli.main import COMMANDS
from edgegitops.core.founding import ROLES
from edgegitops.core.model.trust import Pin
from edgegitops.core.trust.walk import walk

TOP = Path(__file__).parents[2]


def run(folder: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull, "LANG": "C.UTF-8"}
    return subprocess.run(argv, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def edgegitops(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(folder, sys.executable, "-m", "edgegitops", *arguments)


def init(folder: Path, *arguments: str) -> dict[str, Any]:
    done = edgegitops(folder, "init", "fleet", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads((TOP / "schemas/output/init.schema.json").read_text()))
    return answer


def new_key(folder: Path, name: str, *kind: str) -> Path:
    path = folder / name
    made = run(folder, "ssh-keygen", "-q", *(kind or ("-t", "ed25519")), "-N", "", "-C", f"{name}@plant", "-f", name)
    assert made.returncode == 0, made.stderr
    return path


def believed(folder: Path, answer: dict[str, Any]) -> tuple[str, list[str]]:
    """The commit that a node enrolled with this pin would stand on, and the owners of what it accepted."""
    clone = Clone(folder / "fleet")
    pin = Pin(*(answer["pin"][key] for key in ("repository", "rootSha256", "checkpoint")))
    objects = MirrorObjects(lambda: clone.odb, "fleet")
    belief = walk(pin, None, clone.commit("HEAD").id, objects, now=datetime.now(UTC))  # noqa: TID251 - keys live now
    assert belief.refused is None
    assert belief.floor is not None
    return belief.floor.commit, [one.owner for one in belief.accepted]


def test_a_new_fleet_is_valid_signed_and_believed_and_the_next_commit_too(tmp_path: Path) -> None:
    answer = init(tmp_path)
    assert edgegitops(tmp_path, "validate", "fleet").stdout.count("is all zeros: a placeholder") == 1
    app = tmp_path / "fleet/apps/hello/app.yaml"
    text = app.read_text(encoding="utf-8")
    app.write_text(text.replace("0" * 64, "1" * 64), encoding="utf-8")
    assert edgegitops(tmp_path, "validate", "--strict", "fleet").stdout == "no faults\n"
    app.write_text(text, encoding="utf-8")
    assert believed(tmp_path, answer)[0] == answer["commits"][-1]
    root = (tmp_path / "fleet/trust/root/000001.json").read_bytes()
    assert hashlib.sha256(root).hexdigest() == answer["pin"]["rootSha256"]

    (tmp_path / "fleet/apps/hello/config/hello.conf").write_text("changed\n")
    work = tmp_path / "fleet"
    person = ("-c", "user.name=anna", "-c", "user.email=anna@example.org")
    done = run(work, "git", *person, "commit", "-q", "-a", "-m", "hello: changed")
    assert done.returncode == 0, done.stderr
    assert believed(tmp_path, answer)[0] == run(work, "git", "rev-parse", "HEAD").stdout.strip()
    assert 'Good "git" signature for work' in run(work, "git", "log", "-1", "--show-signature").stdout


def test_nothing_is_left_uncommitted_and_no_private_key_is_in_the_repository(tmp_path: Path) -> None:
    answer = init(tmp_path)
    assert run(tmp_path / "fleet", "git", "status", "--porcelain", "--ignored").stdout == ""
    keys = Path(answer["keysDirectory"])
    assert keys == tmp_path / "fleet-keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    for file in (tmp_path / "fleet").rglob("*"):
        assert not file.is_file() or b"PRIVATE KEY" not in file.read_bytes()


def test_each_role_signs_its_own_files_where_each_has_a_key(tmp_path: Path) -> None:
    held = {role: new_key(tmp_path, role) for role in ROLES}
    answer = init(tmp_path, *(word for role, key in held.items() for word in ("--key", f"{role}={key}")))
    assert answer["keysDirectory"] is None
    assert believed(tmp_path, answer)[1][-3:] == ["inventory@plant", "engineer@plant", "release-manager@plant"]
    root = json.loads((tmp_path / "fleet/trust/root/000001.json").read_text())
    assert {root["keys"][role["keys"][0]]["owner"] for role in root["roles"].values()} == {f"{r}@plant" for r in ROLES}
    signatures = [file.stem for file in tmp_path.glob("fleet/trust/root/000001.sig/*")]
    assert signatures == root["roles"]["root"]["keys"]


def test_root_signatures_are_what_ssh_keygen_verifies(tmp_path: Path) -> None:
    init(tmp_path)
    root = tmp_path / "fleet/trust/root/000001.json"
    tree = json.loads(root.read_text())
    assert tree["roles"]["root"]["threshold"] == 2
    for key in tree["roles"]["root"]["keys"]:
        (tmp_path / "signers").write_text(f"owner {tree['keys'][key]['line']}\n")
        verify = ("ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "owner", "-n", "edgegitops-root")
        with root.open() as data:
            signature = f"fleet/trust/root/000001.sig/{key}.sig"
            done = subprocess.run(
                [*verify, "-s", signature], cwd=tmp_path, stdin=data, check=False, capture_output=True
            )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--key", "security"], 64, "is not ROLE=PATH"),
        (["--key", "boss=/tmp/k"], 64, "is not ROLE=PATH"),
        (["--key", "engineer=/tmp/k"], 64, "name a key of security"),
        (["--site", "Göteborg"], 64, "is no name"),
        (["--key", "security=nowhere"], 5, "there is no such key"),
        (["--editor"], 5, "there is no fleet.yaml"),
    ],
)
def test_a_wrong_call_says_what_to_do_and_writes_nothing(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = edgegitops(tmp_path, "init", "fleet", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_no_node_would_believe_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    weak = new_key(tmp_path, "weak", "-t", "rsa", "-b", "2048")
    done = edgegitops(tmp_path, "init", "fleet", "--key", f"security={weak}")
    assert done.returncode == 5
    assert done.stderr.startswith("algorithm-refused: ")
    assert not (tmp_path / "fleet").exists()


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet/mine").write_text("mine")
    done = edgegitops(tmp_path, "init", "fleet")
    assert done.returncode == 5
    assert "is there already" in done.stderr
    assert [file.name for file in tmp_path.rglob("*")] == ["fleet", "mine"]


def test_editor_files_are_written_anew_into_a_fleet(tmp_path: Path) -> None:
    init(tmp_path)
    schema = tmp_path / "fleet/.edgegitops/schemas/site.schema.json"
    schema.write_text("{}")
    assert edgegitops(tmp_path, "init", "--editor", "fleet").returncode == 0
    assert schema.read_bytes() == (TOP / "schemas/site.schema.json").read_bytes()
    assert run(tmp_path / "fleet", "git", "status", "--porcelain").stdout == ""


def test_every_manifest_names_a_schema_that_is_there(tmp_path: Path) -> None:
    init(tmp_path)
    fleet = tmp_path / "fleet"
    manifests = [
        fleet / "fleet.yaml",
        *fleet.glob("sites/*"),
        *fleet.glob("apps/*/app.yaml"),
        *fleet.glob("deployments/*"),
    ]
    assert len(manifests) == 4
    for file in manifests:
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text())
        assert named
        assert (file.parent / named[1]).is_file()
    mapping = json.loads((fleet / ".vscode/settings.json").read_text())["yaml.schemas"]
    assert all((fleet / schema).is_file() for schema in mapping)


def test_every_command_that_the_new_fleet_names_exists(tmp_path: Path) -> None:
    init(tmp_path)
    files = [".github/workflows/fleet.yaml", ".gitlab-ci.yml", ".pre-commit-config.yaml", "README.md"]
    text = "".join((tmp_path / "fleet" / file).read_text() for file in files)
    named = set(re.findall(r"(?m)(?:^|[ `])edgegitops ([a-z]+)\b", text)) - {"validate\n"}
    assert {"validate", "plan", "match", "render", "image", "init"} <= named
    assert named <= COMMANDS.keys()
