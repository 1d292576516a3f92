"""A shared network belongs to the fleet: it goes with the last container that was made for it, never before."""

from dataclasses import replace

from tests.core.reconcile.stage import LINE, SECOND, Stage, container, release

from edgegitops.core.model.naming import LABEL_DEPLOYMENT, LABEL_FLEET, LABEL_SHARES
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Attachment, NetworkSpec

FLEET = "urn:fleet:test"


def shared(version: str, net: NetworkSpec) -> Release:
    one = container("app", version, stop_timeout=5 * SECOND)
    place = Attachment((f"{LINE}-app",), is_shared=net.is_shared)
    create = replace(one.create, networks={"net": place})
    return release({"app": replace(one, create=create)}, net=net, version=version)


def add_neighbour(stage: Stage, network: str) -> None:
    labels = {LABEL_FLEET: FLEET, LABEL_DEPLOYMENT: "other", LABEL_SHARES: f"shared_x.1 {network}"}
    stage.engine.add_foreign(ContainerSeen("other.app.1", "e" * 64, ContainerState.RUNNING, labels))


def test_two_deployments_name_and_label_a_shared_network_alike() -> None:
    stage = Stage()
    stage.converge(shared("1", NetworkSpec(is_shared=True)))
    ((name, labels),) = stage.engine.observe().networks.items()
    assert name.startswith("shared_net.")
    assert LABEL_DEPLOYMENT not in labels
    assert labels[LABEL_FLEET] == FLEET


def test_removal_leaves_a_network_to_the_neighbour_and_the_last_one_takes_it_away() -> None:
    for is_alone in (True, False):
        stage = Stage()
        stage.converge(shared("1", NetworkSpec(is_shared=True)))
        (name,) = stage.engine.observe().networks
        if not is_alone:
            add_neighbour(stage, name)
        stage.want(None)
        stage.play()
        assert stage.phase is Phase.ABSENT
        assert set(stage.engine.observe().networks) == (set() if is_alone else {name})


def test_release_that_leaves_a_shared_network_takes_it_away_when_nobody_is_on_it() -> None:
    for is_alone in (True, False):
        stage = Stage()
        stage.converge(shared("1", NetworkSpec(is_shared=True)))
        (name,) = stage.engine.observe().networks
        if not is_alone:
            add_neighbour(stage, name)
        stage.converge(shared("2", NetworkSpec()))
        stage.play()
        left = set(stage.engine.observe().networks)
        assert (name in left) is not is_alone
        assert len(left - {name}) == 1
