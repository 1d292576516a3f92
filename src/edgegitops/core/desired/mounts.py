"""Law: a mount has one absolute target, one source that is declared, and stands in the order in which it is applied.

Order: by depth of the target, then by name, so that an inner mount comes after the outer one. Configs and artifacts are
read-only, for they are shared by all who have the same content; a config with `onlyIfAbsent` is copied into the volume
around it and belongs to the application.

An engine socket, or a folder that holds one, is refused whatever any policy says: it would hand the node to the
container. What an option means for one kind of source only is a fault on the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from edgegitops.core.desired.configs import Config
from edgegitops.core.desired.reading import Cursor, Keys, unknown
from edgegitops.core.desired.secrets import read_ref
from edgegitops.core.desired.volumes import Volume, read_mode
from edgegitops.core.model.quantities import parse_memory
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.secrets import SecretRef
from edgegitops.core.model.spec import Mount

SOURCES = ("volume", "config", "secret", "artifact", "tmpfs", "hostPath")
_OPTIONS = ("readOnly", "mode", "uid", "gid", "relabel", "propagation", "onlyIfAbsent")
_KEYS = Keys(
    frozenset({*SOURCES, *_OPTIONS, "path", "key", "subPath", "type", "create"}),
    frozenset(),
    (("source", "volume or hostPath"), ("bind", "hostPath"), ("file", "config"), ("ro", "readOnly: true")),
)
_TMPFS_KEYS = Keys(frozenset({"size", "mode"}))
_HIGHEST_ID = 2**32 - 2
# What an option means something for; anywhere else it would be passed over in silence.
_ONLY_FOR = {
    "path": frozenset({"config"}),
    "key": frozenset({"secret"}),
    "subPath": frozenset({"volume"}),
    "onlyIfAbsent": frozenset({"config"}),
    "type": frozenset({"hostPath"}),
    "create": frozenset({"hostPath"}),
    "relabel": frozenset({"volume", "hostPath"}),
    "propagation": frozenset({"volume", "hostPath"}),
    "uid": frozenset({"config", "secret", "hostPath"}),
    "gid": frozenset({"config", "secret", "hostPath"}),
    "mode": frozenset({"config", "secret", "hostPath", "tmpfs"}),
}
_INSTEAD = {"volume": "owner and mode under volumes", "tmpfs": "mode: a tmpfs belongs to root"}
_SOCKETS = (
    "/run/podman/podman.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/user/0/podman/podman.sock",
)
_SOCKET_NAMES = frozenset({"podman.sock", "docker.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock"})
_SOCKET_FOLDERS = frozenset({"podman", "containerd", "crio", "docker"})


class HostType(StrEnum):
    """What must be at a host path."""

    DIRECTORY = "directory"
    FILE = "file"
    SOCKET = "socket"
    CHAR = "char"
    BLOCK = "block"


class Propagation(StrEnum):
    """Whether mounts made inside later are seen outside, and the other way round."""

    PRIVATE = "private"
    RPRIVATE = "rprivate"
    SLAVE = "slave"
    RSLAVE = "rslave"
    SHARED = "shared"
    RSHARED = "rshared"


class Relabel(StrEnum):
    """The SELinux label that the engine gives a source."""

    NONE = "none"
    PRIVATE = "private"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Sources:
    """What the application declares for mounts and variables; None: faulty, told already."""

    volumes: Mapping[str, Volume]
    configs: Mapping[str, Config | None]
    artifacts: Mapping[str, str | None] = field(default_factory=dict)
    secrets: Mapping[str, SecretRef | None] = field(default_factory=dict)


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
    for path in [path for path, mount in found.items() if mount.copy_once and not _is_in_volume(path, found)]:
        what = f"{path!r} lies in no writable volume"
        spot.note(FaultCode.WRONG_VALUE, what, "a volume mounted above it: onlyIfAbsent copies the file into that")
    return sort_mounts(found.values())


def _is_in_volume(path: str, mounts: Mapping[str, Mount]) -> bool:
    """Whether the nearest mount above a path is a volume that can be written to."""
    above = [target for target, mount in mounts.items() if path.startswith(f"{target}/") and not mount.copy_once]
    nearest = mounts[max(above, key=len)] if above else None
    return nearest is not None and bool(nearest.volume) and not nearest.read_only


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
            mount = _volume(source, target, sources, fields)
        case "config":
            mount = _config(source, target, sources, fields)
        case "secret":
            ref = read_ref(fields, sources.secrets)
            mount = None if ref is None else Mount(target, secret=ref, read_only=True)
        case "artifact":
            mount = _artifact(source, target, sources)
        case "tmpfs":
            mount = _tmpfs(source, target)
        case _:
            mount = _host_path(source, target)
    for key in sorted(set(fields) & set(_ONLY_FOR)):
        if kinds[0] not in _ONLY_FOR[key]:
            instead = _INSTEAD.get(kinds[0], "") if key in {"uid", "gid", "mode"} else ""
            only = f"only with {' or '.join(sorted(_ONLY_FOR[key]))}"
            code = FaultCode.UNKNOWN_FIELD if key == "path" else FaultCode.WRONG_VALUE
            fields[key].note(code, f"{key} means nothing with {kinds[0]}", instead or only)
            return None
    return None if mount is None else _with_options(mount, fields)


def _with_options(mount: Mount, fields: Mapping[str, Cursor]) -> Mount:
    if "onlyIfAbsent" in fields and fields["onlyIfAbsent"].flag():
        if mount.secrets:
            what = "a config with secrets lies in memory only, and is not copied into a volume"
            fields["onlyIfAbsent"].note(FaultCode.WRONG_VALUE, what, "mount it")
        mount = replace(mount, copy_once=True, read_only=False)
    if "readOnly" in fields:
        is_read_only = fields["readOnly"].flag()
        if mount.read_only and not is_read_only:
            what = "an artifact" if mount.artifact else "a secret" if mount.secret else "a config"
            fields["readOnly"].note(FaultCode.NOT_SUPPORTED_YET, f"{what} cannot be written to", "a volume for data")
        if mount.copy_once and is_read_only:
            fields["readOnly"].note(
                FaultCode.WRONG_VALUE, "a copy can be written to", "no onlyIfAbsent, or no readOnly"
            )
        mount = replace(mount, read_only=is_read_only)
    if "mode" in fields:
        mount = replace(mount, mode=read_mode(fields["mode"]))
    if "uid" in fields:
        mount = replace(mount, uid=fields["uid"].whole(0, _HIGHEST_ID))
    if "gid" in fields:
        mount = replace(mount, gid=fields["gid"].whole(0, _HIGHEST_ID))
    if "relabel" in fields:
        label = fields["relabel"].choice(Relabel, default=Relabel.NONE)
        mount = replace(mount, relabel="" if label is Relabel.NONE else label.value)
    if "propagation" in fields:
        asked = fields["propagation"].choice(Propagation, default=Propagation.RPRIVATE)
        mount = replace(mount, propagation="" if asked is Propagation.RPRIVATE else asked.value)
    return mount if not mount.host else _with_host_options(mount, fields)


def _with_host_options(mount: Mount, fields: Mapping[str, Cursor]) -> Mount:
    """What must be at the host path, and whether it is made: only directories are."""
    if "type" in fields:
        mount = replace(mount, host_type=fields["type"].choice(HostType, default=HostType.DIRECTORY).value)
    if "create" in fields and fields["create"].flag():
        if mount.host_type not in {"", HostType.DIRECTORY}:
            fields["create"].note(FaultCode.WRONG_VALUE, f"a {mount.host_type} is not made", "type: directory")
        mount = replace(mount, host_create=True, host_type=HostType.DIRECTORY.value)
    for key in ("mode", "uid", "gid"):
        if key in fields and not mount.host_create:
            fields[key].note(FaultCode.WRONG_VALUE, f"{key} of what is there is not changed", "create: true")
    return mount


def _volume(source: Cursor, target: str, sources: Sources, fields: Mapping[str, Cursor]) -> Mount | None:
    name = source.text()
    if name not in sources.volumes:
        unknown(source, "volume", name, sources.volumes)
        return None
    root = sources.volumes[name]
    inside = _sub_path(fields["subPath"]) if "subPath" in fields else ""
    is_filled = root.is_populated or bool(inside)  # a folder inside is never filled from the image
    return Mount(target, volume=name, uid=root.uid, gid=root.gid, mode=root.mode, populate=is_filled, sub_path=inside)


def _sub_path(spot: Cursor) -> str:
    text = spot.text()
    clean = clean_path(f"/{text}").strip("/")
    if not clean or text.startswith("/"):
        spot.note(FaultCode.PATH_ESCAPES, f"{text!r} is no folder inside a volume", "a relative path without '..'")
    return clean


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
        return Mount(target, file=config.digests[path], read_only=True, secrets=config.secrets)
    if config.is_folder:
        return Mount(target, folder=config.digests, read_only=True, secrets=config.secrets)
    return Mount(target, file=config.digests[""], read_only=True, secrets=config.secrets)


def _artifact(source: Cursor, target: str, sources: Sources) -> Mount | None:
    name = source.text()
    if name not in sources.artifacts:
        unknown(source, "artifact", name, sources.artifacts)
        return None
    reference = sources.artifacts[name]
    return None if reference is None else Mount(target, artifact=reference, read_only=True)


def _tmpfs(source: Cursor, target: str) -> Mount:
    fields = source.fields(_TMPFS_KEYS)
    size = fields["size"].quantity(parse_memory, 0) if "size" in fields else None
    mode = read_mode(fields["mode"]) if "mode" in fields else None
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
