"""Subnets that manifests choose: private, apart from each other, and apart from the node."""

from dataclasses import replace

import pytest

from edgegitops.core.desired.admission import admit
from edgegitops.core.desired.subnets import is_private
from edgegitops.core.model.policy import NodePolicy


def joined(world, **subnets):
    networks = {name: {"subnet": subnet} for name, subnet in subnets.items()}
    return world.app(networks=networks)


@pytest.mark.parametrize(
    ("subnet", "answer"),
    [
        ("10.89.0.0/24", True),
        ("172.31.0.0/16", True),
        ("172.32.0.0/16", False),
        ("192.168.0.0/15", False),
        ("8.8.8.0/24", False),
        ("fd00:1::/64", True),
        ("2001:db8::/64", False),
    ],
)
def test_only_private_subnets_are_admitted(world, subnet, answer):
    assert is_private(subnet) is answer
    spec = joined(world, line=subnet).release().spec
    assert ([one.code for one in admit(spec, NodePolicy())] == []) is answer


@pytest.mark.parametrize("subnet", ["10.5.0.0/24", "10.5.0.128/25", "10.0.0.0/8"])
def test_networks_of_one_node_do_not_overlap(world, subnet):
    fault = next(iter(joined(world, a="10.5.0.0/24", b=subnet).resolve()[2]))
    assert (fault.code, fault.pointer) == ("wrong-value", "/spec/networks")
    assert joined(world, a="10.5.0.0/24", b="10.5.1.0/24").resolve()[2] == ()


def test_no_network_holds_the_nodes_own_address(world):
    assert "own address" in joined(world, a="10.1.2.0/24").resolve()[2][0].message
    assert joined(replace(world, address="gw.plant.example"), a="10.1.2.0/24").resolve()[2] == ()


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ("10.213.0.0/16", ""),
        ("10.213.0.1/16", "host bits"),
        ("fd00::/48", "networkPool"),
        ("8.8.0.0/16", "not private"),
        ("10.213.0.0/30", "too small"),
        ("10.1.0.0/16", "holds the address 10.1.2.10 of the node gw-a"),
        ("10.5.0.0/16", "lies in the pool"),
    ],
)
def test_pool_of_a_site_is_private_and_free(world, pool, words):
    faults = joined(replace(world, network_pool=pool), a="10.5.0.0/24").resolve()[2]
    assert [one for one in faults if words in one.message] if words else faults == ()
