"""What probes make of a container: one answer is an opinion, a streak is a fact."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.stage import SECOND

from edgegitops.core.model.facts import Watch
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.spec import Probe
from edgegitops.core.reconcile.streak import Streak, Vital, answered, first_seen, interval, is_asked, judge

START = 60 * SECOND
ANSWERS = {"+": True, "-": False, "?": None}


def probe(**fields: object) -> Probe:
    return Probe(tcp_port=80, start_period=START, **fields)  # type: ignore[arg-type]


def watch(health=Health.UNKNOWN, **probes: Probe) -> Watch:
    return Watch("line", "d", "line.app.1", "id", "10.0.0.2", 10 * SECOND, health, **probes)


def live(one: Watch, which: str, answers: str, *, age: timedelta = 2 * START, vital: Vital | None = None) -> Vital:
    """The vital after these answers (`+` passed, `-` failed, `?` nobody knows), all at this age."""
    known = vital or first_seen(one, timedelta())
    for answer in answers:
        known = judge(one, answered(one, known, which, ANSWERS[answer], now=age), age)
    return known


@pytest.mark.parametrize(
    ("answers", "health"),
    [
        ("", Health.UNKNOWN),
        ("+", Health.READY),
        ("-", Health.UNKNOWN),
        ("--", Health.UNKNOWN),
        ("---", Health.UNREADY),
        ("--+--", Health.READY),
        ("+---", Health.UNREADY),
        ("+---+", Health.READY),
        ("+--?-", Health.UNREADY),
        ("--?", Health.UNKNOWN),
        ("+????", Health.READY),
    ],
)
def test_three_failures_in_a_row_are_unready_and_one_pass_is_ready(answers, health):
    assert live(watch(ready=probe()), "ready", answers).health is health


def test_ready_takes_as_many_passes_in_a_row_as_asked():
    one = watch(ready=probe(success_threshold=3))
    assert live(one, "ready", "++-++").health is Health.UNKNOWN
    assert live(one, "ready", "++-+++").health is Health.READY


@pytest.mark.parametrize(("seconds", "health"), [(0, Health.UNKNOWN), (9, Health.UNKNOWN), (10, Health.READY)])
def test_container_without_a_ready_probe_is_ready_once_it_has_stood(seconds, health):
    assert judge(watch(), Vital(timedelta()), seconds * SECOND).health is health


def test_container_that_passes_at_once_still_has_to_stand():
    assert live(watch(ready=probe()), "ready", "+", age=2 * SECOND).health is Health.UNKNOWN


def test_remembered_readiness_need_not_stand_again():
    assert judge(watch(Health.READY), Vital(timedelta()), timedelta()).health is Health.READY


def test_failed_live_probe_goes_before_readiness():
    one = watch(ready=probe(), live=probe())
    vital = live(one, "ready", "+")
    assert live(one, "live", "---", vital=vital).health is Health.NOT_LIVE


@pytest.mark.parametrize("which", ["live", "ready", "startup"])
def test_failures_while_starting_are_not_counted_then_or_later(which):
    one = watch(**{which: probe()})
    young = live(one, which, "-----", age=START - SECOND)
    failed = (Health.NOT_LIVE, Health.UNREADY)
    assert young.health not in failed
    assert live(one, which, "--", vital=young).health not in failed
    assert live(one, which, "---", vital=young).health in failed


@pytest.mark.parametrize(("which", "health"), [("ready", Health.UNREADY), ("live", Health.NOT_LIVE)])
def test_failures_count_at_once_where_a_probe_has_passed(which, health):
    one = watch(**{which: probe()})
    passed = live(one, which, "+", age=12 * SECOND)
    assert live(one, which, "---", age=15 * SECOND, vital=passed).health is health


def test_standing_without_an_answer_does_not_end_the_start_period():
    one = watch(live=probe())
    standing = judge(one, first_seen(one, timedelta()), 20 * SECOND)
    assert standing.health is Health.READY
    assert live(one, "live", "-----", age=21 * SECOND, vital=standing).health is Health.READY


def test_failures_count_at_once_where_it_is_remembered_as_ready():
    one = watch(Health.READY, live=probe())
    assert live(one, "live", "---", age=3 * SECOND).health is Health.NOT_LIVE


def test_failure_while_starting_breaks_a_row_of_passes():
    one = watch(ready=probe(success_threshold=2))
    assert live(one, "ready", "+-+", age=20 * SECOND).health is Health.UNKNOWN


def test_nothing_else_is_asked_until_the_startup_probe_has_passed():
    one = watch(startup=probe(), live=probe(), ready=probe())
    fresh = first_seen(one, timedelta())
    assert [which for which in ("startup", "live", "ready") if is_asked(one, fresh, which)] == ["startup"]
    up = live(one, "startup", "+")
    assert [which for which in ("startup", "live", "ready") if is_asked(one, up, which)] == ["live", "ready"]
    assert up.health is Health.UNKNOWN


def test_startup_probe_that_fails_for_good_is_not_live():
    assert live(watch(startup=probe()), "startup", "---").health is Health.NOT_LIVE


def test_startup_is_not_asked_again_of_what_is_remembered_as_ready():
    one = watch(Health.READY, startup=probe())
    assert not is_asked(one, first_seen(one, timedelta()), "startup")


@pytest.mark.parametrize(
    ("which", "health", "seconds"),
    [
        ("ready", Health.UNKNOWN, 1),
        ("ready", Health.UNREADY, 1),
        ("ready", Health.READY, 10),
        ("startup", Health.UNKNOWN, 1),
        ("live", Health.UNKNOWN, 10),
        ("live", Health.READY, 10),
    ],
)
def test_readiness_is_asked_for_eagerly_until_it_is_there(which, health, seconds):
    one = watch(**{which: probe()})
    assert interval(one, Vital(timedelta(), health), which) == seconds * SECOND


def test_probe_that_nobody_could_ask_is_known_as_unanswered_until_somebody_can():
    one = watch(live=probe(), ready=probe())
    vital = live(one, "ready", "+?")
    assert vital.unanswered == {"ready"}
    assert live(one, "ready", "-", vital=vital).unanswered == frozenset()


@given(st.lists(st.sampled_from([True, False, None])))
def test_streak_is_the_length_of_the_last_run(answers):
    streak = Streak()
    for answer in answers:
        streak = streak.after(answer)
    known = [answer for answer in answers if answer is not None]
    run = 0
    while run < len(known) and known[-1 - run] is known[-1]:
        run += 1
    assert (streak.passed, streak.failed) == ((run, 0) if known and known[-1] else (0, run))
