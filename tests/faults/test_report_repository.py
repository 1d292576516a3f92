"""Reports repositories that are hostile, full of junk, broken or gone: each exchange ends typed and bounded, one node's
junk spoils nobody's report, the mirror stays small and whole, and the next exchange works.
"""

import os
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygit2.enums import ObjectType
from tests.contracts.git_server import HttpServer, git
from tests.contracts.test_report_transports import reports_repository

from edgegitops.adapters import repository_reports_child
from edgegitops.adapters.repository_access import FetchLimits, GitCredentials
from edgegitops.adapters.repository_reports import LIMITS, GitReports
from edgegitops.adapters.repository_reports_child import FEW_BYTES, MOST_PACKS, Collection, is_piled_up, judged
from edgegitops.errors import UnavailableError

ONE, TWO = "plant/press-1", "plant/press-2"
REF = "refs/edgegitops/reports/"
QUICK = FetchLimits(bytes=LIMITS.bytes, wall_for=timedelta(seconds=6), stall_after=timedelta(seconds=1))


class Remote:
    """A reports repository on disk, written to by whoever may push."""

    def __init__(self, folder: Path) -> None:
        self.path = reports_repository(folder)

    def blob(self, data: bytes) -> str:
        return git(self.path, "hash-object", "-w", "--stdin", stdin=data)

    def tree(self, *entries: tuple[str, str, str]) -> str:
        kinds = {"040000": "tree", "160000": "commit"}
        lines = "".join(f"{mode} {kinds.get(mode, 'blob')} {oid}\t{name}\n" for mode, name, oid in entries)
        return git(self.path, "mktree", "--missing", stdin=lines.encode())

    def commit(self, tree: str, *parents: str, text: bytes = b"report\n") -> str:
        return git(self.path, "commit-tree", tree, *[word for one in parents for word in ("-p", one)], stdin=text)

    def report(self, data: bytes) -> str:
        return self.commit(self.tree(("100644", "report", self.blob(data))))

    def put(self, name: str, oid: str) -> None:
        git(self.path, "update-ref", f"{REF}{name}", oid)

    def noise(self, size: int) -> bytes:
        return random.Random(size).randbytes(size)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote")


def reader(tmp_path: Path, remote: Remote) -> GitReports:
    return GitReports(tmp_path / "state/reports.git", f"file://{remote.path}")


ODD: dict[str, Callable[[Remote], str]] = {
    "a blob": lambda at: at.blob(b"said"),
    "a tree": lambda at: at.tree(("100644", "report", at.blob(b"said"))),
    "a tag": lambda at: git(
        at.path,
        "mktag",
        stdin=f"object {at.report(b'x')}\ntype commit\ntag t\ntagger A <a@b> 0 +0000\n\nx\n".encode(),
    ),
    "a history": lambda at: at.commit(at.tree(("100644", "report", at.blob(b"said"))), at.report(b"before")),
    "an endless message": lambda at: at.commit(at.tree(("100644", "report", at.blob(b"x"))), text=b"y" * 9000),
    "an empty tree": lambda at: at.commit(at.tree()),
    "two files": lambda at: at.commit(at.tree(("100644", "report", at.blob(b"x")), ("100644", "more", at.blob(b"y")))),
    "another name": lambda at: at.commit(at.tree(("100644", "said", at.blob(b"x")))),
    "a link": lambda at: at.commit(at.tree(("120000", "report", at.blob(b"/etc/shadow")))),
    "a program": lambda at: at.commit(at.tree(("100755", "report", at.blob(b"x")))),
    "a folder": lambda at: at.commit(at.tree(("040000", "report", at.tree()))),
    "a submodule": lambda at: at.commit(at.tree(("160000", "report", "1" * 40))),
    "more than a report may have": lambda at: at.report(b"x" * (256 * 1024 + 1)),
}


