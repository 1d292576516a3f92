"""Law: a mount has one absolute target, one source that is declared, and stands in the order in which it is applied.

Order: by depth of the target, then by name, so that an inner mount comes after the outer one. Configs are read-only,
for their file is shared by all who have the same content. An engine socket, or a folder that holds one, is refused
whatever any policy says: it would hand the node to the container.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgegitops.core.desired.configs import Config
from edgegitops.core.desired.places import did_you_mean
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.quantities import parse_memory
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Mount

SOURCES = ("volume", "config", "tmpfs", "hostPath")
_OPTIONS = ("readOnly", "mode", "uid", "gid")
_KEYS = Keys(
    frozenset({*SOURCES, *_OPTIONS, "path"}),
    frozenset({"subPath", "secret", "key", "artifact", "type", "create", "relabel", "propagation", "onlyIfAbsent"}),
    (("source", "volume or hostPath"), ("bind", "hostPath"), ("file", "config"), ("ro", "readOnly: true")),
)
_TMPFS_KEYS = Keys(frozenset({"size", "mode"}))
_MODE = re.compile(r"0?[0-7]{3,4}\Z")
_HIGHEST_ID = 2**32 - 2
_SOCKETS = (
    "/run/podman/podman.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/user/0/podman/podman.sock",
)
_SOCKET_NAMES = frozenset({"podman.sock", "docker.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock"})
_SOCKET_FOLDERS = frozenset({"podman", "containerd", "crio", "docker"})


@dataclass(frozen=True, slots=True)
class Sources:
    """What the application declares for mounts: names of volumes, and configs (None: faulty, told already)."""

    volumes: frozenset[str]
    configs: Mapping[str, Config | None]


def clean_path(path: str) -> str:
    """An absolute path without doubled, trailing or `.` parts; empty where it is not absolute or climbs with `..`."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if not path.startswith("/") or ".." in parts or "\0" in path:
        return ""
    return "/" + "/".join(parts)


def is_engine_socket(path: str) -> bool:
    """Whether a clean host path is an engine's socket, its folder, a folder above one, or another name for one."""
    path = "/run" + path.removeprefix("/var/run") if path == "/var/run" or path.startswith("/var/run/") else path
    parts = path.strip("/").split("/")
    if parts[-1] in _SOCKET_NAMES or any(f"{socket}/".startswith(f"{path.rstrip('/')}/") for socket in _SOCKETS):
        return True
    if parts[0] == "proc":  # /proc/1/root is the whole node under another name
        return len(parts) == 1 or parts[1].isdigit() or parts[1] in {"self", "thread-self"}
    return parts[0] == "run" and (parts[1] == "user" or not _SOCKET_FOLDERS.isdisjoint(parts[1:]))


def read_mounts(spot: Cursor, sources: Sources) -> tuple[Mount, ...]:
    """The mounts of a container in the order in which they are applied."""
    found: dict[str, Mount] = {}
    for target, entry in spot.entries().items():
        path = clean_path(target)
        if path in {"", "/"}:
            entry.note(FaultCode.WRONG_FORMAT, f"{target!r} is no target", "an absolute path without '..', not '/'")
        elif path in found:
            entry.note(FaultCode.DUPLICATE_NAME, f"{path!r} is mounted twice")
        elif (mount := _mount(entry, path, sources)) is not None:
            found[path] = mount
    return sort_mounts(found.values())


def sort_mounts(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Outer targets before inner ones, then by name."""
    return tuple(sorted(mounts, key=lambda mount: (mount.target.count("/"), mount.target)))


def _mount(entry: Cursor, target: str, sources: Sources) -> Mount | None:
    before = len(entry.scope.faults)
    fields = entry.fields(_KEYS)
    kinds = [name for name in SOURCES if name in fields]
    if len(kinds) != 1:
        if len(entry.scope.faults) == before:
            entry.note(FaultCode.MISSING_FIELD, f"{len(kinds)} sources", f"exactly one of {', '.join(SOURCES)}")
        return None
    source = fields[kinds[0]]
    match kinds[0]:
        case "volume":
            mount = _volume(source, target, sources)
        case "config":
            mount = _config(source, target, sources, fields)
        case "tmpfs":
            mount = _tmpfs(source, target)
        case _:
            mount = _host_path(source, target)
    if "path" in fields and kinds[0] != "config":
        fields["path"].note(FaultCode.UNKNOWN_FIELD, "only a config has a path", "config: name")
    return None if mount is None else _with_options(mount, fields)


def _with_options(mount: Mount, fields: Mapping[str, Cursor]) -> Mount:
    if "readOnly" in fields:
        is_read_only = fields["readOnly"].flag()
        if mount.read_only and not is_read_only:
            fields["readOnly"].note(FaultCode.NOT_SUPPORTED_YET, "a config cannot be written to", "a volume for data")
        mount = replace(mount, read_only=is_read_only)
    if "mode" in fields:
        mount = replace(mount, mode=_mode(fields["mode"]))
    if "uid" in fields:
        mount = replace(mount, uid=fields["uid"].whole(0, _HIGHEST_ID))
    if "gid" in fields:
        mount = replace(mount, gid=fields["gid"].whole(0, _HIGHEST_ID))
    return mount


def _volume(source: Cursor, target: str, sources: Sources) -> Mount | None:
    name = source.text()
    if name not in sources.volumes:
        unknown(source, "volume", name, sources.volumes)
        return None
    return Mount(target, volume=name)


def _config(source: Cursor, target: str, sources: Sources, fields: Mapping[str, Cursor]) -> Mount | None:
    name = source.text()
    if name not in sources.configs:
        unknown(source, "config", name, sources.configs)
        return None
    config = sources.configs[name]
    if config is None:
        return None
    if "path" in fields:
        path = fields["path"].text().removeprefix("./")
        if path not in config.digests or not path:
            unknown(fields["path"], "file", path, config.digests)
            return None
        return Mount(target, file=config.digests[path], read_only=True)
    if config.is_folder:
        return Mount(target, folder=config.digests, read_only=True)
    return Mount(target, file=config.digests[""], read_only=True)


def _tmpfs(source: Cursor, target: str) -> Mount:
    fields = source.fields(_TMPFS_KEYS)
    size = fields["size"].quantity(parse_memory, 0) if "size" in fields else None
    mode = _mode(fields["mode"]) if "mode" in fields else None
    return Mount(target, tmpfs=True, tmpfs_size=size, mode=mode)


def _host_path(source: Cursor, target: str) -> Mount | None:
    path = clean_path(source.expanded())
    if not path:
        source.note(FaultCode.PATH_ESCAPES, f"{source.tree!r} is no path", "an absolute path without '..'")
        return None
    if is_engine_socket(path):
        source.note(FaultCode.WRONG_VALUE, f"{path} gives the container the whole node; never allowed")
        return None
    return Mount(target, host=path)


def _mode(spot: Cursor) -> int | None:
    """File mode bits, written in octal as a text: `"0644"`."""
    if not isinstance(spot.tree, str) or not _MODE.match(spot.tree):
        spot.note(FaultCode.WRONG_FORMAT, f"{spot.tree!r} is no file mode", 'an octal number in quotes: "0644"')
        return None
    return int(spot.tree, 8)


def unknown(spot: Cursor, what: str, name: str, known: Iterable[str]) -> None:
    """A reference to something that is not declared."""
    names = sorted(known)
    expected = f"one of {', '.join(names)}" if names else f"the application declares no {what}s"
    spot.note(FaultCode.UNKNOWN_REFERENCE, f"there is no {what} {name!r}", expected, did_you_mean(name, names))
