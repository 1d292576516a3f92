"""Scheduled jobs: each time of a schedule begins a run at most once, and says why where it begins none."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.reconcile.stage import DAWN, MINUTE, POLICY, SECOND, Stage, container, job, release

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.events import JobEnded, JobStarted, ScheduleMarked
from edgegitops.core.model.ledger import Health, JobResult
from edgegitops.core.model.openings import next_opening
from edgegitops.core.model.plant import FixedZones
from edgegitops.core.model.release import Phase
from edgegitops.core.model.schedule import parse_schedule
from edgegitops.core.model.spec import Concurrency, Condition, Missed
from edgegitops.core.reconcile.handover import hand_over

HOUR = timedelta(hours=1)
NOW = timedelta()


def backing_up(version="1", schedule="0 * * * *", app="1", **fields):
    return release({"app": container("app", app)}, jobs={"backup": job("backup", version, schedule=schedule, **fields)})


def serving(wanted, **behaviour):
    """A stage at DAWN (06:00 UTC), healthy, its schedule marked."""
    stage = Stage()
    stage.behave("backup", **{"after": SECOND, **behaviour})
    stage.converge(wanted)
    stage.play()
    return stage


def until(stage, at, *, step=10 * SECOND):
    """Live on, looking whenever a look is due and after each end."""
    while stage.clock.now() < at:
        outlook = stage.play()
        wait = min(step, at - stage.clock.now())
        if outlook.until is not None:
            assert outlook.until > stage.clock.now(), "a look that is due at once, with nothing to do"
            wait = min(wait, outlook.until - stage.clock.now())
        stage.pass_time(wait)
    return stage.play()


def begun(stage):
    return [one.due_at for one in stage.events if isinstance(one, JobStarted)]


def results(stage):
    return [one.result for one in stage.events if isinstance(one, JobEnded)]


def left_out(stage):
    return [one.detail for one in stage.events if isinstance(one, ScheduleMarked) and one.detail]


def test_run_begins_at_its_time_and_the_next_look_is_the_next_time():
    stage = serving(backing_up())
    outlook = stage.play()
    assert outlook.until == DAWN + HOUR
    assert stage.running == {"app:1"}
    until(stage, DAWN + HOUR)
    assert stage.running == {"app:1", "backup:1"}
    stage.pass_time(SECOND)
    outlook = stage.play()
    assert outlook.until == DAWN + 2 * HOUR
    assert (begun(stage), results(stage)) == ([DAWN + HOUR], [JobResult.SUCCEEDED])
    assert stage.phase is Phase.HEALTHY


def test_nothing_is_pulled_when_a_run_begins():
    stage = serving(backing_up())
    until(stage, DAWN + 2 * HOUR)
    assert stage.acts("pull-image") == []
    assert stage.acts("start-container") == ["start-container backup"] * 2


def test_container_of_the_last_run_alone_stays():
    stage = serving(backing_up())
    until(stage, DAWN + 5 * HOUR + MINUTE)
    assert len([one for one in stage.engine.observe().containers if ".backup." in one.name]) == 1
    assert len(stage.record.jobs) == 1


def test_running_job_is_expected_by_the_resident_and_not_probed():
    stage = serving(backing_up(), after=HOUR)
    until(stage, DAWN + HOUR)
    handover = hand_over([stage.scene()])
    assert len(handover.expected) == 2
    assert [watch.container for watch in handover.watches] == [stage.part("app").name]
    assert len(handover.soaks) == 1
    assert not handover.awaits_job


@pytest.mark.parametrize(
    ("concurrency", "runs", "told"),
    [
        (Concurrency.FORBID, 1, ["the run before still went on"]),
        (Concurrency.ALLOW, 2, []),
        (Concurrency.REPLACE, 1, []),
    ],
)
def test_run_that_is_due_while_the_last_one_goes_on(concurrency, runs, told):
    stage = serving(backing_up(concurrency=concurrency, timeout=5 * HOUR), after=3 * HOUR)
    until(stage, DAWN + 2 * HOUR + MINUTE)
    running = [one for one in stage.scene().owned() if one.container == "backup" and one.pid]
    assert len(running) == runs
    assert left_out(stage) == told
    assert begun(stage) == [DAWN + HOUR, *([DAWN + 2 * HOUR] if concurrency is not Concurrency.FORBID else [])]
    assert results(stage) == ([JobResult.REPLACED] if concurrency is Concurrency.REPLACE else [])


def test_failed_run_is_an_alarm_until_one_succeeds_and_fails_no_release():
    stage = serving(backing_up(), code=4)
    until(stage, DAWN + HOUR + MINUTE)
    assert stage.alarms == {"job-failed"}
    assert "backup" in next(iter(stage.ledger.alarms.values())).detail
    assert stage.phase is Phase.HEALTHY
    stage.behave("backup", after=SECOND)
    until(stage, DAWN + 2 * HOUR + MINUTE)
    assert stage.alarms == set()


def test_failed_run_is_tried_again():
    stage = serving(backing_up(retries=1), code=4)
    until(stage, DAWN + HOUR + MINUTE)
    assert results(stage) == [JobResult.RETRYING, JobResult.FAILED]
    assert begun(stage) == [DAWN + HOUR] * 2


def test_run_without_a_timeout_is_stopped_after_an_hour():
    stage = serving(backing_up(schedule="0 7 * * *"), after=30 * HOUR)
    until(stage, DAWN + 2 * HOUR + MINUTE)
    assert results(stage) == [JobResult.TIMED_OUT]
    assert stage.running == {"app:1"}


@pytest.mark.parametrize(("missed", "expected"), [(Missed.SKIP, []), (Missed.RUN_ONCE, [DAWN + 9 * HOUR])])
def test_times_that_passed_while_nothing_lived_are_left_out_or_run_once(missed, expected):
    stage = serving(backing_up(missed=missed))
    stage.pass_time(3 * HOUR + 30 * MINUTE)
    until(stage, DAWN + 3 * HOUR + 40 * MINUTE)
    assert begun(stage) == [one - 6 * HOUR for one in expected]
    assert len(left_out(stage)) == 1 - len(expected)


def test_run_that_is_a_little_late_begins():
    stage = serving(backing_up())
    stage.pass_time(HOUR + 4 * MINUTE)
    stage.play()
    assert begun(stage) == [DAWN + HOUR]


def test_run_waits_for_what_it_depends_on_and_is_missed_after_a_while():
    stage = Stage()
    stage.behave("backup", after=SECOND)
    wanted = release(
        {"app": container("app")}, jobs={"backup": job("backup", schedule="0 * * * *", needs={"app": Condition.READY})}
    )
    stage.converge(wanted)
    stage.play()
    stage.probe(Health.UNREADY)
    outlook = until(stage, DAWN + HOUR + MINUTE)
    assert outlook.hold.detail == "job backup waits: app ready"
    stage.probe(Health.READY)
    stage.play()
    assert begun(stage) == [DAWN + HOUR]
    stage.probe(Health.UNREADY)
    until(stage, DAWN + 2 * HOUR + 10 * MINUTE)
    assert left_out(stage) == ["missed: it could not begin in time"]


def test_clock_that_is_not_to_be_believed_runs_nothing_and_says_so():
    stage = serving(backing_up())
    stage.is_clock_trusted = False
    outlook = until(stage, DAWN + 3 * HOUR, step=HOUR)
    assert begun(stage) == []
    assert outlook.hold.reason == "clock"
    assert outlook.until == stage.clock.now() + MINUTE
    stage.is_clock_trusted = True
    stage.play()
    assert begun(stage) == [DAWN + 3 * HOUR]


def test_clock_that_was_wrong_by_years_stops_the_schedule_for_no_years():
    stage = serving(backing_up())
    stage.clock.step(DAWN + timedelta(days=3650))
    until(stage, DAWN + timedelta(days=3650) + HOUR + MINUTE)
    stage.clock.step(DAWN + 2 * HOUR + MINUTE)
    stage.events.clear()
    until(stage, DAWN + 4 * HOUR + MINUTE)
    assert begun(stage) == [DAWN + 3 * HOUR, DAWN + 4 * HOUR]


def test_clock_that_goes_back_a_little_repeats_no_run():
    stage = serving(backing_up())
    until(stage, DAWN + HOUR + SECOND)
    stage.clock.step(DAWN + HOUR - 5 * MINUTE)
    until(stage, DAWN + HOUR + MINUTE)
    assert begun(stage) == [DAWN + HOUR]


def test_zone_that_is_not_known_here_holds_and_names_itself():
    stage = serving(backing_up(zone="Mars/Olympus"))
    outlook = stage.play()
    assert outlook.hold.detail == "job backup waits: the time zone Mars/Olympus is not known here"


def test_schedule_that_changes_counts_from_its_change():
    stage = serving(backing_up(schedule="0 0 * * *", missed=Missed.RUN_ONCE))
    stage.pass_time(30 * MINUTE)
    stage.converge(backing_up(schedule="15 * * * *", missed=Missed.RUN_ONCE))
    stage.play()
    assert begun(stage) == []
    until(stage, DAWN + HOUR + 20 * MINUTE)
    assert begun(stage) == [DAWN + HOUR + 15 * MINUTE]


def test_update_of_something_else_lets_a_run_go_on():
    stage = serving(backing_up(timeout=3 * HOUR), after=2 * HOUR)
    until(stage, DAWN + HOUR)
    stage.converge(backing_up(app="2", timeout=3 * HOUR))
    stage.play()
    assert stage.running == {"app:2", "backup:1"}
    until(stage, DAWN + 3 * HOUR - 30 * MINUTE)
    assert stage.running == {"app:2", "backup:1"}
    until(stage, DAWN + 3 * HOUR + MINUTE)
    assert JobResult.SUCCEEDED in results(stage)


def test_update_of_the_job_itself_stops_its_run_and_raises_no_alarm():
    stage = serving(backing_up(), after=2 * HOUR)
    until(stage, DAWN + HOUR)
    stage.converge(backing_up("2"))
    stage.play()
    assert stage.running == {"app:1"}
    assert [run.result for run in stage.record.jobs.values()] == [JobResult.STOPPED]
    assert stage.alarms == set()


def test_what_is_regressed_runs_no_scheduled_job():
    stage = serving(backing_up())
    stage.observe_for(waited=POLICY.deadline)
    until(stage, DAWN + HOUR + MINUTE)
    assert stage.phase is Phase.REGRESSED
    assert begun(stage) == []


def test_power_cut_in_a_run_is_a_failure_and_the_next_time_runs():
    stage = serving(backing_up(), after=30 * MINUTE)
    until(stage, DAWN + HOUR)
    stage.reboot()
    stage.play()
    assert results(stage) == [JobResult.INTERRUPTED]
    assert stage.alarms == {"job-failed"}
    until(stage, DAWN + 2 * HOUR + 40 * MINUTE)
    assert results(stage) == [JobResult.INTERRUPTED, JobResult.SUCCEEDED]


def test_image_that_somebody_removed_is_pulled_again():
    stage = serving(backing_up())
    stage.engine.images.discard(stage.part("backup").spec.create.image)
    until(stage, DAWN + HOUR + MINUTE)
    assert results(stage) == [JobResult.SUCCEEDED]


def test_run_that_the_engine_will_not_make_fails_once():
    stage = serving(backing_up())
    stage.engine.behaviours[stage.part("backup").spec.create.image] = Behaviour(fails_to_create=True)
    until(stage, DAWN + 2 * HOUR - MINUTE)
    assert results(stage) == [JobResult.FAILED]
    assert stage.alarms == {"job-failed"}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_time_of_a_schedule_begins_at_most_one_run(data):
    """Whatever befalls: reboots, removed containers, lost replies, silence; and with a quiet life, exactly one."""
    is_quiet = data.draw(st.booleans())
    stage = serving(backing_up(schedule="*/10 * * * *", concurrency=data.draw(st.sampled_from(Concurrency))))
    for _ in range(data.draw(st.integers(1, 20))):
        until(stage, stage.clock.now() + data.draw(st.integers(1, 900)) * SECOND)
        match "" if is_quiet else data.draw(st.sampled_from(["", "reboot", "remove", "lose", "fail", "away"])):
            case "reboot":
                stage.reboot()
            case "remove":
                for one in stage.scene().owned():
                    if one.container == "backup":
                        stage.engine.remove(one.name)
            case "lose":
                stage.engine.lose_replies(1)
            case "fail":
                stage.engine.fail_next(1)
            case "away":
                stage.pass_time(data.draw(st.integers(1, 7200)) * SECOND)
            case _:
                pass
    until(stage, stage.clock.now() + MINUTE)
    assert len(set(begun(stage))) == len(begun(stage))
    if is_quiet:
        count = int((stage.clock.now() - DAWN) / (10 * MINUTE))
        assert begun(stage) == [DAWN + number * 10 * MINUTE for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # 02:30 does not exist on 29 March 2026 in Stockholm: it begins when the clocks have gone forward, 01:00 UTC
        (datetime(2026, 3, 29, 0, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        # 02:30 comes twice on 25 October 2026: the run begins when it comes first, 00:30 UTC, and not again
        (datetime(2026, 10, 25, 0, 0, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_night_in_which_the_clocks_change_runs_each_job_once(start, expected):
    stage = Stage()
    stage.clock.step(start)
    stage.zones = FixedZones({"Europe/Stockholm": ZoneInfo("Europe/Stockholm")})
    stage.behave("backup", after=SECOND)
    stage.converge(backing_up(schedule="30 2 * * *", zone="Europe/Stockholm"))
    stage.play()
    until(stage, start + 6 * HOUR)
    assert begun(stage) == [expected]


def test_next_look_is_the_next_time_of_the_schedule():
    stage = serving(backing_up(schedule="@daily"))
    assert stage.play().until == next_opening(parse_schedule("@daily"), UTC, stage.clock.now())
