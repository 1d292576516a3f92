"""Law: what `node init` would write on a gateway, the lab writes for a virtual one: who it is, where its fleet is, what
it trusts, and a policy that allows the lab's registry and nothing more. Text is JSON scalars in YAML.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgegitops.core.model.trust import Pin
from edgegitops.lab.commands import run
from edgegitops.lab.node import VirtualNode


@dataclass(frozen=True, slots=True)
class Seat:
    """A node's place in a fleet: `url` of the repository, the pin, how often to look (`2s`), and where reports go, by
    the keys of node.yaml (nothing: as the fleet says).
    """

    site: str
    node: str
    url: str
    pin: Pin
    poll: str = "2s"
    reports: Mapping[str, str] = field(default_factory=dict)


def write(node: VirtualNode, seat: Seat, registries: tuple[str, ...]) -> None:
    """Write `node.yaml` and `policy.yaml` into the node's home, beside a report key."""
    report_key(node)
    (node.home / "policy.yaml").write_text(_policy(registries))
    (node.home / "node.yaml").write_text(_config(node, seat) + _reports(node, seat))


def report_key(node: VirtualNode) -> str:
    """The public line of the node's report key, which is made where it is new."""
    path = node.home / "report.key"
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", node.name, "-f", str(path)])
    return " ".join(path.with_suffix(".key.pub").read_text().split()[:2])


def keys_manifest(site: str, keys: Mapping[str, str]) -> str:
    """The text of the NodeKeys of a site: node to report key."""
    rows = "".join(f"    {node}:\n      reportKey: {json.dumps(line)}\n" for node, line in sorted(keys.items()))
    head = f"apiVersion: edgegitops/v1\nkind: NodeKeys\nmetadata:\n  name: {site}\nspec:\n  nodes:\n"
    return head + rows


def _reports(node: VirtualNode, seat: Seat) -> str:
    told = {**seat.reports, "signingKeyFile": str(node.home / "report.key")}
    return "  reports:\n" + "".join(f"    {key}: {json.dumps(value)}\n" for key, value in told.items())


def _config(node: VirtualNode, seat: Seat) -> str:
    return f"""apiVersion: edgegitops/v1
kind: NodeConfig
spec:
  site: {json.dumps(seat.site)}
  node: {json.dumps(seat.node)}
  stateDirectory: {json.dumps(str(node.state))}
  policyFile: {json.dumps(str(node.home / "policy.yaml"))}
  ageKeyFile: {json.dumps(str(node.home / "age.key"))}
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
