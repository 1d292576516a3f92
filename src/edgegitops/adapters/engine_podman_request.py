"""Law: what Podman is told is a pure function of the step, written in the words of libpod's own create requests.

1. Nothing is left to a default that differs between Podman 4 and 5, or that depends on how the service was started:
   name resolution of networks, health checks of images, proxy variables and restart policy are always said.
2. The agent restarts and probes; so the restart policy is `no` and an image's own health check is switched off.
3. Limits are all or none: Podman replaces its defaults when one limit is given, and then asks for more processes than
   the kernel allows; so `nofile` and `nproc` are both sent whenever any limit is.
4. A read-only root gets a writable /tmp and /run, unless the spec mounts something there.
5. Config files and artifacts are bound read-only from their stores, where they are named by their SHA-256; live configs
   from a folder of their container, which is bound as a whole: a file that is bound alone would stay the old one.
6. What is left to do in volumes before the program starts stands in a label, for a start knows only the container. A
   folder inside of a volume is bound by its path (see engine_podman_subpath).
7. Weights are those of control groups v2; v1 counts processor shares, of which 1024 are the usual weight of 100.

Field names: libpod's SpecGenerator, as served below /v4.0.0/libpod by Podman 4 and 5.
"""

import json
import signal
from collections.abc import Mapping
from typing import Any, TypeAlias

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.spec import Attachment, CreateSpec, Logging, Mount, NetworkSpec, Resources, Security, Ulimit
from edgegitops.core.model.steps import CreateContainer, CreateNetwork, CreateVolume

Request: TypeAlias = dict[str, Any]

CPU_PERIOD = 100_000
"""Microseconds; a thousandth of a CPU is 100 of them."""

UNLIMITED = 2**64 - 1
LEAST_SHARES = 2
SCRATCH = ("/run", "/tmp")  # noqa: S108 - paths inside a container


CONTENT_OPTIONS = ["rbind", "ro", "nosuid", "nodev"]  # content from Git is data, whatever its mode says
LIVE_FOLDER = "/.edgegitops"
"""Where a container sees the folders of live configs that are files; a link at their target leads there."""

LABEL_VOLUME_WORK = "io.edgegitops.volume-work"
"""JSON: what is to be done in volumes at each start (see `volume_work`)."""


def container_request(  # noqa: PLR0913 - what differs between machines, each by its name
    step: CreateContainer,
    contents_dir: str,
    limits: Mapping[str, Ulimit],
    *,
    absent: frozenset[str] = frozenset(),
    is_unified: bool = False,
    places: Mapping[str, str] | None = None,
) -> Request:
    """The SpecGenerator of a container. `contents_dir` holds config files by SHA-256, as the engine's host sees it;
    `limits` are the ulimits to send for names that the spec leaves out while it gives others; `absent` are devices
    that the node does not have and the spec does not need; `is_unified`: the node has control groups v2; `places` maps
    volumes (engine names) of which a folder is mounted to where their data lies.
    """
    spec = step.create
    work = volume_work(step)
    request: Request = {
        "name": step.subject,
        "image": spec.image,
        "labels": {**spec.labels, **step.labels, LABEL_VOLUME_WORK: json.dumps(work) if work else ""},
        "env": dict(spec.env),
        "httpproxy": False,
        "init": spec.init,
        "terminal": spec.tty,
        "restart_policy": "no",
        "stop_timeout": _whole_seconds(step),
        "healthconfig": {"Test": ["NONE"]},
        "log_configuration": _log(spec.logging),
        "resource_limits": _resource_limits(spec.resources, is_unified=is_unified),
        "unified": {"cpu.weight": str(spec.resources.cpu_weight)}
        if is_unified and spec.resources.cpu_weight is not None
        else {},
        "r_limits": _ulimits(spec.ulimits, limits),
        "volumes": _named_volumes(spec, step.volumes),
        "mounts": by_depth(_mounts(spec, contents_dir, step.subject) + _sub_folders(step, places or {})),
        **_identity(spec),
        **_security(spec.security),
        **_devices(spec, absent),
        **_networking(step),
    }
    if spec.entrypoint is not None:
        request["entrypoint"] = list(spec.entrypoint)
    return {key: value for key, value in request.items() if value not in (None, {}, []) or key == "entrypoint"}


