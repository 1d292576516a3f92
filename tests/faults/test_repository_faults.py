"""Hostile, broken and dying remotes: each fetch ends typed and bounded, the mirror is whole, and the next one works."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.git_server import (
    ENDLESS_PACK,
    FleetSource,
    HttpServer,
    RawServer,
    bare_commit,
    free_port,
    git,
    pack_of,
)

from edgegitops.adapters.repository_memory import object_id
from edgegitops.adapters.repository_mirror import FetchLimits, GitCredentials, GitRepository
from edgegitops.errors import InvalidConfigError, UnavailableError

PASSWORD = "secret"  # noqa: S105 - of a server that lives for a second
QUICK = FetchLimits(wall_for=timedelta(seconds=3), stall_after=timedelta(seconds=1))


class Site:
    """A node's mirror that has fetched once from a server, and what it had then."""

    def __init__(self, folder: Path, server: HttpServer, source: FleetSource) -> None:
        self.state = folder / "state"
        self.server = server
        self.source = source
        self.old = self.mirror().fetch()

    def mirror(self, limits: FetchLimits = QUICK, **options: object) -> GitRepository:
        return GitRepository(str(self.state / "mirror.git"), self.server.url, limits=limits, **options)

    def refused(self, limits: FetchLimits = QUICK, **options: object) -> UnavailableError:
        """The error of a fetch of something new; the mirror is as it was, and serves again when the server does."""
        new = self.source.commit(f"news {len(self.source.tip)}")
        with pytest.raises(UnavailableError) as caught:
            self.mirror(limits, **options).fetch()
        self.require_whole()
        self.server.behave()
        assert self.mirror().fetch() == new
        return caught.value

    def require_whole(self) -> None:
        mirror = self.mirror()
        assert mirror.tip() == self.old
        assert mirror.objects().read(self.old) is not None
        git(self.state / "mirror.git", "fsck", "--full", "--strict")
        assert not list((self.state / "mirror.git").glob("quarantines/*"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    source = FleetSource(tmp_path / "remote")
    with HttpServer(source.folder) as server:
        yield Site(tmp_path, server, source)


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        ({"status": 401}, "credential-denied", "401"),
        ({"status": 403}, "credential-denied", "403"),
        ({"status": 404}, "fetch-failed", "no repository at this address"),
        ({"status": 429}, "fetch-failed", "slow down"),
        ({"status": 500}, "fetch-failed", "500"),
        ({"status": 503}, "fetch-failed", "503"),
        ({"html": True}, "fetch-failed", "not Git"),
        ({"redirect": "http://127.0.0.2:9"}, "fetch-failed", "redirect"),
        ({"hang": True}, "fetch-failed", "in time"),
        ({"drip": True}, "fetch-failed", "wall time"),
        ({"cut_after": 60}, "fetch-failed", "broke off"),
        ({"password": "secret"}, "credential-denied", "none are configured"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_server_that_sins_is_named_and_costs_nothing_else(
    site: Site, behaviour: dict[str, object], reason: str, words: str
) -> None:
    """Red where adapters/errand_process.py has `pass` for `signal.setitimer(signal.ITIMER_REAL,
    limits["wall"])`.
    """
    site.server.behave(**behaviour)
    error = site.refused()
    assert error.reason == reason
    assert words in error.message
    assert site.server.url in error.message


def test_a_name_that_nobody_resolves_is_told(tmp_path: Path) -> None:
    mirror = GitRepository(str(tmp_path / "m"), "http://git.plant.invalid/fleet.git", limits=QUICK)
    with pytest.raises(UnavailableError, match=r"git\.plant\.invalid") as caught:
        mirror.fetch()
    assert caught.value.reason == "fetch-failed"


def test_a_connection_that_is_reset_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reset() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = server.accept()
                    caller.recv(10)
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    caller.close()

        threading.Thread(target=reset, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/fleet.git"
        with pytest.raises(UnavailableError, match=r"reset|broke off") as caught:
            GitRepository(str(tmp_path / "m"), url, limits=QUICK).fetch()
        assert caught.value.reason == "fetch-failed"
        server.shutdown(socket.SHUT_RDWR)


def test_a_redirect_to_another_host_is_not_followed(site: Site) -> None:
    """Red where adapters/repository_remote.py has `followRedirects = true` for `followRedirects = false`."""
    with HttpServer(site.source.folder) as elsewhere:
        site.server.behave(redirect=f"http://localhost:{elsewhere.port}")
        assert "redirect" in site.refused().message
        assert elsewhere.behaviour.requests == []


def test_a_wrong_password_is_asked_once_and_never_shown(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2\n")
    behaviour = site.server.behave(password=PASSWORD)
    error = site.refused(credentials=GitCredentials(user="node", password_file=str(token)))
    assert error.reason == "credential-denied"
    assert "hunter2" not in str(error)
    assert len(behaviour.requests) <= 3


def test_a_login_that_is_not_accepted_names_its_file(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2\n")
    site.server.behave(password=PASSWORD)
    error = site.refused(credentials=GitCredentials(password_file=str(token)))
    assert f"(repository.tokenFile: {token})" in error.message


def test_a_failure_that_is_none_of_the_login_names_no_file(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2\n")
    site.server.behave(status=503)
    assert str(token) not in site.refused(credentials=GitCredentials(password_file=str(token))).message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ""),
        ({"user": "git", "ca_file": "/ca.pem"}, ""),
        ({"password_file": "/t"}, " (repository.tokenFile: /t)"),
        (
            {"ssh_key_file": "/k", "known_hosts_file": "/h"},
            " (repository.keyFile: /k, repository.knownHostsFile: /h)",
        ),
    ],
    ids=["none", "no login", "token", "ssh"],
)
def test_files_that_a_person_may_have_to_change_are_told_by_their_keys(fields: dict[str, str], expected: str) -> None:
    assert GitCredentials(**fields).told() == expected


def test_the_right_password_is_read_at_each_fetch(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    mirror = site.mirror(credentials=GitCredentials(password_file=str(token)))
    site.server.behave(password="new")  # noqa: S106 - of a server that lives for a second
    with pytest.raises(UnavailableError):
        mirror.fetch()
    token.write_text("new\n")
    assert mirror.fetch() == site.old


def test_a_missing_token_file_is_named(site: Site, tmp_path: Path) -> None:
    error = site.refused(credentials=GitCredentials(password_file=str(tmp_path / "none")))
    assert error.reason == "credential-denied"
    assert str(tmp_path / "none") in error.message


def test_user_information_in_the_address_is_never_shown(tmp_path: Path) -> None:
    mirror = GitRepository(str(tmp_path / "m"), f"http://node:hunter2@127.0.0.1:{free_port()}/fleet.git", limits=QUICK)
    with pytest.raises(UnavailableError) as caught:
        mirror.fetch()
    assert "refused the connection" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_more_bytes_than_the_cap_are_refused(site: Site) -> None:
    """Red where adapters/repository_remote.py has `if False:` for `if stats.received_bytes > limits["bytes"]:`."""
    site.source.commit(os.urandom(300_000).hex())
    limits = FetchLimits(bytes=100_000, wall_for=timedelta(seconds=30))
    assert "more than 100000 bytes" in site.refused(limits).message


def test_more_objects_than_the_cap_are_refused(site: Site) -> None:
    """Red where adapters/repository_remote.py has `if False:` for `if stats.total_objects > limits["objects"]:`."""
    for number in range(4):
        site.source.commit(f"many {number}")
    assert "limit of 5" in site.refused(FetchLimits(objects=5)).message


def test_a_branch_that_is_not_there_is_named(site: Site) -> None:
    mirror = GitRepository(str(site.state / "mirror.git"), site.server.url, "release/2", limits=QUICK)
    with pytest.raises(UnavailableError, match="no branch release/2"):
        mirror.fetch()
    site.require_whole()


def test_a_branch_that_is_a_tag_object_is_refused(site: Site) -> None:
    tag = f"object {site.old}\ntype commit\ntag v\ntagger A <a@example.org> 0 +0000\n\nv\n"
    oid = git(site.source.path, "hash-object", "-w", "-t", "tag", "--stdin", stdin=tag.encode())
    (site.source.path / "refs/heads/main").write_text(oid + "\n")
    with pytest.raises(UnavailableError, match="points to a tag"):
        site.mirror().fetch()
    site.require_whole()
    assert site.mirror().objects().read(oid) is None


def test_a_server_that_leaves_a_tree_out_leaves_no_hole(site: Site) -> None:
    commit = bare_commit("5" * 40)
    site.server.behave(tip=object_id("commit", commit), pack=pack_of((1, commit)))
    assert f"left out {'5' * 40}" in site.refused().message


def test_a_server_that_leaves_a_blob_out_leaves_no_hole(site: Site) -> None:
    """Red where adapters/repository_fetch.py has `if False:` for `if not odb.exists(pygit2.Oid(raw=named)):`."""
    tree = b"100644 fleet.yaml\0" + b"\x55" * 20
    commit = bare_commit(object_id("tree", tree))
    site.server.behave(tip=object_id("commit", commit), pack=pack_of((1, commit), (2, tree)))
    assert f"left out {'5' * 40}" in site.refused().message


def test_a_server_that_sends_another_commit_than_it_said_is_refused(site: Site) -> None:
    tree = b""
    commit = bare_commit(object_id("tree", tree))
    site.server.behave(tip="7" * 40, pack=pack_of((1, commit), (2, tree)))
    assert site.refused().reason == "fetch-failed"


def test_a_pack_bomb_in_a_tree_is_refused_by_its_size(site: Site) -> None:
    """Red where adapters/repository_fetch.py has `if False:` for `if size > LARGEST_STRUCTURE:`."""
    tree = bytes(64 * 1024 * 1024)
    commit = bare_commit(object_id("tree", tree))
    site.server.behave(tip=object_id("commit", commit), pack=pack_of((1, commit), (2, tree)))
    error = site.refused(FetchLimits(memory=700 * 1024 * 1024))
    assert "limit" in error.message


def test_a_pack_bomb_beyond_the_memory_is_refused(site: Site) -> None:
    tree = bytes(64 * 1024 * 1024)
    commit = bare_commit(object_id("tree", tree))
    site.server.behave(tip=object_id("commit", commit), pack=pack_of((1, commit), (2, tree)))
    assert site.refused(FetchLimits(memory=100 * 1024 * 1024)).reason == "fetch-failed"


def test_an_endless_pack_ends_at_the_byte_limit(site: Site) -> None:
    """Red where adapters/repository_remote.py has `if False:` for `if stats.received_bytes > limits["bytes"]:`."""
    site.server.behave(tip="6" * 40, pack=ENDLESS_PACK, is_endless=True)
    error = site.refused(FetchLimits(bytes=1_000_000, wall_for=timedelta(seconds=20)))
    assert "more than 1000000 bytes" in error.message


def test_an_endless_answer_is_bounded(tmp_path: Path) -> None:
    ref = b"1" * 40 + b" refs/heads/main\n"
    line = f"{len(ref) + 4:04x}".encode() + ref
    with RawServer(line * 1000, is_endless=True) as server:
        url = f"git://127.0.0.1:{server.port}/fleet.git"
        limits = FetchLimits(memory=256 * 1024 * 1024, wall_for=timedelta(seconds=5))
        with pytest.raises(UnavailableError) as caught:
            GitRepository(str(tmp_path / "m"), url, limits=limits).fetch()
    assert caught.value.reason == "fetch-failed"


def test_a_hundred_thousand_refs_do_not_come_along(site: Site) -> None:
    """Red where adapters/repository_fetch.py has `return "+refs/*:refs/all/*"` for `return
    f"+refs/heads/{request['branch']}:{QUARANTINED}"`.
    """
    new = site.source.commit("second")
    site.source.crowd(100_000)
    site.source.move(new)
    assert site.mirror(FetchLimits()).fetch() == new
    refs = git(site.state / "mirror.git", "for-each-ref", "--format=%(refname)").splitlines()
    assert refs == ["refs/edgegitops/tip"]


def children(of: int) -> list[int]:
    """Ids of the living processes that run the fetch child for a parent."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == of and stat[0] != "Z" and b"repository_fetch" in command:
            found.append(int(folder.name))
    return found


def test_killing_the_child_mid_fetch_is_typed_and_harmless(site: Site) -> None:
    site.server.behave(hold_pack=True)
    new = site.source.commit("second" * 1000)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(site.mirror(FetchLimits()).fetch)
        site.server.wait_until_held()
        for child in children(os.getpid()):
            os.kill(child, signal.SIGKILL)
        with pytest.raises(UnavailableError, match="killed by signal 9"):
            fetching.result()
    site.require_whole()
    site.server.behave()
    assert site.mirror().fetch() == new


FETCH = """
import sys
from edgegitops.adapters.repository_mirror import GitRepository
GitRepository(sys.argv[1], sys.argv[2]).fetch()
"""


def test_killing_the_worker_mid_fetch_ends_the_child_and_leaves_the_mirror_whole(site: Site) -> None:
    site.server.behave(hold_pack=True)
    new = site.source.commit("second" * 1000)
    worker = subprocess.Popen([sys.executable, "-c", FETCH, str(site.state / "mirror.git"), site.server.url])
    site.server.wait_until_held()
    orphans = children(worker.pid)
    assert len(orphans) == 1
    worker.kill()
    worker.wait()
    pause = threading.Event()
    for _ in range(500):
        if not Path(f"/proc/{orphans[0]}/cmdline").exists() or not Path(f"/proc/{orphans[0]}/cmdline").read_bytes():
            break
        pause.wait(0.02)
    else:
        raise AssertionError("the child outlived the worker by 10 s")
    assert list((site.state / "mirror.git").glob("quarantines/*"))
    site.server.behave()
    assert site.mirror().fetch() == new
    assert not list((site.state / "mirror.git").glob("quarantines/*"))
    git(site.state / "mirror.git", "fsck", "--full", "--strict")


def test_a_crash_between_objects_and_ref_is_finished_by_the_next_fetch(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = site.source.commit("second")
    mirror = site.mirror()
    done = Path.rename

    def crash_after_the_pack(source: Path, target: Path) -> Path:
        if source.suffix == ".idx":
            raise OSError(5, "Input/output error")
        return done(source, target)

    monkeypatch.setattr(Path, "rename", crash_after_the_pack)
    with pytest.raises(UnavailableError, match="Input/output error"):
        mirror.fetch()
    monkeypatch.undo()
    site.require_whole()
    assert site.mirror().fetch() == new


def test_a_damaged_object_is_reported_and_not_believed(site: Site) -> None:
    for index in (site.state / "mirror.git").glob("objects/pack/*.pack"):
        data = bytearray(index.read_bytes())
        data[20] ^= 0xFF
        index.chmod(0o644)
        index.write_bytes(data)
    with pytest.raises(UnavailableError, match="damaged"):
        [site.mirror().objects().read(oid) for oid in (site.old, *listed(site))]


def listed(site: Site) -> list[str]:
    return git(site.source.path, "rev-list", "--objects", "--no-object-names", "main").split()


def test_packs_do_not_pile_up_and_only_what_is_pinned_outlives_the_remote(site: Site) -> None:
    mirror = site.mirror(FetchLimits(packs=3))
    objects = mirror.objects()
    lost = site.source.commit("lost", onto=None)
    mirror.fetch()
    kept = site.source.commit("kept", onto=None)
    mirror.fetch()
    mirror.pin(kept)
    site.source.move(site.old)
    tips = [site.source.commit(f"later {number}") for number in range(5) if mirror.fetch()]
    assert mirror.fetch() == tips[-1]
    packs = list((site.state / "mirror.git/objects/pack").glob("*.pack"))
    assert len(packs) <= 4
    assert all(objects.read(oid) is not None for oid in (site.old, kept, *tips))
    assert objects.read(lost) is None
    git(site.state / "mirror.git", "fsck", "--full", "--strict")


def test_server_that_shows_another_tip_each_time_does_not_fill_the_disk(site: Site) -> None:
    mirror = site.mirror(FetchLimits(bytes=40_000))
    mirror.pin(site.old)
    for _ in range(12):
        site.source.commit(os.urandom(10_000).hex(), onto=None)
        mirror.fetch()
    held = sum(file.stat().st_size for file in (site.state / "mirror.git/objects/pack").glob("*.pack"))
    assert held < 100_000
    assert mirror.objects().read(site.old) is not None


def test_a_repack_that_fails_is_no_failure_of_the_fetch(site: Site) -> None:
    git_folder = site.state / "mirror.git"
    hollow = git(git_folder, "hash-object", "-w", "-t", "commit", "--stdin", stdin=bare_commit("5" * 40))
    site.mirror().pin(hollow)
    before = set(git_folder.glob("objects/pack/*.pack"))
    new = site.source.commit("second")
    mirror = site.mirror(FetchLimits(packs=0))
    assert mirror.fetch() == new
    assert before < set(git_folder.glob("objects/pack/*.pack"))
    assert mirror.objects().read(site.old) is not None


def test_a_ref_that_outlived_its_object_is_no_reason_to_fail(site: Site) -> None:
    for file in (site.state / "mirror.git").glob("objects/pack/*"):
        file.unlink()
    assert site.mirror().fetch() == site.old
    git(site.state / "mirror.git", "fsck", "--full", "--strict")


def test_a_mirror_that_was_removed_is_made_again_by_the_same_process(site: Site) -> None:
    mirror = site.mirror()
    objects = mirror.objects()
    shutil.rmtree(site.state)
    assert mirror.tip() is None
    assert mirror.fetch() == site.old
    assert objects.read(site.old) is not None


def test_a_mirror_that_is_no_repository_is_named(tmp_path: Path) -> None:
    (tmp_path / "mirror.git").write_text("no")
    with pytest.raises(UnavailableError, match=r"mirror\.git cannot be opened"):
        GitRepository(str(tmp_path / "mirror.git"), "https://example.org/fleet.git").tip()


@pytest.mark.parametrize(
    "url", ["", "fleet.git", "ext::sh -c touch% /tmp/x", "ftp://example.org/x", "-oProxyCommand=x", "ssh", "-u@h:x"]
)
def test_addresses_that_nobody_may_fetch_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidConfigError, match=r"repository\.url"):
        GitRepository(str(tmp_path / "m"), url)


@pytest.mark.parametrize("branch", ["", "a..b", "*", "a b", "x.lock", "a:b"])
def test_words_that_are_no_branch_are_refused(tmp_path: Path, branch: str) -> None:
    with pytest.raises(InvalidConfigError, match=r"repository\.branch"):
        GitRepository(str(tmp_path / "m"), "/srv/fleet.git", branch)
