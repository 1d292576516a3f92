"""The node's own policy over what Git may ask of it: closed by default, an allow-list."""

from dataclasses import dataclass

SEALED = ("/etc/edgegitops", "/var/lib/edgegitops", "/var/lib/containers")


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """`/etc/edgegitops/policy.yaml`. Paths and devices are prefixes or exact, seccomp profiles exact; registries are
    host[:port][/path] prefixes, empty means every registry; ports are inclusive ranges, empty means every port from 1.
    `allow_…` let Git overrule the plant: a hotfix the windows, an interlock that waits too long (`force-in-window`).
    `sealed` are host folders that no rule opens: what the agent and the engine keep there is the node.
    """

    host_paths: tuple[str, ...] = ()
    seccomp_profiles: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    privileged: bool = False
    host_network: bool = False
    registries: tuple[str, ...] = ()
    ports: tuple[tuple[int, ...], ...] = ()
    max_memory: int | None = None
    max_milli_cpus: int | None = None
    updates: bool = True
    allow_ignore_windows: bool = False
    allow_force_in_window: bool = False
    sealed: tuple[str, ...] = SEALED
    file: str = "/etc/edgegitops/policy.yaml"
