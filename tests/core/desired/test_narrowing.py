"""Policies of the fleet, and windows and interlocks of site, policies and deployment: what holds on which node."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from tests.core.desired.test_resolve import CLOSED, GW_A

from edgegitops.core.desired.check import check_snapshot
from edgegitops.core.desired.plant import unknown_zones
from edgegitops.core.desired.resolve import desired_for
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.manifests import Origin, PlantRules, PolicyManifest, ScopedInterlock, ScopedWindow, Snapshot
from edgegitops.core.model.plant import FixedZones, Interlock, Window, WindowKind
from edgegitops.core.model.selector import Selector

ALL = Selector(is_all=True)
HOUR = timedelta(hours=1)


def policy(world, *, site="plant", **fields) -> Snapshot:
    """The world's snapshot with one policy for the nodes of a site."""
    manifest = PolicyManifest(Origin("policies/lines.yaml"), "lines", world.only("site", site), **fields)
    return replace(world.snapshot(), policies={"lines": manifest})


def desired(world, snapshot) -> Desired:
    found = desired_for(snapshot, GW_A, world.blobs, CLOSED, world.judge)
    assert isinstance(found, Desired)
    return found


RULES = [
    ({"minimum_profile": "restricted"}, "minimumProfile", "security.profile: baseline is looser than restricted"),
    ({"registries": ("registry.example/other",)}, "registries", "is from no allowed registry"),
    ({"require_probes": True}, "requireProbes", "probes.ready: there is none"),
]


@pytest.mark.parametrize(("fields", "rule", "message"), RULES, ids=[rule for _, rule, _ in RULES])
def test_policy_refuses_with_field_rule_and_file(world, fields, rule, message):
    snapshot = policy(world, **fields)
    found = desired(world, snapshot)
    assert not found.releases
    (fault,) = found.refused.by_deployment["line"]
    assert (fault.code, fault.file, fault.pointer) == ("admission-denied", "policies/lines.yaml", f"/spec/{rule}")
    assert message in fault.message
    assert "containers.web" in fault.message
    assert fault.expected == f"spec.{rule} of policies/lines.yaml to allow it"
    told = check_snapshot(snapshot, world.blobs, world.judge)
    assert [one.code for one in told if not one.is_warning] == ["admission-denied"], "validate finds it before"


@pytest.mark.parametrize("fields", [fields for fields, _, _ in RULES], ids=str)
def test_policy_of_other_nodes_refuses_nothing(world, fields):
    assert set(desired(world, policy(world, site="other", **fields)).releases) == {"line"}


@pytest.mark.parametrize(
    "fields",
    [{"minimum_profile": "baseline"}, {"registries": ("registry.example",)}, {"require_probes": False}, {}],
    ids=str,
)
def test_policy_that_is_kept_to_changes_no_digest(world, fields):
    assert desired(world, policy(world, **fields)).releases["line"].digest == world.release().digest


def test_policy_never_allows_what_the_node_refuses(world):
    host = world.web(mounts={"/x": {"hostPath": "/srv/x"}})
    assert not desired(host, policy(host, registries=("registry.example",))).releases


def test_policy_that_selects_nothing_is_a_warning(world):
    (warning,) = check_snapshot(policy(world, site="nowhere"), world.blobs, world.judge)
    assert (warning.code, warning.is_warning, warning.file) == ("nothing-selected", True, "policies/lines.yaml")


def rules(file: str, *, zone: str = "", selector: Selector | None = None) -> PlantRules:
    window = Window("night", file, WindowKind.ALLOW, "0 2 * * *", HOUR, zone)
    return PlantRules((ScopedWindow(window, selector),), (ScopedInterlock(Interlock("a", file, path="/a"), selector),))


def with_rules(world, *, selector: Selector | None = None, zone: str = "", site_zone: str | None = None) -> Snapshot:
    """Rules of the site, of a policy and of the deployment, each for the same nodes."""
    snapshot = policy(world, rules=rules("policies/lines.yaml", selector=selector, zone=zone))
    site, line = snapshot.sites["plant"], snapshot.deployments["line"]
    site = replace(site, rules=rules(site.origin.file, selector=selector, zone=zone))
    site = site if site_zone is None else replace(site, time_zone=site_zone)
    line = replace(line, rules=rules(line.origin.file, selector=selector, zone=zone))
    return replace(
        snapshot, sites={**snapshot.sites, "plant": site}, deployments={**snapshot.deployments, "line": line}
    )


def test_rules_of_site_policy_and_deployment_hold_together(world):
    found = desired(world, with_rules(world))
    files = [one.file for one in found.releases["line"].policy.plant.windows]
    assert [one.file for one in found.releases["line"].policy.plant.interlocks] == files
    assert files[1:] == ["policies/lines.yaml", "deployments/line.yaml"]
    assert [one.file for one in found.plant.windows] == files[:2], "what holds for a removal"


def test_rules_for_other_nodes_do_not_hold(world):
    found = desired(world, with_rules(world, selector=world.only("site", "other")))
    assert found.releases["line"].policy.plant == found.plant == type(found.plant)()
    assert len(desired(world, with_rules(world, selector=ALL)).plant.windows) == 2


@pytest.mark.parametrize(
    ("zone", "site_zone", "expected"),
    [("", "Europe/Stockholm", "Europe/Stockholm"), ("", "", "UTC"), ("Asia/Tokyo", "Europe/Stockholm", "Asia/Tokyo")],
)
def test_window_without_a_zone_has_that_of_the_site(world, zone, site_zone, expected):
    found = desired(world, with_rules(world, zone=zone, site_zone=site_zone))
    assert {one.zone for one in found.releases["line"].policy.plant.windows} == {expected}


def test_windows_are_no_part_of_the_digest(world):
    assert desired(world, with_rules(world)).releases["line"].digest == world.release().digest


def test_zone_that_is_unknown_here_is_told_before_it_reaches_a_node(world):
    snapshot, here = with_rules(world, zone="Europe/Stokholm"), FixedZones({"Etc/UTC": UTC})
    told = list(unknown_zones(snapshot, here))
    assert [(one.code, one.file) for one in told[1:]] == [
        ("unknown-reference", "policies/lines.yaml"),
        ("unknown-reference", "deployments/line.yaml"),
    ]
    assert told[0].pointer == "/spec/windows/night/timeZone"
    assert not list(unknown_zones(with_rules(world, zone="Etc/UTC"), here))
    assert not list(unknown_zones(snapshot, FixedZones())), "where no zones are installed, nothing can be told"
