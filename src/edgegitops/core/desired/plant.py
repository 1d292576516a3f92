"""Law: every window and interlock that a site, a policy or a deployment says for a node holds there, all together.

Its `for` and, for policies, the policy's selector choose the node. A window without a zone has the site's; a site
without one has UTC.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from edgegitops.core.desired.places import Place, Problem
from edgegitops.core.desired.selectors import matches
from edgegitops.core.desired.values import Target
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Application, DeploymentManifest, PlantRules, PolicyManifest, Snapshot
from edgegitops.core.model.plant import UTC_ZONE, Plant, Zones
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.selector import Selector

_EVERYWHERE = "Etc/UTC"


def policies_of(snapshot: Snapshot, target: Target) -> tuple[PolicyManifest, ...]:
    """The policies that select this node, by name."""
    return tuple(one for _, one in sorted(snapshot.policies.items()) if matches(one.selector, target.tags))


def node_plant(snapshot: Snapshot, target: Target) -> Plant:
    """What the site and the policies say for every deployment of a node."""
    return _plant([target.site.rules, *(one.rules for one in policies_of(snapshot, target))], target)


def plant_of(snapshot: Snapshot, deployment: DeploymentManifest, target: Target) -> Plant:
    """What holds for one deployment on a node."""
    return node_plant(snapshot, target).with_more(_plant([deployment.rules], target))


def unknown_zones(snapshot: Snapshot, zones: Zones) -> Iterator[Fault]:
    """Faults of windows and jobs whose time zone is not known here; none where no zones at all are installed here."""
    if zones.find(_EVERYWHERE) is None:
        return
    written = [
        *((one.origin, one.rules) for one in snapshot.sites.values()),
        *((one.origin, one.rules) for one in snapshot.policies.values()),
        *((one.origin, one.rules) for one in snapshot.deployments.values()),
    ]
    for origin, rules in written:
        for window in (one.window for one in rules.windows):
            if window.zone and zones.find(window.zone) is None:
                message = f"window {window.name}: there is no time zone {window.zone!r}; on a node it would never open"
                problem = Problem(FaultCode.UNKNOWN_REFERENCE, message, "an IANA name such as Europe/Stockholm")
                yield Place(origin, ("spec", "windows", window.name, "timeZone")).fault(problem)
    for application in snapshot.applications.values():
        for name, zone in _zones_of_jobs(application):
            if zones.find(zone) is None:
                message = f"job {name}: there is no time zone {zone!r}; on a node it would never run"
                problem = Problem(FaultCode.UNKNOWN_REFERENCE, message, "an IANA name such as Europe/Stockholm")
                yield Place(application.origin, ("spec", "jobs", name, "timeZone")).fault(problem)


def _zones_of_jobs(application: Application) -> Iterator[tuple[str, str]]:
    """The zones that the jobs of an application name."""
    for name, job in (application.spec.get("jobs") or {}).items():
        zone = job.get("timeZone", "site")
        if zone not in {"site", "utc"}:
            yield name, zone


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
