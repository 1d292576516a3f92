"""Law: the patched tree of a container becomes its ContainerSpec, or faults; nothing in it is passed over.

Normal form, so that equal intent has an equal digest: the image by digest without its tag (the digest alone decides
what runs), the zone by name and none for UTC, ports sorted and written out, mounts in the order in which they are
applied, references replaced, the security profile worked out.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgegitops.core.desired.care import CARE_FIELDS, read_care, read_stop_signal
from edgegitops.core.desired.devices import read_cgroup_rules, read_devices
from edgegitops.core.desired.environment import read_env
from edgegitops.core.desired.live import with_live_configs
from edgegitops.core.desired.mounts import Sources, read_mounts
from edgegitops.core.desired.networks import default_attachments, is_address, read_attachments, read_extra_hosts
from edgegitops.core.desired.ports import read_ports
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.desired.references import read_reference
from edgegitops.core.desired.resources import read_logging, read_resources, read_ulimits
from edgegitops.core.desired.security import (
    ENGINE_ANNOTATIONS,
    ENGINE_LABELS,
    apply_profile,
    read_security,
    read_sysctls,
)
from edgegitops.core.desired.values import Target
from edgegitops.core.model.quantities import parse_memory
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Attachment, ContainerSpec, CreateSpec, NetworkSpec, Security

_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62})\Z")
_ABSOLUTE = re.compile(r"/[^\0]*\Z")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?\Z")
_UTC = frozenset({"utc", "UTC", "Etc/UTC"})
_OUR_LABELS = "io.edgegitops."
_HIGHEST_ID = 2**32 - 2
_USER_KEYS = Keys(frozenset({"uid", "gid", "groups"}))
_DNS_KEYS = Keys(frozenset({"servers", "search", "options"}), hints=(("nameservers", "servers"),))

_PLAIN: dict[str, tuple[str, Callable[[Cursor], Any]]] = {
    "entrypoint": ("entrypoint", Cursor.expanded_list),
    "args": ("args", Cursor.expanded_list),
    "workingDir": ("working_dir", lambda spot: spot.expanded(_ABSOLUTE, "an absolute path")),
    "hostname": ("hostname", lambda spot: spot.expanded(_HOSTNAME, "a host name")),
    "tty": ("tty", Cursor.flag),
    "init": ("init", Cursor.flag),
    "labels": ("labels", lambda spot: _labels(spot, ENGINE_LABELS | {_OUR_LABELS})),
    "annotations": ("annotations", lambda spot: _labels(spot, ENGINE_ANNOTATIONS)),
    "ports": ("ports", read_ports),
    "hostNetwork": ("host_network", Cursor.flag),
    "devices": ("devices", read_devices),
    "deviceCgroupRules": ("device_cgroup_rules", read_cgroup_rules),
    "extraHosts": ("extra_hosts", read_extra_hosts),
    "resources": ("resources", read_resources),
    "shmSize": ("shm_size", lambda spot: spot.quantity(parse_memory, 0)),
    "ulimits": ("ulimits", read_ulimits),
    "oomScoreAdj": ("oom_score_adj", lambda spot: spot.whole(-1000, 1000)),
    "logging": ("logging", read_logging),
    "stop": ("stop_signal", read_stop_signal),
}
CONTAINER_KEYS = Keys(
    frozenset(
        {"image", "enabled", "env", "envFrom", "user", "timezone", "networks", "dns", "mounts", "sysctls", "security"}
        | set(_PLAIN)
        | CARE_FIELDS
    ),
    frozenset(),
    (
        ("command", "entrypoint (the program) or args (its arguments): compose and Kubernetes mean opposite things"),
        ("environment", "env"),
        ("volumes", "mounts"),
        ("volumeMounts", "mounts"),
        ("healthcheck", "probes"),
        ("livenessProbe", "probes.live"),
        ("readinessProbe", "probes.ready"),
        ("depends_on", "dependsOn"),
        ("working_dir", "workingDir"),
        ("network_mode", "hostNetwork: true"),
        ("privileged", "security.profile: privileged"),
        ("cap_add", "security.capabilities.add"),
    ),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container can refer to, and the node that it is for."""

    target: Target
    sources: Sources
    networks: Mapping[str, NetworkSpec]


def is_enabled(spot: Cursor) -> bool:
    """Whether the container or job exists on this node at all."""
    tree = spot.tree
    return not isinstance(tree, dict) or "enabled" not in tree or spot.below("enabled", tree["enabled"]).expanded_flag()


