"""The tip listing asks over every road, is small at any number of refs, and names what went wrong."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.git_server import FleetSource, HttpServer, RawServer, free_port, git, serve_git

from edgegitops.adapters.tip_listing import list_tip
from edgegitops.core.model.view import view_of
from edgegitops.errors import UnavailableError

TIMEOUT = timedelta(seconds=20)
SHORT = timedelta(milliseconds=300)
PASSWORD = "secret"  # noqa: S105 - of a server that lives for a second


@pytest.fixture
def source(tmp_path: Path) -> FleetSource:
    return FleetSource(tmp_path / "remote")


@pytest.fixture
def server(source: FleetSource) -> Iterator[HttpServer]:
    with HttpServer(source.folder) as server:
        yield server


@pytest.fixture(params=["file", "path", "http", "http-v0", "git"])
def url(request: pytest.FixtureRequest, source: FleetSource) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param == "git":
            yield stack.enter_context(serve_git(source.folder))
        elif request.param.startswith("http"):
            server = stack.enter_context(HttpServer(source.folder))
            server.behave(is_v2_off=request.param == "http-v0")
            yield server.url
        else:
            yield f"file://{source.path}" if request.param == "file" else str(source.path)


def test_the_tip_is_listed_and_moves(url: str, source: FleetSource) -> None:
    assert list_tip(url, "main", timeout=TIMEOUT) == source.tip
    new = source.commit("second")
    assert list_tip(url, "main", timeout=TIMEOUT) == new


def test_a_branch_that_is_not_there_is_none(url: str, source: FleetSource) -> None:
    source.commit("other", branch="main2")
    assert list_tip(url, "mai", timeout=TIMEOUT) is None
    assert list_tip(url, "release/1", timeout=TIMEOUT) is None


def test_names_that_only_begin_alike_are_not_taken(url: str, source: FleetSource) -> None:
    main = source.tip
    other = source.commit("other", branch="main2")
    deeper = source.commit("deeper", branch="a/main")
    assert list_tip(url, "main", timeout=TIMEOUT) == main
    assert list_tip(url, "main2", timeout=TIMEOUT) == other
    assert list_tip(url, "a/main", timeout=TIMEOUT) == deeper


def test_an_empty_repository_has_no_tip(url: str, source: FleetSource) -> None:
    git(source.path, "update-ref", "-d", "refs/heads/main")
    assert list_tip(url, "main", timeout=TIMEOUT) is None


def test_packed_refs_are_read(url: str, source: FleetSource) -> None:
    git(source.path, "pack-refs", "--all")
    assert list_tip(url, "main", timeout=TIMEOUT) == source.tip


def test_a_hundred_thousand_refs_make_the_answer_no_larger(server: HttpServer, source: FleetSource) -> None:
    few = server.behave()
    list_tip(server.url, "main", timeout=TIMEOUT)
    tip = source.tip
    source.crowd(100_000)
    source.move(tip)
    many = server.behave()
    assert list_tip(server.url, "main", timeout=TIMEOUT) == tip
    assert many.seen == few.seen
    assert many.requests == ["POST /fleet.git/git-upload-pack"]
    assert sum(many.seen.values()) < 100


def test_a_repository_with_a_work_tree_is_read_from_disk(tmp_path: Path, source: FleetSource) -> None:
    git(tmp_path, "clone", "-q", str(source.path), "clone")
    assert list_tip(str(tmp_path / "clone"), "main", timeout=TIMEOUT) == source.tip


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        ({"status": 401}, "credential-denied", "401"),
        ({"status": 403}, "credential-denied", "403"),
        ({"status": 404}, "fetch-failed", "404"),
        ({"status": 429}, "fetch-failed", "slow down"),
        ({"status": 500}, "fetch-failed", "500"),
        ({"status": 503}, "fetch-failed", "503"),
        ({"html": True}, "fetch-failed", "not Git"),
        ({"redirect": "http://127.0.0.2:9"}, "fetch-failed", "redirects to"),
        ({"hang": True}, "fetch-failed", "within 0.3 s"),
        ({"drip": True}, "fetch-failed", "within 0.3 s"),
        ({"password": PASSWORD}, "credential-denied", "401"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_server_that_sins_is_named(server: HttpServer, behaviour: dict[str, object], reason: str, words: str) -> None:
    server.behave(**behaviour)
    is_slow = "hang" in behaviour or "drip" in behaviour
    with pytest.raises(UnavailableError) as caught:
        list_tip(server.url, "main", timeout=SHORT if is_slow else TIMEOUT)
    assert (caught.value.port, caught.value.action, caught.value.reason) == ("repository", "list", reason)
    assert words in caught.value.message


def test_the_login_is_sent(server: HttpServer, source: FleetSource) -> None:
    server.behave(password=PASSWORD)
    assert list_tip(server.url, "main", timeout=TIMEOUT, login=("node", PASSWORD)) == source.tip


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"\x00" * 100, b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000],
    ids=["nothing", "empty", "zeros", "ssh", "long header"],
)
def test_what_is_no_git_server_is_typed(answer: bytes) -> None:
    with RawServer(answer) as server:
        for url in (f"http://127.0.0.1:{server.port}/x.git", f"git://127.0.0.1:{server.port}/x.git"):
            with pytest.raises(UnavailableError):
                list_tip(url, "main", timeout=TIMEOUT)


def test_an_endless_list_ends_at_the_byte_limit() -> None:
    ref = b"1" * 40 + b" refs/heads/other\n"
    line = f"{len(ref) + 4:04x}".encode() + ref
    with RawServer(line * 1000, is_endless=True) as server, pytest.raises(UnavailableError, match="8388608 bytes"):
        list_tip(f"git://127.0.0.1:{server.port}/x.git", "main", timeout=TIMEOUT)


def test_nobody_listening_and_unknown_names_are_told_apart() -> None:
    with pytest.raises(UnavailableError, match="refused the connection"):
        list_tip(f"http://127.0.0.1:{free_port()}/x.git", "main", timeout=TIMEOUT)
    with pytest.raises(UnavailableError, match="DNS"):
        list_tip("http://nobody.invalid/x.git", "main", timeout=TIMEOUT)


def test_a_list_that_breaks_off_is_not_a_missing_branch() -> None:
    ref = b"1" * 40 + b" refs/heads/a\n"
    line = f"{len(ref) + 4:04x}".encode() + ref
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n"
    for answer, scheme in ((head + line, "http"), (line, "git")):
        with RawServer(answer) as server, pytest.raises(UnavailableError, match="breaks off"):
            list_tip(f"{scheme}://127.0.0.1:{server.port}/x.git", "main", timeout=TIMEOUT)


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no Git repository"):
        list_tip(str(tmp_path), "main", timeout=TIMEOUT)


def test_ssh_trouble_is_typed() -> None:
    with pytest.raises(UnavailableError) as caught:
        list_tip(f"ssh://git@127.0.0.1:{free_port()}/x.git", "main", timeout=TIMEOUT)
    assert "127.0.0.1" in caught.value.message


def test_secrets_of_the_address_are_not_shown() -> None:
    with pytest.raises(UnavailableError) as caught:
        list_tip(f"http://node:hunter2@127.0.0.1:{free_port()}/x.git", "main", timeout=TIMEOUT)
    assert "hunter2" not in str(caught.value)


def test_time_that_is_over_asks_nobody(server: HttpServer) -> None:
    with pytest.raises(UnavailableError):
        list_tip(server.url, "main", timeout=timedelta(0))
    assert server.behaviour.requests == []


def test_control_tags_change_what_the_remote_shows(url: str, source: FleetSource) -> None:
    bare = list_tip(url, "main", timeout=TIMEOUT)
    source.tag("v1")
    assert list_tip(url, "main", timeout=TIMEOUT) == bare == source.tip
    tags = {"refs/tags/rollout/app/000001": source.tag("rollout/app/000001")}
    assert list_tip(url, "main", timeout=TIMEOUT) == view_of(source.tip, tags)
    git(source.path, "pack-refs", "--all")
    assert list_tip(url, "main", timeout=TIMEOUT) == view_of(source.tip, tags)
    tags["refs/tags/rollout/app/000001"] = source.tag("rollout/app/000001", text="moved")
    assert list_tip(url, "main", timeout=TIMEOUT) == view_of(source.tip, tags)
    git(source.path, "update-ref", "-d", "refs/tags/rollout/app/000001")
    assert list_tip(url, "main", timeout=TIMEOUT) == source.tip


def test_too_many_control_tags_hide_no_tip(url: str, source: FleetSource) -> None:
    """Red where adapters/tip_listing.py has `if False:` for `if len(found) > MOST_CONTROL_TAGS + 1:`."""
    tip = source.tip
    lines = "".join(f"{tip} refs/tags/rollout/app/{number:06}\n" for number in range(150_000))
    (source.path / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + lines)
    assert list_tip(url, "main", timeout=TIMEOUT) == tip
