"""Numbers of trying again: of ended containers, of steps that do not work, of creating anew."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.stage import DAWN, MINUTE, SECOND

from edgegitops.core.model.ledger import StepFailure
from edgegitops.core.reconcile.backoff import CAP, recreate_at, restart_at, retry_at


def ends(*seconds_ago: float):
    return tuple(DAWN - timedelta(seconds=one) for one in sorted(seconds_ago, reverse=True))


@pytest.mark.parametrize(
    ("ended", "waits"),
    [
        ((), 0),
        ((0,), 0),
        ((20, 0), 10),
        ((30, 20, 0), 20),
        ((40, 30, 20, 0), 40),
        ((50, 40, 30, 20, 0), 80),
        ((60, 50, 40, 30, 20, 0), 160),
        ((70, 60, 50, 40, 30, 20, 0), 300),
        (tuple(range(30)), 300),
    ],
)
def test_ended_container_waits_ten_seconds_doubling_to_five_minutes(ended, waits):
    assert restart_at(ends(*ended), DAWN) == DAWN + timedelta(seconds=waits)


def test_ends_are_forgotten_after_ten_minutes():
    assert restart_at(ends(900, 800, 700, 601), DAWN) == DAWN
    assert restart_at(ends(900, 599, 3), DAWN) == DAWN - 3 * SECOND + 10 * SECOND


def test_waiting_counts_from_the_last_end():
    assert restart_at(ends(20, 8), DAWN) == DAWN + 2 * SECOND


def test_step_that_never_failed_may_be_done_at_once():
    assert retry_at(None, DAWN, "pull") <= DAWN


@pytest.mark.parametrize(("count", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40), (6, 160), (7, 300), (5000, 300)])
def test_failing_step_waits_five_seconds_doubling_to_five_minutes_with_jitter(count, seconds):
    waits = retry_at(StepFailure(count, DAWN), DAWN, "pull") - DAWN
    assert timedelta(seconds=0.8 * seconds) <= waits <= timedelta(seconds=1.2 * seconds)


def test_jitter_keeps_names_apart_and_a_replay_agrees():
    waits = {retry_at(StepFailure(3, DAWN), DAWN, f"node-{at}") for at in range(50)}
    assert len(waits) == 50
    assert waits == {retry_at(StepFailure(3, DAWN), DAWN, f"node-{at}") for at in range(50)}


def test_container_is_created_anew_three_times_in_ten_minutes():
    assert recreate_at(ends(300, 200), DAWN) == DAWN
    assert recreate_at(ends(300, 200, 100), DAWN) == DAWN - 300 * SECOND + 10 * MINUTE
    assert recreate_at(ends(700, 200, 100), DAWN) == DAWN


@given(st.lists(st.integers(-10_000, 10_000), max_size=20))
def test_no_clock_makes_anything_wait_longer_than_its_cap(seconds):
    times = ends(*seconds)
    assert restart_at(times, DAWN) <= DAWN + CAP
    assert recreate_at(times, DAWN) <= DAWN + 10 * MINUTE
    for at in times:
        assert retry_at(StepFailure(9, at), DAWN, "x") <= DAWN + 1.2 * CAP
