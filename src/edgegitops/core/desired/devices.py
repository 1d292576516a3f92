"""Law: a device is a path below /dev of the node, or a CDI name; what a container may do with it is said, or all of it.

A wildcard of a control group rule stays one. Whether the node has the device is seen when the container is created;
whether it may be used is judged by the node's own policy.
"""

import re
from dataclasses import replace

from edgegitops.core.desired.mounts import clean_path
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Device, Required

_KEYS = Keys(
    frozenset({"host", "container", "permissions", "required", "cdi"}),
    hints=(("path", "host"), ("target", "container"), ("source", "host")),
)
_CDI = re.compile(r"[a-z0-9.-]+/[A-Za-z0-9_.-]+=[A-Za-z0-9_.:-]+\Z")
_RULE = re.compile(r"(?:a \*:\*|[bc] (?:[0-9]{1,9}|\*):(?:[0-9]{1,9}|\*)) (?=[rwm])r?w?m?\Z")
_PERMISSIONS = re.compile(r"(?=[rwm])r?w?m?\Z")
_ALL = "rwm"
_FOLDER = "/dev/"


def read_devices(spot: Cursor) -> tuple[Device, ...]:
    """The devices of a container, by their place inside."""
    found: dict[str, Device] = {}
    for item in spot.items():
        device = _device(item)
        if device is None:
            continue
        inside = device.cdi or device.container or device.host
        if inside in found:
            item.note(FaultCode.DUPLICATE_NAME, f"{inside} is there twice", "one entry for each device")
        found[inside] = device
    return tuple(found[inside] for inside in sorted(found))


def read_cgroup_rules(spot: Cursor) -> tuple[str, ...]:
    """Rules of the control group such as `c 188:* rwm`, sorted."""
    wanted = "c, b or a, major:minor (or *), and of r, w, m in this order: c 188:* rwm"
    return tuple(sorted({item.text(_RULE, wanted) for item in spot.items()}))


def _device(spot: Cursor) -> Device | None:
    before = len(spot.scope.faults)
    fields = spot.fields(_KEYS)
    if ("host" in fields) == ("cdi" in fields) and len(spot.scope.faults) == before:
        spot.note(FaultCode.MISSING_FIELD, "a device is known by host or by cdi", "exactly one of the two")
    if "cdi" in fields:
        for key in sorted({"container", "permissions", "required"} & set(fields)):
            fields[key].note(FaultCode.WRONG_VALUE, f"{key} means nothing with cdi", "cdi alone")
        name = fields["cdi"].text(_CDI, "such as nvidia.com/gpu=all")
        return Device(cdi=name) if len(spot.scope.faults) == before else None
    if "host" not in fields:
        return None
    device = Device(host=_below_dev(fields["host"], fields["host"].expanded()) or _FOLDER)
    if "container" in fields:
        inside = _below_dev(fields["container"], fields["container"].text())
        device = replace(device, container="" if inside == device.host else inside)
    if "permissions" in fields:
        asked = fields["permissions"].text(_PERMISSIONS, "of r, w and m, in this order")
        device = replace(device, permissions="" if asked == _ALL else asked)
    if "required" in fields:
        device = replace(device, required=_required(fields["required"]))
    return device if len(spot.scope.faults) == before else None


def _below_dev(spot: Cursor, text: str) -> str:
    """A clean path below /dev; a colon would end the path in the engine's words."""
    path = clean_path(text)
    if not path.startswith(_FOLDER) or ":" in path:
        spot.note(FaultCode.WRONG_FORMAT, f"{text!r} is no device", "a path such as /dev/ttyUSB0, without ':'")
        return ""
    return path


def _required(spot: Cursor) -> Required:
    names: dict[Tree, Required] = {True: Required.TRUE, False: Required.FALSE, "wait": Required.WAIT}
    if not isinstance(spot.tree, bool | str) or spot.tree not in names:
        spot.note(FaultCode.WRONG_VALUE, f"{spot.tree!r} is not known", "true, false or wait")
        return Required.TRUE
    return names[spot.tree]
