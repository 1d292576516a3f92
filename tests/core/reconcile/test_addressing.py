"""Subnets from a site's pool: apart from all others, the same on a rebuilt node, and kept while the network exists."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.stage import MINUTE, Stage, app, container, release, with_policy

from edgegitops.core.model.release import Phase
from edgegitops.core.model.spec import Attachment
from edgegitops.core.reconcile.addressing import choose

POOL = "10.213.0.0/16"


def pooled(version: str = "1", pool: str = POOL):
    return with_policy(app(version), network_pool=pool)


def subnets(stage: Stage) -> list[str]:
    return [one for each in stage.engine.observe().subnets.values() for one in each]


@given(st.sets(st.text("abc-.", min_size=1), min_size=1, max_size=16), st.sampled_from([POOL, "192.168.4.0/24"]))
def test_choices_lie_in_the_pool_and_overlap_nothing(names, pool):
    taken: list[str] = ["10.213.0.0/17"] if pool == POOL else []
    for name in sorted(names):
        chosen = choose(pool, name, taken)
        assert ip_network(chosen).subnet_of(ip_network(pool))
        assert not any(ip_network(chosen).overlaps(ip_network(one)) for one in taken)
        taken.append(chosen)


def test_choice_follows_from_the_name():
    assert choose(POOL, "line.net", []) == choose(POOL, "line.net", ["10.1.0.0/24"])
    assert choose(POOL, "line.net", []) != choose(POOL, "press.net", [])


def test_full_pool_names_a_piece_that_the_engine_refuses():
    assert ip_network(choose("10.213.0.0/24", "net", ["10.213.0.0/16"])).subnet_of(ip_network("10.213.0.0/24"))


def test_network_gets_its_subnet_from_the_pool_and_keeps_it_when_the_pool_changes():
    stage = Stage()
    stage.converge(pooled())
    first = subnets(stage)
    assert len(first) == 1
    assert ip_network(first[0]).subnet_of(ip_network(POOL))
    before = stage.seen("app")
    stage.converge(pooled("2", "10.99.0.0/16"))
    assert subnets(stage) == first
    stage.want(pooled("2"))
    stage.play()
    assert stage.phase is Phase.HEALTHY, "a pool is part of no digest"
    assert before is not None


def test_subnet_that_the_machine_uses_is_passed_over_after_one_refusal():
    probe = Stage()
    probe.converge(pooled())
    stage = Stage()
    own = subnets(probe)[0]
    stage.engine.subnets["eth1"] = (own,)
    stage.want(pooled())
    for _ in range(3):
        stage.play()
        stage.pass_time(MINUTE)
    assert stage.running == {"app:1"}
    assert subnets(stage) != [own]


@pytest.mark.parametrize("names", [("a", "b", "c", "d", "e", "f")])
def test_networks_of_one_release_do_not_meet(names):
    one = container("app")
    many = replace(one, create=replace(one.create, networks={name: Attachment() for name in names}))
    wanted = release({"app": many})
    spec = replace(wanted.spec, networks=dict.fromkeys(names, wanted.spec.networks["net"]))
    wanted = replace(wanted, spec=spec, digest=spec.digest(), policy=replace(wanted.policy, network_pool="10.0.0.0/25"))
    stage = Stage()
    stage.converge(wanted)
    assert len(set(subnets(stage))) == len(names)
    stage.pass_time(timedelta(minutes=1))
    stage.engine.remove(stage.part("app").name)
    stage.start_up()
    assert len(set(subnets(stage))) == len(names)
