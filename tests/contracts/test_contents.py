"""The contract of `ports.Contents` and `ports.NodeFiles`, and what the directory promises to containers and disks."""

import os
import stat
import threading
from pathlib import Path

import pytest

from edgegitops.adapters.contents_directory import ContentsDirectory
from edgegitops.adapters.contents_memory import MemoryContents
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.reasons import Refusal
from edgegitops.errors import DeniedError, UnavailableError

DATA = b"listen = 8080\n"
SHA = sha256_hex(DATA)
EMPTY = sha256_hex(b"")


@pytest.fixture(params=["directory", "memory"])
def contents(request: pytest.FixtureRequest, tmp_path: Path) -> ContentsDirectory | MemoryContents:
    return ContentsDirectory(tmp_path / "contents") if request.param == "directory" else MemoryContents()


def test_new_store_is_empty(contents: ContentsDirectory | MemoryContents) -> None:
    assert contents.present() == frozenset()


def test_what_was_put_is_present(contents: ContentsDirectory | MemoryContents) -> None:
    contents.put(SHA, DATA)
    contents.put(EMPTY, b"")
    assert contents.present() == {SHA, EMPTY}


def test_putting_again_changes_nothing(contents: ContentsDirectory | MemoryContents) -> None:
    contents.put(SHA, DATA)
    contents.put(SHA, DATA)
    assert contents.present() == {SHA}


@pytest.mark.parametrize("name", [EMPTY, SHA.upper(), "", "../escape", SHA[:63], f"{SHA}\n"])
def test_bytes_of_another_digest_are_denied(contents: ContentsDirectory | MemoryContents, name: str) -> None:
    with pytest.raises(DeniedError, match="do not have the digest"):
        contents.put(name, DATA)
    assert contents.present() == frozenset()


def test_path_names_the_content(contents: ContentsDirectory | MemoryContents) -> None:
    contents.put(SHA, DATA)
    assert contents.path(SHA).startswith("/")
    assert contents.path(SHA).endswith(f"/{SHA}")


@pytest.mark.parametrize("name", [SHA, "", ".", "..", "../../etc/passwd"])
def test_path_of_what_is_not_there_is_denied(contents: ContentsDirectory | MemoryContents, name: str) -> None:
    with pytest.raises(DeniedError) as denied:
        contents.path(name)
    assert denied.value.reason == Refusal.CONTENT_MISSING


def test_files_can_be_read_by_containers_of_any_user(tmp_path: Path) -> None:
    contents = ContentsDirectory(tmp_path / "contents")
    contents.put(SHA, DATA)
    file = Path(contents.path(SHA))
    assert file.read_bytes() == DATA
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o111 == 0o111


def test_another_process_finds_what_was_stored(tmp_path: Path) -> None:
    ContentsDirectory(tmp_path).put(SHA, DATA)
    assert ContentsDirectory(tmp_path).present() == {SHA}


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA.upper(), DATA + b" "])
def test_damaged_content_is_not_present_and_is_replaced(tmp_path: Path, damage: bytes) -> None:
    ContentsDirectory(tmp_path).put(SHA, DATA)
    (tmp_path / SHA).chmod(0o644)
    (tmp_path / SHA).write_bytes(damage)
    contents = ContentsDirectory(tmp_path)
    assert contents.present() == frozenset()
    contents.put(SHA, DATA)
    assert contents.present() == {SHA}
    assert (tmp_path / SHA).read_bytes() == DATA


def test_damage_while_running_is_seen(tmp_path: Path) -> None:
    contents = ContentsDirectory(tmp_path)
    contents.put(SHA, DATA)
    assert contents.present() == {SHA}
    (tmp_path / SHA).write_bytes(DATA.upper())
    assert contents.present() == frozenset()
    (tmp_path / SHA).unlink()
    assert contents.present() == frozenset()


def test_content_is_hashed_once_while_it_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ContentsDirectory(tmp_path).put(SHA, DATA)
    contents = ContentsDirectory(tmp_path)
    assert contents.present() == {SHA}
    monkeypatch.setattr("hashlib.file_digest", None)
    assert contents.present() == {SHA}


def test_leftovers_of_a_killed_process_go_with_the_next_write(tmp_path: Path) -> None:
    (tmp_path / ".new-1234").write_bytes(b"half")
    (tmp_path / "README").write_bytes(b"not ours")
    contents = ContentsDirectory(tmp_path)
    assert contents.present() == frozenset()
    contents.put(SHA, DATA)
    assert {file.name for file in tmp_path.iterdir()} == {SHA, "README"}


def test_link_planted_under_a_digest_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(DATA)
    store = tmp_path / "contents"
    store.mkdir()
    (store / SHA).symlink_to(target)
    contents = ContentsDirectory(store)
    assert contents.present() == frozenset()
    contents.put(SHA, DATA)
    assert not (store / SHA).is_symlink()
    assert contents.present() == {SHA}


def test_several_threads_store_the_same_content(tmp_path: Path) -> None:
    contents = ContentsDirectory(tmp_path)
    threads = [threading.Thread(target=contents.put, args=(SHA, DATA)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [file.name for file in tmp_path.iterdir()] == [SHA]


def test_disk_that_does_not_take_it_may_work_later(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="check the disk"):
        ContentsDirectory(tmp_path / "file" / "contents").put(SHA, DATA)
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - names are what is asked
