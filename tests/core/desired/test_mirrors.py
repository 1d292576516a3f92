"""Mirrors of site and fleet: first asked, part of no digest, and refused where they are no places of images."""

from dataclasses import replace

import pytest

from edgegitops.core.desired.resolve import resolve
from edgegitops.core.model.manifests import Mirror
from edgegitops.core.reconcile.parts import parts_of


def resolved(world, site=(), fleet=()):
    snapshot = world.snapshot()
    snapshot = replace(
        snapshot,
        fleet=replace(snapshot.fleet, mirrors=fleet),
        sites={"plant": replace(snapshot.sites["plant"], mirrors=site)},
    )
    return resolve(snapshot, "plant", "gw-a", world.blobs, world.judge)


def test_site_comes_before_fleet_and_a_longer_name_before_both(world):
    site = (Mirror("registry.example", "10.1.0.5:5000"), Mirror("registry.exam", "wrong.example"))
    fleet = (Mirror("registry.example/line", "far.example/copies"), Mirror("registry.example", "near.example"))
    releases, _, faults = resolved(world, site, fleet)
    assert faults == ()
    step = parts_of("f", releases["line"]).pull(world.create().image)
    digest = step.subject.partition("@")[2]
    assert step.subject == world.create().image
    assert step.mirrors == (
        f"far.example/copies/app@{digest}",
        f"10.1.0.5:5000/line/app@{digest}",
        f"near.example/line/app@{digest}",
    )


def test_mirror_restarts_nothing(world):
    releases, _, _ = resolved(world, (Mirror("registry.example", "10.1.0.5:5000"),))
    assert releases["line"].digest == world.release().digest


@pytest.mark.parametrize("text", ["", "https://registry.example", "registry.example/", "a b", "x@sha256:ab"])
def test_what_is_no_registry_is_a_fault(world, text):
    (fault,) = resolved(world, (Mirror("registry.example", text),))[2]
    assert (fault.code, fault.file, fault.pointer) == (
        "wrong-format",
        "sites/plant.yaml",
        "/spec/registries/0/mirror",
    )
    (fault,) = resolved(world, (), (Mirror(text, "registry.example"),))[2]
    assert (fault.file, fault.pointer) == ("fleet.yaml", "/spec/registries/0/from")
