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


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Who the node is and where its things are. The fleet's name on labels is the repository id of the trust root."""

    site: str
    node: str
    remote: Remote
    pin: Pin
    socket: str = "/run/podman/podman.sock"
    state: str = "/var/lib/edgegitops"
    policy_file: str = "/etc/edgegitops/policy.yaml"

    def identity(self) -> NodeIdentity:
        """The node as the core knows it."""
        return NodeIdentity(self.pin.repository, self.site, self.node, self.pin)
