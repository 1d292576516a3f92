"""`edgegitops secret` and what `validate` says of secrets, over a fleet of two sites with real age keys."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pyrage
import pytest
from click.testing import CliRunner

from edgegitops.bootstrap import load_schemas, validate_directory
from edgegitops.cli.secret import secret
from edgegitops.errors import DeniedError

SCHEMA = Path(__file__).parents[2] / "schemas/output/secret-check.schema.json"
IMAGE = "registry.example/line:1.0@sha256:" + "ab" * 32
VALUE = "canary-4711"


class Fleet:
    """A clone; `keys` are the identities of its nodes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = {name: pyrage.x25519.Identity.generate() for name in ("a/gw", "b/gw")}
        self.write("fleet.yaml", "Fleet", "f", {"repository": "urn:test:f", "resolver": 1})
        for site in "ab":
            self.write(f"sites/{site}.yaml", "Site", site, {"nodes": {"gw": {}}, "tags": {"line": site}})
            self.node(site, self.keys[f"{site}/gw"])
        self.application(1)
        self.deployment({"matchTags": {"line": "a"}})

    def write(self, file: str, kind: str, name: str, spec: Mapping[str, object]) -> None:
        place = self.path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        tree = {"apiVersion": "edgegitops/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        place.write_text(json.dumps(tree, indent=1))

    def node(self, site: str, key: pyrage.x25519.Identity | None) -> None:
        keys = {"ageKey": str(key.to_public())} if key else {}
        self.write(f"trust/nodes/{site}.yaml", "NodeKeys", site, {"nodes": {"gw": keys}})

    def application(self, version: int) -> None:
        spec = {"version": "1", "secrets": {"db": {"version": version}}, "containers": {"one": {"image": IMAGE}}}
        self.write("apps/line/app.yaml", "Application", "line", spec)

    def deployment(self, selector: Mapping[str, object], *overrides: object) -> None:
        spec = {"application": "line", "selector": selector, "overrides": list(overrides)}
        self.write("deployments/line.yaml", "Deployment", "line", spec)

    def run(self, *argv: str, value: str | None = None):
        words = [*argv[:1], "-C", str(self.path), *argv[1:]]
        return CliRunner().invoke(secret, words, input=value)

    def opened(self, node: str, file: str) -> bytes:
        return pyrage.decrypt((self.path / f"secrets/{file}.age").read_bytes(), [self.keys[node]])

    def identity(self, node: str) -> str:
        place = self.path.parent / node.replace("/", "-")
        place.write_text(f"# a key\n{self.keys[node]}\n")
        return str(place)

    def faults(self) -> list[tuple[str, str, str]]:
        return [(one.file, str(one.code), one.message) for one in validate_directory(self.path, load_schemas())]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "fleet")


def test_secret_is_encrypted_for_the_nodes_that_use_it_and_says_its_name_and_version(fleet):
    done = fleet.run("encrypt", "db", value=VALUE)
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "wrote secrets/db.1.age for 1 node")
    assert fleet.opened("a/gw", "db.1") == b"edgegitops-secret/v1\nname: db\nversion: 1\n\n" + VALUE.encode()
    with pytest.raises(pyrage.DecryptError):
        fleet.opened("b/gw", "db.1")
    assert VALUE not in done.output
    assert fleet.faults() == []


def test_recipients_are_a_list_that_age_takes(fleet):
    person = str(pyrage.x25519.Identity.generate().to_public())
    fleet.run("encrypt", "db", "--recipient", person, value=VALUE)
    lines = (fleet.path / "secrets/db.1.recipients").read_text().splitlines()
    assert lines[1:] == ["# node a/gw", str(fleet.keys["a/gw"].to_public()), "# a person", person]
    assert all(line.startswith(("#", "age1")) for line in lines)


def test_each_encryption_is_the_next_version_and_none_is_ever_replaced(fleet):
    assert "db.1.age" in fleet.run("encrypt", "db", value=VALUE).output
    assert "db.2.age" in fleet.run("encrypt", "db", value="b").output
    again = fleet.run("encrypt", "db", "--version", "1", value="c")
    assert isinstance(again.exception, DeniedError)
    assert fleet.opened("a/gw", "db.1").endswith(VALUE.encode())


def test_version_without_a_file_is_a_fault_where_it_is_asked_for(fleet):
    assert [(file, code) for file, code, _ in fleet.faults()] == [("apps/line/app.yaml", "file-missing")]


def test_node_that_uses_a_secret_and_cannot_read_it_is_a_fault_until_it_is_rekeyed(fleet):
    fleet.run("encrypt", "db", value=VALUE)
    fleet.deployment({"all": True})
    words = "line uses the secret db.1, and b/gw is not among the recipients of db.1"
    assert fleet.faults() == [("apps/line/app.yaml", "secret-unreadable", words)]
    checked = fleet.run("check")
    assert (checked.exit_code, "b/gw uses it and cannot read it" in checked.output) == (1, True)
    done = fleet.run("rekey", "--identity", fleet.identity("a/gw"))
    assert done.output.splitlines()[0] == "wrote secrets/db.1.age for 2 nodes"
    assert fleet.opened("b/gw", "db.1").endswith(VALUE.encode())
    assert fleet.faults() == []
    assert fleet.run("check").exit_code == 0
    assert fleet.run("rekey", "--identity", fleet.identity("a/gw")).output.startswith("nothing to do")


