"""Law: a config that changes under a running program is exchanged whole, and is said to be told only once it is.

1. Each container with live configs has a folder beside the content store, and in it one for each mount. That one is
   bound, so what is renamed inside is seen inside: `..data` is a link to the folder of the newest contents, and the
   names in the mount are links into `..data`. One rename exchanges all files of a mount at once.
2. A config that is one file is reached by a link at its target, in the container's own file system. It is put there
   while the container does not run, through the engine, which follows no link out of the container.
3. `told` holds the digest of what was put and of which the program knows; it goes before anything is changed and comes
   back last. So a death in between is seen, and the same is done again: contents are written anew, under a new name.

Errors are OSError, of what is asked of the engine OutsideError.
"""

import io
import os
import shutil
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from edgegitops.adapters.engine_podman_folders import MissingError
from edgegitops.adapters.engine_podman_request import LIVE_FOLDER, live_folder, live_key
from edgegitops.adapters.engine_podman_wire import Wire, denied, judged
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.spec import Mount

NEWEST = "..data"
ONLY = "content"
"""The name of a config that is one file."""


def told(contents_dir: str, name: str) -> str:
    """The digest of the live configs that a container knows of; empty where there are none or nobody is sure."""
    try:
        return (Path(live_folder(contents_dir, name)) / "told").read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def tell(contents_dir: str, name: str, digest: str) -> None:
    """Note that the container knows of these configs."""
    folder = Path(live_folder(contents_dir, name))
    part = folder / "told.new"
    part.write_text(digest, encoding="ascii")
    part.replace(folder / "told")


def put(contents_dir: str, name: str, mounts: Sequence[Mount], configs: Mapping[str, Mapping[str, str]]) -> None:
    """Put contents where the live mounts of a container show them. MissingError where one is not in the store."""
    folder = Path(live_folder(contents_dir, name))
    (folder / "told").unlink(missing_ok=True)
    for mount in mounts:
        if mount.live:
            _put(folder / live_key(mount), mount, configs[mount.target], Path(contents_dir))


def forget(contents_dir: str, name: str) -> None:
    """Remove the live configs of a container that is gone."""
    shutil.rmtree(live_folder(contents_dir, name), ignore_errors=True)


def link(wire: Wire, name: str, mounts: Sequence[Mount]) -> None:
    """Links at the targets of live configs that are files, in the file system of a container that does not run."""
    files = [mount for mount in mounts if mount.live == "file"]
    if not files:
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for mount in files:
            entry = tarfile.TarInfo(mount.target.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, f"{LIVE_FOLDER}/{live_key(mount)}/{NEWEST}/{ONLY}"
            archive.addfile(entry)
    path = f"/containers/{quote(name, safe='')}/archive"
    answer = wire.ask("PUT", path, params={"path": "/"}, body=packed.getvalue())
    if not answer.is_ok:
        raise judged(f"link configs of {name}", answer.text(), Refusal.CREATE_FAILED)


def send(wire: Wire, name: str, signal: str) -> None:
    """Send the program a signal. What ended meanwhile reads the new contents when it starts."""
    answer = wire.ask("POST", f"/containers/{quote(name, safe='')}/kill", params={"signal": signal})
    if answer.is_ok or "can only kill running" in answer.text().lower():
        return
    if "signal" in answer.text().lower():
        raise denied(f"signal {name}", answer.text(), Refusal.START_FAILED)
    raise judged(f"signal {name}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)


def _put(place: Path, mount: Mount, contents: Mapping[str, str], store: Path) -> None:
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    newest = place / f"..{time.time_ns()}"
    newest.mkdir()
    for path, sha256 in contents.items():
        file = newest / (path or ONLY)
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, store / sha256, mount)
    for folder in (place, newest, *(one for one in newest.rglob("*") if one.is_dir())):
        folder.chmod(0o755)
        _settle(folder)
    names = {path.partition("/")[0] for path in contents} if mount.live == "folder" else set()
    _point(place / NEWEST, newest.name)
    for name in names:
        _point(place / name, f"{NEWEST}/{name}")
    for entry in place.iterdir():
        if entry.name not in names | {NEWEST, newest.name}:
            _remove(entry)
    _settle(place)


def _write(file: Path, content: Path, mount: Mount) -> None:
    try:
        data = content.read_bytes()
    except FileNotFoundError as lost:
        raise MissingError(f"the config content {content.name} is not on this node") from lost
    with file.open("wb") as opened:
        opened.write(data)
        os.fchown(opened.fileno(), mount.uid or 0, mount.gid or 0)
        os.fchmod(opened.fileno(), 0o444 if mount.mode is None else mount.mode)
        opened.flush()
        os.fsync(opened.fileno())


def _point(link_path: Path, target: str) -> None:
    """A link that leads to `target` from one instant to the next."""
    part = link_path.with_name("..link")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(link_path)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
