"""Jobs of a switch and of a release: when they run, how often, and what their end leads to."""

from datetime import timedelta

import pytest
from tests.core.reconcile.stage import LINE, MINUTE, SECOND, Stage, container, job, release

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.events import JobEnded, JobStarted
from edgegitops.core.model.ledger import Health, JobResult
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.release import Phase
from edgegitops.core.model.spec import Condition, NetworkSpec, Runs
from edgegitops.core.reconcile.handover import hand_over

DONE = Condition.COMPLETED
READY = Condition.READY
NOW = timedelta()


def migrating(version="1", **fields):
    """A database, a migration that needs it, an application that needs the migration."""
    return release(
        {
            "db": container("db"),
            "app": container("app", version, needs={"migrate": DONE}),
        },
        jobs={"migrate": job("migrate", version, needs={"db": READY}, **fields)},
        version=version,
    )


def starts(stage):
    return [one for one in stage.acts("start-container") if "migrate" in one]


def results(stage):
    return [one.result for one in stage.events if isinstance(one, JobEnded)]


def begun(stage):
    return [one.tries for one in stage.events if isinstance(one, JobStarted)]


def test_graph_decides_the_order_of_containers_and_jobs():
    stage = Stage(migrating())
    stage.behave("migrate", after=5 * SECOND)
    stage.play()
    assert stage.running == {"db:1"}
    stage.probe(Health.READY)
    stage.play()
    assert stage.running == {"db:1", "migrate:1"}
    stage.pass_time(5 * SECOND)
    stage.play()
    assert stage.running == {"db:1", "app:1"}
    assert stage.phase is Phase.PROVING
    assert stage.acts("start-container") == ["start-container db", "start-container migrate", "start-container app"]


def test_all_that_a_switch_needs_is_made_before_anything_stops():
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.behave("migrate", "2", after=NOW)
    stage.converge(migrating())
    stage.want(migrating("2"))
    stage.gate = None
    stage.play()
    acts = stage.acts("create-container", "stop-container")
    assert acts.index("create-container migrate") < acts.index("stop-container app")


def test_job_runs_after_the_old_stopped_and_before_the_new_starts():
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.behave("migrate", "2", after=NOW)
    stage.converge(migrating())
    stage.want(migrating("2"))
    stage.start_up()
    order = stage.acts("stop-container", "start-container")
    assert order == ["stop-container app", "start-container migrate", "start-container app"]


def test_job_that_fails_fails_its_release():
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.behave("migrate", "2", after=NOW, code=3)
    old, new = migrating(), migrating("2")
    stage.converge(old)
    stage.want(new)
    stage.play()
    assert stage.phase is Phase.REVERTED
    assert stage.record.serving == old
    latch = stage.record.latches[new.digest]
    assert latch.reason == "job-failed"
    assert latch.detail == "job migrate: ended with exit code 3"
    assert starts(stage) == ["start-container migrate"]
    assert "app:2" not in stage.running


def test_first_release_whose_job_fails_leaves_nothing_running():
    stage = Stage(migrating())
    stage.behave("migrate", after=NOW, code=1)
    stage.start_up()
    assert stage.phase is Phase.REVERTED
    assert stage.running == set()


def test_failed_job_is_tried_again_as_often_as_it_asks():
    stage = Stage(migrating(retries=2))
    stage.behave("migrate", after=NOW, code=1)
    stage.play()
    stage.probe(Health.READY)
    for wait in (10 * SECOND, 20 * SECOND):
        outlook = stage.play()
        assert outlook.until == stage.clock.now() + wait
        stage.pass_time(wait)
    stage.play()
    assert stage.phase is Phase.REVERTED
    assert begun(stage) == [1, 2, 3]
    assert results(stage) == [JobResult.RETRYING, JobResult.RETRYING, JobResult.FAILED]


def test_second_try_that_succeeds_is_a_success():
    stage = Stage(migrating(retries=1))
    stage.behave("migrate", after=NOW, code=1)
    stage.play()
    stage.probe(Health.READY)
    stage.play()
    stage.behave("migrate", after=SECOND)
    stage.pass_time(10 * SECOND)
    stage.play()
    assert stage.running == {"db:1", "migrate:1"}
    stage.pass_time(SECOND)
    stage.play()
    assert stage.phase is Phase.PROVING
    assert not stage.record.latches


def test_job_that_runs_too_long_is_stopped_and_has_failed():
    stage = Stage(migrating(timeout=MINUTE))
    stage.play()
    stage.probe(Health.READY)
    outlook = stage.play()
    assert outlook.until == stage.clock.now() + MINUTE
    stage.pass_time(MINUTE)
    stage.play()
    assert stage.phase is Phase.REVERTED
    assert results(stage) == [JobResult.TIMED_OUT]
    assert stage.record.latches[stage.target.digest].detail == "job migrate: still ran after 60 s"
    assert stage.running == set()


def test_without_a_timeout_a_job_may_take_as_long_as_the_deadline():
    stage = Stage(migrating())
    stage.play()
    stage.probe(Health.READY)
    assert stage.play().until == stage.clock.now() + stage.target.policy.deadline