def network_request(step: CreateNetwork) -> Request:
    """The body of a network's creation. A parent interface belongs to macvlan and ipvlan only."""
    spec: NetworkSpec = step.spec
    request: Request = {
        "name": step.subject,
        "driver": spec.driver,
        "dns_enabled": spec.dns,
        "internal": spec.internal,
        "ipv6_enabled": spec.ipv6,
        "labels": dict(step.labels),
    }
    if spec.parent:
        request["network_interface"] = spec.parent
    if spec.subnet:
        request["subnets"] = [{"subnet": spec.subnet}]
    if spec.mtu is not None:
        request["options"] = {"mtu": str(spec.mtu)}
    return request


def volume_request(step: CreateVolume) -> Request:
    """The body of a volume's creation; servers differ in which of the two label keys they read."""
    request: Request = {"Name": step.subject, "Labels": dict(step.labels), "Label": dict(step.labels)}
    if step.size is not None:
        request["Options"] = {"o": f"size={step.size}"}
    return request


def volume_work(step: CreateContainer) -> list[Request]:
    """Owner and mode of the roots of volumes, or of the `folder` inside that is mounted at `target`, then files to copy
    where they are absent: the volume by its engine name, `path` inside it, `content` by SHA-256.
    """
    mounts = [mount for mount in step.create.mounts if mount.volume]
    roots = [
        _owned(step, mount)
        for mount in mounts
        if (mount.mode, mount.uid, mount.gid) != (None, None, None) or mount.sub_path
    ]
    copies: list[Request] = []
    for copy in (mount for mount in step.create.mounts if mount.copy_once):
        above = [mount for mount in mounts if copy.target.startswith(f"{mount.target}/")]
        volume = max(above, key=lambda mount: len(mount.target))
        inside = copy.target.removeprefix(f"{volume.target}/")
        inside = f"{volume.sub_path}/{inside}" if volume.sub_path else inside
        files = {inside: copy.file} if copy.file else {f"{inside}/{path}": sha for path, sha in copy.folder.items()}
        for path, sha256 in sorted(files.items()):
            task = {"volume": step.volumes.get(volume.volume, volume.volume), "path": path, "content": sha256}
            copies.append({**task, "mode": copy.mode, "uid": copy.uid, "gid": copy.gid})
    return roots + copies


