"""The node's own configuration, `/etc/edgegitops/node.yaml`, as values with their defaults."""

from dataclasses import dataclass
from datetime import timedelta

from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.trust import Pin


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the fleet repository is, and the files with what is needed to read it."""

    url: str
    branch: str = "main"
    interval: timedelta = timedelta(seconds=60)
    key_file: str = ""
    token_file: str = ""
    user: str = ""
    known_hosts_file: str = ""
    ca_file: str = ""
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told of alarms and of holds that stand for `held_for`: a program and its arguments, or a URL."""

    program: tuple[str, ...] = ()
    webhook: str = ""
    token_file: str = ""
    ca_file: str = ""
    held_for: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """How registries are reached: the file with logins (empty: that of `podman login`), the authorities that artifacts
    are asked for with, and registries (host:port) that speak plain HTTP.
    """

    auth_file: str = ""
    ca_file: str = ""
    insecure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reports:
    """Where this node's reports go and others' come from: a Git repository, a folder that all share, or both; None: as
    the fleet says, empty: not this way. `signing_key` signs them; the other files are proofs for the Git repository.
    """

    git: str | None = None
    directory: str | None = None
    signing_key: str = "/etc/edgegitops/report.key"
    key_file: str = ""
    token_file: str = ""
    user: str = ""
    known_hosts_file: str = ""
    ca_file: str = ""
    proxy: str = ""

    @property
    def is_own(self) -> bool:
        """Whether this file names a way."""
        return bool(self.git or self.directory)

    @property
    def left_to_fleet(self) -> frozenset[str]:
        """The ways that the fleet may say, as fields of `Reporting`."""
        return frozenset(way for way, said in (("git", self.git), ("directory", self.directory)) if said is None)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Who the node is and where its things are. The fleet's name on labels is the repository id of the trust root;
    `control` is the agent's control socket, empty: `agent.sock` in the state directory. At most `connections` calls
    wait for the engine at once. `metrics` is host:port of the endpoint, empty: there is none. `fetch_memory` and
    `fetch_bytes` limit the child that fetches.
    """

    site: str
    node: str
    remote: Remote
    pin: Pin
    socket: str = "/run/podman/podman.sock"
    state: str = "/var/lib/edgegitops"
    policy_file: str = "/etc/edgegitops/policy.yaml"
    age_key_file: str = "/etc/edgegitops/age.key"
    control: str = ""
    connections: int = 32
    log_level: str = "info"
    log_format: str = "auto"
    metrics: str = ""
    notify: Notify | None = None
    fetch_memory: int = 1024 * 1024 * 1024
    fetch_bytes: int = 512 * 1024 * 1024
    registry: RegistryAccess = RegistryAccess()
    reports: Reports = Reports()

    @property
    def control_socket(self) -> str:
        """Where the agent listens to commands."""
        return self.control or f"{self.state}/agent.sock"

    def identity(self) -> NodeIdentity:
        """The node as the core knows it."""
        return NodeIdentity(self.pin.repository, self.site, self.node, self.pin)


def variable_of(path: tuple[str, ...]) -> str:
    """The environment variable that says a key of the configuration's spec anew: `EDGEGITOPS_PIN_ROOT_SHA256`."""
    words = "_".join("".join(f"_{letter}" if letter.isupper() else letter for letter in part) for part in path)
    return f"EDGEGITOPS_{words.upper()}"
