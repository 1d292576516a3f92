"""Law: a profile is worked out here, so that the engine is told plain facts and admission judges plain facts.

- baseline: no new privileges; Podman's default capabilities less AUDIT_WRITE, MKNOD and NET_RAW; root is writable; in
  its own network namespace a container may listen on ports below 1024 without a capability.
- restricted: no capabilities, no new privileges, read-only root with tmpfs on /tmp and /run, a user that is not root
  (by number: a name in an image may mean 0). What would loosen it is a fault.
- privileged: everything; only where the node's own policy says so.

The fleet may demand a profile as the least; a container cannot go below it. What loosens the engine's own confinement
(host namespaces, unconfined, unmask) is no part of a profile: it is asked for by name and judged by the node's policy.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from edgegitops.core.desired.confinement import UNCONFINED, with_confinement
from edgegitops.core.desired.mounts import sort_mounts
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import CreateSpec, Mount, Security

LOW_PORTS = "net.ipv4.ip_unprivileged_port_start"
# The runtime or its hooks obey these: hooks that write to files of the node, other runtimes and their configuration,
# systemd properties, CRIU settings, devices by name.
ENGINE_ANNOTATIONS = frozenset(
    {"run.oci.", "io.podman.", "io.containers.", "io.container.", "io.crun.", "io.kubernetes.", "io.katacontainers."}
    | {"org.systemd.", "org.criu.", "module.wasm", "cdi.k8s.io"}
)
# Podman and its timers obey these: updates past Git, and units of the node that are started again after one.
ENGINE_LABELS = frozenset({"io.containers.", "io.podman.", "PODMAN_SYSTEMD_UNIT"})
BASELINE_DROP = frozenset({"AUDIT_WRITE", "MKNOD", "NET_RAW"})
_KEYS = Keys(
    frozenset({"profile", "capabilities", "readOnlyRoot", "noNewPrivileges", "hostPID", "hostIPC", "ipc", "seccomp"})
    | {"appArmor", "selinux", "userNamespace", "mask", "unmask"},
    frozenset(),
    (("privileged", "profile: privileged"), ("readOnlyRootFilesystem", "readOnlyRoot"), ("capAdd", "capabilities.add")),
)
_CAPABILITY_KEYS = Keys(frozenset({"add", "drop"}))
_CAPABILITY = re.compile(r"[A-Z][A-Z_]{1,30}\Z")
_SYSCTL = re.compile(r"[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_/-]+)+\Z")
_NAMESPACED = re.compile(r"(?:net\.|fs\.mqueue\.|kernel\.(?:shm|msg)|kernel\.sem\Z)")


class Profile(StrEnum):
    """From loose to strict."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"


_STRICTNESS = {profile: at for at, profile in enumerate(Profile)}


def is_looser(profile: str, least: str) -> bool:
    """Whether a profile confines less than another; an unknown one confines nothing."""
    order = list(Profile)
    return profile not in order or order.index(Profile(profile)) < order.index(Profile(least))


def read_security(spot: Cursor, minimum: str) -> Security:
    """The security of a container; `spot` is its security field, or the container where it has none."""
    fields = spot.fields(_KEYS) if spot.key == "security" else {}
    least = Profile(minimum) if minimum in set(Profile) else Profile.RESTRICTED
    profile: Profile = least if least is Profile.RESTRICTED else Profile.BASELINE
    if "profile" in fields:
        profile = fields["profile"].choice(Profile, default=profile)
    if _STRICTNESS[profile] < _STRICTNESS[least]:
        fields["profile"].note(
            FaultCode.WRONG_VALUE, f"{profile} is looser than the fleet allows", f"{least} or tighter (minimumProfile)"
        )
    added, dropped = _capabilities(fields)
    security = _with_capabilities(profile, added, dropped)
    security = with_confinement(_with_flags(security, fields), fields)
    if profile is Profile.RESTRICTED:
        _stay_restricted(security, fields)
    return security


def _capabilities(fields: Mapping[str, Cursor]) -> tuple[frozenset[str], frozenset[str]]:
    if "capabilities" not in fields:
        return frozenset(), frozenset()
    lists = fields["capabilities"].fields(_CAPABILITY_KEYS)
    added = frozenset(map(_capability, lists["add"].items())) if "add" in lists else frozenset()
    dropped = frozenset(map(_capability, lists["drop"].items())) if "drop" in lists else frozenset()
    return added, dropped


