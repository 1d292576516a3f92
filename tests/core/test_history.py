"""The chain of a fleet as gates read it: from real Git trees, each distinct content once."""

import json
from dataclasses import dataclass, field

import pytest

from edgegitops.adapters.repository_memory import MemoryRepository
from edgegitops.bootstrap import load_schemas
from edgegitops.core.documents.judge import value_judge
from edgegitops.core.history import FleetChain, History, Library, history_of
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.manifests import Faults
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.trust import Pin, Refused, TrustLimits
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.pages import Page, read_page
from edgegitops.core.trust.lookup import Lookup

IMAGE = f"registry.example/app:1@sha256:{'1' * 64}"
AGE_KEY = "age1" + "q" * 58
WHO = b"anna <anna@example.org> 1780000000 +0000"


def manifest(kind: str, name: str, spec: dict[str, object]) -> str:
    return json.dumps({"apiVersion": "edgegitops/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def application(word: str) -> str:
    containers = {"main": {"image": IMAGE, "env": {"WORD": word}}}
    return manifest("Application", "app", {"version": "1", "containers": containers})


def site(name: str, ring: str, **tags: str) -> str:
    return manifest("Site", name, {"tags": {"ring": ring} | tags, "nodes": {"gw": {"address": "10.0.0.1"}}})


FILES = {
    "fleet.yaml": manifest("Fleet", "f", {"repository": "urn:edgegitops:test", "resolver": 1}),
    "apps/app/app.yaml": application("one"),
    "deployments/app.yaml": manifest("Deployment", "app", {"application": "app", "selector": {"all": True}}),
    "sites/a.yaml": site("a", "canary"),
    "sites/b.yaml": site("b", "rest"),
}


@dataclass
class Repo:
    """A history that grows by a commit at a time."""

    store: MemoryRepository = field(default_factory=MemoryRepository)
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    commits: list[str] = field(default_factory=list)

    def commit(self, **changes: str | None) -> str:
        for name, text in changes.items():
            path = name.replace("__", "/") + (".yaml" if "." not in name else "")
            if text is None:
                del self.files[path]
            else:
                self.files[path] = text
        tree = self._tree({tuple(path.split("/")): text for path, text in self.files.items()})
        parent = b"parent %s\n" % self.commits[-1].encode() if self.commits else b""
        data = b"tree %s\n%sauthor %s\ncommitter %s\n\nchange\n" % (tree.encode(), parent, WHO, WHO)
        self.commits.append(self.store.put("commit", data))
        self.store.set_remote_tip(self.commits[-1])
        self.store.fetch()
        return self.commits[-1]

    def _tree(self, files: dict[tuple[str, ...], str]) -> str:
        rows = []
        for name in sorted({path[0] for path in files}, key=lambda one: one if (one,) in files else f"{one}/"):
            if (name,) in files:
                rows.append(
                    b"100644 %s\0" % name.encode() + bytes.fromhex(self.store.put("blob", files[(name,)].encode()))
                )
                continue
            below = {path[1:]: text for path, text in files.items() if path[0] == name}
            rows.append(b"40000 %s\0" % name.encode() + bytes.fromhex(self._tree(below)))
        return self.store.put("tree", b"".join(rows))

    def history(self) -> History:
        library = Library(Lookup(self.store.objects(), TrustLimits()), load_schemas(), value_judge)
        found = history_of(self.commits[-1], self.commits[0], library)
        assert isinstance(found, History)
        return found

    def page(self, known: dict[str, object]) -> Page | Faults | Refused:
        data = self.store.objects().read(self.commits[-1])
        assert data is not None
        tree = data.data.split()[1].decode()
        return read_page(tree, self.store.objects(), load_schemas(), known)

    def chain(self) -> FleetChain:
        return self.history().chain("app")


@pytest.fixture
def repo() -> Repo:
    made = Repo()
    made.commit()
    return made


def test_chain_goes_from_the_checkpoint_to_the_head(repo: Repo) -> None:
    repo.commit(README="nothing of the fleet")
    chain = repo.chain()
    assert list(chain.revisions) == repo.commits
    assert chain.position(repo.commits[1]) == 1
    assert chain.position("0" * 40) is None


def test_fault_between_files_is_found_though_each_file_is_known(repo: Repo) -> None:
    """Each of the two was sound where it stood alone."""
    keys = {name: manifest("NodeKeys", name, {"nodes": {"gw": {"ageKey": AGE_KEY}}}) for name in "ab"}
    known: dict[str, object] = {}
    for changes in ({"trust/nodes/a.yaml": keys["a"]}, {"trust/nodes/a.yaml": None, "trust/nodes/b.yaml": keys["b"]}):
        repo.commit(**changes)
        assert isinstance(repo.page(known), Page)
    repo.commit(**{"trust/nodes/a.yaml": keys["a"]})
    found = repo.page(known)
    assert isinstance(found, Faults)
    assert [fault.code for fault in found.faults] == [FaultCode.DUPLICATE_NAME]
    repo.commit(**{"trust/nodes/a.yaml": None})
    assert isinstance(repo.page(known), Page)


def test_release_changes_the_digests_of_its_members_and_nothing_else_does(repo: Repo) -> None:
    repo.commit(README="nothing of the fleet")
    repo.commit(apps__app__app=application("two"))
    chain = repo.chain()
    first, second, third = (chain.edition(at) for at in range(3))
    assert dict(first.digests) == dict(second.digests)
    assert first.digests.keys() == {"a/gw", "b/gw"}
    assert all(first.digest(node) != third.digest(node) for node in first.digests)


def test_invalid_revision_says_what_the_valid_one_before_it_says(repo: Repo) -> None:
    repo.commit(apps__app__app="no: manifest")
    repo.commit(apps__app__app=application("two"))
    chain = repo.chain()
    assert dict(chain.edition(1).digests) == dict(chain.edition(0).digests)
    assert dict(chain.edition(2).digests) != dict(chain.edition(0).digests)


def test_node_that_cannot_resolve_a_release_keeps_the_digest_before(repo: Repo) -> None:
    word = {"main": {"image": IMAGE, "env": {"WORD": "${tags.word}"}}}
    repo.commit(sites__b=site("b", "rest", word="yes"))
    repo.commit(apps__app__app=manifest("Application", "app", {"version": "2", "containers": word}))
    before, after = repo.chain().edition(1), repo.chain().edition(2)
    assert after.digest("a/gw") == before.digest("a/gw")
    assert after.digest("b/gw") != before.digest("b/gw")


def test_release_of_an_older_revision_is_resolved_again_and_admitted(repo: Repo) -> None:
    repo.commit(apps__app__app=application("two"))
    history = repo.history()
    node = NodeIdentity("urn:edgegitops:test", "a", "gw", Pin("urn:edgegitops:test", "0" * 64, repo.commits[0]))
    old = history.desired(repo.commits[0], node, NodePolicy())
    assert old is not None
    assert old.releases["app"].revision == repo.commits[0]
    assert old.releases["app"].digest == history.chain("app").edition(0).digest("a/gw")
    closed = history.desired(repo.commits[0], node, NodePolicy(registries=("registry.plant.example",)))
    assert closed is not None
    assert not closed.releases
    assert history.desired("0" * 40, node, NodePolicy()) is None


def test_deployment_that_a_revision_does_not_have_is_absent_there(repo: Repo) -> None:
    repo.commit(deployments__app=None)
    edition = repo.chain().edition(1)
    assert not edition.is_there
    assert edition.digest("a/gw") == ABSENT


def test_members_waves_keys_and_rest_come_from_the_same_revision(repo: Repo) -> None:
    waves = {"waves": [{"name": "canary", "selector": {"matchTags": {"ring": "canary"}}}]}
    spec = {"application": "app", "selector": {"all": True}, "rollout": waves}
    keys = {
        "nodes": {"gw": {"reportKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVkZ2VnaXRvcHMtdGVzdC1rZXktMDAwMDAwMDAw"}}
    }
    repo.commit(deployments__app=manifest("Deployment", "app", spec), trust__nodes__a=manifest("NodeKeys", "a", keys))
    edition = repo.chain().edition(1)
    assert (edition.members["a/gw"].wave, edition.members["b/gw"].wave) == (0, 1)
    assert (edition.members["a/gw"].is_enrolled, edition.members["b/gw"].is_enrolled) == (True, False)
