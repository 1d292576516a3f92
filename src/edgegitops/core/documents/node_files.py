"""Law: the node's own files are judged by their schemas like any manifest, and become values with defaults filled in.

`node.yaml` says who the node is, its keys may be said anew by the environment (`overrides`); `policy.yaml` says what it
allows. A missing policy file is the closed default.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from edgegitops.core.documents.judge import Page, judge
from edgegitops.core.documents.overrides import Setting, say_anew, settings
from edgegitops.core.documents.validators import validators_of
from edgegitops.core.documents.yaml_reader import read_yaml
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.node_config import NodeConfig, Notify, RegistryAccess, Remote, Reports, variable_of
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.quantities import parse_cpus, parse_duration, parse_memory
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.trust import Pin

CLOSED_POLICY = """# What this node allows the fleet's repository to ask of it. The fleet cannot change this file.
# Nothing here is needed to run containers; each line opens one thing.
apiVersion: edgegitops/v1
kind: NodePolicy
spec:
  # Registries that images may come from; without this line any may serve, images are pinned by digest.
  # With it, `edgegitops node image-policy` prints what makes Podman itself reject all others.
  # registries: [registry.plant.example/press]
  # Paths of this machine that containers may mount, and devices that they may open.
  # hostPaths: [/etc/ssl/certs]
  # seccompProfiles: [/etc/seccomp/line.json]
  # devices: [/dev/ttyUSB0]
  # capabilities: [NET_RAW]
  privileged: false
  hostNetwork: false
  # Ports of this machine that containers may publish.
  # ports: [1883, 8080-8089]
  # The most that one container may ask for.
  # ceilings: {memory: 1Gi, cpus: "2"}
  # deny: nothing new is started or removed; what runs is kept running.
  updates: allow
  # Whether a signed hotfix may ignore maintenance windows; whether an interlock that has deferred a change for longer
  # than its maxDefer may be overruled in an open window (onMaxDefer: force-in-window).
  allowIgnoreWindows: false
  allowForceInWindow: false
"""

NOT_YET: Mapping[str, Mapping[str, str]] = {
    "nodeconfig": {},
    "nodepolicy": {},
}


def read_node_config(
    data: bytes, file: str, schemas: SchemaSet, said: Mapping[str, str] | None = None
) -> NodeConfig | tuple[Fault, ...]:
    """The node's configuration, or every fault of the file; `said` are environment variables that say keys anew."""
    spec = _spec(data, file, schemas, "nodeconfig", said)
    if isinstance(spec, tuple):
        return spec
    remote, pin, engine = spec["repository"], spec["pin"], spec.get("engine", {})
    log, fetch = spec.get("log", {}), spec.get("resources", {})
    interval = parse_duration(remote["interval"]) if "interval" in remote else timedelta(seconds=60)
    given = {
        "socket": engine.get("socket"),
        "state": spec.get("stateDirectory"),
        "policy_file": spec.get("policyFile"),
        "age_key_file": spec.get("ageKeyFile"),
        "control": spec.get("socket"),
        "connections": engine.get("connections"),
        "log_level": log.get("level"),
        "log_format": log.get("format"),
        "metrics": spec.get("metrics", {}).get("listen"),
        "notify": _notify(spec["notify"]) if "notify" in spec else None,
        "fetch_memory": parse_memory(fetch["memory"]) if "memory" in fetch else None,
        "fetch_bytes": parse_memory(fetch["disk"]) if "disk" in fetch else None,
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
            proxy=remote.get("proxy", "").rstrip("/"),
        ),
        registry=_registry(spec.get("registry", {})),
        reports=_reports(spec.get("reports", {})),
        pin=Pin(pin["repository"], pin["rootSha256"], pin["checkpoint"]),
        **{key: value for key, value in given.items() if value},
    )


def _notify(said: Mapping[str, Any]) -> Notify:
    held_for = {"held_for": parse_duration(said["heldFor"])} if "heldFor" in said else {}
    return Notify(
        program=tuple(said.get("exec", ())),
        webhook=said.get("webhook", ""),
        token_file=said.get("tokenFile", ""),
        ca_file=said.get("caFile", ""),
        **held_for,
    )


def _registry(said: Mapping[str, Any]) -> RegistryAccess:
    return RegistryAccess(said.get("authFile", ""), said.get("caFile", ""), tuple(said.get("insecure", ())))


def read_node_policy(data: bytes, file: str, schemas: SchemaSet) -> NodePolicy | tuple[Fault, ...]:
    """The node's own policy, or every fault of the file."""
    spec = _spec(data, file, schemas, "nodepolicy")
    if isinstance(spec, tuple):
        return spec
    return NodePolicy(file=file, **_policy_fields(spec))