def _capability(spot: Cursor) -> str:
    name = spot.text().upper().removeprefix("CAP_")
    if not _CAPABILITY.match(name):
        spot.note(FaultCode.WRONG_FORMAT, f"{spot.tree!r} is no capability", "a name such as NET_ADMIN, or ALL")
    return name


def _with_capabilities(profile: Profile, added: frozenset[str], dropped: frozenset[str]) -> Security:
    """What is added by name is not dropped by the profile; what is dropped by name stays dropped."""
    of_profile = {Profile.PRIVILEGED: set[str](), Profile.BASELINE: BASELINE_DROP - added, Profile.RESTRICTED: {"ALL"}}
    drop = {"ALL"} if "ALL" in dropped else dropped | of_profile[profile]
    return Security(
        profile=profile.value,
        privileged=profile is Profile.PRIVILEGED,
        capabilities_add=tuple(sorted(added)),
        capabilities_drop=tuple(sorted(drop)),
        read_only_root=profile is Profile.RESTRICTED,
        no_new_privileges=profile is not Profile.PRIVILEGED,
    )


def _with_flags(security: Security, fields: Mapping[str, Cursor]) -> Security:
    if "readOnlyRoot" in fields:
        security = replace(security, read_only_root=fields["readOnlyRoot"].flag())
    if "noNewPrivileges" in fields:
        security = replace(security, no_new_privileges=fields["noNewPrivileges"].flag())
    return security


def _stay_restricted(security: Security, fields: Mapping[str, Cursor]) -> None:
    allowed = "restricted: no capabilities, read-only root, no new privileges"
    if security.capabilities_add:
        fields["capabilities"].note(FaultCode.WRONG_VALUE, "capabilities cannot be added", allowed)
    if not security.read_only_root:
        fields["readOnlyRoot"].note(FaultCode.WRONG_VALUE, "the root cannot be writable", allowed)
    if not security.no_new_privileges:
        fields["noNewPrivileges"].note(FaultCode.WRONG_VALUE, "new privileges cannot be allowed", allowed)
    loosened = {
        "hostPID": security.host_pid,
        "hostIPC": security.host_ipc,
        "seccomp": security.seccomp == UNCONFINED,
        "appArmor": security.app_armor == UNCONFINED,
        "selinux": bool(security.selinux),
        "unmask": bool(security.unmask),
    }
    for key in sorted(key for key, is_loose in loosened.items() if is_loose):
        fields[key].note(FaultCode.WRONG_VALUE, f"{key} loosens it", f"{allowed}, the confinement of the engine")


def apply_profile(create: CreateSpec, spot: Cursor) -> CreateSpec:
    """The rest of the profile: what it means for user, mounts and sysctls of the container at `spot`."""
    if create.security.profile == Profile.RESTRICTED:
        user = create.user.partition(":")[0]
        if not user.isdecimal() or int(user) == 0:
            spot.note(
                FaultCode.WRONG_VALUE, f"the restricted profile needs a user, here {user!r}", 'user: "<uid, not 0>"'
            )
        taken = {mount.target for mount in create.mounts}
        scratch = [Mount(target, tmpfs=True) for target in ("/run", "/tmp") if target not in taken]  # noqa: S108 - paths in the container
        create = replace(create, mounts=sort_mounts([*create.mounts, *scratch]))
    if not create.host_network and not create.security.privileged:
        create = replace(create, sysctls={LOW_PORTS: "0"} | dict(create.sysctls))
    return create


def read_sysctls(spot: Cursor, *, is_on_host_network: bool) -> dict[str, str]:
    """Kernel settings; only those that belong to the container's own namespaces."""
    settings = {name.replace("/", "."): entry for name, entry in spot.entries().items()}
    for name, entry in settings.items():
        if not is_namespaced(name):
            entry.note(FaultCode.WRONG_VALUE, f"{name} is a setting of the whole node", "net.*, kernel.shm*, …")
        elif is_on_host_network and name.startswith("net."):
            entry.note(FaultCode.WRONG_VALUE, f"{name} would change the node's own network", "no hostNetwork")
    return {name: entry.text() if isinstance(entry.tree, str) else entry.expanded() for name, entry in settings.items()}


def is_namespaced(sysctl: str) -> bool:
    """Whether a kernel setting belongs to a container's own namespaces."""
    return _SYSCTL.match(sysctl) is not None and _NAMESPACED.match(sysctl) is not None