def test_clock_that_is_not_to_be_believed_times_nothing_out():
    stage = Stage(migrating(timeout=MINUTE))
    stage.play()
    stage.probe(Health.READY)
    stage.play()
    stage.is_clock_trusted = False
    stage.pass_time(timedelta(days=4000))
    assert stage.play().until is None
    assert stage.running == {"db:1", "migrate:1"}


def test_time_of_a_job_is_not_counted_against_the_deadline():
    stage = Stage(migrating())
    stage.play()
    assert [one.deployment for one in hand_over([stage.scene()]).soaks] == [LINE]
    stage.probe(Health.READY)
    stage.play()
    handover = hand_over([stage.scene()])
    assert (handover.soaks, handover.awaits_job, handover.is_at_rest) == ((), True, False)
    assert stage.part("migrate").name in handover.expected
    assert stage.part("migrate").name not in {watch.container for watch in handover.watches}


# --- once, whatever happens


def test_try_that_was_written_down_and_never_begun_is_begun_and_not_counted():
    stage = Stage(migrating())
    stage.behave("migrate", after=SECOND)
    stage.play()
    stage.probe(Health.READY)
    part = stage.part("migrate")
    stage.tell(JobStarted(LINE, "migrate", part.name, stage.clock.boot_id(), 1, stage.record.transition.id))
    stage.play()
    stage.pass_time(SECOND)
    stage.play()
    assert stage.phase is Phase.PROVING
    assert starts(stage) == ["start-container migrate"]
    assert stage.record.jobs[part.name].tries == 1


def test_end_that_nobody_saw_is_told_by_the_engine():
    stage = Stage(migrating())
    stage.behave("migrate", after=SECOND)
    stage.play()
    stage.probe(Health.READY)
    stage.play()
    stage.pass_time(timedelta(hours=5))
    stage.play()
    assert stage.phase is Phase.PROVING
    assert results(stage) == [JobResult.SUCCEEDED]


@pytest.mark.parametrize(("retries", "expected"), [(0, [1]), (1, [1, 2])])
def test_job_that_a_power_cut_interrupted_has_failed_and_runs_again_only_as_a_retry(retries, expected):
    stage = Stage(migrating(retries=retries))
    stage.behave("migrate", after=MINUTE)
    stage.play()
    stage.probe(Health.READY)
    stage.play()
    stage.reboot()
    for _ in range(3):
        stage.play()
        stage.probe(Health.READY)
        stage.pass_time(MINUTE)
    stage.play()
    assert begun(stage) == expected
    assert stage.phase is (Phase.PROVING if retries else Phase.REVERTED)
    if not retries:
        assert results(stage) == [JobResult.INTERRUPTED]


def test_container_that_somebody_removed_while_it_ran_is_a_failed_try():
    stage = Stage(migrating())
    stage.play()
    stage.probe(Health.READY)
    stage.play()
    stage.engine.remove(stage.part("migrate").name)
    stage.play()
    assert results(stage) == [JobResult.INTERRUPTED]
    assert stage.phase is Phase.REVERTED


def test_lost_reply_of_a_start_does_not_start_twice():
    stage = Stage(migrating())
    stage.behave("migrate", after=10 * SECOND)
    stage.play()
    stage.probe(Health.READY)
    stage.engine.lose_replies(1)
    stage.play()
    stage.pass_time(10 * SECOND)
    stage.play()
    assert starts(stage) == ["start-container migrate"]
    assert stage.phase is Phase.PROVING


def test_denied_start_fails_the_release_without_another_try():
    stage = Stage(migrating(retries=5))
    stage.engine.behaviours[stage.part("migrate").spec.create.image] = Behaviour(fails_to_start=True)
    stage.play()
    stage.probe(Health.READY)
    stage.play()
    assert stage.phase is Phase.REVERTED
    assert begun(stage) == [1]


def test_lost_journal_believes_a_job_that_ended_well():
    one = migrating()
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.converge(one)
    stage.lose_journal()
    stage.start_up()
    stage.observe_for(soaked=one.policy.soak)
    stage.play()
    assert stage.phase is Phase.HEALTHY
    assert starts(stage) == []


def test_release_that_is_reverted_to_runs_no_job_again():
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.converge(migrating())
    stage.want(release({"app": container("app", "3")}))
    stage.play()
    stage.engine.end(stage.part("app").name, 1)
    stage.play()
    assert stage.phase is Phase.REVERTED
    assert starts(stage) == []


def test_release_that_comes_back_runs_its_jobs_again():
    one, two = migrating(), migrating("2")
    stage = Stage()
    for version in ("1", "2"):
        stage.behave("migrate", version, after=NOW)
    stage.converge(one)
    stage.converge(two)
    stage.want(one)
    stage.start_up()
    assert starts(stage) == ["start-container migrate"]
    assert stage.phase is Phase.PROVING


def test_container_that_heals_waits_for_no_job_of_what_serves():
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.converge(migrating())
    stage.engine.remove(stage.part("migrate").name)
    stage.engine.end(stage.part("app").name, 1)
    stage.play()
    assert stage.running == {"db:1", "app:1"}
    assert starts(stage) == []


