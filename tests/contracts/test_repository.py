"""One suite for the repository port: the in-memory twin, and the mirror over file, HTTP, git and ssh-less roads.

What a fetch brings is there byte for byte, what a remote takes back stays, and trouble is typed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contracts.git_server import FleetSource, HttpServer, git, serve_git

from edgegitops.adapters.repository_memory import MemoryRepository, object_id
from edgegitops.adapters.repository_mirror import GitRepository
from edgegitops.core.model.objects import Header
from edgegitops.errors import UnavailableError
from edgegitops.ports import Repository

ABSENT = "1" * 40


@dataclass
class Rig:
    """A repository under test and the remote's three verbs."""

    repository: Repository
    commit: Callable[..., str]
    move: Callable[[str], None]
    break_remote: Callable[[], None]
    mend_remote: Callable[[], None]
    tag: Callable[..., str]
    untag: Callable[[str], None]


def memory_rig() -> Rig:
    memory = MemoryRepository()

    def commit(text: str, *, onto: str | None = "main") -> str:
        blob = memory.put("blob", text.encode())
        tree = memory.put("tree", b"100644 fleet.yaml\0" + bytes.fromhex(blob))
        parent = memory._remote_tip if onto == "main" else onto
        lines = [f"tree {tree}", *([f"parent {parent}"] if parent else ())]
        lines += ["author A <a@example.org> 0 +0000", "committer A <a@example.org> 0 +0000"]
        tip = memory.put("commit", ("\n".join(lines) + f"\n\n{text}").encode())
        memory.set_remote_tip(tip)
        return tip

    def tag(name: str, *, text: str = "word") -> str:
        head = f"object {memory._remote_tip}\ntype commit\ntag {name}\ntagger A <a@example.org> 0 +0000\n\n{text}\n"
        oid = memory.put("tag", head.encode())
        memory.set_remote_tag(f"refs/tags/{name}", oid)
        return oid

    def untag(name: str) -> None:
        memory.set_remote_tag(f"refs/tags/{name}", None)

    commit("first")
    return Rig(memory, commit, memory.set_remote_tip, memory.go_offline, memory.come_back, tag, untag)


