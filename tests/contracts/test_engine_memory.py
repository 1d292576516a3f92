"""The twin misbehaves exactly as it is told to, at the clock's instants."""

from datetime import timedelta

import pytest
from tests.contracts.engine_fixtures import MemoryRig, labels

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.steps import CreateVolume, PullImage, RemoveContainer, StartContainer, StopContainer
from edgegitops.errors import DeniedError, UnavailableError

NAME = "line.app.0123456789ab"
MINUTE = timedelta(minutes=1)


def behaving(**acts: object) -> MemoryRig:
    rig = MemoryRig()
    rig.engine.behaviours[rig.image] = Behaviour(**acts)
    return rig


def test_crash_happens_at_its_instant_however_late_it_is_seen() -> None:
    rig = behaving(crashes_after=MINUTE, exit_code=3)
    started = rig.run(NAME)
    rig.clock.advance(MINUTE - timedelta(seconds=1))
    assert rig.seen(NAME).state is ContainerState.RUNNING
    rig.clock.advance(timedelta(hours=1))
    seen = rig.seen(NAME)
    assert (seen.state, seen.exit_code) == (ContainerState.EXITED, 3)
    assert started.started_at is not None
    assert seen.ended_at == started.started_at + MINUTE


def test_restarted_container_crashes_again_after_the_same_span() -> None:
    rig = behaving(crashes_after=MINUTE)
    rig.run(NAME)
    rig.clock.advance(MINUTE)
    rig.engine.perform(StartContainer(NAME))
    assert rig.seen(NAME).state is ContainerState.RUNNING
    rig.clock.advance(MINUTE)
    assert rig.seen(NAME).state is ContainerState.EXITED


def test_readiness_comes_and_goes_with_time() -> None:
    rig = behaving(ready_after=MINUTE, unready_after=3 * MINUTE)
    rig.run(NAME)
    answers = []
    for _ in range(4):
        answers.append(rig.engine.is_answering(NAME))
        rig.clock.advance(MINUTE)
    assert answers == [False, True, True, False]
    assert not behaving(never_ready=True).engine.is_answering(NAME)


@pytest.mark.parametrize(
    ("act", "reason"), [("fails_to_create", Refusal.CREATE_FAILED), ("fails_to_start", Refusal.START_FAILED)]
)
def test_image_that_fails_is_denied(act: str, reason: Refusal) -> None:
    with pytest.raises(DeniedError) as denial:
        behaving(**{act: True}).run(NAME)
    assert denial.value.reason == reason


def test_lost_reply_is_a_step_that_was_done() -> None:
    rig = MemoryRig()
    rig.create(NAME)
    rig.engine.lose_replies(1)
    with pytest.raises(UnavailableError):
        rig.engine.perform(StartContainer(NAME))
    assert rig.seen(NAME).state is ContainerState.RUNNING
    rig.engine.perform(StartContainer(NAME))


def test_failing_step_is_not_done() -> None:
    rig = MemoryRig()
    rig.create(NAME)
    rig.engine.fail_next(1)
    with pytest.raises(UnavailableError):
        rig.engine.perform(StartContainer(NAME))
    assert rig.seen(NAME).state is ContainerState.CREATED


def test_full_disk_stops_what_needs_room_and_nothing_else() -> None:
    rig = MemoryRig()
    rig.run(NAME)
    rig.engine.is_disk_full = True
    for step in (rig.step("line.new.0"), PullImage("registry.example/x@sha256:" + "c" * 64)):
        with pytest.raises(UnavailableError) as full:
            rig.engine.perform(step)
        assert full.value.reason == HoldReason.DISK_FULL
    rig.engine.perform(PullImage(rig.image))
    rig.engine.perform(CreateVolume("line.data", labels("line")))
    rig.engine.perform(StopContainer(NAME, MINUTE))
    rig.engine.perform(RemoveContainer(NAME))


def test_engine_that_is_down_answers_nothing() -> None:
    rig = MemoryRig()
    rig.run(NAME)
    rig.engine.is_down = True
    for act in (rig.engine.observe, lambda: rig.engine.perform(StartContainer(NAME)), lambda: rig.engine.logs(NAME, 1)):
        with pytest.raises(UnavailableError):
            act()
    rig.engine.is_down = False
    assert rig.seen(NAME).state is ContainerState.RUNNING


@pytest.mark.parametrize(
    ("switch", "error", "reason"),
    [
        ("wrong_digest", DeniedError, Refusal.IMAGE_DIGEST_WRONG),
        ("credential_denied", UnavailableError, HoldReason.CREDENTIAL_DENIED),
        ("unavailable", UnavailableError, HoldReason.IMAGE_UNAVAILABLE),
    ],
)
def test_pull_fails_as_the_image_is_marked(switch: str, error: type[Exception], reason: str) -> None:
    rig = MemoryRig()
    getattr(rig.engine, switch).add(rig.image)
    with pytest.raises(error) as failure:
        rig.engine.perform(PullImage(rig.image))
    assert failure.value.reason == reason
    assert rig.engine.images == set()
