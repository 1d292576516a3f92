"""Law: what Podman cannot do with files of the node is done here, beside it and as root, and is done when it is done.

1. A config file that asks for a mode or an owner has a copy of its own, written whole, then named.
2. A host directory is made once, under another name first; what is there is never changed. A host path is what it is
   said to be, or the container is not created; a link on the way to it is refused, because whoever may write to an
   allowed folder could point it at the whole node.
3. A device that is not there stops the creation, is waited for, or is left out, as the spec says.
4. The root of a volume gets owner and mode, and files are copied into it where they are absent, after Podman has filled
   the volume and before the program starts. Nothing inside a volume is followed: a link there was made by somebody
   inside the container and may point at the node.

Errors are OSError; what they mean to a step is told by the engine's adapter.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgegitops.adapters.engine_podman_request import artifact_tree, content_path
from edgegitops.core.model.spec import CreateSpec, Mount, Required

_IS: Mapping[str, Callable[[int], bool]] = {
    "directory": stat.S_ISDIR,
    "file": stat.S_ISREG,
    "socket": stat.S_ISSOCK,
    "char": stat.S_ISCHR,
    "block": stat.S_ISBLK,
}
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CONTENT = re.compile(r"[0-9a-f]{64}")
NO_CONTENT = "0" * 64
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class MissingError(OSError):
    """What the spec needs on the node is not there, or is something else."""


class AwaitedError(OSError):
    """What the spec waits for is not there yet."""


def dress(create: CreateSpec, contents_dir: str) -> None:
    """Copies of config files for mounts that ask for a mode or an owner."""
    for mount in create.mounts:
        for sha256 in filter(None, (mount.file, *mount.folder.values())):
            path = Path(content_path(contents_dir, sha256, mount))
            if path.name != sha256 and not mount.copy_once and not mount.secrets and not path.exists():
                _copy_dressed(Path(contents_dir) / sha256, path)


def demand_artifacts(create: CreateSpec, contents_dir: str) -> None:
    """AwaitedError where an artifact is not unpacked: the engine would make a folder in its place, or say little."""
    for mount in create.mounts:
        if mount.artifact and not Path(artifact_tree(contents_dir, mount.artifact)).is_dir():
            raise AwaitedError(f"the artifact {mount.artifact} is not on this node yet")


def absent_devices(create: CreateSpec) -> frozenset[str]:
    """Paths of devices that are not there and are not needed. MissingError or AwaitedError where one is."""
    absent = [device for device in create.devices if device.host and not Path(device.host).exists()]
    for device in absent:
        if device.required is Required.TRUE:
            raise MissingError(f"the device {device.host} is not on this node; plug it in, or say required: wait")
        if device.required is Required.WAIT:
            raise AwaitedError(f"the device {device.host} is not there yet")
    return frozenset(device.host for device in absent)


def demand_host_paths(create: CreateSpec) -> None:
    """Host directories that are to be made; MissingError where a path is not what the spec says."""
    for mount in create.mounts:
        if not mount.host:
            continue
        path = Path(mount.host)
        _demand_no_link(path)
        if mount.host_create and not path.exists():
            _make_folder(path, mount)
        if not path.exists():
            raise MissingError(f"the host path {path} is not on this node; make it, or say create: true")
        if mount.host_type and not _IS[mount.host_type](path.stat().st_mode):
            raise MissingError(f"the host path {path} is no {mount.host_type}")


def demand_no_links(mounts: Sequence[Mapping[str, Any]], contents_dir: str) -> None:
    """MissingError where a link stands on the way to a host path of an inspected container: the engine follows links
    at each start, and whoever may write to the folder may have made one since the container was created.
    """
    sources = [one.get("Source") or "" for one in mounts if one.get("Type") == "bind"]
    for source in sources:
        if source and not source.startswith(f"{contents_dir}/"):
            _demand_no_link(Path(source))


def _demand_no_link(path: Path) -> None:
    if path.resolve() != path:
        raise MissingError(f"the host path {path} leads through a link to {path.resolve()}; name the real path")


def settle(work: Sequence[Mapping[str, Any]], folders: Mapping[str, str], contents_dir: str) -> None:
    """Do what `volume_work` asks, inside the volumes' `folders` (engine name -> path on the node)."""
    for task in work:
        if not _CONTENT.fullmatch(task.get("content", NO_CONTENT)):
            raise MissingError(f"{task['content']!r} is no config file")
        root = os.open(folders[task["volume"]], FOLDER)
        try:
            if "path" in task:
                _copy_once(root, task, Path(contents_dir) / task["content"])
            elif "folder" not in task:
                own(root, task)
        finally:
            os.close(root)


def own(handle: int, task: Mapping[str, Any]) -> None:
    """Owner and mode of an open file or folder; None leaves what is there."""
    there = os.fstat(handle)
    uid = there.st_uid if task["uid"] is None else task["uid"]
    gid = there.st_gid if task["gid"] is None else task["gid"]
    if (uid, gid) != (there.st_uid, there.st_gid):
        os.fchown(handle, uid, gid)
    if task["mode"] is not None and stat.S_IMODE(os.fstat(handle).st_mode) != task["mode"]:
        os.fchmod(handle, task["mode"])


def _copy_once(root: int, task: Mapping[str, Any], content: Path) -> None:
    *folders, name = task["path"].split("/")
    at = os.dup(root)
    try:
        for folder in folders:
            below = opened(at, folder, task)
            os.close(at)
            at = below
        if not _is_there(at, name):
            _write_new(at, name, content.read_bytes(), task)
    finally:
        os.close(at)


def _is_there(at: int, name: str) -> bool:
    """Whether an open folder has an entry of this name, be it a link to nowhere."""
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def opened(at: int, folder: str, task: Mapping[str, Any]) -> int:
    """The folder below an open one, made where it is absent; OSError where a link stands in its place."""
    try:
        return os.open(folder, FOLDER, dir_fd=at)
    except FileNotFoundError:
        os.mkdir(folder, 0o755, dir_fd=at)
    below = os.open(folder, FOLDER, dir_fd=at)
    own(below, {**task, "mode": None})
    return below


def _write_new(at: int, name: str, data: bytes, task: Mapping[str, Any]) -> None:
    """Write beside, then link: a file that appears meanwhile is not replaced, and half a file is never seen."""
    part = f".{name}.edgegitops-new"
    if _is_there(at, part):
        os.unlink(part, dir_fd=at)
    handle = os.open(part, _NEW_FILE, 0o600, dir_fd=at)
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(data)
        own(handle, {**task, "mode": 0o644 if task["mode"] is None else task["mode"]})
        os.fsync(handle)
        os.link(part, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
    except FileExistsError:
        return
    finally:
        os.close(handle)
        os.unlink(part, dir_fd=at)
        os.fsync(at)


def _make_folder(path: Path, mount: Mount) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.edgegitops-new")
    part.mkdir(exist_ok=True)
    os.chown(part, mount.uid or 0, mount.gid or 0)
    part.chmod(0o755 if mount.mode is None else mount.mode)
    part.rename(path)


def _copy_dressed(source: Path, target: Path) -> None:
    """Copy a content with the mode and owner that its name tells: `<sha256>.<octal mode>.<uid>.<gid>`."""
    _, mode, uid, gid = target.name.split(".")
    target.parent.mkdir(mode=0o711, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        part.write_bytes(source.read_bytes())
        os.chown(part, int(uid), int(gid))
        part.chmod(int(mode, 8))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
