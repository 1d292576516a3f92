"""The contract of `ports.Snapshots`, and what the directory promises: every kind of file, one end however it is hit."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgegitops.adapters import snapshots_directory
from edgegitops.adapters.snapshots_copy import copy_folder, remove_folder, size_of
from edgegitops.adapters.snapshots_directory import SnapshotsDirectory
from edgegitops.adapters.snapshots_memory import MemorySnapshots
from edgegitops.core.model.snapshots import SnapshotSeen
from edgegitops.errors import DeniedError, OutsideError, UnavailableError

VOLUME, FAILED, KEY = "line.data", "line.data.failed-0123456789ab", "20260601T060000000000-0123456789ab"


class Silence:
    def info(self, event: str, **fields: object) -> None:
        """Nobody listens."""

    def warning(self, event: str, **fields: object) -> None:
        """Nobody listens."""


class OnDisk:
    """Volumes as Podman lays them out, and copies of them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in (VOLUME, FAILED):
            (home / "volumes" / name / "_data").mkdir(parents=True)
        self.snapshots = SnapshotsDirectory(home / "snapshots", self.place, Silence())

    def place(self, volume: str) -> str:
        if not (self.home / "volumes" / volume).is_dir():
            raise UnavailableError("engine", "inspect", f"no volume {volume}")
        return str(self.home / "volumes" / volume / "_data")

    def write(self, volume: str, text: str) -> None:
        Path(self.place(volume), "file").write_text(text)

    def read(self, volume: str) -> str:
        file = Path(self.place(volume), "file")
        return file.read_text() if file.exists() else ""


class InMemory:
    def __init__(self) -> None:
        self.snapshots = MemorySnapshots()

    def write(self, volume: str, text: str) -> None:
        self.snapshots.data[volume] = (text,)

    def read(self, volume: str) -> str:
        return "".join(self.snapshots.data.get(volume, ()))


@pytest.fixture(params=["directory", "memory"])
def plant(request: pytest.FixtureRequest, tmp_path: Path) -> OnDisk | InMemory:
    return OnDisk(tmp_path) if request.param == "directory" else InMemory()


@pytest.fixture
def disk(tmp_path: Path) -> OnDisk:
    return OnDisk(tmp_path)


def test_nothing_is_there_at_first(plant):
    assert plant.snapshots.present() == ()


def test_copy_that_was_made_is_seen_and_made_once(plant):
    plant.write(VOLUME, "old")
    plant.snapshots.take(VOLUME, KEY)
    plant.write(VOLUME, "new")
    plant.snapshots.take(VOLUME, KEY)
    assert plant.snapshots.present() == (SnapshotSeen(VOLUME, KEY),)
    plant.snapshots.restore(VOLUME, KEY, FAILED)
    assert plant.read(VOLUME) == "old"


def test_copy_that_is_put_back_leaves_what_was_there_in_the_failed_volume(plant):
    plant.write(VOLUME, "old")
    plant.snapshots.take(VOLUME, KEY)
    plant.write(VOLUME, "spoiled")
    plant.snapshots.restore(VOLUME, KEY, FAILED)
    plant.snapshots.restore(VOLUME, KEY, FAILED)
    assert (plant.read(VOLUME), plant.read(FAILED)) == ("old", "spoiled")


def test_copy_that_is_dropped_is_gone_and_dropping_again_changes_nothing(plant):
    plant.snapshots.take(VOLUME, KEY)
    plant.snapshots.drop(VOLUME, KEY)
    plant.snapshots.drop(VOLUME, KEY)
    assert plant.snapshots.present() == ()


def test_copy_that_does_not_exist_cannot_be_put_back_and_nothing_is_touched(plant):
    plant.write(VOLUME, "new")
    with pytest.raises(UnavailableError, match="no copy"):
        plant.snapshots.restore(VOLUME, KEY, FAILED)
    assert plant.read(VOLUME) == "new"


def test_volumes_and_free_room_are_measured(plant):
    plant.write(VOLUME, "x" * 9000)
    room = plant.snapshots.measure([VOLUME])
    assert room.volumes[VOLUME] >= 1
    assert room.free_for_snapshots > 0
    assert room.free_for_volumes > 0
    assert room.is_one_disk


# --- the directory


