"""Law: the node's own files are judged by their schemas like any manifest, and become values with defaults filled in.

`node.yaml` says who the node is; `policy.yaml` what it allows. A missing policy file is the closed default.
"""

from datetime import timedelta
from typing import Any

from edgegitops.core.documents.judge import Page, judge
from edgegitops.core.documents.validators import validators_of
from edgegitops.core.documents.yaml_reader import read_yaml
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import SchemaSet
from edgegitops.core.model.node_config import NodeConfig, Remote
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.quantities import parse_cpus, parse_duration, parse_memory
from edgegitops.core.model.trust import Pin


def read_node_config(data: bytes, file: str, schemas: SchemaSet) -> NodeConfig | tuple[Fault, ...]:
    """The node's configuration, or every fault of the file."""
    spec = _spec(data, file, schemas, "nodeconfig")
    if isinstance(spec, tuple):
        return spec
    remote, pin, engine = spec["repository"], spec["pin"], spec.get("engine", {})
    interval = parse_duration(remote["interval"]) if "interval" in remote else timedelta(seconds=60)
    given = {
        "socket": engine.get("socket"),
        "state": spec.get("stateDirectory"),
        "policy_file": spec.get("policyFile"),
        "control": spec.get("socket"),
    }
    return NodeConfig(
        site=spec["site"],
        node=spec["node"],
        remote=Remote(
            url=remote["url"],
            branch=remote.get("branch", "main"),
            interval=interval,
            key_file=remote.get("keyFile", ""),
            token_file=remote.get("tokenFile", ""),
            user=remote.get("user", ""),
            known_hosts_file=remote.get("knownHostsFile", ""),
            ca_file=remote.get("caFile", ""),
        ),
        pin=Pin(pin["repository"], pin["rootSha256"], pin["checkpoint"]),
        **{key: value for key, value in given.items() if value},
    )


def read_node_policy(data: bytes, file: str, schemas: SchemaSet) -> NodePolicy | tuple[Fault, ...]:
    """The node's own policy, or every fault of the file."""
    spec = _spec(data, file, schemas, "nodepolicy")
    if isinstance(spec, tuple):
        return spec
    return NodePolicy(file=file, **_policy_fields(spec))


def _policy_fields(spec: dict[str, Any]) -> dict[str, Any]:
    lists = {
        "hostPaths": "host_paths",
        "devices": "devices",
        "capabilities": "capabilities",
        "registries": "registries",
    }
    fields: dict[str, Any] = {ours: tuple(spec[theirs]) for theirs, ours in lists.items() if theirs in spec}
    flags = {"privileged": "privileged", "hostNetwork": "host_network"}
    fields |= {ours: spec[theirs] for theirs, ours in flags.items() if theirs in spec}
    if "ports" in spec:
        fields["ports"] = tuple(_range(entry) for entry in spec["ports"])
    ceilings = spec.get("ceilings", {})
    if "memory" in ceilings:
        fields["max_memory"] = parse_memory(ceilings["memory"])
    if "cpus" in ceilings:
        fields["max_milli_cpus"] = parse_cpus(ceilings["cpus"])
    if "updates" in spec:
        fields["updates"] = spec["updates"] == "allow"
    return fields


def _range(entry: int | str) -> tuple[int, int]:
    first, _, last = str(entry).partition("-")
    return int(first), int(last or first)


def _spec(data: bytes, file: str, schemas: SchemaSet, kind: str) -> dict[str, Any] | tuple[Fault, ...]:
    document = read_yaml(data, file)
    if isinstance(document, tuple):
        return document
    faults = judge(validators_of(schemas), kind, document.tree, Page(file, document.root))
    if faults:
        return faults
    spec: dict[str, Any] = document.tree["spec"]
    return spec
