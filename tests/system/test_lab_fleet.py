"""The lab's fleet repository is one that Git and OpenSSH themselves believe, and its images are the same everywhere."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from edgegitops.core.model.trust import RootDocument
from edgegitops.core.trust.root_document import read_root
from edgegitops.errors import InvalidConfigError, UnavailableError
from edgegitops.lab import fleet, images, oci
from edgegitops.lab.commands import attempt, run
from edgegitops.lab.fleet import Fleet
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab

EXAMPLE = Path(__file__).parents[2] / "fleet-repo-example"
SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.fixture
def founded(tmp_path: Path) -> Fleet:
    """A fleet whose server is a bare repository on disk."""
    run(["git", "init", "-q", "--bare", "--initial-branch=main", str(tmp_path / "bare.git")])
    return fleet.found(tmp_path / "fleet", str(tmp_path / "bare.git"), repository="urn:edgegitops:test")


def believers(founded: Fleet, *names: str) -> Path:
    """An allowed-signers file for these keys, in both namespaces."""
    file = founded.home / "allowed"
    rows = [f'{name} namespaces="git,edgegitops-root" {founded.key(name).line}' for name in names]
    file.write_text("\n".join(rows) + "\n")
    return file


def signer(founded: Fleet, commit: str) -> str:
    """Who signed a commit, as Git sees it; empty where Git does not believe it."""
    allowed = believers(founded, *fleet.ROLES)
    shown = founded.git("-c", f"gpg.ssh.allowedSignersFile={allowed}", "log", "-1", "--format=%G?%GS", commit)
    return shown.removeprefix("G") if shown.startswith("G") else ""


def test_first_commit_is_the_pinned_root_signed_by_two_keys(founded: Fleet) -> None:
    pin = founded.pin()
    data = (founded.work / fleet.ROOT_FILE).read_bytes()
    assert pin.checkpoint == founded.tip()
    assert pin.root_sha256 == hashlib.sha256(data).hexdigest()
    root = read_root(data, version=1, repository="urn:edgegitops:test")
    assert isinstance(root, RootDocument)
    assert (root.repository, root.version, root.roles["root"].threshold) == ("urn:edgegitops:test", 1, 2)
    assert set(root.roles) == {"root", *fleet.ROLES}
    allowed = believers(founded, "root-1", "root-2")
    for name in ("root-1", "root-2"):
        signature = founded.work / f"trust/root/000001.sig/{founded.key(name).id}.sig"
        verify = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", name, "-n", "edgegitops-root"]
        assert attempt([*verify, "-s", str(signature)], data=data).returncode == 0
        assert attempt([*verify, "-s", str(signature)], data=data + b" ").returncode != 0


def test_commits_are_signed_by_whom_they_say_or_by_nobody(founded: Fleet) -> None:
    signed = founded.commit("apps: a note", key="engineer", files={"apps/note.txt": "one\n"})
    assert signer(founded, signed) == "engineer"
    unsigned = founded.commit("apps: another", key=None, files={"apps/note.txt": None, "apps/other.txt": b"two\n"})
    assert signer(founded, unsigned) == ""
    assert founded.git("show", "--stat", "--format=", unsigned).count("note.txt") == 1
    assert founded.push() == founded.tip() == unsigned
    assert founded.git("ls-remote", "origin", "main").split()[0] == unsigned


def test_example_fleet_comes_in_role_by_role_with_real_digests(founded: Fleet) -> None:
    published: list[App] = []

    def publish(app: App) -> str:
        published.append(app)
        return f"registry.example/{app.name}:{app.version}@sha256:{'1' * 64}"

    founded.import_directory(EXAMPLE, publish)
    commits = founded.git("log", "--reverse", "--format=%H").split()
    roles = [signer(founded, commit) for commit in commits]
    assert roles == ["security", "security", "inventory", "engineer", "release-manager"]
    assert published
    for manifest in founded.work.glob("apps/*/app.yaml"):
        text = manifest.read_text()
        assert text.count("@sha256:") == text.count(f"@sha256:{'1' * 64}") > 0
    assert founded.import_directory(EXAMPLE, publish) == commits[-1]


def test_repository_id_is_read_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("kind: Fleet\nspec:\n  repository: urn:x:y # ours\n")
    assert fleet.repository_of(tmp_path) == "urn:x:y"
    (tmp_path / "fleet.yaml").write_text("kind: Fleet\n")
    with pytest.raises(InvalidConfigError, match=r"spec\.repository"):
        fleet.repository_of(tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (fleet.fleet_manifest("urn:a:b"), "git: http://lab/reports.git\n"),
        ((EXAMPLE / "fleet.yaml").read_text(), "    git: http://lab/reports.git\n    heartbeat: 15m\n"),
        ("spec: {repository: urn:a:b, resolver: 1}\n", "spec: {repository: urn:a:b, resolver: 1}\n"),
        ("spec:\n  repository: urn:a:b\n  reports: {directory: /mnt}\n", "  reports: {directory: /mnt}\n"),
    ],
)
def test_reports_of_a_lab_go_to_its_own_repository(before: str, after: str) -> None:
    said = fleet.with_reports(before, "http://lab/reports.git")
    assert after in said
    assert said.replace("http://lab/reports.git", "").count("reports:") <= 1
    assert yaml.safe_load(said)["spec"].keys() - {"reports"} == yaml.safe_load(before)["spec"].keys() - {"reports"}


def test_image_is_the_same_each_time_and_another_for_each_version() -> None:
    one, again, other = (images.image(App("vision", version)) for version in ("1", "1", "2"))
    assert one == again
    assert one.digest != other.digest
    manifest = json.loads(one.manifest)
    for part in (manifest["config"], *manifest["layers"]):
        assert oci.digest_of(one.blobs[part["digest"]]) == part["digest"]
        assert len(one.blobs[part["digest"]]) == part["size"]


def test_broker_listens_where_brokers_do() -> None:
    config = json.loads(
        next(data for data in images.image(App("plant/broker", "1")).blobs.values() if data[:1] == b"{")
    )
    assert "PORT=1883" in config["config"]["Env"]


@pytest.mark.system
def test_nodes_may_fetch_the_fleet_and_only_this_machine_may_push(lab: Lab) -> None:
    founded = lab.found_fleet()
    node = lab.nodes["node-1"]
    clone = f"{node.home}/clone"
    node.run(["git", "clone", "-q", lab.git_url, clone])
    assert node.run(["git", "-C", clone, "rev-parse", "HEAD"]).strip() == founded.tip()
    author = ["-c", "user.name=thief", "-c", "user.email=thief@lab.example"]
    node.run(["git", "-C", clone, *author, "commit", "-q", "--allow-empty", "-m", "from a node"])
    pushed = node.attempt(["git", "-C", clone, "push", "-q", "origin", "HEAD:main"])
    assert pushed.returncode != 0
    assert b"403" in pushed.stderr
    assert founded.git("ls-remote", "origin", "main").split()[0] == founded.tip()
    assert f"address: {node.address}" in (founded.work / "sites" / "lab.yaml").read_text()


@pytest.mark.system
def test_large_push_goes_through_in_chunks(lab: Lab) -> None:
    founded = lab.fleet
    founded.commit("docs: much", key="engineer", files={"docs/much.bin": hashlib.shake_256(b"much").digest(3_000_000)})
    tip = founded.push()
    assert founded.git("ls-remote", "origin", "main").split()[0] == tip


@pytest.mark.system
def test_enrolled_node_knows_its_seat_and_what_it_trusts(lab: Lab) -> None:
    lab.enrol("node-2", site="goteborg-1", node="gw-line", poll="1s")
    home = lab.nodes["node-2"].home
    config = yaml.safe_load((home / "node.yaml").read_text())
    policy = yaml.safe_load((home / "policy.yaml").read_text())
    for tree, kind in ((config, "nodeconfig"), (policy, "nodepolicy")):
        Draft202012Validator(json.loads((SCHEMAS / f"{kind}.schema.json").read_text())).validate(tree)
    spec, pin = config["spec"], lab.fleet.pin()
    assert (spec["site"], spec["node"]) == ("goteborg-1", "gw-line")
    assert spec["repository"] == {"url": lab.git_url, "branch": "main", "interval": "1s"}
    assert spec["pin"] == {"repository": pin.repository, "rootSha256": pin.root_sha256, "checkpoint": pin.checkpoint}
    assert policy["spec"]["registries"] == ["registry.example", lab.registry.address]


def test_manifests_of_the_lab_keep_the_schemas() -> None:
    texts = {
        "site": fleet.site_manifest("lab", [("node-1", "10.200.1.2")], {"ring": "canary"}),
        "fleet": fleet.fleet_manifest("urn:edgegitops:lab"),
    }
    for kind, text in texts.items():
        Draft202012Validator(json.loads((SCHEMAS / f"{kind}.schema.json").read_text())).validate(yaml.safe_load(text))


@pytest.mark.system
def test_registry_that_refuses_says_why(lab: Lab) -> None:
    broken = oci.Image(b"{}", {})
    with pytest.raises(UnavailableError, match="manifests/1"):
        lab.registry.push("vision", "1", broken)
