"""The mirror after a power cut: what libgit2 leaves behind never keeps a node from fetching again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contracts.git_server import FleetSource

from edgegitops.adapters.repository_mirror import GitRepository


@pytest.mark.parametrize("lock", ["config.lock", "HEAD.lock", "packed-refs.lock", "refs/edgegitops/tip.lock"])
def test_lock_file_of_a_power_cut_is_no_obstacle(tmp_path: Path, lock: str) -> None:
    source = FleetSource(tmp_path / "remote")
    mirror = tmp_path / "mirror.git"
    GitRepository(str(mirror), str(source.path)).fetch()
    (mirror / lock).touch()
    new = source.commit("news")
    after = GitRepository(str(mirror), str(source.path))
    assert after.fetch() == after.tip() == new
    assert not (mirror / lock).exists()


def test_mirror_that_was_made_by_half_is_made_whole(tmp_path: Path) -> None:
    source = FleetSource(tmp_path / "remote")
    mirror = tmp_path / "mirror.git"
    mirror.mkdir()
    (mirror / "config.lock").touch()
    (mirror / "HEAD").write_text("ref: refs/heads/main\n")
    assert GitRepository(str(mirror), str(source.path)).fetch() == source.tip


def test_first_look_and_first_fetch_may_come_at_once(tmp_path: Path) -> None:
    source = FleetSource(tmp_path / "remote")
    for number in range(20):
        repository = GitRepository(str(tmp_path / f"{number}.git"), str(source.path))
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(repository.tip) for _ in range(4)]
            assert [one.result() for one in asked] == [None] * 4