def test_override_may_give_a_node_another_version(fleet):
    fleet.run("encrypt", "db", value=VALUE)
    fleet.run("encrypt", "db", value="new")
    patch = {"selector": {"matchTags": {"line": "b"}}, "patch": {"secrets": {"db": {"version": 2}}}}
    fleet.deployment({"all": True}, patch)
    assert [message for _, _, message in fleet.faults()] == [
        "line uses the secret db.2, and b/gw is not among the recipients of db.2"
    ]
    fleet.run("rekey", "--identity", fleet.identity("a/gw"))
    assert fleet.faults() == []
    assert fleet.opened("b/gw", "db.1").endswith(VALUE.encode()), "it may have to go back"


def test_node_without_a_key_is_a_fault_and_nothing_is_encrypted_for_the_others(fleet):
    fleet.node("a", None)
    done = fleet.run("encrypt", "db", value=VALUE)
    assert isinstance(done.exception, DeniedError)
    assert "a/gw: no ageKey in trust/nodes" in str(done.exception)
    assert not (fleet.path / "secrets").exists()
    fleet.node("a", fleet.keys["a/gw"])
    fleet.run("encrypt", "db", value=VALUE)
    fleet.node("a", None)
    assert "a/gw has no ageKey in trust/nodes" in fleet.faults()[0][2]


def _lie(folder: Path) -> None:
    """A node that was written into the list and not encrypted for."""
    with (folder / "db.1.recipients").open("a") as file:
        file.write(f"# node b/gw\n{pyrage.x25519.Identity.generate().to_public()}\n")


def _exchange(folder: Path) -> None:
    """One version in the place of another."""
    shutil.copy(folder / "db.2.age", folder / "db.1.age")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "db.1.recipients").unlink(), "there is no secrets/db.1.recipients"),
        (lambda folder: (folder / "db.1.recipients").write_text("age1x\n"), "does not say that it is the list of db.1"),
        (_exchange, "was not written with the secrets/db.1.age"),
        (_lie, "this list has 2 keys, and secrets/db.1.age is encrypted for 1"),
    ],
)
def test_list_that_is_missing_or_lies_is_a_fault_and_rekey_mends_it(fleet, spoil, words):
    fleet.run("encrypt", "db", value=VALUE)
    fleet.run("encrypt", "db", value=VALUE)
    spoil(fleet.path / "secrets")
    faults = fleet.faults()
    assert [(file, code) for file, code, _ in faults] == [("secrets/db.1.recipients", "secret-unreadable")]
    assert words in faults[0][2]
    done = fleet.run("rekey", "--identity", fleet.identity("a/gw"))
    if spoil is _exchange:  # no rekeying makes one version of another
        assert "says that it is another secret or version" in str(done.exception)
    else:
        assert done.exit_code == 0
        assert fleet.faults() == []


def test_check_answers_in_its_schema_and_opens_with_an_identity(fleet):
    fleet.run("encrypt", "db", value=VALUE)
    good = fleet.run("check", "--json", "--identity", fleet.identity("a/gw"))
    bad = fleet.run("check", "--json", "--identity", fleet.identity("b/gw"))
    for done in (good, bad):
        jsonschema.validate(json.loads(done.output), json.loads(SCHEMA.read_text()))
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "does not open it" in json.loads(bad.output)["secrets"][0]["problems"][0]


def test_stale_reader_is_told_by_check_and_bars_no_merge(fleet):
    fleet.deployment({"all": True})
    fleet.run("encrypt", "db", value=VALUE)
    fleet.deployment({"matchTags": {"line": "a"}})
    assert fleet.faults() == []
    checked = fleet.run("check")
    assert (checked.exit_code, "warning: b/gw can read it and need not" in checked.output) == (0, True)


def test_nothing_is_written_for_nobody_or_from_nothing(fleet):
    assert "no deployment uses other" in str(fleet.run("encrypt", "other", value=VALUE).exception)
    assert fleet.run("encrypt", "db", value="").exit_code == 2
    assert fleet.run("encrypt", "../db", value=VALUE).exit_code == 2
    assert "are age1… keys" in str(fleet.run("encrypt", "db", "--recipient", "age1nonsense", value=VALUE).exception)
    assert not (fleet.path / "secrets").exists()


def test_age_file_under_another_name_is_told_with_its_place(fleet):
    fleet.run("encrypt", "db", value=VALUE)
    shutil.copy(fleet.path / "secrets/db.1.age", fleet.path / "secrets/db.age")
    assert fleet.faults() == [("secrets/db.age", "wrong-place", "a secret cannot stand at secrets/db.age")]