def test_copy_holds_every_kind_of_file_as_it_is(disk):
    root = Path(disk.place(VOLUME))
    (root / "plain").write_text("text")
    os.chown(root / "plain", 999, 998)
    (root / "plain").chmod(0o4751)
    os.setxattr(root / "plain", "user.note", b"kept")
    os.utime(root / "plain", ns=(10**18, 10**18 + 5))
    os.link(root / "plain", root / "twin")
    (root / "folder").mkdir(mode=0o2770)
    (root / "folder" / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe", 0o620)
    with (root / "sparse").open("wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
    os.utime(root / "folder", ns=(10**18, 10**18))
    os.chown(root, 999, 999)
    disk.snapshots.take(VOLUME, KEY)
    copy = disk.home / "snapshots" / VOLUME / KEY / "data"
    assert [_told(copy / name, copy) for name in _names(copy)] == [_told(root / name, root) for name in _names(root)]
    assert os.getxattr(copy / "plain", "user.note") == b"kept"
    assert (copy / "plain").stat().st_ino == (copy / "twin").stat().st_ino
    assert (copy / "sparse").stat().st_blocks * 512 < 1_000_000
    assert (copy / "sparse").read_bytes()[-3:] == b"end"


def _entries(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def _names(folder: Path) -> list[str]:
    return [*sorted(str(path.relative_to(folder)) for path in folder.rglob("*")), "."]


def _told(path: Path, root: Path) -> tuple[object, ...]:
    there = path.lstat()
    content = path.read_text() if path.name in {"plain", "twin"} else ""
    aim = str(path.readlink()) if path.is_symlink() else ""
    is_dated = not path.is_symlink() and path != root
    kind = (stat.S_IFMT(there.st_mode), stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid)
    return (*kind, there.st_mtime_ns if is_dated else 0, there.st_size if path.is_file() else 0, content, aim)


def test_link_in_a_volume_leads_nobody_out_of_it(disk, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (Path(disk.place(VOLUME)) / "way").symlink_to(outside)
    disk.snapshots.take(VOLUME, KEY)
    disk.snapshots.drop(VOLUME, KEY)
    assert (outside / "secret").read_text() == "secret"


def test_very_deep_tree_is_copied_measured_put_back_and_dropped(disk):
    place = Path(disk.place(VOLUME))
    pearl = place.joinpath(*["d"] * 1500, "pearl")
    for name in pearl.parent.relative_to(place).parts:
        place /= name
        place.mkdir()
    try:
        pearl.write_text("old")
        disk.snapshots.take(VOLUME, KEY)
        assert disk.snapshots.measure([VOLUME]).volumes[VOLUME] > 0
        for text in ("new", "newer"):  # the second time it meets what the first left in the failed volume
            pearl.write_text(text)
            disk.snapshots.restore(VOLUME, KEY, FAILED)
            assert pearl.read_text() == "old"
            disk.snapshots.drop(VOLUME, KEY)
            disk.snapshots.take(VOLUME, KEY)
        disk.snapshots.drop(VOLUME, KEY)
        assert disk.snapshots.present() == ()
    finally:
        remove_folder(disk.home)  # who tidies up after tests goes no deeper than calls may


def test_tree_with_names_that_are_too_long_together_is_removed_all_the_same(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(100):  # 100 times 200 letters: no path leads there
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.symlink(tmp_path, "away", dir_fd=here)
    os.close(here)
    (tmp_path / "kept").touch()
    remove_folder(top)
    assert _entries(tmp_path) == ["kept"]


def test_file_with_two_names_counts_once(tmp_path):
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    alone = size_of(tmp_path)
    os.link(tmp_path / "one", tmp_path / "two")
    assert size_of(tmp_path) == alone


def test_half_made_copy_is_made_anew(disk):
    disk.write(VOLUME, "old")
    part = disk.home / "snapshots" / VOLUME / KEY / "data.part"
    part.mkdir(parents=True)
    (part / "half").write_text("half")
    disk.snapshots.take(VOLUME, KEY)
    assert _entries(part.parent / "data") == ["file"]
    assert not part.exists()


def test_copy_on_another_disk_is_copied_back(disk, monkeypatch):
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if "snapshots" in str(self) and ".edgegitops-" in str(target):
            raise OSError(18, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    disk.write(VOLUME, "old")
    disk.snapshots.take(VOLUME, KEY)
    disk.write(VOLUME, "spoiled")
    disk.snapshots.restore(VOLUME, KEY, FAILED)
    assert (disk.read(VOLUME), disk.read(FAILED)) == ("old", "spoiled")


def test_older_remains_in_the_failed_volume_go(disk):
    disk.write(VOLUME, "old")
    disk.snapshots.take(VOLUME, KEY)
    disk.write(VOLUME, "spoiled")
    (Path(disk.place(FAILED)) / "older").write_text("of an earlier failure")
    disk.snapshots.restore(VOLUME, KEY, FAILED)
    assert _entries(Path(disk.place(FAILED))) == ["file"]


def test_dropping_takes_what_an_interrupted_way_back_left(disk):
    disk.snapshots.take(VOLUME, KEY)
    back = disk.home / "volumes" / VOLUME / f".edgegitops-{KEY}"
    back.mkdir()
    disk.snapshots.drop(VOLUME, KEY)
    assert not back.exists()
    assert _entries(disk.home / "snapshots") == []


def test_volume_that_is_gone_is_told_and_nothing_is_made(disk):
    with pytest.raises(OutsideError, match="no volume"):
        disk.snapshots.take("line.gone", KEY)
    assert disk.snapshots.present() == ()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\n"])
def test_name_that_leads_elsewhere_is_denied(disk, name):
    with pytest.raises(DeniedError):
        disk.snapshots.drop(name, KEY)
    with pytest.raises(DeniedError):
        disk.snapshots.drop(VOLUME, name)


def test_disk_that_fails_denies_the_copy_and_leaves_no_half(disk, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots_directory, "copy_folder", broken)
    with pytest.raises(DeniedError, match="No space left") as denied:
        disk.snapshots.take(VOLUME, KEY)
    assert denied.value.reason == "snapshot-failed"
    assert not (disk.home / "snapshots" / VOLUME / KEY / "data").exists()


class Killed(BaseException):
    """kill -9, as seen from inside: nothing is cleaned up."""


def _hits(monkeypatch: pytest.MonkeyPatch, at: int) -> list[str]:
    """Let the n-th call that changes the disk be the last one, before or after it; what comes back is what was done."""
    done: list[str] = []

    def hit(kind: object, name: str) -> None:
        real: Callable[..., object] = getattr(kind, name)

        def call(*args: object, **kwargs: object) -> object:
            done.append(f"before {name}")
            if len(done) == at:
                raise Killed
            answer = real(*args, **kwargs)
            done.append(f"after {name}")
            if len(done) == at:
                raise Killed
            return answer

        monkeypatch.setattr(kind, name, call)

    hit(Path, "rename")
    hit(Path, "write_text")
    hit(snapshots_directory, "remove_folder")
    hit(snapshots_directory, "copy_folder")
    hit(snapshots_directory, "sync")
    return done


def _road_back(disk: OnDisk) -> None:
    disk.snapshots.restore(VOLUME, KEY, FAILED)


@pytest.mark.parametrize("is_other_disk", [False, True])
def test_way_back_that_is_hit_anywhere_is_finished_by_the_next(tmp_path, monkeypatch, is_other_disk):
    for at in range(1, 60):
        disk = OnDisk(tmp_path / str(at))
        disk.write(VOLUME, "old")
        disk.snapshots.take(VOLUME, KEY)
        disk.write(VOLUME, "spoiled")
        with monkeypatch.context() as hitting:
            if is_other_disk:
                _part_disks(hitting)
            done = _hits(hitting, at)
            try:
                _road_back(disk)
                assert len(done) < at
                is_over = True
            except Killed:
                is_over = False
        with monkeypatch.context() as again:
            if is_other_disk:
                _part_disks(again)
            _road_back(disk)
        assert (disk.read(VOLUME), disk.read(FAILED)) == ("old", "spoiled"), done
        if is_over:
            return
    raise AssertionError("it never ended")


def _part_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if "snapshots" in str(self) and ".edgegitops-" in str(target):
            raise OSError(18, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)


def test_copy_that_is_killed_is_never_taken_for_a_whole_one(disk):
    root = Path(disk.place(VOLUME))
    for number in range(400):
        (root / f"{number:03}").write_bytes(os.urandom(20_000))
    names = _entries(root)
    script = (
        "import sys; from pathlib import Path\n"
        "from edgegitops.adapters.snapshots_directory import SnapshotsDirectory\n"
        "class Log:\n    info = warning = staticmethod(lambda *a, **k: None)\n"
        "print('go', flush=True)\n"
        "SnapshotsDirectory(sys.argv[1], lambda _: sys.argv[2], Log()).take(sys.argv[3], sys.argv[4])\n"
    )
    argv = [sys.executable, "-c", script, str(disk.home / "snapshots"), str(root), VOLUME, KEY]
    part = disk.home / "snapshots" / VOLUME / KEY / "data.part"
    was_half = False
    for count in (1, 50, 200):
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
            while child.poll() is None and _count(part) < count:
                pass
            child.kill()
        was_half = was_half or part.exists()
        whole = part.with_name("data")
        assert not whole.exists() or _entries(whole) == names
    assert was_half, "it was always faster"
    disk.snapshots.take(VOLUME, KEY)
    assert _entries(part.with_name("data")) == names


def _count(folder: Path) -> int:
    """Entries of a folder that somebody else makes and removes meanwhile."""
    try:
        return len(list(folder.iterdir()))
    except FileNotFoundError:
        return 0


def test_copying_tells_how_far_it_is(tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_bytes(b"x" * 300_000)
    told: list[int] = []
    copy_folder(tmp_path / "from", tmp_path / "to", told.append)
    assert sum(told) in {0, 300_000}  # shared blocks are not copied
