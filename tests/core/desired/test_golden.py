"""Digests that must never change: a newer program that gives a running release another digest restarts the fleet.

A failure here means that resolver 1 changed. Do not write new digests over the old: make resolver 2 beside it.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgegitops.core.desired.resolve import RESOLVERS
from edgegitops.core.model.codec import to_tree

VECTORS = Path(__file__).parents[2] / "vectors"
GOLDEN = {version: json.loads((VECTORS / f"golden_resolver_{version}.json").read_text()) for version in RESOLVERS}
CASES = [(version, case) for version, golden in GOLDEN.items() for case in golden["cases"]]


def resolved(world, version, case):
    return replace(
        world,
        resolver=version,
        spec=case["application"],
        attempt=case.get("attempt", 1),
        values=case.get("values", {}),
        overrides=[(world.only(one["key"], one["value"]), one["patch"]) for one in case.get("overrides", ())],
        files={path: text.encode() for path, text in case.get("files", {}).items()},
        minimum_profile=case.get("minimumProfile", "baseline"),
    ).release()


@pytest.mark.parametrize(("version", "case"), CASES, ids=lambda one: one["name"] if isinstance(one, dict) else str(one))
def test_published_resolver_gives_the_digests_it_gave(world, version, case):
    release = resolved(world, version, case)
    assert to_tree(release.spec) == case["spec"]
    assert release.digest == case["release"]
    assert {name: release.spec.container_digest(name) for name in release.spec.containers} == case["containers"]
    assert {name: release.spec.network_digest(name) for name in release.spec.networks} == case["networks"]


def test_every_known_resolver_has_its_golden_digests():
    assert all(golden["resolver"] == version and golden["cases"] for version, golden in GOLDEN.items())
