"""Law: a subnet that a manifest chooses for a bridge is private, and hides nothing that the node talks to.

Private: 10/8, 172.16/12, 192.168/16 (RFC 1918) and fc00::/7 (RFC 4193). On one node no two networks overlap, and none
holds the node's own address. A site's pool is for networks without a subnet; no written subnet lies in it. Networks by
macvlan and ipvlan are on the plant's own subnet, so this is not for them.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from edgegitops.core.desired.places import Place, Problem
from edgegitops.core.desired.values import Target
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import DeploymentSpec

_PRIVATE = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
SMALLEST_POOL = 25
_EXPECTED = "a private subnet that nothing else on the node has"


def is_private(subnet: str) -> bool:
    """Whether a subnet holds private addresses alone."""
    asked = ip_network(subnet)
    return any(asked.version == one.version and _is_within(asked, one) for one in _PRIVATE)


def subnet_conflicts(specs: Mapping[str, tuple[DeploymentSpec, Place]], address: str) -> Iterator[Fault]:
    """Subnets of bridges on one node that overlap, or hold its own address; told of the later one."""
    taken: list[tuple[IPv4Network | IPv6Network, str]] = []
    own = _address(address)
    for deployment, (spec, place) in sorted(specs.items()):
        for name, network in sorted(spec.networks.items()):
            if network.driver != "bridge" or not network.subnet:
                continue
            asked = ip_network(network.subnet)
            owner = f"shared {name}" if network.is_shared else f"{deployment}.{name}"
            other = next((who for known, who in taken if who != owner and known.overlaps(asked)), "")
            if other or (own is not None and own.overlaps(asked)):
                whose = f"overlaps that of the network {other}" if other else f"holds the node's own address {address}"
                message = f"{deployment}: the subnet {network.subnet} of {name!r} {whose}"
                yield place.fault(Problem(FaultCode.WRONG_VALUE, message, _EXPECTED))
            taken.append((asked, owner))


def pool_faults(target: Target, specs: Mapping[str, tuple[DeploymentSpec, Place]]) -> Iterator[Fault]:
    """What is wrong with the pool of a site: no place for networks, or not free for them."""
    text = target.site.network_pool
    if not text:
        return
    place = Place(target.site.origin, ("spec", "networkPool"))
    try:
        pool = IPv4Network(text)
    except ValueError as refusal:
        yield place.fault(Problem(FaultCode.WRONG_FORMAT, f"networkPool: {refusal}", "IPv4, such as 10.213.0.0/16"))
        return
    if pool.prefixlen > SMALLEST_POOL or not is_private(text):
        what = f"the pool {text} is too small or not private"
        yield place.fault(Problem(FaultCode.WRONG_VALUE, what, f"a private network of /{SMALLEST_POOL} or larger"))
    own = _address(target.node.address)
    if own is not None and own.overlaps(pool):
        what = f"the pool {text} holds the address {target.node.address} of the node {target.node.name}"
        yield place.fault(Problem(FaultCode.WRONG_VALUE, what, _EXPECTED))
    for deployment, (spec, where) in sorted(specs.items()):
        for name, network in sorted(spec.networks.items()):
            if network.subnet and ip_network(network.subnet).overlaps(pool):
                message = f"{deployment}: the subnet {network.subnet} of {name!r} lies in the pool {text} of the site"
                yield where.fault(Problem(FaultCode.WRONG_VALUE, message, "a subnet outside of the pool, or none"))


def _is_within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer


def _address(text: str) -> IPv4Network | IPv6Network | None:
    """The node's address as a network of one; None where it is a name, or not said."""
    try:
        return ip_network(ip_address(text))
    except ValueError:
        return None
