"""The roads with proof of who is who: TLS with a CA file, ssh with key and known hosts files."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.git_server import FleetSource, HttpServer, git, make_certificate, pretend_ssh

from edgegitops.adapters.repository_mirror import GitCredentials, GitRepository
from edgegitops.adapters.tip_listing import list_tip
from edgegitops.errors import UnavailableError

TIMEOUT = timedelta(seconds=20)


@pytest.fixture
def source(tmp_path: Path) -> FleetSource:
    return FleetSource(tmp_path / "remote")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path / "server.pem")


@pytest.fixture
def url(source: FleetSource, certificate: Path) -> Iterator[str]:
    with HttpServer(source.folder, certificate=certificate) as server:
        yield server.url


def test_a_server_that_the_ca_file_vouches_for_is_fetched_and_listed(
    tmp_path: Path, url: str, source: FleetSource, certificate: Path
) -> None:
    ca_file = str(certificate.with_suffix(".crt"))
    mirror = GitRepository(str(tmp_path / "mirror.git"), url, credentials=GitCredentials(ca_file=ca_file))
    assert mirror.fetch() == source.tip
    assert list_tip(url, "main", timeout=TIMEOUT, ca_file=ca_file) == source.tip


def test_a_server_that_nobody_vouches_for_is_neither_fetched_nor_listed(tmp_path: Path, url: str) -> None:
    with pytest.raises(UnavailableError, match="certificate is not trusted"):
        GitRepository(str(tmp_path / "mirror.git"), url).fetch()
    with pytest.raises(UnavailableError, match="certificate"):
        list_tip(url, "main", timeout=TIMEOUT)


@pytest.mark.parametrize("kind", ["url", "scp"])
def test_ssh_shows_the_key_and_insists_on_the_known_host(
    tmp_path: Path, source: FleetSource, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pretend_ssh(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    url = f"ssh://git@gitserver{source.path}" if kind == "url" else f"git@gitserver:{source.path}"
    key, known = str(tmp_path / "it's a key"), str(tmp_path / "known")
    mirror = GitRepository(
        str(tmp_path / "mirror.git"), url, credentials=GitCredentials(ssh_key_file=key, known_hosts_file=known)
    )
    assert mirror.fetch() == source.tip
    assert list_tip(url, "main", timeout=TIMEOUT, ssh=(key, known)) == source.tip
    new = source.commit("second")
    assert mirror.fetch() == new
    assert list_tip(url, "main", timeout=TIMEOUT, ssh=(key, known)) == new
    said = (folder / "said").read_text().splitlines()
    for word in (f"-i{key}", f"-oUserKnownHostsFile={known}", "-oStrictHostKeyChecking=yes", "-oBatchMode=yes"):
        assert said.count(word) == 4
    assert said.count("git@gitserver") == 4
    assert not any(word.startswith("git-receive-pack") for word in said)


def test_a_branch_that_ssh_does_not_find_is_named(
    tmp_path: Path, source: FleetSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{pretend_ssh(tmp_path / 'bin')}:{os.environ['PATH']}")
    url = f"ssh://git@gitserver{source.path}"
    with pytest.raises(UnavailableError, match="no branch release"):
        GitRepository(str(tmp_path / "mirror.git"), url, "release").fetch()
    assert list_tip(url, "release", timeout=TIMEOUT) is None
    with pytest.raises(UnavailableError, match="no repository at this address"):
        GitRepository(str(tmp_path / "mirror.git"), f"{url}x").fetch()


def test_other_tags_and_lightweight_ones_are_told_apart(tmp_path: Path) -> None:
    source = FleetSource(tmp_path / "remote")
    source.tag("v1.0")
    light = source.tag("rollout/app/000001", text="")
    mirror = GitRepository(str(tmp_path / "mirror.git"), f"file://{source.path}")
    mirror.fetch()
    assert mirror.tags() == {"refs/tags/rollout/app/000001": light}
    kept = git(tmp_path / "mirror.git", "for-each-ref", "--format=%(refname)", "refs/edgegitops/controls", "refs/tags")
    assert not kept


def test_control_tags_with_endless_names_stop_no_fetch(tmp_path: Path) -> None:
    """Red where adapters/repository_fetch.py has `if False:` for `if len(json.dumps(json.dumps(told))) >
    LONGEST_ANSWER:`.
    """
    source = FleetSource(tmp_path / "remote")
    name = f"refs/tags/rollout/app/{('y' * 200 + '/') * 4}"
    lines = "".join(f"{source.tip} {name}{number:06}\n" for number in range(4_000))
    (source.path / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + lines)
    mirror = GitRepository(str(tmp_path / "mirror.git"), f"file://{source.path}")
    assert mirror.fetch() == source.tip
    assert "4000 control tags" in mirror.tags_failed


def test_too_many_control_tags_stop_no_fetch(tmp_path: Path) -> None:
    """Red where adapters/repository_fetch.py has `if False:` for `if len(refs) > MOST_TAGS:`."""
    source = FleetSource(tmp_path / "remote")
    lines = "".join(f"{source.tip} refs/tags/rollout/app/{number:06}\n" for number in range(11_000))
    (source.path / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + lines)
    mirror = GitRepository(str(tmp_path / "mirror.git"), f"file://{source.path}")
    assert mirror.fetch() == source.tip
    assert "11000 control tags" in mirror.tags_failed
    assert mirror.tags() == {}


@pytest.mark.parametrize("name", ["rollout", "rollout/app"])
def test_tag_that_bars_all_control_tags_of_the_remote_wedges_no_node(
    tmp_path: Path, source: FleetSource, url: str, certificate: Path, name: str
) -> None:
    """Git keeps no ref below another: a server with such a tag has no control tags, and a node goes on, keeps what it
    saw, and hears the next one when the tag is gone.
    """
    ca_file = str(certificate.with_suffix(".crt"))
    mirror = GitRepository(str(tmp_path / "mirror.git"), url, credentials=GitCredentials(ca_file=ca_file))
    halt = source.tag("rollout/app/000001")
    mirror.fetch()
    git(source.path, "update-ref", "-d", "refs/tags/rollout/app/000001")
    source.tag(name)
    new = source.commit("after it")
    assert mirror.fetch() == new
    assert mirror.tags_failed == ""
    assert f"refs/tags/{name}/000001" not in mirror.tags()
    mirror.keep_tags([halt])
    assert mirror.objects().read(halt) is not None
    for way in (url, str(source.path)):
        assert (list_tip(way, "main", timeout=TIMEOUT, ca_file=ca_file) or "").startswith(new)
    git(source.path, "update-ref", "-d", f"refs/tags/{name}")
    second = source.tag("rollout/app/000002", text="heard again")
    assert mirror.fetch() == new
    assert mirror.tags() == {"refs/tags/rollout/app/000002": second}
