"""Law: every window and interlock that a site, a policy or a deployment says for a node holds there, all together.

Its `for` and, for policies, the policy's selector choose the node. A window without a zone has the site's; a site
without one has UTC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from edgegitops.core.desired.selectors import matches
from edgegitops.core.desired.values import Target
from edgegitops.core.model.manifests import DeploymentManifest, PlantRules, PolicyManifest, Selector, Snapshot
from edgegitops.core.model.plant import UTC_ZONE, Plant


def policies_of(snapshot: Snapshot, target: Target) -> tuple[PolicyManifest, ...]:
    """The policies that select this node, by name."""
    return tuple(one for _, one in sorted(snapshot.policies.items()) if matches(one.selector, target.tags))


def node_plant(snapshot: Snapshot, target: Target) -> Plant:
    """What the site and the policies say for every deployment of a node."""
    return _plant([target.site.rules, *(one.rules for one in policies_of(snapshot, target))], target)


def plant_of(snapshot: Snapshot, deployment: DeploymentManifest, target: Target) -> Plant:
    """What holds for one deployment on a node."""
    return node_plant(snapshot, target).with_more(_plant([deployment.rules], target))


def _plant(rules: Iterable[PlantRules], target: Target) -> Plant:
    plant, tags = Plant(), target.tags
    for one in rules:
        windows = [each.window for each in one.windows if _is_for(each.selector, tags)]
        interlocks = tuple(each.interlock for each in one.interlocks if _is_for(each.selector, tags))
        zoned = tuple(replace(each, zone=each.zone or target.site.time_zone or UTC_ZONE) for each in windows)
        plant = plant.with_more(Plant(zoned, interlocks))
    return plant


def _is_for(selector: Selector | None, tags: Mapping[str, str]) -> bool:
    return selector is None or matches(selector, tags)
