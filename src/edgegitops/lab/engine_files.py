"""Law: what one node's Podman is told, as text; all of it through CONTAINERS_* variables, nothing under /etc.

What differs between machines is looked at, never assumed: the OCI runtime, the Podman version, the limits that this
process may pass on. Durable: images, containers, volumes, networks. Lost with the power, as on a real gateway:
/run and /dev/shm (locks, leases, name server), which must go together.
"""

import re
import resource
import shutil
from pathlib import Path

from edgegitops.lab.commands import PATH, run

POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
SETTINGS = {
    "CONTAINERS_CONF": "containers.conf",
    "CONTAINERS_STORAGE_CONF": "storage.conf",
    "CONTAINERS_REGISTRIES_CONF": "registries.conf",
    "TMPDIR": "tmp",
}


def podman_version() -> tuple[int, ...]:
    """The version of this machine's Podman, for example (4, 3, 1)."""
    found = re.search(rb"(\d+)\.(\d+)\.(\d+)", run(["podman", "--version"]))
    return tuple(int(part) for part in found.groups()) if found else (0, 0, 0)


def write(home: Path, registry: str, names: tuple[str, ...]) -> None:
    """Write a node's engine configuration; `registry` is host:port, `names` are what images may call it by."""
    for folder in ("root", "net", "tmp", "state"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "containers.conf").write_text(_containers(home, podman_version()))
    (home / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "{home}/root"\n'
    )
    (home / "registries.conf").write_text(_registries(registry, names))
    (home / "policy.json").write_text(POLICY)


def environment(home: Path) -> dict[str, str]:
    """What every program inside the node is started with, so that all of them mean the same engine."""
    settings = {key: str(home / name) for key, name in SETTINGS.items()}
    return {**settings, "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}


def _containers(home: Path, version: tuple[int, ...]) -> str:
    runtime = "crun" if shutil.which("crun", path=PATH) else "runc"
    firewall = 'firewall_driver = "nftables"\n' if version >= (5,) else ""
    files = _limit(resource.RLIMIT_NOFILE, 20000)
    processes = _limit(resource.RLIMIT_NPROC, 32768)
    return f"""[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
image_copy_tmp_dir = "storage"
lock_type = "shm"
runtime = "{runtime}"
tmp_dir = "/run/libpod"
[network]
network_backend = "netavark"
{firewall}network_config_dir = "{home}/net"
"""


def _limit(kind: int, wanted: int) -> int:
    """A machine without CAP_SYS_RESOURCE cannot pass on more than its own hard limit."""
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _registries(registry: str, names: tuple[str, ...]) -> str:
    blocks = [f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n']
    blocks += [f'[[registry]]\nprefix = "{name}"\nlocation = "{registry}"\ninsecure = true\n' for name in names]
    return "unqualified-search-registries = []\n" + "".join(blocks)
