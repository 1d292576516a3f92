"""Law: what confines a container beside its profile: namespaces, seccomp, AppArmor, SELinux and hidden paths of /proc.

What is left out is the engine's own choice and stays out of the spec. A privileged container is not confined, so the
fields mean nothing there and are faults, not silence. A user namespace of its own is one that the engine picks; with it
the owners of host paths and volumes are nobody inside.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from edgegitops.core.desired.mounts import clean_path
from edgegitops.core.desired.reading import Cursor
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Security

UNCONFINED = "unconfined"
_PROFILE = re.compile(r"[A-Za-z0-9_.+/-]{1,255}\Z")
_LABEL = re.compile(r"[A-Za-z0-9_.:,-]{1,255}\Z")
_FLAGS = frozenset({"disable", "nested"})
_OF_CONFINED = ("seccomp", "appArmor", "selinux", "mask", "unmask")


class Ipc(StrEnum):
    """The IPC namespace."""

    PRIVATE = "private"
    SHAREABLE = "shareable"
    NONE = "none"


class UserNamespace(StrEnum):
    """The user namespace."""

    HOST = "host"
    AUTO = "auto"
    PRIVATE = "private"


def with_confinement(security: Security, fields: Mapping[str, Cursor]) -> Security:
    """The security of a container with what its fields say of confinement."""
    if security.privileged:
        for key in _OF_CONFINED:
            if key in fields:
                fields[key].note(FaultCode.WRONG_VALUE, f"{key} means nothing with profile: privileged", "one of them")
    security = _with_namespaces(security, fields)
    if "seccomp" in fields:
        security = replace(security, seccomp=_seccomp(fields["seccomp"]))
    if "appArmor" in fields:
        name = fields["appArmor"].text(_PROFILE, "the name of a profile, or unconfined")
        security = replace(security, app_armor=name)
    if "selinux" in fields:
        security = replace(security, selinux=_selinux(fields["selinux"]))
    if "mask" in fields:
        security = replace(security, mask=_paths(fields["mask"]))
    if "unmask" in fields:
        security = replace(security, unmask=_paths(fields["unmask"]))
    return security


def _with_namespaces(security: Security, fields: Mapping[str, Cursor]) -> Security:
    if "hostPID" in fields:
        security = replace(security, host_pid=fields["hostPID"].flag())
    if "hostIPC" in fields:
        security = replace(security, host_ipc=fields["hostIPC"].flag())
    if "ipc" in fields:
        ipc = fields["ipc"].choice(Ipc, default=Ipc.PRIVATE)
        if security.host_ipc:
            fields["ipc"].note(FaultCode.WRONG_VALUE, "ipc beside hostIPC", "one of the two")
        security = replace(security, ipc=ipc.value)
    if "userNamespace" in fields:
        kind = fields["userNamespace"].choice(UserNamespace, default=UserNamespace.HOST)
        security = replace(security, user_namespace="" if kind is UserNamespace.HOST else UserNamespace.AUTO.value)
        if security.user_namespace and (security.host_pid or security.host_ipc):
            fields["userNamespace"].note(FaultCode.WRONG_VALUE, "a user namespace beside those of the node", "one")
    return security


def _seccomp(spot: Cursor) -> str:
    text = spot.text()
    if text == UNCONFINED or (text.startswith("/") and clean_path(text) == text):
        return text
    spot.note(
        FaultCode.WRONG_FORMAT, f"{text!r} is no seccomp profile", "unconfined, or the path of a file on the node"
    )
    return ""


def _selinux(spot: Cursor) -> dict[str, str]:
    label = {}
    for key, entry in spot.entries().items():
        label[key] = entry.text(_LABEL, "a part of an SELinux label")
        if key in _FLAGS and label[key] != "true":
            entry.note(FaultCode.WRONG_VALUE, f"{key} is a switch", '"true", or left out')
    return label


def _paths(spot: Cursor) -> tuple[str, ...]:
    paths = set()
    for item in spot.items():
        path = clean_path(item.text())
        if not path or ":" in path:
            item.note(FaultCode.WRONG_FORMAT, f"{item.tree!r} is no path", "an absolute path without '..' and ':'")
        paths.add(path)
    return tuple(sorted(paths))
