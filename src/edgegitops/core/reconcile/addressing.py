"""Law: a network without a subnet of its own gets one from the site's pool, and keeps it for as long as it exists.

1. Where it is looked for first follows from the network's name alone, so that a rebuilt node chooses as before.
2. What anything on the engine has is passed over, and so is what was chosen a moment ago for another network.
3. An answer that the engine gave to a choice moves the next one on: the machine may use that subnet for itself.
A pool is cut into pieces of /24; one smaller than a /20 into sixteen pieces. The choice is part of no digest.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network, ip_network

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.steps import CreateNetwork
from edgegitops.core.reconcile.parts import Parts
from edgegitops.core.reconcile.scene import Scene

PIECE = 24
PIECES_AT_LEAST = 4  # as a power of two


def networks_to_make(scene: Scene, parts: Parts, names: Iterable[str]) -> list[CreateNetwork]:
    """The steps that make those of the named networks (of the spec) that are not there."""
    pool = parts.release.policy.network_pool
    steps: list[CreateNetwork] = []
    taken = [subnet for subnets in scene.observed.subnets.values() for subnet in subnets]
    for name in sorted(names):
        if parts.networks[name] in scene.observed.networks:
            continue
        step = parts.create_network(name)
        if pool and step.spec.driver == "bridge" and not step.spec.subnet:
            failure = scene.record.failures.get(f"{step.kind} {step.subject}")
            chosen = choose(pool, step.subject, taken, again=failure.count if failure else 0)
            taken.append(chosen)
            step = replace(step, spec=replace(step.spec, subnet=chosen), is_chosen=True)
        steps.append(step)
    return steps


def choose(pool: str, name: str, taken: Iterable[str], *, again: int = 0) -> str:
    """A piece of the pool that overlaps nothing taken; where none is free, one that the engine will refuse."""
    used = [one for one in map(ip_network, taken) if isinstance(one, IPv4Network)]
    pieces = list(_from(IPv4Network(pool), int(sha256_hex(name.encode())[:8], 16) + again))
    free = (piece for piece in pieces if not any(piece.overlaps(one) for one in used))
    return str(next(free, pieces[0]))


def _from(pool: IPv4Network, first: int) -> Iterator[IPv4Network]:
    """All pieces of a pool, from one on."""
    prefix = max(PIECE, pool.prefixlen + PIECES_AT_LEAST)
    count, size = 2 ** (prefix - pool.prefixlen), 2 ** (32 - prefix)
    for at in range(min(count, 4096)):
        yield IPv4Network((int(pool.network_address) + (first + at) % count * size, prefix))
