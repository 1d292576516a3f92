"""What is done with files of the node is not led astray by links, nor by labels that somebody else wrote."""

import pytest

from edgegitops.adapters.engine_podman_folders import MissingError, demand_host_paths, demand_no_links, settle
from edgegitops.core.model.spec import CreateSpec, Mount


def create(path, **options):
    return CreateSpec(image="registry.example/app@sha256:" + "0" * 64, mounts=(Mount("/x", host=str(path), **options),))


@pytest.mark.parametrize("options", [{}, {"host_create": True, "host_type": "directory"}])
@pytest.mark.parametrize("below", ["link", "link/deeper"])
def test_host_path_through_a_link_is_refused_and_nothing_is_made(tmp_path, below, options):
    (tmp_path / "node").mkdir()
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed/link").symlink_to(tmp_path / "node")
    with pytest.raises(MissingError, match="name the real path"):
        demand_host_paths(create(tmp_path / "allowed" / below, **options))
    assert list((tmp_path / "node").iterdir()) == []


def test_link_that_was_made_after_the_creation_is_refused_at_the_start(tmp_path):
    (tmp_path / "data").mkdir()
    mounts = [
        {"Type": "bind", "Source": str(tmp_path / "data")},
        {"Type": "bind", "Source": str(tmp_path / "contents/abc")},
        {"Type": "volume", "Source": "/var/lib/volumes/x"},
    ]
    demand_host_paths(create(tmp_path / "data"))
    demand_no_links(mounts, str(tmp_path / "contents"))
    (tmp_path / "data").rmdir()
    (tmp_path / "data").symlink_to("/etc")
    with pytest.raises(MissingError, match="/etc"):
        demand_no_links(mounts, str(tmp_path / "contents"))


@pytest.mark.parametrize("content", ["/etc/shadow", "../secret", "", "A" * 64])
def test_only_config_files_are_copied_into_volumes(tmp_path, content):
    for folder in ("contents", "volume"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secret").write_text("secret")
    task = {"volume": "v", "path": "stolen", "content": content, "mode": 0o644, "uid": None, "gid": None}
    with pytest.raises(MissingError):
        settle([task], {"v": str(tmp_path / "volume")}, str(tmp_path / "contents"))
    assert list((tmp_path / "volume").iterdir()) == []
