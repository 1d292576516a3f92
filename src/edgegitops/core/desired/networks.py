"""Law: a network belongs to its deployment; a container's place on it is its aliases, address and MAC.

A container that names no networks joins all that its application declares, or the implicit network `default` where it
declares none. Only networks that are joined and volumes that are mounted are part of the spec.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any

from edgegitops.core.desired.reading import NAME, Cursor, Keys, unknown
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Attachment, NetworkSpec

DEFAULT_NETWORK = "default"
_KEYS = Keys(frozenset({"driver", "parent", "subnet", "internal", "ipv6", "mtu", "dns", "shared"}))
_ATTACHMENT_KEYS = Keys(frozenset({"aliases", "ip", "mac"}), hints=(("ipv4_address", "ip"), ("mac_address", "mac")))
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?\Z")
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}\Z")
_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\Z")
_LOWEST_MTU, _HIGHEST_MTU = 576, 65535


class Driver(StrEnum):
    """How a network is made."""

    BRIDGE = "bridge"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"


def read_network(spot: Cursor) -> NetworkSpec:
    """A declared network."""
    fields = spot.fields(_KEYS)
    told: dict[str, Any] = {}
    if "driver" in fields:
        told["driver"] = fields["driver"].choice(Driver, default=Driver.BRIDGE).value
    if "parent" in fields:
        told["parent"] = fields["parent"].expanded(_INTERFACE, "a network interface of the node")
    if "subnet" in fields:
        told["subnet"] = _subnet(fields["subnet"])
    for key, name in (("internal", "internal"), ("ipv6", "ipv6"), ("dns", "dns"), ("shared", "is_shared")):
        if key in fields:
            told[name] = fields[key].flag()
    if "mtu" in fields:
        told["mtu"] = fields["mtu"].whole(_LOWEST_MTU, _HIGHEST_MTU)
    network = NetworkSpec(**told)
    if (network.driver == Driver.BRIDGE) != (not network.parent):
        spot.note(
            FaultCode.WRONG_VALUE, "driver and parent do not fit", "parent with macvlan and ipvlan, and only there"
        )
    elif network.driver != Driver.BRIDGE and not network.subnet:
        spot.note(FaultCode.MISSING_FIELD, f"no subnet: nobody gives addresses on a {network.driver}", "subnet: …/24")
    return network


def read_attachments(spot: Cursor, networks: Mapping[str, NetworkSpec]) -> dict[str, Attachment]:
    """The networks that a container names."""
    if isinstance(spot.tree, list):
        spot.note(FaultCode.WRONG_TYPE, "a list stands here", "a map: {line: {}}")
        return {}
    joined = {}
    for name, entry in spot.entries().items():
        if name not in networks:
            unknown(entry, "network", name, networks)
            continue
        joined[name] = _attachment(entry, networks[name])
    return joined


def default_attachments(networks: Mapping[str, NetworkSpec]) -> dict[str, Attachment]:
    """Those of a container that names none."""
    return {name: Attachment() for name in sorted(networks)} or {DEFAULT_NETWORK: Attachment()}


def _attachment(spot: Cursor, network: NetworkSpec) -> Attachment:
    fields = spot.fields(_ATTACHMENT_KEYS)
    aliases: tuple[str, ...] = ()
    if "aliases" in fields:
        aliases = tuple(sorted({item.text(_HOST_NAME, "a host name") for item in fields["aliases"].items()}))
    ip = _ip(fields["ip"], network) if "ip" in fields else ""
    mac = fields["mac"].text(_MAC, "such as 02:00:00:00:00:01").lower() if "mac" in fields else ""
    return Attachment(aliases=aliases, ip=ip, mac=mac)


def _ip(spot: Cursor, network: NetworkSpec) -> str:
    text = spot.text()
    try:
        address = ip_address(text)
    except ValueError:
        spot.note(FaultCode.WRONG_FORMAT, f"{text!r} is no IP address")
        return ""
    if not network.subnet or address not in ip_network(network.subnet):
        spot.note(FaultCode.WRONG_VALUE, f"{text} is not in the subnet of the network", network.subnet or "a subnet")
    return str(address)


def _subnet(spot: Cursor) -> str:
    text = spot.text()
    try:
        return str(ip_network(text))
    except ValueError as refusal:
        spot.note(FaultCode.WRONG_FORMAT, str(refusal), "a network such as 10.89.0.0/24")
        return ""


def read_extra_hosts(spot: Cursor) -> dict[str, str]:
    """Lines of /etc/hosts: name to address, or `host-gateway`."""
    hosts = {}
    for name, entry in spot.entries().items():
        if not _HOST_NAME.match(name):
            entry.note(FaultCode.WRONG_FORMAT, f"{name!r} is no host name")
        hosts[name] = entry.expanded()
        if hosts[name] != "host-gateway" and not is_address(hosts[name]):
            entry.note(FaultCode.WRONG_FORMAT, f"{hosts[name]!r} is no IP address", "an IP address, or host-gateway")
    return hosts


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_name(text: str) -> bool:
    """Whether a text can name a part of a deployment."""
    return NAME.match(text) is not None