def read_container(spot: Cursor, around: Surroundings) -> ContainerSpec | None:
    """The spec of a container; None where a fault was noted."""
    before = len(spot.scope.faults)
    fields = spot.fields(CONTAINER_KEYS)
    told: dict[str, Any] = {"image": _image(spot, fields)}
    for key, (name, read) in _PLAIN.items():
        if key in fields:
            told[name] = read(fields[key])
    env = read_env(fields, around.target, around.sources)
    told |= {"env": env.env, "env_secrets": env.secrets, "env_from": env.groups}
    told["timezone"] = _zone(spot, fields.get("timezone"), around.target)
    if "user" in fields:
        told["user"], told["groups"] = _user(fields["user"])
    if "mounts" in fields:
        told["mounts"] = read_mounts(fields["mounts"], around.sources)
    if "dns" in fields:
        told |= _dns(fields["dns"])
    told["networks"] = _networks(fields, around)
    if "sysctls" in fields:
        told["sysctls"] = read_sysctls(fields["sysctls"], is_on_host_network=told.get("host_network", False))
    told["security"] = read_security(fields.get("security", spot), around.target.fleet.minimum_profile)
    told |= _beside_security(fields, told)
    care = read_care(fields)
    create, care = with_live_configs(spot, apply_profile(CreateSpec(**told), spot), care)
    return ContainerSpec(create, care) if len(spot.scope.faults) == before else None


def _beside_security(fields: Mapping[str, Cursor], told: Mapping[str, Any]) -> dict[str, Any]:
    """What a field means beside the security of the container: faults where it means nothing."""
    security: Security = told["security"]
    if security.privileged and any(device.container or device.cdi for device in told.get("devices", ())):
        expected = "no device entries, or another profile"
        fields["devices"].note(FaultCode.WRONG_VALUE, "a privileged container has all devices as they are", expected)
    if "shmSize" in fields and (security.host_ipc or security.ipc == "none"):
        fields["shmSize"].note(FaultCode.WRONG_VALUE, "this container has no /dev/shm of its own", "no shmSize")
    if security.host_pid and told.get("init"):
        fields["init"].note(FaultCode.WRONG_VALUE, "process 1 is the node's own with hostPID", "init: false")
    return {"init": False} if security.host_pid else {}


def _image(spot: Cursor, fields: Mapping[str, Cursor]) -> str:
    """`registry/name@sha256:…`."""
    if "image" not in fields:
        spot.note(FaultCode.MISSING_FIELD, "no image", "image: registry/name:tag@sha256:…")
        return ""
    return read_reference(fields["image"], "image")


def _zone(spot: Cursor, field: Cursor | None, target: Target) -> str:
    """The zone that the engine is told; nothing for UTC, which is what containers have and needs no zone files.

    The engine copies a file of this name into the container, so the name must not climb out of its folder.
    """
    name = "site" if field is None else field.text()
    if name == "site":
        name = target.site.time_zone
    if not name or name in _UTC:
        return ""
    if not _ZONE.match(name):
        wanted = "site, utc, or a name such as Europe/Stockholm"
        (field or spot).note(FaultCode.WRONG_FORMAT, f"{name!r} is no time zone", wanted)
    return name


def _user(spot: Cursor) -> tuple[str, tuple[str, ...]]:
    if isinstance(spot.tree, dict):
        fields = spot.fields(_USER_KEYS)
        if "uid" not in fields:
            spot.note(FaultCode.MISSING_FIELD, "no uid", "uid: 1000")
            return "", ()
        user = str(fields["uid"].whole(0, _HIGHEST_ID))
        if "gid" in fields:
            user += f":{fields['gid'].whole(0, _HIGHEST_ID)}"
        groups = (
            (item.expanded(_USER, "a name or a number") for item in fields["groups"].items())
            if "groups" in fields
            else ()
        )
        return user, tuple(sorted(set(groups)))
    if isinstance(spot.tree, int) and not isinstance(spot.tree, bool):
        return str(spot.whole(0, _HIGHEST_ID)), ()
    return spot.text(_USER, "a name, a uid, or uid:gid"), ()


def _labels(spot: Cursor, reserved: Iterable[str]) -> dict[str, str]:
    """Texts by name; the reserved prefixes would tell the engine, or us, something else than the spec says."""
    for key, entry in spot.entries().items():
        if key.startswith(tuple(reserved)):
            entry.note(FaultCode.WRONG_VALUE, f"{key!r} is reserved", f"not {', '.join(sorted(reserved))}")
    return spot.text_map()


def _dns(spot: Cursor) -> dict[str, tuple[str, ...]]:
    fields = spot.fields(_DNS_KEYS)
    for item in fields["servers"].items() if "servers" in fields else ():
        if not is_address(item.text()):
            item.note(FaultCode.WRONG_FORMAT, f"{item.tree!r} is no IP address", "the address of a name server")
    return {f"dns_{key}": entry.texts() for key, entry in fields.items()}


def _networks(fields: Mapping[str, Cursor], around: Surroundings) -> dict[str, Attachment]:
    if "hostNetwork" in fields and fields["hostNetwork"].tree is True:
        for key in ("networks", "ports"):
            if key in fields and fields[key].tree:
                fields[key].note(FaultCode.WRONG_VALUE, f"{key} mean nothing with hostNetwork", "one of the two")
        return {}
    if "networks" in fields and fields["networks"].tree != {}:
        return read_attachments(fields["networks"], around.networks)
    return default_attachments(around.networks)
