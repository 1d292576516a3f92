"""`edgegitops trust` with real keys, real git and a real agent: roots are made, signed, rotated, and verified."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

TOP = Path(__file__).parents[2]


class Shop:
    """A new fleet with keys of its own, and commands in it."""

    def __init__(self, path: Path, like: "Shop | None" = None) -> None:
        self.path = path
        self.work = path / "fleet"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(path),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LANG": "C.UTF-8",
            "GIT_AUTHOR_NAME": "ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
        }
        if like is not None:
            shutil.copytree(like.path, path, dirs_exist_ok=True)
            self.pin = like.pin
            return
        for name in ("root-a", "root-b", "root-c", "ada", "berta"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path / name))
        keys = {"root=root-a", "root=root-b", "security=ada"}
        words = [word for key in sorted(keys) for word in ("--key", key.replace("=", f"={path}/"))]
        made = self.run(sys.executable, "-m", "edgegitops", "init", str(self.work), "--json", *words)
        self.pin = json.loads(made.stdout)["pin"]

    def run(self, *argv: str, cwd: Path | None = None, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            argv,
            cwd=cwd or self.path,
            env=self.env,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert code is None or done.returncode == code, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def trust(self, *argv: str, code: int = 0) -> str:
        done = self.run(sys.executable, "-m", "edgegitops", "trust", *argv, cwd=self.work, code=code)
        return done.stdout + done.stderr

    def commit(self, message: str, *, key: str = "ada") -> str:
        self.run("git", "add", "-A", cwd=self.work)
        self.run("git", "commit", "-q", f"-S{self.path / key}", "-m", message, cwd=self.work)
        return self.run("git", "rev-parse", "HEAD", cwd=self.work).stdout.strip()

    def verify(self, *argv: str, code: int = 0) -> dict[str, Any]:
        words = ("--pin", self.pin["rootSha256"], "--checkpoint", self.pin["checkpoint"], "--json")
        answer: dict[str, Any] = json.loads(self.trust("verify", *words, *argv, code=code))
        jsonschema.validate(answer, json.loads((TOP / "schemas/output/trust-verify.schema.json").read_text()))
        return answer

    def show(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.trust("show", "--json"))
        jsonschema.validate(answer, json.loads((TOP / "schemas/output/trust-show.schema.json").read_text()))
        return answer


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def shop(first: Shop, tmp_path: Path) -> Shop:
    return Shop(tmp_path, like=first)


def test_new_fleet_is_in_force_and_believed(shop):
    assert shop.show()["inForce"]["version"] == 1
    assert "root 1, as root 1 asks: 2 of 2 signed, met" in shop.trust("show")
    found = shop.verify()
    assert (found["isBelieved"], found["pin"]["isGiven"], found["refused"]) == (True, True, None)


def test_key_is_added_by_two_signatures_and_then_believed(shop):
    (shop.work / "apps/hello/x").write_text("1")
    shop.commit("by nobody known", key="berta")
    assert shop.verify(code=1)["refused"]["reason"] == "key-unknown"
    shop.run("git", "reset", "-q", "--hard", "HEAD~1", cwd=shop.work)

    said = shop.trust("add-key", f"{shop.path}/berta.pub", "--role", "engineer")
    assert "root 2, as root 1 asks: 0 of 2 signed, NOT met" in said
    assert "missing: " in said
    shop.trust("sign", "--key", f"{shop.path}/root-a")
    assert "(root-b): no signature" in shop.trust("show")
    assert "2 of 2 signed, met" in shop.trust("sign", "--key", f"{shop.path}/root-b")
    shop.commit("root 2")
    (shop.work / "apps/hello/x").write_text("1")
    tip = shop.commit("by berta", key="berta")
    found = shop.verify()
    assert (found["believed"], found["rootVersion"]) == (tip, 2)


def test_commit_of_a_root_that_waits_is_refused_by_a_node(shop):
    shop.trust("rotate")
    shop.trust("sign", "--key", f"{shop.path}/root-a")
    shop.commit("too early")
    found = shop.verify(code=1)["refused"]
    assert found["reason"] == "root-threshold"
    assert "let the missing root keys sign" in found["advice"]


def test_key_without_the_root_role_signs_no_root(shop):
    shop.trust("rotate")
    assert "role-missing: " in shop.trust("sign", "--key", f"{shop.path}/berta", code=5)
    assert not list((shop.work / "trust/root/000002.sig").glob("*"))


def test_revoked_key_is_refused_from_the_revoking_commit_on(shop):
    (shop.work / "apps/hello/x").write_text("1")
    shop.commit("before")
    shop.trust("add-key", f"{shop.path}/berta.pub", "--role", "security")
    shop.trust("rotate", "--revoke", "ada", "--reason", "laptop stolen")
    for key in ("root-a", "root-b"):
        shop.trust("sign", "--key", f"{shop.path}/{key}")
    revoking = shop.commit("root 2", key="berta")
    assert shop.verify()["believed"] == revoking
    (shop.work / "apps/hello/x").write_text("2")
    shop.commit("by the thief")
    found = shop.verify(code=1)
    assert (found["believed"], found["refused"]["reason"]) == (revoking, "key-revoked")
    assert "laptop stolen" in found["refused"]["detail"]


def test_lost_root_key_is_replaced_by_the_other_two_of_a_quorum(shop):
    shop.trust("add-key", f"{shop.path}/root-c.pub", "--role", "root")
    for key in ("root-a", "root-b"):
        shop.trust("sign", "--key", f"{shop.path}/{key}")
    shop.commit("root 2: three keys")
    shop.trust("rotate", "--revoke", "root-b", "--reason", "lost")
    for key in ("root-a", "root-c"):
        shop.trust("sign", "--key", f"{shop.path}/{key}")
    shop.commit("root 3")
    assert shop.verify()["rootVersion"] == 3


def test_text_that_changes_again_loses_its_signatures(shop):
    shop.trust("rotate")
    shop.trust("sign", "--key", f"{shop.path}/root-a")
    said = shop.trust("rotate", "--threshold", "engineer=1")
    assert "removed 1 signatures over its older text" in said
    assert not list((shop.work / "trust/root").glob("000002.sig/*"))


def test_root_that_nobody_could_sign_is_not_written(shop):
    assert "nothing was written" in shop.trust("rotate", "--threshold", "root=3", code=2)
    assert not (shop.work / "trust/root/000002.json").exists()


@pytest.mark.parametrize(
    "argv", [("--revoke", "ada"), ("--remove", "nobody"), ("--threshold", "root=0"), ("--threshold", "what=2")]
)
def test_rotation_without_sense_is_a_usage_error(shop, argv):
    assert shop.trust("rotate", *argv, code=64).startswith("usage: ")


def test_first_bad_commit_is_named_with_its_rule_and_a_remedy(shop):
    (shop.work / "apps/hello/x").write_text("1")
    shop.run("git", "add", "-A", cwd=shop.work)
    shop.run("git", "commit", "-q", "--no-gpg-sign", "-m", "unsigned", cwd=shop.work)
    bad = shop.run("git", "rev-parse", "HEAD", cwd=shop.work).stdout.strip()
    (shop.work / "apps/hello/x").write_text("2")
    shop.commit("good, on a bad one")
    said = shop.trust("verify", code=1)
    assert f"refused: {bad}" in said
    assert "rule: unsigned (a commit is not signed)" in said
    assert "to do: sign it" in said
    assert "nothing was pinned, so this clone vouches for itself" in said


def test_wrong_pin_is_refused(shop):
    found = json.loads(shop.trust("verify", "--json", "--pin", "0" * 64, code=1))
    assert found["refused"]["reason"] == "root-pin"
    assert "no such revision" in shop.trust("verify", "--checkpoint", "f" * 40, code=5)


def test_statement_is_signed_committed_and_believed(shop):
    assert "commit them by themselves" in shop.trust("freshness", "--key", f"{shop.path}/ada", "--for", "3d")
    shop.commit("fresh")
    assert shop.verify()["freshAt"] is not None
    assert "fresh at " in shop.trust("verify")
    assert "role-missing: " in shop.trust("freshness", "--key", f"{shop.path}/berta", code=5)
    shop.trust("freshness", "--key", f"{shop.path}/ada", "--for", "0s", code=64)


def test_agent_signs_for_a_public_key_file(shop):
    agent = shop.run("ssh-agent", "-s").stdout
    words = dict(line.split(";")[0].split("=") for line in agent.splitlines() if "=" in line)
    shop.env |= words
    try:
        for name in ("root-a", "root-b"):
            shop.run("ssh-add", "-q", str(shop.path / name))
            (shop.path / name).unlink()
        shop.trust("rotate")
        for name in ("root-a", "root-b"):
            said = shop.trust("sign", "--key", f"{shop.path}/{name}.pub")
        assert "as root 2 asks: 2 of 2 signed, met" in said
    finally:
        shop.run("kill", words["SSH_AGENT_PID"])


def test_first_root_can_be_made_in_a_repository_that_has_none(shop):
    other = shop.path / "other"
    other.mkdir()
    keys = [f"--key={role}={shop.path}/{name}.pub" for role, name in (("root", "root-a"), ("security", "ada"))]
    assert "0 of 1 signed, NOT met" in shop.trust("init", "-C", str(other), *keys)
    assert "1 of 1 signed, met" in shop.trust("sign", "-C", str(other), "--key", f"{shop.path}/root-a")
    assert "is there already" in shop.trust("init", "-C", str(other), *keys, code=5)


def test_clone_without_roots_says_what_to_do(shop):
    (shop.path / "empty").mkdir()
    assert "trust/root" in shop.trust("show", "-C", str(shop.path / "empty"), code=2)
    assert "no Git repository" in shop.trust("verify", str(shop.path / "empty"), code=5)


def test_what_a_root_that_waits_changes_is_said_before_it_is_signed(shop):
    shop.trust("add-key", str(shop.path / "berta.pub"), "--role", "engineer", "--role", "release-manager")
    said = shop.trust("rotate", "--threshold", "root=1")
    assert "root: 1 must sign, before 2" in said
    for answer in (shop.trust("show"), shop.trust("sign", "--key", str(shop.path / "root-a"))):
        assert "Beside root 1 it changes:" in answer
        assert "gets the role engineer" in answer
        assert "berta" in answer
    assert any("gets the role release-manager" in line for line in shop.show()["changes"])
    shop.trust("sign", "--key", str(shop.path / "root-b"))
    assert shop.show()["changes"] == []


def test_history_without_a_commit_after_the_checkpoint_is_told_in_words(shop):
    tip = shop.run("git", "rev-parse", "HEAD", cwd=shop.work).stdout.strip()
    said = shop.trust("verify", "--pin", shop.pin["rootSha256"], "--checkpoint", tip)
    assert f"believed: {tip}, where judging begins; no commit came after it" in said
    assert "0 commits" not in said
