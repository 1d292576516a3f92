"""Deployments that wait for other deployments: what cannot end well is told before it begins."""

from dataclasses import replace

import pytest
from tests.core.desired.conftest import ALL, Blobs, judge

from edgegitops.core.desired.check import check_snapshot
from edgegitops.core.desired.order import order_faults
from edgegitops.core.model.manifests import Selector
from edgegitops.core.model.spec import Condition


def fleet(world, broker_needs=None, **deployment):
    one = replace(world, deployment_spec={"dependsOn": deployment})
    broker = replace(world, deployment_spec={"dependsOn": broker_needs or {}}).deployment("broker")
    return replace(one, more={"broker": broker})


def test_order_is_policy_and_changes_no_digest(world):
    release = fleet(world, broker="ready").resolve()[0]["line"]
    assert release.policy.depends_on == {"broker": Condition.READY}
    assert release.digest == world.release().digest


@pytest.mark.parametrize(
    ("needs", "broker_needs", "told"),
    [
        ({"brocker": "ready"}, {}, ("unknown-reference", "/spec/dependsOn/brocker", "broker")),
        ({"line": "ready"}, {}, ("dependency-cycle", "/spec/dependsOn/line", "")),
        ({"broker": "ready"}, {"line": "started"}, ("dependency-cycle", "/spec/dependsOn/line", "")),
    ],
)
def test_order_that_cannot_be_kept_is_a_fault(world, needs, broker_needs, told):
    (fault,) = order_faults(fleet(world, broker_needs, **needs).snapshot())
    assert (fault.code, fault.pointer, fault.suggestion) == told


def test_deployment_that_waits_where_the_other_is_not_is_a_warning(world):
    made = fleet(world, broker="ready")
    nowhere = replace(made.more["broker"], selector=Selector(world.only("country", "MX").requirements))
    assert not check_snapshot(made.snapshot(), Blobs(), judge)
    made = replace(made, more={"broker": nowhere}, selector=ALL)
    warning = next(one for one in check_snapshot(made.snapshot(), Blobs(), judge) if "waits" in one.message)
    assert (warning.is_warning, warning.pointer) == (True, "/spec/dependsOn/broker")
    assert warning.message.endswith("(on plant/gw-a)")
