"""The node's own policy over what Git may ask of it: closed by default, an allow-list."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """`/etc/edgegitops/policy.yaml`. Paths and devices are prefixes or exact; registries are host[:port][/path]
    prefixes, empty means every registry; ports are inclusive ranges, empty means every port from 1.
    """

    host_paths: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    privileged: bool = False
    host_network: bool = False
    registries: tuple[str, ...] = ()
    ports: tuple[tuple[int, ...], ...] = ()
    max_memory: int | None = None
    max_milli_cpus: int | None = None
    updates: bool = True
    file: str = "/etc/edgegitops/policy.yaml"
