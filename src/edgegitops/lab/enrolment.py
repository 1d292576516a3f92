"""Law: what `node init` would write on a gateway, the lab writes for a virtual one: who it is, where its fleet is, what
it trusts, and a policy that allows the lab's registry and nothing more. Text is JSON scalars in YAML.
"""

import json
from dataclasses import dataclass

from edgegitops.core.model.trust import Pin
from edgegitops.lab.node import VirtualNode


@dataclass(frozen=True, slots=True)
class Seat:
    """A node's place in a fleet: `url` of the repository, the pin, and how often to look (`2s`)."""

    site: str
    node: str
    url: str
    pin: Pin
    poll: str = "2s"


def write(node: VirtualNode, seat: Seat, registries: tuple[str, ...]) -> None:
    """Write `node.yaml` and `policy.yaml` into the node's home."""
    (node.home / "policy.yaml").write_text(_policy(registries))
    (node.home / "node.yaml").write_text(_config(node, seat))


def _config(node: VirtualNode, seat: Seat) -> str:
    return f"""apiVersion: edgegitops/v1
kind: NodeConfig
spec:
  site: {json.dumps(seat.site)}
  node: {json.dumps(seat.node)}
  stateDirectory: {json.dumps(str(node.state))}
  policyFile: {json.dumps(str(node.home / "policy.yaml"))}
  repository:
    url: {json.dumps(seat.url)}
    branch: main
    interval: {seat.poll}
  pin:
    repository: {json.dumps(seat.pin.repository)}
    rootSha256: {json.dumps(seat.pin.root_sha256)}
    checkpoint: {json.dumps(seat.pin.checkpoint)}
  engine:
    socket: {json.dumps(str(node.socket))}
"""


def _policy(registries: tuple[str, ...]) -> str:
    return f"""apiVersion: edgegitops/v1
kind: NodePolicy
spec:
  registries: {json.dumps(list(registries))}
"""
