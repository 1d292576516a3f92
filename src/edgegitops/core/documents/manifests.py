"""Law: a judged tree becomes its manifest; nothing is judged, defaulted or looked up here."""

from collections.abc import Mapping

from edgegitops.core.documents.plant import read_rules
from edgegitops.core.documents.rollout import read_rollout
from edgegitops.core.documents.selectors import read_selector
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.manifests import (
    Application,
    DeploymentManifest,
    Fleet,
    KeysOfNode,
    Mirror,
    NodeEntry,
    NodeKeys,
    Origin,
    Override,
    PolicyManifest,
    Site,
)
from edgegitops.core.model.quantities import parse_duration
from edgegitops.core.model.report import Reporting


def read_fleet(tree: Mapping[str, Tree], origin: Origin) -> Fleet:
    """`fleet.yaml`."""
    spec = tree["spec"]
    return Fleet(
        origin=origin,
        repository=spec["repository"],
        resolver=spec["resolver"],
        values=spec.get("values", {}),
        minimum_profile=spec.get("minimumProfile", "privileged"),  # unwritten: the fleet demands nothing
        mirrors=_read_mirrors(spec),
        max_staleness=parse_duration(spec["maxStaleness"]) if "maxStaleness" in spec else None,
        reporting=_read_reporting(spec.get("reports", {})),
    )


def _read_reporting(said: Mapping[str, Tree]) -> Reporting:
    heartbeat = {"heartbeat": parse_duration(said["heartbeat"])} if "heartbeat" in said else {}
    return Reporting(said.get("git", ""), said.get("directory", ""), **heartbeat)


def read_node_keys(tree: Mapping[str, Tree], origin: Origin) -> NodeKeys:
    """The keys of the nodes of a site."""
    nodes = tree["spec"]["nodes"]
    found = {name: KeysOfNode(keys.get("reportKey", ""), keys.get("ageKey", "")) for name, keys in nodes.items()}
    return NodeKeys(origin, tree["metadata"]["name"], found)


def read_site(tree: Mapping[str, Tree], origin: Origin) -> Site:
    """A site and its nodes."""
    spec = tree["spec"]
    return Site(
        origin=origin,
        name=tree["metadata"]["name"],
        tags=spec.get("tags", {}),
        nodes={name: _read_node(name, node) for name, node in spec["nodes"].items()},
        values=spec.get("values", {}),
        time_zone=spec.get("timeZone", ""),
        network_pool=spec.get("networkPool", ""),
        rules=read_rules(spec, origin.file),
        mirrors=_read_mirrors(spec),
    )


def _read_mirrors(spec: Mapping[str, Tree]) -> tuple[Mirror, ...]:
    return tuple(Mirror(one["from"], one["mirror"]) for one in spec.get("registries", ()))


def _read_node(name: str, node: Mapping[str, Tree]) -> NodeEntry:
    return NodeEntry(
        name=name,
        tags=node.get("tags", {}),
        values=node.get("values", {}),
        address=node.get("address", ""),
        is_in_maintenance=node.get("state") == "maintenance",
    )


def read_application(tree: Mapping[str, Tree], origin: Origin) -> Application:
    """An application; the files beside it are put in by who knows the whole revision."""
    spec = tree["spec"]
    return Application(origin=origin, name=tree["metadata"]["name"], version=spec["version"], spec=spec)


def read_deployment(tree: Mapping[str, Tree], origin: Origin) -> DeploymentManifest:
    """A deployment; `spec` keeps the whole judged tree."""
    spec = tree["spec"]
    return DeploymentManifest(
        origin=origin,
        name=tree["metadata"]["name"],
        attempt=tree["metadata"].get("attempt", 1),
        application=spec["application"],
        selector=read_selector(spec["selector"]),
        values=spec.get("values", {}),
        overrides=tuple(
            Override(read_selector(override["selector"]), override["patch"]) for override in spec.get("overrides", ())
        ),
        spec=spec,
        rules=read_rules(spec, origin.file),
        rollout=read_rollout(spec),
    )


def read_policy(tree: Mapping[str, Tree], origin: Origin) -> PolicyManifest:
    """A policy of the fleet."""
    spec = tree["spec"]
    return PolicyManifest(
        origin=origin,
        name=tree["metadata"]["name"],
        selector=read_selector(spec["selector"]),
        rules=read_rules(spec, origin.file),
        minimum_profile=spec.get("minimumProfile", ""),
        registries=tuple(spec.get("registries", ())),
        require_probes=spec.get("requireProbes", False),
    )