def _policy_fields(spec: dict[str, Any]) -> dict[str, Any]:
    lists = {
        "hostPaths": "host_paths",
        "seccompProfiles": "seccomp_profiles",
        "devices": "devices",
        "capabilities": "capabilities",
        "registries": "registries",
    }
    fields: dict[str, Any] = {ours: tuple(spec[theirs]) for theirs, ours in lists.items() if theirs in spec}
    flags = {
        "privileged": "privileged",
        "hostNetwork": "host_network",
        "allowIgnoreWindows": "allow_ignore_windows",
        "allowForceInWindow": "allow_force_in_window",
    }
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


def node_config_text(keys: Mapping[tuple[str, ...], str]) -> str:
    """A node.yaml of these keys (paths below spec), one or two deep; values are quoted as JSON."""
    lines = ["apiVersion: edgegitops/v1", "kind: NodeConfig", "spec:"]
    begun = ""
    for *above, last in sorted(keys, key=lambda path: (len(path) > 1, path)):
        if above and above[0] != begun:
            begun = above[0]
            lines.append(f"  {begun}:")
        lines.append(f"{'    ' if above else '  '}{last}: {json.dumps(keys[(*above, last)])}")
    return "\n".join([*lines, ""])


def closed_policy_text() -> str:
    """A policy.yaml that allows nothing beyond the defaults, and says in comments what may be allowed."""
    return CLOSED_POLICY


def read_settings(
    data: bytes, file: str, schemas: SchemaSet, said: Mapping[str, str]
) -> tuple[Setting, ...] | tuple[Fault, ...]:
    """Every key of the configuration with its value and where that comes from; the faults of what is no YAML."""
    document = read_yaml(data, file)
    return document if isinstance(document, tuple) else settings(document, schemas, said)


def _spec(
    data: bytes, file: str, schemas: SchemaSet, kind: str, said: Mapping[str, str] | None = None
) -> dict[str, Any] | tuple[Fault, ...]:
    document = read_yaml(data, file)
    if isinstance(document, tuple):
        return document
    tree = say_anew(document.tree, schemas, said) if said else document.tree
    faults = judge(validators_of(schemas), kind, tree, Page(file, document.root))
    faults = faults or tuple(_not_yet(tree["spec"], kind, Page(file, document.root)))
    faults = faults or tuple(_senseless(tree["spec"], Page(file, document.root)))
    if faults:
        return tuple(_blamed(fault, said or {}) for fault in faults)
    spec: dict[str, Any] = tree["spec"]
    return spec


def _not_yet(spec: Mapping[str, Any], kind: str, page: Page) -> Iterator[Fault]:
    """What the format has and this version does not obey is refused, never taken in silence."""
    for path, why in NOT_YET[kind].items():
        head, _, last = path.partition(".")
        inside = spec.get(head, {}) if last else spec
        if isinstance(inside, Mapping) and (last or head) in inside:
            below = ("spec", head, last) if last else ("spec", head)
            yield page.key_fault(FaultCode.NOT_SUPPORTED_YET, f"{path} is not obeyed by this version yet: {why}", below)


def _reports(spec: Mapping[str, Any]) -> Reports:
    """Where reports go, as far as this file says it."""
    key = {"signing_key": spec["signingKeyFile"]} if "signingKeyFile" in spec else {}
    return Reports(
        git=spec.get("git"),
        directory=spec.get("directory"),
        key_file=spec.get("keyFile", ""),
        token_file=spec.get("tokenFile", ""),
        user=spec.get("user", ""),
        known_hosts_file=spec.get("knownHostsFile", ""),
        ca_file=spec.get("caFile", ""),
        proxy=spec.get("proxy", "").rstrip("/"),
        **key,
    )


def _senseless(spec: Mapping[str, Any], page: Page) -> Iterator[Fault]:
    """Words that are right by themselves and make no sense together."""
    remote = spec.get("repository", {})
    if "proxy" in remote and not remote["url"].startswith("https://"):
        words = "repository.proxy is for https addresses"
        yield page.key_fault(FaultCode.WRONG_VALUE, words, ("spec", "repository", "proxy"))
    notify = spec.get("notify")
    if notify is not None and len({"exec", "webhook"} & notify.keys()) != 1:
        yield page.key_fault(FaultCode.WRONG_VALUE, "notify needs either exec or webhook", ("spec", "notify"))


def _blamed(fault: Fault, said: Mapping[str, str]) -> Fault:
    """A fault of a word from the environment names its variable, not a line of the file."""
    variable = variable_of(tuple(fault.pointer.removeprefix("/spec/").split("/")))
    return replace(fault, file=f"environment {variable}", position=None) if variable in said else fault