# --- onInstall


def installing(version="1"):
    return release(
        {"app": container("app", version, needs={"init": DONE}, volume="data")},
        jobs={"init": job("init", version, runs=Runs.ON_INSTALL)},
    )


def inits(stage):
    return [one for one in stage.acts("start-container") if "init" in one]


def test_install_job_runs_where_nothing_ran_before_and_never_again():
    stage = Stage(installing())
    for version in "12":
        stage.behave("init", version, after=NOW)
    stage.start_up()
    assert inits(stage) == ["start-container init"]
    stage.converge(installing())
    stage.want(installing("2"))
    stage.start_up()
    assert inits(stage) == []
    assert stage.running == {"app:2"}


def test_install_job_runs_in_each_release_until_one_is_healthy():
    stage = Stage(installing())
    stage.behave("init", after=NOW, code=1)
    stage.play()
    assert stage.phase is Phase.REVERTED
    stage.behave("init", "2", after=NOW)
    stage.want(installing("2"))
    stage.start_up()
    assert inits(stage) == ["start-container init"] * 2
    assert stage.running == {"app:2"}


def test_install_job_does_not_run_over_the_data_that_a_removal_kept():
    stage = Stage()
    stage.behave("init", after=NOW)
    stage.converge(installing())
    stage.want(None)
    stage.play()
    assert stage.phase is Phase.ABSENT
    stage.want(installing())
    stage.start_up()
    assert inits(stage) == []
    assert stage.running == {"app:1"}


def test_install_job_does_not_run_where_a_journal_was_lost():
    stage = Stage()
    stage.behave("init", "2", after=NOW)
    stage.behave("init", after=NOW)
    stage.converge(installing())
    stage.lose_journal()
    stage.want(installing("2"))
    stage.start_up()
    assert inits(stage) == []


# --- onUpdate


def telling(version="1", **fields):
    return release(
        {"app": container("app", version)},
        jobs={"tell": job("tell", version, runs=Runs.ON_UPDATE, **fields)},
        version=version,
    )


def test_update_job_runs_once_when_the_release_is_healthy():
    one = telling()
    stage = Stage(one)
    stage.behave("tell", after=SECOND)
    stage.start_up()
    assert "start-container tell" not in stage.acts()
    stage.observe_for(soaked=one.policy.soak)
    stage.play()
    assert stage.running == {"app:1", "tell:1"}
    stage.pass_time(SECOND)
    stage.play()
    stage.reboot()
    stage.play()
    assert stage.acts("start-container").count("start-container tell") == 1
    assert stage.phase is Phase.HEALTHY


def test_update_job_that_fails_makes_the_release_regressed():
    stage = Stage()
    stage.behave("tell", after=SECOND, code=2)
    stage.converge(telling())
    stage.pass_time(SECOND)
    stage.play()
    assert stage.phase is Phase.REGRESSED
    assert stage.alarms == {"regressed"}
    assert stage.running == {"app:1"}
    stage.behave("tell", "2", after=SECOND)
    stage.converge(telling("2"))
    stage.pass_time(SECOND)
    stage.play()
    assert (stage.phase, stage.alarms) == (Phase.HEALTHY, set())


def test_next_switch_stops_a_job_that_still_runs():
    stage = Stage()
    stage.converge(telling())
    stage.play()
    assert stage.running == {"app:1", "tell:1"}
    name = stage.part("tell").name
    stage.want(telling("2"))
    stage.play()
    assert stage.running == {"app:2"}
    assert stage.record.jobs[name].result is JobResult.STOPPED


# --- what is kept


def test_container_of_the_last_run_stays_for_its_logs():
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.behave("migrate", "2", after=NOW, code=3)
    stage.converge(migrating())
    new = migrating("2")
    stage.want(new)
    stage.play()
    assert stage.phase is Phase.REVERTED
    seen = stage.seen("migrate", new)
    assert seen is not None
    assert (seen.state, seen.exit_code) == (ContainerState.EXITED, 3)
    assert "app:2" not in stage.present
    stage.behave("migrate", "3", after=NOW)
    stage.converge(migrating("3"))
    assert stage.present == {"db:1", "app:3", "migrate:3"}


def test_network_of_a_kept_job_stays_with_it():
    stage = Stage()
    stage.converge(migrating_on(NetworkSpec(), "1", stage))
    stage.want(migrating_on(NetworkSpec(internal=True), "2", stage, code=1))
    outlook = stage.play()
    assert stage.phase is Phase.REVERTED
    assert "remove-network" not in {key.split()[0] for key in stage.record.failures}
    assert outlook.hold.reason == "latched"
    assert "migrate:2" in stage.present


def migrating_on(net, version, stage, code=0):
    stage.behave("migrate", version, after=NOW, code=code)
    return release(
        {"app": container("app", version, needs={"migrate": DONE})},
        jobs={"migrate": job("migrate", version)},
        net=net,
    )


def test_removal_takes_containers_of_jobs_too():
    stage = Stage()
    stage.behave("migrate", after=NOW)
    stage.converge(migrating())
    stage.want(None)
    stage.play()
    assert stage.present == set()
    assert not stage.record.jobs