@pytest.fixture(params=["memory", "file", "http", "git"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
        return
    source = FleetSource(tmp_path / "remote")
    away = source.path.with_name("away.git")

    def made(url: str) -> Rig:
        mirror = GitRepository(str(tmp_path / "state" / "mirror.git"), url)
        return Rig(
            mirror,
            source.commit,
            source.move,
            lambda: source.path.rename(away),
            lambda: away.rename(source.path),
            source.tag,
            lambda name: git(source.path, "update-ref", "-d", f"refs/tags/{name}") and None,
        )

    if request.param == "http":
        with HttpServer(source.folder) as server:
            yield made(server.url)
    elif request.param == "git":
        with serve_git(source.folder) as url:
            yield made(url)
    else:
        yield made(f"file://{source.path}")
    if (tmp_path / "state").exists():
        git(tmp_path / "state" / "mirror.git", "fsck", "--full", "--strict")


def test_before_the_first_fetch_there_is_no_tip(rig: Rig) -> None:
    assert rig.repository.tip() is None
    assert rig.repository.objects().header(ABSENT) is None


def test_fetch_returns_the_tip_and_remembers_it(rig: Rig) -> None:
    tip = rig.commit("second")
    assert rig.repository.fetch() == tip
    assert rig.repository.tip() == tip


def test_fetching_again_without_news_changes_nothing(rig: Rig) -> None:
    assert rig.repository.fetch() == rig.repository.fetch() == rig.repository.tip()


def test_objects_come_byte_for_byte_with_kind_and_size(rig: Rig) -> None:
    tip = rig.commit("second")
    rig.repository.fetch()
    objects = rig.repository.objects()
    commit = objects.read(tip)
    assert commit is not None
    assert commit.kind == "commit"
    assert object_id(commit.kind, commit.data) == tip
    assert objects.header(tip) == Header("commit", len(commit.data))
    tree_id = commit.data[5:45].decode()
    tree = objects.read(tree_id)
    assert tree is not None
    assert (tree.kind, objects.header(tree_id)) == ("tree", Header("tree", len(tree.data)))
    blob = objects.read(tree.data[-20:].hex())
    assert blob is not None
    assert (blob.kind, blob.data) == ("blob", b"second")


def test_what_is_no_known_id_gives_none(rig: Rig) -> None:
    rig.repository.fetch()
    objects = rig.repository.objects()
    for oid in (ABSENT, "", "main", "HEAD", "A" * 40, "1" * 39, "1" * 41, "é" * 40, "../" * 13 + "1", ABSENT + "\n"):
        assert objects.header(oid) is None, oid
        assert objects.read(oid) is None, oid


def test_a_lookup_taken_before_a_fetch_sees_what_it_brings(rig: Rig) -> None:
    rig.repository.fetch()
    objects = rig.repository.objects()
    tip = rig.commit("second")
    assert objects.read(tip) is None
    rig.repository.fetch()
    assert objects.read(tip) is not None


def test_a_rewound_remote_is_followed_and_the_pinned_tip_stays(rig: Rig) -> None:
    first = rig.repository.fetch()
    second = rig.commit("second")
    rig.repository.fetch()
    rig.repository.pin(second)
    rig.move(first)
    assert rig.repository.fetch() == first
    assert rig.repository.tip() == first
    assert rig.repository.objects().read(second) is not None


def test_a_forked_remote_is_followed_and_the_pinned_tip_stays(rig: Rig) -> None:
    old = rig.repository.fetch()
    rig.repository.pin(old)
    fork = rig.commit("other", onto=None)
    assert rig.repository.fetch() == fork
    assert rig.repository.objects().read(old) is not None


def test_pinning_twice_or_an_ancestor_is_no_error(rig: Rig) -> None:
    first = rig.repository.fetch()
    second = rig.commit("second")
    rig.repository.fetch()
    for revision in (first, second, second, first):
        rig.repository.pin(revision)


def test_what_is_not_here_or_no_commit_cannot_be_pinned(rig: Rig) -> None:
    tip = rig.repository.objects().read(rig.repository.fetch())
    assert tip is not None
    for revision in (ABSENT, "", "main", "../../tip", tip.data[5:45].decode()):
        with pytest.raises(UnavailableError) as caught:
            rig.repository.pin(revision)
        assert (caught.value.port, caught.value.action) == ("repository", "pin")


def test_a_broken_remote_is_typed_keeps_the_tip_and_works_again_later(rig: Rig) -> None:
    old = rig.repository.fetch()
    new = rig.commit("second")
    rig.break_remote()
    with pytest.raises(UnavailableError) as caught:
        rig.repository.fetch()
    assert (caught.value.port, caught.value.action) == ("repository", "fetch")
    assert caught.value.reason in {"fetch-failed", "credential-denied"}
    assert rig.repository.tip() == old
    assert rig.repository.objects().read(old) is not None
    rig.mend_remote()
    assert rig.repository.fetch() == new


ONE, TWO = "rollout/app/000001", "rollout/app/000002"


def test_control_tags_come_with_a_fetch(rig: Rig) -> None:
    rig.repository.fetch()
    assert rig.repository.tags() == {}
    first, second = rig.tag(ONE), rig.tag(TWO, text="another")
    rig.repository.fetch()
    assert rig.repository.tags() == {f"refs/tags/{ONE}": first, f"refs/tags/{TWO}": second}
    found = rig.repository.objects().read(second)
    assert found is not None
    assert (found.kind, found.data.endswith(b"another\n")) == ("tag", True)
    assert rig.repository.tags_failed == ""


def test_control_tag_that_is_kept_stays_when_the_remote_moves_or_deletes_it(rig: Rig) -> None:
    first, second = rig.tag(ONE), rig.tag(TWO)
    rig.repository.fetch()
    moved = rig.tag(ONE, text="moved")
    rig.untag(TWO)
    rig.repository.fetch()
    rig.repository.keep_tags([first, second])
    assert rig.repository.tags() == {f"refs/tags/{ONE}": moved}
    assert all(rig.repository.objects().read(oid) is not None for oid in (first, second, moved))