def test_what_has_not_the_form_of_a_report_is_not_there_and_spoils_no_other(tmp_path: Path, remote: Remote) -> None:
    """Red where adapters/repository_reports_child.py has `if False:` for `if not TREE.fullmatch(listed):`.
    Red where adapters/repository_reports_child.py has `if False:` for `if not COMMIT.match(said):`.
    """
    for at, make in enumerate(ODD.values()):
        remote.put(f"plant/odd-{at}", make(remote))
    remote.put(ONE, remote.report(b"said"))
    names = [ONE, *(f"plant/odd-{at}" for at in range(len(ODD)))]
    node = reader(tmp_path, remote)
    assert node.collect(names) == {ONE: b"said"}
    assert node.collect(names) == {ONE: b"said"}, "from the mirror, too"
    git(tmp_path / "state/reports.git", "fsck", "--full", "--strict")


class Objects:
    """An object store of one commit, one tree and one blob, whose bytes may be anything."""

    def __init__(self, commit: bytes, tree: bytes, blob: bytes) -> None:
        self._kinds = dict(
            zip((ObjectType.COMMIT, ObjectType.TREE, ObjectType.BLOB), (commit, tree, blob), strict=True)
        )

    def _of(self, oid: pygit2.Oid) -> ObjectType:
        places = {b"c" * 20: ObjectType.COMMIT, b"t" * 20: ObjectType.TREE, b"b" * 20: ObjectType.BLOB}
        return places[oid.raw]

    def read_header(self, oid: pygit2.Oid) -> tuple[ObjectType, int]:
        return self._of(oid), len(self._kinds[self._of(oid)])

    def read(self, oid: pygit2.Oid) -> tuple[ObjectType, bytes]:
        return self._of(oid), self._kinds[self._of(oid)]


HEAD, ENTRY = b"tree " + (b"t" * 20).hex().encode() + b"\n", b"100644 report\0" + b"b" * 20
ANY = st.binary(max_size=80)


@given(
    st.one_of(ANY, st.just(HEAD), ANY.map(HEAD.__add__), ANY.map(lambda end: HEAD[:30] + end)),
    st.one_of(ANY, st.just(ENTRY), st.integers(0, 33).map(lambda at: ENTRY[:at] + b"7" + ENTRY[at + 1 :])),
    ANY,
)
def test_bytes_of_any_kind_are_a_report_or_none_and_end_nothing(commit: bytes, tree: bytes, blob: bytes) -> None:
    found = judged(Objects(commit, tree, blob), pygit2.Oid(raw=b"c" * 20))
    is_report = commit.startswith(HEAD) and not commit.startswith(HEAD + b"parent ") and tree == ENTRY
    assert bool(found) == is_report
    assert not found or found[-1] == (ObjectType.BLOB, blob)


@pytest.fixture
def server(remote: Remote) -> Iterator[HttpServer]:
    with HttpServer(remote.path.parent) as made:
        yield made


def node_of(tmp_path: Path, server: HttpServer, limits: FetchLimits = QUICK, **options: object) -> GitReports:
    url = server.url.replace("fleet.git", "reports.git")
    return GitReports(tmp_path / "state/reports.git", url, limits=limits, **options)


