"""The contract of `ports.Engine`: the twin in memory and Podman over both runtimes keep the same promises."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contracts.engine_fixtures import FLEET, MemoryRig, PodmanRig, labels

from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.spec import Attachment, Mount, NetworkSpec, Port
from edgegitops.core.model.steps import (
    CreateNetwork,
    CreateVolume,
    PullImage,
    ReloadContainer,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Step,
    StopContainer,
    StoreContent,
)
from edgegitops.errors import BrokenInvariantError, DeniedError, UnavailableError

SPAN = timedelta(seconds=5)
NAME = "line.app.0123456789ab"

AnyRig = MemoryRig | PodmanRig


def stop(name: str = NAME) -> StopContainer:
    return StopContainer(name, SPAN)


def test_container_lives_from_create_to_remove(rig: AnyRig) -> None:
    rig.create(NAME)
    assert rig.seen(NAME).state is ContainerState.CREATED
    rig.engine.perform(StartContainer(NAME))
    assert rig.seen(NAME).state is ContainerState.RUNNING
    rig.engine.perform(stop())
    assert rig.seen(NAME).state is ContainerState.EXITED
    rig.engine.perform(StartContainer(NAME))
    assert rig.seen(NAME).state is ContainerState.RUNNING
    rig.engine.perform(RemoveContainer(NAME))
    assert rig.engine.observe().named(NAME) is None


def test_seen_container_tells_what_core_needs(rig: AnyRig) -> None:
    seen = rig.run(NAME, labels={"team": "press"})
    assert (seen.deployment, seen.container) == ("line", "app")
    assert len(seen.digest) == 64
    assert seen.labels["team"] == "press"
    assert seen.image == rig.image
    assert seen.pid
    assert seen.started_at is not None
    assert (seen.ended_at, seen.exit_code) == (None, None)
    assert rig.engine.observe().owned(FLEET, "line") == (seen,)


def test_ended_container_tells_when_and_how(rig: AnyRig) -> None:
    started = rig.run(NAME)
    rig.end(NAME)
    seen = rig.seen(NAME)
    assert seen.state is ContainerState.EXITED
    assert seen.exit_code == 137
    assert seen.ended_at is not None
    assert started.started_at is not None
    assert seen.ended_at >= started.started_at
    assert (seen.pid, dict(seen.addresses)) == (None, {})


@pytest.mark.parametrize("count", [2, 3])
def test_step_done_again_changes_nothing(rig: AnyRig, count: int) -> None:
    network = CreateNetwork("line.lan", NetworkSpec(), labels("line"))
    volume = CreateVolume("line.data", labels("line"))
    start = StartContainer(NAME)

    def again(step: Step) -> None:
        for _ in range(count):
            rig.engine.perform(step)

    for step in (PullImage(rig.image), network, volume, rig.step(NAME), start):
        again(step)
    before = rig.engine.observe()
    again(start)
    again(network)
    again(volume)
    after = rig.engine.observe()
    assert (after.containers, after.networks, after.volumes) == (before.containers, before.networks, before.volumes)
    for step in (stop(), RemoveContainer(NAME), RemoveNetwork("line.lan"), RemoveVolume("line.data")):
        again(step)
    gone = rig.engine.observe()
    assert gone.containers == ()
    assert "line.lan" not in gone.networks
    assert gone.volumes == {}


def test_create_replaces_a_container_of_ours(rig: AnyRig) -> None:
    first = rig.run(NAME)
    rig.create(NAME)
    second = rig.seen(NAME)
    assert second.state is ContainerState.CREATED
    assert second.id != first.id


def test_networks_and_volumes_carry_our_labels(rig: AnyRig) -> None:
    rig.engine.perform(CreateNetwork("line.lan", NetworkSpec(), labels("line")))
    rig.engine.perform(CreateVolume("line.data", labels("line")))
    seen = rig.engine.observe()
    assert seen.networks["line.lan"] == labels("line")
    assert seen.volumes["line.data"] == labels("line")


@pytest.mark.parametrize("verb", ["create", "start", "stop", "remove"])
def test_foreign_container_is_never_touched(rig: AnyRig, verb: str) -> None:
    rig.add_foreign(NAME)
    rig.engine.perform(PullImage(rig.image))
    before = rig.seen(NAME)
    steps = {"create": rig.step(NAME), "start": StartContainer(NAME), "stop": stop(), "remove": RemoveContainer(NAME)}
    with pytest.raises(DeniedError) as denial:
        rig.engine.perform(steps[verb])
    assert denial.value.reason == Refusal.NAME_CONFLICT
    assert rig.seen(NAME) == before
    assert before.state is ContainerState.RUNNING


def test_container_of_another_fleet_is_foreign(rig: AnyRig) -> None:
    rig.create(NAME)
    other = rig.step(NAME)
    theirs = {**other.labels, "io.edgegitops.fleet": "urn:test:other"}
    with pytest.raises(DeniedError) as denial:
        rig.engine.perform(type(other)(other.subject, other.alias, other.create, theirs))
    assert denial.value.reason == Refusal.NAME_CONFLICT


def test_volume_in_use_stays(rig: AnyRig) -> None:
    rig.engine.perform(CreateVolume("line.data", labels("line")))
    rig.create(NAME, mounts=(Mount("/data", volume="data"),))
    with pytest.raises(UnavailableError) as refusal:
        rig.engine.perform(RemoveVolume("line.data"))
    assert refusal.value.reason == HoldReason.DEPENDENCY
    rig.engine.perform(RemoveContainer(NAME))
    assert "line.data" in rig.engine.observe().volumes
    rig.engine.perform(RemoveVolume("line.data"))
    assert rig.engine.observe().volumes == {}


def test_network_in_use_stays(rig: AnyRig) -> None:
    rig.engine.perform(CreateNetwork("line.lan", NetworkSpec(), labels("line")))
    rig.run(NAME, networks={"lan": Attachment()})
    with pytest.raises(UnavailableError) as refusal:
        rig.engine.perform(RemoveNetwork("line.lan"))
    assert refusal.value.reason == HoldReason.DEPENDENCY
    assert "line.lan" in rig.engine.observe().networks


def test_missing_volume_or_network_is_worth_another_look(rig: AnyRig) -> None:
    rig.engine.perform(PullImage(rig.image))
    for lacking in ({"mounts": (Mount("/data", volume="data"),)}, {"networks": {"lan": Attachment()}}):
        with pytest.raises(UnavailableError) as refusal:
            rig.engine.perform(rig.step(NAME, **lacking))
        assert refusal.value.reason == HoldReason.DEPENDENCY
    seen = rig.engine.observe()
    assert (seen.containers, seen.volumes) == ((), {})


def test_missing_container_cannot_start_and_is_worth_another_look(rig: AnyRig) -> None:
    with pytest.raises(UnavailableError) as refusal:
        rig.engine.perform(StartContainer(NAME))
    assert refusal.value.reason == HoldReason.DEPENDENCY


def test_image_that_is_not_there_may_come_later(rig: AnyRig) -> None:
    with pytest.raises(UnavailableError) as refusal:
        rig.engine.perform(PullImage(rig.missing))
    assert refusal.value.reason == HoldReason.IMAGE_UNAVAILABLE


def test_present_image_needs_no_registry(rig: AnyRig) -> None:
    rig.engine.perform(PullImage(rig.image))
    rig.stop_registry()
    rig.engine.perform(PullImage(rig.image))
    assert rig.run(NAME).state is ContainerState.RUNNING


def test_removed_image_is_pulled_again(rig: AnyRig) -> None:
    rig.create(NAME)
    rig.engine.perform(RemoveImage(rig.image))
    rig.engine.perform(StartContainer(NAME))  # an image in use stays
    rig.engine.perform(RemoveContainer(NAME))
    rig.engine.perform(RemoveImage(rig.image))
    rig.engine.perform(RemoveImage(rig.image))
    with pytest.raises(DeniedError) as denial:
        rig.engine.perform(rig.step(NAME))
    assert denial.value.reason == Refusal.IMAGE_UNKNOWN
    assert rig.run(NAME).state is ContainerState.RUNNING


def test_second_container_on_a_host_port_is_told_so(rig: AnyRig) -> None:
    port = (Port(container=80, host=18080),)
    rig.run(NAME, ports=port)
    rig.create("line.other.0123456789ab", ports=port)
    with pytest.raises(DeniedError) as denial:
        rig.engine.perform(StartContainer("line.other.0123456789ab"))
    assert denial.value.reason == Refusal.PORT_TAKEN
    assert rig.states()["line.other.0123456789ab"] is ContainerState.CREATED
    rig.engine.perform(stop())
    rig.engine.perform(StartContainer("line.other.0123456789ab"))


def test_container_has_an_address_on_each_network_while_it_runs(rig: AnyRig) -> None:
    for name in ("lan", "plc"):
        rig.engine.perform(CreateNetwork(f"line.{name}", NetworkSpec(), labels("line")))
    seen = rig.run(NAME, networks={"lan": Attachment(), "plc": Attachment()})
    assert set(seen.addresses) == {"line.lan", "line.plc"}
    rig.engine.perform(stop())
    assert dict(rig.seen(NAME).addresses) == {}


def test_container_on_the_host_network_is_at_loopback(rig: AnyRig) -> None:
    assert dict(rig.run(NAME, host_network=True).addresses) == {"host": "127.0.0.1"}


def test_exec_probe_answers_as_the_command_ends(rig: AnyRig) -> None:
    seen = rig.run(NAME)
    assert rig.engine.probe_exec(seen.id, ["/bin/true"], SPAN)
    assert not rig.engine.probe_exec(seen.id, ["/bin/false"], SPAN)
    assert not rig.engine.probe_exec(NAME, ["/bin/sleep", "30"], timedelta(seconds=0.5))


def test_exec_probe_of_a_stopped_container_says_nothing_of_it(rig: AnyRig) -> None:
    rig.create(NAME)
    with pytest.raises(UnavailableError):
        rig.engine.probe_exec(NAME, ["/bin/true"], SPAN)


@pytest.mark.parametrize("runs", [False, True])
def test_live_configs_are_told_once_they_are_in_place(rig: AnyRig, runs: bool) -> None:
    mounts = (Mount("/etc/folder", live="folder"),)
    reload = ReloadContainer(NAME, mounts, {"/etc/folder": {}}, "b" * 64, "SIGWINCH")
    with pytest.raises(UnavailableError) as missing:
        rig.engine.perform(reload)
    assert missing.value.reason == HoldReason.DEPENDENCY
    rig.engine.perform(PullImage(rig.image))
    made = replace(rig.step(NAME, mounts=mounts), configs={"/etc/folder": {}}, configs_digest="a" * 64)
    rig.engine.perform(made)
    if runs:
        rig.engine.perform(StartContainer(NAME))
    born = rig.seen(NAME)
    assert born.configs == "a" * 64
    for _ in range(2):
        rig.engine.perform(reload)
        assert rig.seen(NAME) == replace(born, configs="b" * 64)


def test_logs_are_the_last_lines(rig: AnyRig) -> None:
    rig.run(NAME, args=("/bin/sh", "-c", "echo one; echo two; echo three; exec sleep 1000"))
    assert rig.engine.probe_exec(NAME, ["/bin/true"], SPAN)  # by now the lines are written
    assert rig.engine.logs(NAME, 2) == "two\nthree\n"


def test_lost_container_is_seen_and_replaced(rig: AnyRig) -> None:
    rig.run(NAME)
    rig.lose(NAME)
    lost = rig.seen(NAME)
    assert (lost.state, lost.pid, dict(lost.addresses)) == (ContainerState.LOST, None, {})
    assert rig.run(NAME).state is ContainerState.RUNNING


def test_lost_container_can_be_stopped(rig: AnyRig) -> None:
    rig.run(NAME)
    rig.lose(NAME)
    rig.engine.perform(stop())
    assert rig.states().get(NAME, ContainerState.EXITED) is ContainerState.EXITED


def test_lost_container_is_not_taken_for_a_started_one(rig: AnyRig) -> None:
    rig.run(NAME)
    rig.lose(NAME)
    with pytest.raises(UnavailableError):
        rig.engine.perform(StartContainer(NAME))
    assert rig.states() == {}


def test_power_cut_leaves_containers_that_can_be_started(rig: AnyRig) -> None:
    rig.run(NAME)
    rig.run("line.ended.0123456789ab")
    rig.engine.perform(stop("line.ended.0123456789ab"))
    rig.cut_power()
    states = rig.states()
    assert states.pop(NAME) in (ContainerState.CREATED, ContainerState.EXITED)  # as Podman 4 says, as Podman 5 says
    assert states == {"line.ended.0123456789ab": ContainerState.EXITED}
    rig.engine.perform(StartContainer(NAME))
    assert rig.seen(NAME).state is ContainerState.RUNNING


def test_content_is_not_the_engines_business(rig: AnyRig) -> None:
    with pytest.raises(BrokenInvariantError):
        rig.engine.perform(StoreContent("0" * 64))
