"""One suite for every way that reports go: the twin, a folder, a share, and Git from disk, over http, the git protocol
and ssh.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.contracts.git_server import HttpServer, git, pretend_ssh, serve_git

from edgegitops.adapters.reports_directory import ReportsDirectory
from edgegitops.adapters.reports_memory import MemoryReports
from edgegitops.adapters.reports_share import ReportsShare
from edgegitops.adapters.repository_reports import GitReports
from edgegitops.errors import UnavailableError
from edgegitops.ports import ReportTransport

ONE, TWO, NOBODY = "plant/press-1", "plant/press-2", "oslo/gw"
REPORT = b'{"sequence":1}\n-----BEGIN SSH SIGNATURE-----\n' + bytes(range(256)) + b"\n"
Road = Callable[[], ReportTransport]


def reports_repository(folder: Path) -> Path:
    """An empty bare repository `reports.git` that takes pushes."""
    path = folder / "reports.git"
    path.mkdir(parents=True)
    git(path, "init", "-q", "--bare")
    git(path, "config", "http.receivepack", "true")
    git(path, "config", "daemon.receivepack", "true")
    return path


def memory(_folder: Path, _stack: ExitStack, _monkeypatch: pytest.MonkeyPatch) -> Road:
    shared: dict[str, bytes] = {}
    return lambda: MemoryReports(shared)


def directory(folder: Path, _stack: ExitStack, _monkeypatch: pytest.MonkeyPatch) -> Road:
    (folder / "shared").mkdir()
    return lambda: ReportsDirectory(folder / "shared")


def share(folder: Path, _stack: ExitStack, _monkeypatch: pytest.MonkeyPatch) -> Road:
    (folder / "shared").mkdir()
    return lambda: ReportsShare(folder / "shared")


def through(folder: Path, url: str) -> Road:
    """Each one another node, with a mirror of its own."""
    count = iter(range(1000))
    return lambda: GitReports(folder / f"state{next(count)}" / "reports.git", url)


def git_file(folder: Path, _stack: ExitStack, _monkeypatch: pytest.MonkeyPatch) -> Road:
    return through(folder, f"file://{reports_repository(folder / 'remote')}")


def git_http(folder: Path, stack: ExitStack, _monkeypatch: pytest.MonkeyPatch) -> Road:
    server = stack.enter_context(HttpServer(reports_repository(folder / "remote").parent))
    return through(folder, server.url.replace("fleet.git", "reports.git"))


def git_protocol(folder: Path, stack: ExitStack, _monkeypatch: pytest.MonkeyPatch) -> Road:
    url = stack.enter_context(serve_git(reports_repository(folder / "remote").parent))
    return through(folder, url.replace("fleet.git", "reports.git"))


def git_ssh(folder: Path, _stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> Road:
    monkeypatch.setenv("PATH", f"{pretend_ssh(folder / 'bin')}:{os.environ['PATH']}")
    return through(folder, f"ssh://git@gitserver{reports_repository(folder / 'remote')}")


@pytest.fixture(params=[memory, directory, share, git_file, git_http, git_protocol, git_ssh])
def road(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    with ExitStack() as stack:
        yield request.param(tmp_path, stack, monkeypatch)


def test_what_one_node_published_another_collects_to_the_byte(road: Road) -> None:
    road().publish(ONE, REPORT)
    road().publish(TWO, b"{}")
    assert road().collect([ONE, TWO, NOBODY]) == {ONE: REPORT, TWO: b"{}"}


def test_who_is_not_asked_for_is_not_told(road: Road) -> None:
    road().publish(ONE, REPORT)
    road().publish(TWO, REPORT)
    assert road().collect([TWO]) == {TWO: REPORT}
    assert road().collect([]) == {}


def test_a_node_has_one_report_its_last(road: Road) -> None:
    node, reader = road(), road()
    for at in range(4):
        node.publish(ONE, b"%d" % at)
        assert reader.collect([ONE, TWO]) == {ONE: b"%d" % at}
    assert reader.collect([ONE, TWO]) == {ONE: b"3"}


def test_before_anybody_published_there_is_nothing(road: Road) -> None:
    assert road().collect([ONE, TWO]) == {}


def test_the_same_report_may_be_published_twice(road: Road) -> None:
    node = road()
    node.publish(ONE, REPORT)
    node.publish(ONE, REPORT)
    assert node.collect([ONE]) == {ONE: REPORT}


@pytest.mark.parametrize(
    "gone",
    [
        lambda folder: ReportsDirectory(folder / "gone"),
        lambda folder: ReportsShare(folder / "gone"),
        lambda folder: GitReports(folder / "mirror", f"file://{folder}/gone.git"),
        lambda folder: GitReports(folder / "mirror", "http://127.0.0.1:9/reports.git"),
    ],
    ids=["directory", "share", "file", "http"],
)
def test_what_is_not_there_is_unavailable_and_named(tmp_path: Path, gone: Callable[[Path], ReportTransport]) -> None:
    for act in (lambda: gone(tmp_path).publish(ONE, REPORT), lambda: gone(tmp_path).collect([ONE])):
        with pytest.raises(UnavailableError) as caught:
            act()
        assert "gone" in caught.value.message or "127.0.0.1:9" in caught.value.message