@pytest.mark.parametrize("way", ["http", "file"])
def test_one_ref_that_brings_too_much_is_lost_alone(
    tmp_path: Path, remote: Remote, server: HttpServer, way: str
) -> None:
    """Red where adapters/repository_reports_child.py has `half = 0` for `half = len(names) // 2`; and of
    files, where it fetches them: libgit2 copies all refs then.
    """
    names = [f"plant/press-{at}" for at in range(9)]
    for at, name in enumerate(names):
        remote.put(name, remote.report(b"%d" % at))
    bomb = ONE
    before = remote.report(remote.noise(9_000_000))
    remote.put(bomb, remote.commit(remote.tree(("100644", "report", remote.blob(b"x"))), before))
    node = node_of(tmp_path, server, LIMITS) if way == "http" else reader(tmp_path, remote)
    found = node.collect(names)
    if way == "http":  # what lies here is looked at, and is no report
        assert found.pop(bomb) == b"", "there is something, and nobody knows what"
    assert found == {name: b"%d" % at for at, name in enumerate(names) if name != bomb}
    assert sum(one.stat().st_size for one in (tmp_path / "state").rglob("*") if one.is_file()) < 100_000


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        ({"status": 401}, "credential-denied", "401"),
        ({"status": 403}, "credential-denied", "403"),
        ({"status": 404}, "fetch-failed", "no repository at this address"),
        ({"status": 503}, "fetch-failed", "503"),
        ({"html": True}, "fetch-failed", "not Git"),
        ({"redirect": "http://127.0.0.2:9"}, "fetch-failed", "redirect"),
        ({"hang": True}, "fetch-failed", "in time"),
        ({"drip": True}, "fetch-failed", "wall time"),
        ({"password": "secret"}, "credential-denied", "none are configured"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_reports_server_that_sins_is_named_and_costs_nothing_else(
    tmp_path: Path, server: HttpServer, behaviour: dict[str, object], reason: str, words: str
) -> None:
    """Red where adapters/errand_process.py has `pass` for `signal.setitimer(signal.ITIMER_REAL,
    limits["wall"])`.
    """
    node = node_of(tmp_path, server)
    node.publish(ONE, b"before")
    for act in (lambda: node.publish(ONE, b"new"), lambda: node.collect([ONE, TWO])):
        server.behave(**behaviour)
        with pytest.raises(UnavailableError) as caught:
            act()
        assert caught.value.reason == reason
        assert words in caught.value.message
        assert not list((tmp_path / "state/reports.git/quarantines").iterdir())
    server.behave()
    node.publish(TWO, b"after")
    assert node.collect([ONE, TWO]) == {ONE: b"before", TWO: b"after"}


def test_a_push_that_the_server_declines_is_told_in_its_words(tmp_path: Path, remote: Remote) -> None:
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not you >&2\nexit 1\n")
    hook.chmod(0o755)
    with HttpServer(remote.path.parent) as server, pytest.raises(UnavailableError) as caught:
        node_of(tmp_path, server).publish(ONE, b"said")
    assert caught.value.reason == "credential-denied"
    assert f"{REF}{ONE}" in caught.value.message
    assert "declined" in caught.value.message


def test_the_proofs_of_reports_are_shown_and_named_by_their_own_keys(tmp_path: Path, server: HttpServer) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    server.behave(password="secret")  # noqa: S106 - of a server that lives for a second
    node = node_of(tmp_path, server, credentials=GitCredentials(user="node", password_file=str(token)))
    node.publish(ONE, b"said")
    assert node.collect([ONE]) == {ONE: b"said"}
    token.write_text("wrong\n")
    with pytest.raises(UnavailableError) as caught:
        node.collect([ONE])
    assert f"(reports.tokenFile: {token})" in caught.value.message
    assert "wrong" not in caught.value.message


def test_reports_that_change_again_and_again_leave_few_packs(tmp_path: Path, remote: Remote) -> None:
    """What is new is packed alone, and now and then all that counts is.

    Red where adapters/repository_reports.py has `if False:` for `for one in old:`.
    """
    names = [f"plant/press-{at}" for at in range(50)]
    node = reader(tmp_path, remote)
    sizes, packs, held = [], [], []
    for turn in range(MOST_PACKS + 2):
        lines = "".join(
            f"commit {REF}{name}\ncommitter A <a@b> {turn} +0000\ndata 0\nfrom {'0' * 40}\n"
            f"M 100644 inline report\ndata 2000\n{(f'{turn} {name} ' * 200)[:2000]}\n"
            for name in names
        )
        git(remote.path, "fast-import", "--quiet", "--force", stdin=lines.encode())
        assert len(node.collect(names)) == len(names)
        mirror = tmp_path / "state/reports.git"
        packs.append(len(list((mirror / "objects/pack").glob("*.pack"))))
        held.append(int(git(mirror, "count-objects", "-v").partition("in-pack: ")[2].split()[0]))
        sizes.append(sum(one.stat().st_size for one in mirror.rglob("*") if one.is_file()))
    assert packs == [*range(1, MOST_PACKS + 1), 1, 2]
    assert (held[0], held[MOST_PACKS]) == (3 * len(names), 3 * len(names))
    assert sizes[MOST_PACKS] <= sizes[0] * 1.1
    assert len(git(tmp_path / "state/reports.git", "rev-list", "--all", "--objects").splitlines()) == 3 * len(names)
    assert not list((tmp_path / "state/reports.git/quarantines").iterdir())


def test_bytes_that_pile_up_are_packed_before_packs_are_many(tmp_path: Path) -> None:
    """Red where only packs are counted: a pack may have as much as a fetch may bring."""
    packs = tmp_path / "objects/pack"
    packs.mkdir(parents=True)
    sizes = {"largest": 5 * FEW_BYTES, "a": 3 * FEW_BYTES, "b": 3 * FEW_BYTES - 1, "c": 2}
    found = []
    for name, size in sizes.items():
        with (packs / f"pack-{name}.pack").open("wb") as file:
            file.truncate(size)
        found.append(is_piled_up(tmp_path))
    assert found == [False, False, False, True]
    assert not is_piled_up(tmp_path / "nowhere")


def test_when_the_time_is_over_what_has_come_is_kept_and_the_rest_comes_next(
    tmp_path: Path, remote: Remote, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where all refs come in one transfer."""
    names = [f"plant/press-{at}" for at in range(5)]
    for name in names:
        remote.put(name, remote.report(name.encode()))
    limits = {"bytes": LIMITS.bytes, "objects": LIMITS.objects, "memory": LIMITS.memory, "stall": 9, "wall": 600}
    request = dict.fromkeys(("user", "password", "ca_file", "ssh_key", "known_hosts", "proxy"), "")
    mirror, quarantine = tmp_path / "mirror", tmp_path / "quarantine"
    (mirror / "objects").mkdir(parents=True)
    asked = {"names": names, "kept": {}, "mirror": str(mirror), "quarantine": str(quarantine), "limits": limits}
    url = server.url.replace("fleet.git", "reports.git")
    collection = Collection({**request, **asked, "url": url, "over": "libgit2"})
    real = repository_reports_child.fetch

    def slow(told: dict[str, object], wanted: list[str]) -> None:
        real(told, wanted)
        collection.ends_at = 0

    monkeypatch.setattr(repository_reports_child, "TOGETHER", 2)
    monkeypatch.setattr(repository_reports_child, "fetch", slow)
    said = collection.run()
    assert (list(said["good"]), said["lost"], said["is_new"]) == (names[:2], names[2:], True)
    whole = pygit2.init_repository(str(tmp_path / "whole"), bare=True).odb
    whole.add_disk_alternate(str(quarantine / "objects"))
    assert [judged(whole, pygit2.Oid(hex=oid))[-1][1].decode() for oid in said["good"].values()] == names[:2]


@pytest.mark.parametrize("is_among_others", [False, True])
@pytest.mark.parametrize("damage", ["cut", "gone", "zeros", "refs"])
def test_a_mirror_that_is_damaged_is_fetched_again(
    tmp_path: Path, remote: Remote, damage: str, is_among_others: bool
) -> None:
    remote.put(ONE, remote.report(b"said"))
    assert reader(tmp_path, remote).collect([ONE]) == {ONE: b"said"}
    mirror = tmp_path / "state/reports.git"
    (pack,) = (mirror / "objects/pack").glob("*.pack")
    if is_among_others:
        remote.put(TWO, remote.report(b"beside it"))
        reader(tmp_path, remote).collect([ONE, TWO])
    pack.chmod(0o644)
    if damage == "cut":
        os.truncate(pack, 20)
    elif damage == "gone":
        pack.unlink()
    elif damage == "zeros":
        pack.write_bytes(bytes(pack.stat().st_size))
    else:
        (mirror / "packed-refs").write_bytes(b"\xff" * 300)
    assert reader(tmp_path, remote).collect([ONE]) == {ONE: b"said"}
    git(mirror, "fsck", "--full", "--strict")


def test_what_is_not_asked_for_any_more_stays_once_and_names_that_are_none_are_nobody(
    tmp_path: Path, remote: Remote
) -> None:
    for name in (ONE, TWO):
        remote.put(name, remote.report(name.encode()))
    node = reader(tmp_path, remote)
    node.collect([ONE, TWO])
    assert node.collect([TWO]) == {TWO: TWO.encode()}
    assert node.collect(["../../etc", "plant", "plant/press-1/x", "plant/*", "-o/x", ""]) == {}
    refs = (tmp_path / "state/reports.git/packed-refs").read_text().splitlines()
    assert [line.partition(REF)[2] for line in refs] == [ONE, TWO]
