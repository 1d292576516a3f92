"""Law: a published port is one number on the node; ranges are written out, and no number is given away twice.

`host` may be a range of the same length as `container`. Without `host` a port is only exposed inside. An empty host
address means every address, so it is in conflict with each of them.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Port

_KEYS = Keys(
    frozenset({"name", "container", "host", "hostIP", "protocol"}),
    hints=(("containerPort", "container"), ("hostPort", "host"), ("target", "container"), ("published", "host")),
)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_PROTOCOLS = ("tcp", "udp", "sctp")
_HIGHEST = 65535
_LONGEST_RANGE = 1024
_MOST_PORTS = 2048


def read_ports(spot: Cursor) -> tuple[Port, ...]:
    """All ports of a container, ranges written out, sorted; one that is listed twice is a fault."""
    found: dict[Port, None] = {}
    for item in spot.items():
        if len(found) >= _MOST_PORTS:
            spot.note(FaultCode.TOO_LARGE, "too many ports", f"at most {_MOST_PORTS} in all")
            break
        for port in _read_port(item):
            if port in found:
                item.note(FaultCode.DUPLICATE_NAME, f"port {port.container}/{port.protocol} is listed twice")
            found[port] = None
    return tuple(sorted(found, key=lambda port: (port.container, port.protocol, port.host or 0, port.host_ip)))


def _read_port(item: Cursor) -> list[Port]:
    fields = item.fields(_KEYS)
    if "name" in fields:
        fields["name"].text()
    if "container" not in fields:
        item.note(FaultCode.MISSING_FIELD, "no container port", "container: 8080")
        return []
    inside = _numbers(fields["container"], is_expanded=False)
    outside: Iterable[int | None] = [None] * len(inside)
    if "host" in fields:
        numbers = _numbers(fields["host"], is_expanded=True)
        if inside and numbers and len(numbers) != len(inside):
            fields["host"].note(FaultCode.WRONG_VALUE, f"{len(numbers)} host ports for {len(inside)} ports")
        outside = numbers
    address = _address(fields["hostIP"]) if "hostIP" in fields else ""
    protocols = _protocols(fields["protocol"]) if "protocol" in fields else ("tcp",)
    pairs = list(zip(inside, outside, strict=False))
    return [Port(one, host, address, protocol) for one, host in pairs for protocol in protocols]


def _numbers(spot: Cursor, *, is_expanded: bool) -> list[int]:
    """One port or all of a range; empty where a fault was noted."""
    before = len(spot.scope.faults)
    text = spot.expanded() if is_expanded or isinstance(spot.tree, int) else spot.text()
    if len(spot.scope.faults) > before:
        return []
    match = _RANGE.match(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= _HIGHEST or last - first >= _LONGEST_RANGE:
        wanted = f"1 to {_HIGHEST}, or a range of at most {_LONGEST_RANGE} such as 8000-8010"
        spot.note(FaultCode.WRONG_VALUE, f"{text!r} is no port", wanted)
        return []
    return list(range(first, last + 1))


def _address(spot: Cursor) -> str:
    """The address as the library writes it; empty for every address."""
    text = spot.expanded()
    if text in {"", "0.0.0.0"}:  # noqa: S104 - what is published without an address
        return ""
    try:
        return str(ip_address(text))
    except ValueError:
        spot.note(FaultCode.WRONG_FORMAT, f"{text!r} is no IP address", "an IPv4 or IPv6 address of the node")
        return ""


def _protocols(spot: Cursor) -> tuple[str, ...]:
    names = spot.texts() if isinstance(spot.tree, list) else (spot.text(),)
    for name in names:
        if name not in _PROTOCOLS:
            spot.note(FaultCode.WRONG_VALUE, f"{name!r} is no protocol", ", ".join(_PROTOCOLS))
    return tuple(sorted(set(names) & set(_PROTOCOLS)))


class Taken:
    """The host ports of one node, and who has each."""

    def __init__(self) -> None:
        self._owners: dict[tuple[int, str], list[tuple[str, str]]] = {}

    def take(self, port: Port, owner: str) -> str:
        """Note that `owner` publishes the port; answers the owner who has it already, else an empty string."""
        if port.host is None:
            return ""
        others = self._owners.setdefault((port.host, port.protocol), [])
        clash = next((other for address, other in others if _is_same(address, port.host_ip)), "")
        others.append((port.host_ip, owner))
        return clash


def _is_same(one: str, other: str) -> bool:
    everywhere = {"", "::"}
    return one == other or one in everywhere or other in everywhere
