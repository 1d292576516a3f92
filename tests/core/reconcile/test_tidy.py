"""What was brought to the node goes when nobody needs it, and never before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgegitops.core.model.events import WAS_THERE, Entry, OutcomeRecorded, Result
from edgegitops.core.model.ledger import DeploymentRecord, Ledger, StepFailure, Transition
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import ContainerSpec, CreateSpec, DeploymentSpec, Mount
from edgegitops.core.model.steps import RemoveArtifact, RemoveImage
from edgegitops.core.reconcile.fold import advance
from edgegitops.core.reconcile.scene import Scene
from edgegitops.core.reconcile.tidy import is_short_of_disk, needed_by, tidy

NOW = datetime(2026, 6, 1, tzinfo=UTC)
A, B, C = (one * 64 for one in "abc")


def image(digest: str) -> str:
    return f"registry.example/i@sha256:{digest}"


def release(digest: str, model: str = "") -> Release:
    mounts = (Mount("/m", artifact=f"registry.example/m@sha256:{model}"),) if model else ()
    spec = DeploymentSpec("line", {"c": ContainerSpec(CreateSpec(image(digest), mounts=mounts))})
    return Release(spec.digest(), "r", spec)


def scene(record: DeploymentRecord, needed: frozenset[str] | None, *, is_disk_full: bool = False) -> Scene:
    return Scene("line", "urn:f", NOW, "boot", 1, Observed(NOW), record, needed=needed, is_disk_full=is_disk_full)


OLD = DeploymentRecord("line", Phase.HEALTHY, images=frozenset({image(A), image(B)}), artifacts=frozenset({C}))


def test_healthy_deployment_throws_away_what_nobody_needs() -> None:
    work = tidy(scene(OLD, frozenset({B}))).work
    assert work is not None
    assert work.steps == (RemoveImage(image(A)), RemoveArtifact(C))


@pytest.mark.parametrize(
    ("phase", "needed", "is_disk_full", "is_work"),
    [
        (Phase.HEALTHY, None, False, False),  # nobody knows what is wanted
        (Phase.HEALTHY, None, True, False),
        (Phase.HEALTHY, frozenset({A, B, C}), False, False),
        (Phase.ABSENT, frozenset(), False, True),
        (Phase.REVERTED, frozenset(), False, False),
        (Phase.STUCK, frozenset(), False, False),
        (Phase.REVERTED, frozenset(), True, True),
    ],
)
def test_time_to_throw_away(
    phase: Phase,
    needed: frozenset[str] | None,
    is_disk_full: bool,
    is_work: bool,
) -> None:
    found = tidy(scene(replace(OLD, phase=phase), needed, is_disk_full=is_disk_full))
    assert (found.work is not None) is is_work


def test_open_transition_waits_unless_the_disk_is_full() -> None:
    way = Transition("t", None, release(A), Phase.PREPARING, NOW, NOW)
    record = replace(OLD, transition=way, phase=Phase.PREPARING)
    assert tidy(scene(record, frozenset({A}))).work is None
    work = tidy(scene(record, frozenset({A}), is_disk_full=True)).work
    assert work is not None
    assert RemoveImage(image(B)) in work.steps


def test_removal_that_did_not_work_waits_and_holds_nothing_up() -> None:
    failure = StepFailure(3, NOW, HoldReason.ENGINE_UNAVAILABLE)
    record = replace(OLD, artifacts=frozenset(), failures={f"remove-image {image(A)}": failure})
    found = tidy(scene(record, frozenset({B})))
    assert (found.work, found.hold) == (None, None)
    assert found.until is not None
    assert found.until > NOW


def test_last_good_releases_of_every_deployment_are_needed_and_those_of_a_removed_one_are_not() -> None:
    way = Transition("t", release(A), release(B), Phase.PREPARING, NOW, NOW)
    record = DeploymentRecord("line", Phase.PREPARING, transition=way, lkg=(release(C, model="d" * 64),))
    gone = DeploymentRecord("gone", Phase.ABSENT, lkg=(release("e" * 64),))
    halted = DeploymentRecord("halted", Phase.STUCK, halted=release("9" * 64))
    assert needed_by([record, gone, halted], [release("f" * 64)]) == {A, B, C, "d" * 64, "f" * 64, "9" * 64}


def test_full_disk_of_one_deployment_is_everybodys() -> None:
    failing = replace(OLD, failures={"pull-image x": StepFailure(1, NOW, HoldReason.DISK_FULL)})
    assert is_short_of_disk([OLD, failing])
    assert not is_short_of_disk([OLD])


# --- whose it is


def after(step: str, subject: str, result: Result, reason: str = "") -> DeploymentRecord:
    outcome = OutcomeRecorded("1", "line", step, subject, result, reason)
    known = Ledger(deployments={"line": OLD})
    return advance(known, Entry(2, NOW + timedelta(seconds=1), outcome, "", "")).deployments["line"]


@pytest.mark.parametrize(
    ("result", "reason", "is_ours"),
    [
        (Result.DONE, "", True),
        (Result.DONE, WAS_THERE, False),
        (Result.UNKNOWN, "", True),  # the worker died: it may have come
        (Result.UNAVAILABLE, HoldReason.ENGINE_UNAVAILABLE, True),
        (Result.UNAVAILABLE, HoldReason.IMAGE_UNAVAILABLE, False),
        (Result.UNAVAILABLE, HoldReason.CREDENTIAL_DENIED, False),
        (Result.DENIED, "image-digest-wrong", False),
    ],
)
def test_image_is_ours_where_this_agent_brought_it(result: Result, reason: str, is_ours: bool) -> None:
    assert (image(C) in after("pull-image", image(C), result, reason).images) is is_ours


def test_what_is_removed_is_forgotten_only_when_that_is_certain() -> None:
    assert image(A) not in after("remove-image", image(A), Result.DONE).images
    assert image(A) in after("remove-image", image(A), Result.UNKNOWN).images
    assert C not in after("remove-artifact", C, Result.DONE).artifacts
    assert C in after("remove-artifact", C, Result.UNAVAILABLE).artifacts


def test_part_of_an_artifact_is_remembered_too() -> None:
    for result in Result:
        assert A in after("pull-artifact", f"registry.example/m@sha256:{A}", result).artifacts