def _owned(step: CreateContainer, mount: Mount) -> Request:
    """Owner and mode of the root of a volume; of a folder inside, which is made first, where the mount names one."""
    volume = step.volumes.get(mount.volume, mount.volume)
    task: Request = {"volume": volume, "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}
    return {**task, "folder": mount.sub_path, "target": mount.target} if mount.sub_path else task


def signal_number(name: str) -> int:
    """`SIGINT`, `INT` or `2` -> 2; ValueError for a name that is no signal. Podman 4 takes numbers only."""
    if name.isdigit():
        return int(name)
    upper = name.upper()
    try:
        return int(signal.Signals[upper if upper.startswith("SIG") else f"SIG{upper}"])
    except KeyError as unknown:
        raise ValueError(f"stop signal {name!r} is no signal of Linux") from unknown


def _whole_seconds(step: CreateContainer) -> int:
    return -int(-step.stop_timeout.total_seconds() // 1)


def _identity(spec: CreateSpec) -> Request:
    return {
        "command": list(spec.args),
        "work_dir": spec.working_dir or None,
        "hostname": spec.hostname or None,
        "user": spec.user or None,
        "groups": list(spec.groups),
        "timezone": spec.timezone or None,
        "annotations": dict(spec.annotations),
        "sysctl": dict(spec.sysctls),
        "shm_size": spec.shm_size,
        "oom_score_adj": spec.oom_score_adj,
        "stop_signal": signal_number(spec.stop_signal) if spec.stop_signal else None,
    }


def _log(logging: Logging) -> Request:
    request: Request = {"driver": logging.driver, "size": logging.max_size}
    return {**request, "options": {"tag": logging.tag}} if logging.tag else request


def _security(security: Security) -> Request:
    request: Request = {
        "privileged": security.privileged,
        "cap_add": list(security.capabilities_add),
        "cap_drop": list(security.capabilities_drop),
        "read_only_filesystem": security.read_only_root,
        "no_new_privileges": security.no_new_privileges and not security.privileged,
        "seccomp_profile_path": security.seccomp or None,
        "apparmor_profile": security.app_armor or None,
        "selinux_opts": [key if value == "true" else f"{key}:{value}" for key, value in security.selinux.items()],
        "mask": list(security.mask),
        "unmask": list(security.unmask),
    }
    if security.host_pid:
        request["pidns"] = {"nsmode": "host"}
    if security.host_ipc or security.ipc:
        request["ipcns"] = {"nsmode": "host" if security.host_ipc else security.ipc}
    if security.user_namespace:
        request |= {"userns": {"nsmode": security.user_namespace}, "idmappings": {"AutoUserNs": True}}
    return request


def _devices(spec: CreateSpec, absent: frozenset[str]) -> Request:
    paths = [
        {"path": device.cdi or f"{device.host}:{device.container or device.host}:{device.permissions or 'rwm'}"}
        for device in spec.devices
        if device.host not in absent
    ]
    return {"devices": paths, "device_cgroup_rule": [_cgroup_rule(rule) for rule in spec.device_cgroup_rules]}


def _cgroup_rule(rule: str) -> Request:
    """`c 188:* rwm` in the runtime's words; a number that is left out is every number."""
    kind, numbers, access = rule.split()
    named = zip(("major", "minor"), numbers.split(":"), strict=True)
    return {
        "allow": True,
        "type": kind,
        "access": access,
        **{name: int(number) for name, number in named if number != "*"},
    }


def _networking(step: CreateContainer) -> Request:
    spec = step.create
    request: Request = {
        "netns": {"nsmode": "host" if spec.host_network else "bridge"},
        "dns_server": list(spec.dns_servers),
        "dns_search": list(spec.dns_search),
        "dns_option": list(spec.dns_options),
        "hostadd": [f"{host}:{address}" for host, address in sorted(spec.extra_hosts.items())],
    }
    if spec.host_network:
        return request
    request["networks"] = {
        step.networks.get(name, name): _attachment(step.alias, place) for name, place in spec.networks.items()
    }
    request["portmappings"] = [
        {
            "container_port": port.container,
            "host_port": port.host,
            "host_ip": port.host_ip,
            "protocol": port.protocol,
            "range": 1,
        }
        for port in spec.ports
        if port.host is not None
    ]
    request["expose"] = _exposed(spec)
    return request


def _attachment(alias: str, place: Attachment) -> Request:
    own = () if place.is_shared else (alias,)
    request: Request = {"aliases": list(dict.fromkeys((*own, *place.aliases)))}
    if place.ip:
        request["static_ips"] = [place.ip]
    if place.mac:
        request["static_mac"] = place.mac
    return request


def _exposed(spec: CreateSpec) -> dict[str, str]:
    """Ports without a host side: port -> its protocols, joined by commas."""
    protocols: dict[str, list[str]] = {}
    for port in spec.ports:
        if port.host is None:
            protocols.setdefault(str(port.container), []).append(port.protocol)
    return {port: ",".join(sorted(set(names))) for port, names in protocols.items()}


def _resource_limits(resources: Resources, *, is_unified: bool) -> Request:
    memory = {
        "limit": resources.memory,
        "reservation": resources.memory_reservation,
        "swap": resources.memory_swap,
    }
    cpu: Request = {"cpus": resources.cpu_set or None, "mems": resources.memory_nodes or None}
    if resources.cpu_weight is not None and not is_unified:
        cpu["shares"] = max(LEAST_SHARES, resources.cpu_weight * 1024 // 100)
    if resources.milli_cpus is not None:
        cpu |= {"period": CPU_PERIOD, "quota": resources.milli_cpus * CPU_PERIOD // 1000}
    parts = {"memory": memory, "cpu": cpu, "pids": {"limit": resources.pids}, "blockIO": _block(resources.io_weight)}
    said = {name: {key: value for key, value in part.items() if value is not None} for name, part in parts.items()}
    request: Request = {name: part for name, part in said.items() if part}
    if resources.hugepages:
        pages = sorted(resources.hugepages.items())
        request["hugepageLimits"] = [{"pageSize": size, "limit": limit} for size, limit in pages]
    return request


def _block(weight: int | None) -> Request:
    """Runtimes take 10 to 1000 and stretch it to 1 to 10000 themselves where the kernel counts so."""
    return {"weight": None if weight is None else 10 + round((weight - 1) * 990 / 9999)}


def _ulimits(wanted: Mapping[str, Ulimit], limits: Mapping[str, Ulimit]) -> list[Request]:
    if not wanted:
        return []
    return [
        {"type": name, "soft": _limit(limit.soft), "hard": _limit(limit.hard)}
        for name, limit in sorted({**limits, **wanted}.items())
    ]


def _limit(value: int) -> int:
    return UNLIMITED if value < 0 else value


def _named_volumes(spec: CreateSpec, names: Mapping[str, str]) -> list[Request]:
    return [
        {
            "Name": names.get(mount.volume, mount.volume),
            "Dest": mount.target,
            "Options": [*_access(mount), *([] if mount.populate else ["nocopy"])],
        }
        for mount in spec.mounts
        if mount.volume and not mount.sub_path
    ]


def _sub_folders(step: CreateContainer, places: Mapping[str, str]) -> list[Request]:
    """Folders inside of volumes; Podman 4 mounts volumes as a whole only."""
    return [
        _bind(
            f"{places[step.volumes.get(mount.volume, mount.volume)]}/{mount.sub_path}",
            mount.target,
            ["rbind", *_access(mount), "nosuid", "nodev"],
        )
        for mount in step.create.mounts
        if mount.sub_path
    ]


def _access(mount: Mount) -> list[str]:
    label = {"private": ["Z"], "shared": ["z"]}.get(mount.relabel, [])
    spread = [mount.propagation] if mount.propagation else []
    return ["ro" if mount.read_only else "rw", *label, *spread]


def _mounts(spec: CreateSpec, contents_dir: str, name: str) -> list[Request]:
    """Everything but volumes and folders inside of them."""
    mounts: list[Request] = []
    for mount in spec.mounts:
        if mount.copy_once or mount.secrets:  # secrets are bound from the node's memory
            continue
        if mount.tmpfs:
            mounts.append(_tmpfs(mount))
        elif mount.host:
            mounts.append(_bind(mount.host, mount.target, ["rbind", *_access(mount)]))
        elif mount.live:
            key = live_key(mount)
            shown = mount.target if mount.live == "folder" else f"{LIVE_FOLDER}/{key}"
            mounts.append(_bind(f"{live_folder(contents_dir, name)}/{key}", shown, CONTENT_OPTIONS))
        elif mount.artifact:
            tree = artifact_tree(contents_dir, mount.artifact)
            mounts.append(_bind(tree, mount.target, ["rbind", "ro", "nosuid", "nodev"]))
        elif mount.file:
            mounts.append(_bind(content_path(contents_dir, mount.file, mount), mount.target, CONTENT_OPTIONS))
        for path, sha256 in mount.folder.items():
            target = f"{mount.target.rstrip('/')}/{path}"
            mounts.append(_bind(content_path(contents_dir, sha256, mount), target, CONTENT_OPTIONS))
    if spec.security.read_only_root:
        taken = {mount.target.rstrip("/") for mount in spec.mounts}
        mounts += [_tmpfs(Mount(target=path, tmpfs=True, mode=0o1777)) for path in SCRATCH if path not in taken]
    return mounts


def by_depth(mounts: list[Request]) -> list[Request]:
    """Outer paths first, so that a deeper mount lands inside of a shallower one."""
    return sorted(mounts, key=lambda mount: (mount["destination"].count("/"), mount["destination"]))


def content_path(contents_dir: str, sha256: str, mount: Mount) -> str:
    """Where a config file lies on the engine's host. A mount that asks for a mode or an owner has a copy of its own,
    named by all three, because a bind mount shows the file as it is.
    """
    if (mount.mode, mount.uid, mount.gid) == (None, None, None):
        return f"{contents_dir}/{sha256}"
    mode = 0o444 if mount.mode is None else mount.mode
    return f"{contents_dir}/dressed/{sha256}.{mode:o}.{mount.uid or 0}.{mount.gid or 0}"


def live_folder(contents_dir: str, name: str) -> str:
    """Where the live configs of a container (engine name) lie on the engine's host."""
    return f"{contents_dir}/live/{name}"


def live_key(mount: Mount) -> str:
    """The folder of one live mount, in that of its container."""
    return sha256_hex(mount.target.encode())[:12]


def artifact_tree(contents_dir: str, artifact: str) -> str:
    """Where the files of an unpacked artifact lie on the engine's host (see the store in `artifacts_oci`)."""
    return f"{contents_dir}/artifacts/{digest_of(artifact)}/tree"


def _bind(source: str, target: str, options: list[str]) -> Request:
    return {"type": "bind", "source": source, "destination": target, "options": options}


def _tmpfs(mount: Mount) -> Request:
    options = [*_access(mount), "nosuid", "nodev"]
    if mount.tmpfs_size is not None:
        options.append(f"size={mount.tmpfs_size}")
    if mount.mode is not None:
        options.append(f"mode={mount.mode:o}")
    return {"type": "tmpfs", "source": "tmpfs", "destination": mount.target, "options": options}
