"""Copies of volumes around an update: made once all is stopped, put back by that update's revert alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from tests.core.reconcile.stage import MINUTE, POLICY, SECOND, Stage, container, image, job, release, with_policy

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.events import OutcomeRecorded
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import DeploymentRecord, Health, Transition
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.snapshots import Room
from edgegitops.core.model.spec import Condition, SnapshotSpec
from edgegitops.core.reconcile.snapshots import copying_time

VOLUME = "line.data"
AN_HOUR = timedelta(hours=1)
COPIES = ("stop-container", "prepare-snapshot", "take-snapshot", "restore-snapshot", "start-container")


def with_data(version: str, snapshot: SnapshotSpec | None = None, **others: str) -> Release:
    """`db` writes to a volume that is copied; others do not."""
    named = {name: container(name, other) for name, other in others.items()}
    made = release({"db": container("db", version, volume="data"), **named}, version=version)
    spec = replace(made.spec, volumes={"data": replace(made.spec.volumes["data"], snapshot=snapshot or SnapshotSpec())})
    return replace(made, digest=spec.digest(), spec=spec)


ONE, TWO, THREE = with_data("1"), with_data("2"), with_data("3")


def updating(after: Release = TWO, before: Release = ONE) -> Stage:
    """The old release has written; the new one is wanted, and nothing is done yet."""
    stage = Stage()
    stage.converge(before)
    stage.want(after)
    return stage


def steps(stage: Stage) -> list[str]:
    """Every step that ended well, in order, of those that matter here."""
    told = [one for one in stage.events if isinstance(one, OutcomeRecorded) and one.result == "done"]
    return [f"{one.step} {one.subject.split('.')[1]}" for one in told if one.step in COPIES]


def fail_proving(stage: Stage) -> None:
    stage.start_up()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()


def data(stage: Stage) -> list[str]:
    """The versions that have written to the volume."""
    return [one.partition("@")[0].rpartition(":")[2] for one in stage.engine.data[VOLUME]]


def failed(stage: Stage) -> Mapping[str, tuple[str, ...]]:
    return {name: written for name, written in stage.engine.data.items() if ".failed-" in name}


def test_volume_is_copied_after_the_stop_and_before_the_start():
    stage = updating()
    stage.start_up()
    assert steps(stage) == ["stop-container db", "take-snapshot data", "start-container db"]


def test_volume_is_not_copied_by_a_first_installation():
    stage = Stage()
    stage.want(ONE)
    stage.start_up()
    assert steps(stage) == ["start-container db"]


def test_volume_is_not_copied_where_nothing_is_started_or_stopped():
    db = TWO.spec.containers["db"]
    spec = replace(TWO.spec, containers={"db": replace(db, care=replace(db.care, stop_timeout=MINUTE))})
    stage = updating(replace(TWO, digest=spec.digest(), spec=spec), TWO)
    stage.start_up()
    assert "take-snapshot data" not in steps(stage)


def test_writer_that_stays_stops_for_the_copy_and_goes_on():
    stage = updating(with_data("1", web="2"), with_data("1", web="1"))
    stage.start_up()
    order = steps(stage)
    assert order.index("stop-container db") < order.index("take-snapshot data") < order.index("start-container db")
    assert stage.running == {"db:1", "web:2"}


def test_failed_release_loses_what_it_wrote_and_that_is_kept_beside():
    stage = updating()
    fail_proving(stage)
    assert (stage.phase, stage.running, data(stage)) == (Phase.REVERTED, {"db:1"}, ["1"])
    assert failed(stage) == {f"{VOLUME}.failed-{TWO.digest[:12]}": (image("db", "1"), image("db", "2"))}
    assert stage.snapshots.present() == ()


def test_data_is_put_back_before_anything_starts_on_it():
    stage = updating()
    fail_proving(stage)
    order = steps(stage)
    assert order[order.index("restore-snapshot data") :] == ["restore-snapshot data", "start-container db"]


def test_release_that_was_never_started_needs_nothing_put_back():
    stage = updating()
    stage.snapshots.is_failing = True
    stage.start_up()
    assert (stage.phase, stage.running, data(stage)) == (Phase.REVERTED, {"db:1"}, ["1"])
    assert "restore-snapshot data" not in steps(stage)
    assert next(iter(stage.record.latches.values())).reason == Refusal.SNAPSHOT_FAILED


def test_failed_start_counts_as_one_that_may_have_written():
    stage = updating()
    stage.engine.behaviours[image("db", "2")] = Behaviour(fails_to_start=True)
    stage.start_up()
    assert stage.phase is Phase.REVERTED
    assert "restore-snapshot data" in steps(stage)


def migrating(version: str) -> Release:
    """A job writes to the copied volume before the switch, and `db` needs it."""
    db = container("db", version, needs={"migrate": Condition.COMPLETED}, volume="data")
    made = release({"db": db}, jobs={"migrate": job("migrate", version, volume="data")}, version=version)
    spec = replace(made.spec, volumes={"data": replace(made.spec.volumes["data"], snapshot=SnapshotSpec())})
    return replace(made, digest=spec.digest(), spec=spec)


def test_job_before_the_switch_runs_on_data_that_was_copied():
    stage = Stage()
    stage.behave("migrate", after=timedelta())
    stage.behave("migrate", "2", after=timedelta())
    stage.converge(migrating("1"))
    stage.want(migrating("2"))
    stage.start_up()
    order = ["stop-container db", "take-snapshot data", "start-container migrate", "start-container db"]
    assert steps(stage)[-4:] == order


def test_job_that_spoils_the_volume_and_fails_loses_what_it_wrote():
    stage = Stage()
    stage.behave("migrate", after=timedelta())
    stage.behave("migrate", "2", after=timedelta(), code=1)
    stage.converge(migrating("1"))
    stage.want(migrating("2"))
    stage.play()
    assert (stage.phase, stage.running, data(stage)) == (Phase.REVERTED, {"db:1"}, ["1", "1"])
    assert any(image("migrate", "2") in written for written in failed(stage).values())
    assert steps(stage)[-2:] == ["restore-snapshot data", "start-container db"]


def test_job_that_still_runs_stops_before_the_data_is_put_back():
    stage = Stage()
    stage.behave("migrate", after=timedelta())
    stage.behave("migrate", "2", after=AN_HOUR)
    stage.converge(migrating("1"))
    stage.want(migrating("2"))
    stage.play()
    stage.pass_time(POLICY.deadline + SECOND)
    stage.play()
    assert (stage.phase, stage.running, data(stage)) == (Phase.REVERTED, {"db:1"}, ["1", "1"])
    assert steps(stage)[-3:] == ["stop-container migrate", "restore-snapshot data", "start-container db"]


def test_failed_data_stays_until_another_release_is_healthy():
    stage = updating()
    fail_proving(stage)
    stage.probe(Health.READY, of=ONE)
    stage.converge(ONE)
    assert [name for name in stage.engine.observe().volumes if "failed" in name]
    stage.converge(THREE)
    assert [name for name in stage.engine.observe().volumes if "failed" in name] == []


def test_copy_goes_when_the_release_has_proven_itself():
    stage = updating()
    stage.start_up()
    assert len(stage.snapshots.present()) == 1
    stage.converge(TWO)
    assert (stage.snapshots.present(), data(stage)) == ((), ["1", "2"])


def test_old_release_waits_until_its_data_can_be_put_back():
    stage = updating()
    stage.snapshots.is_stuck = True
    fail_proving(stage)
    outlook = stage.play()
    assert (stage.phase, stage.running) == (Phase.REVERTING, set())
    assert outlook.hold.reason is HoldReason.SNAPSHOT_RESTORE
    assert "held-too-long" in stage.alarms
    stage.snapshots.is_stuck = False
    stage.pass_time(AN_HOUR)
    stage.play()
    assert (stage.phase, stage.running, data(stage)) == (Phase.REVERTED, {"db:1"}, ["1"])
    assert "held-too-long" not in stage.alarms


def test_irreversible_release_is_stopped_and_its_copy_stays_for_a_person():
    stage = updating(with_policy(TWO, safe=False))
    fail_proving(stage)
    assert (stage.phase, stage.running, data(stage)) == (Phase.STUCK, set(), ["1", "2"])
    assert len(stage.snapshots.present()) == 1


def test_too_little_room_holds_before_anything_is_stopped_and_goes_on_by_itself():
    stage = updating()
    stage.snapshots.free = 1000
    outlook = stage.play()
    assert (outlook.hold.reason, stage.running, steps(stage)) == (HoldReason.NO_SPACE, {"db:1"}, [])
    stage.snapshots.free = 10**12
    stage.pass_time(6 * MINUTE)
    stage.start_up()
    assert stage.running == {"db:2"}


def test_volume_that_is_too_large_refuses_the_release_until_it_may_be_smaller():
    stage = updating(with_data("2", SnapshotSpec(max_size=1000)))
    stage.snapshots.sizes = {VOLUME: 1001}
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REFUSED, {"db:1"})
    assert stage.record.latches[stage.target.digest].reason == Refusal.VOLUME_TOO_LARGE
    stage.snapshots.sizes = {VOLUME: 1000}
    stage.pass_time(AN_HOUR)
    stage.start_up()
    assert stage.running == {"db:2"}


def test_volume_that_grew_too_large_while_it_was_held_calls_the_update_off():
    stage = updating(with_data("2", SnapshotSpec(max_size=1000)))
    while stage.phase is not Phase.READY:
        stage.turn()
    stage.gate = Hold(HoldReason.PAUSED)
    stage.play()
    stage.snapshots.sizes = {VOLUME: 1001}
    stage.pass_time(2 * AN_HOUR)
    stage.gate = None
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REFUSED, {"db:1"})
    assert Phase.CANCELLED in stage.moves


def test_program_that_prepares_the_copy_runs_in_the_old_container_before_its_stop():
    stage = updating(with_data("2", SnapshotSpec("db", ("flush",))))
    stage.start_up()
    assert steps(stage)[:3] == ["prepare-snapshot data", "stop-container db", "take-snapshot data"]


def test_program_that_fails_holds_the_update_and_stops_nothing():
    stage = updating(with_data("2", SnapshotSpec("db", ("false",))))
    outlook = stage.play()
    assert (stage.phase, outlook.hold.reason) == (Phase.READY, HoldReason.SNAPSHOT_HOOK)
    assert (stage.running, steps(stage)) == ({"db:1"}, [])


def test_program_of_a_container_that_does_not_run_is_passed_over():
    stage = updating(with_data("2", SnapshotSpec("db", ("false",))))
    stage.engine.behaviours[image("db", "1")] = Behaviour(crashes_after=timedelta())
    stage.pass_time(MINUTE)
    stage.start_up()
    assert stage.running == {"db:2"}


def test_program_that_ran_too_long_ago_runs_again():
    stage = updating(with_data("2", SnapshotSpec("db", ("flush",))))
    while "prepare-snapshot data" not in steps(stage):
        stage.turn()
    stage.pass_time(10 * MINUTE)
    stage.start_up()
    assert steps(stage).count("prepare-snapshot data") == 2


def test_removal_takes_copies_with_it():
    stage = updating(with_policy(TWO, safe=False))
    fail_proving(stage)
    stage.want(None)
    stage.play()
    assert (stage.phase, stage.snapshots.present()) == (Phase.ABSENT, ())


def test_copying_time_is_reckoned_from_what_was_measured():
    room = Room({VOLUME: 60_000_000})
    now = Stage().clock.now()
    transition = Transition("t", ONE, TWO, Phase.READY, now, now, room=room)
    record = DeploymentRecord("line", transition=transition)
    assert copying_time(record) == timedelta(seconds=3)
    assert copying_time(replace(record, copy_rate=1_000_000)) == timedelta(seconds=60)
    assert copying_time(DeploymentRecord("line")) == timedelta()


def test_pace_of_copies_is_remembered_from_those_that_tell_something():
    stage = updating()
    stage.snapshots.sizes = {VOLUME: 25_000_000}
    stage.start_up()
    assert stage.record.copy_rate == 25_000_000


def test_update_of_a_job_alone_copies_what_it_may_write_to() -> None:
    stage = Stage()
    one = migrating("1")
    for version in ("1", "2"):
        stage.behave("migrate", version, after=timedelta())
    stage.converge(one)
    spec = replace(one.spec, jobs={"migrate": job("migrate", "2", volume="data")})
    stage.want(replace(one, digest=spec.digest(), spec=spec))
    stage.start_up()
    assert steps(stage)[:3] == ["stop-container db", "take-snapshot data", "start-container migrate"]
