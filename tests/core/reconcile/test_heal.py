"""What serves is kept: ended, killed, removed, changed, not live, after a boot; and what is foreign is left alone."""

import pytest
from tests.core.reconcile.stage import (
    DAWN,
    LINE,
    MINUTE,
    POLICY,
    SECOND,
    Stage,
    alarm_events,
    app,
    container,
    release,
    with_policy,
)

from edgegitops.core.model.events import ContainerEnded
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import DriftPolicy, Phase
from edgegitops.core.model.spec import Condition, OnUnhealthy, Restart

ONE = app("1")
CHAIN = release(
    {
        "web": container("web", needs={"db": Condition.READY}),
        "db": container("db", needs={"disk": Condition.STARTED}),
        "disk": container("disk"),
    }
)


def healthy(what=ONE) -> Stage:
    stage = Stage()
    stage.converge(what)
    return stage


def end(stage: Stage, name: str = "app", code: int = 137) -> None:
    stage.engine.end(stage.part(name).name, code)


# --- nothing to do


def test_healthy_node_has_nothing_to_do_and_journals_nothing():
    stage = healthy(CHAIN)
    outlook = stage.look()
    assert (outlook.work, outlook.hold, outlook.until) == (None, None, None)


# --- ends


def test_killed_container_comes_back_at_once():
    stage = healthy()
    end(stage)
    stage.play()
    assert stage.acts() == ["start-container app"]
    assert [one.exit_code for one in stage.events if isinstance(one, ContainerEnded)] == [137]


def test_dead_container_waits_out_its_backoff():
    stage = healthy()
    for _ in range(2):
        end(stage)
        stage.play()
    assert (stage.running, stage.record.hold_reason) == (set(), "back-off")
    assert stage.look().until == DAWN + 10 * SECOND
    stage.pass_time(10 * SECOND)
    stage.play()
    assert (stage.running, stage.record.hold_reason) == ({"app:1"}, "")


@pytest.mark.parametrize("closed", ["gate", "refusal", "unknown", "offline"])
def test_healing_goes_on_whatever_holds_updates(closed):
    stage = healthy()
    stage.gate = Hold(HoldReason.PAUSED) if closed == "gate" else None
    stage.refusal = "not allowed here" if closed == "refusal" else ""
    stage.is_target_known = closed != "unknown"
    stage.is_local = closed == "offline"
    if closed in ("gate", "refusal"):
        stage.want(app("2") if closed == "gate" else None)
    stage.play()
    stage.engine.end(stage.part("app", ONE).name, 1)
    stage.play()
    assert stage.running == {"app:1"}


@pytest.mark.parametrize("at", [Phase.PENDING, Phase.READY])
def test_old_release_is_healed_while_the_new_one_waits_at_a_gate(at):
    stage = healthy()
    stage.want(app("2"))
    while stage.phase is not at:
        stage.turn()
    stage.gate = Hold(HoldReason.PAUSED, "later")
    stage.play()
    stage.engine.end(stage.part("app", ONE).name, 1)
    stage.play()
    assert (stage.running, stage.phase, stage.record.hold_reason) == ({"app:1"}, at, "paused")


@pytest.mark.parametrize(
    ("restart", "code", "comes_back"),
    [
        (Restart.ALWAYS, 0, True),
        (Restart.ALWAYS, 1, True),
        (Restart.ON_FAILURE, 0, False),
        (Restart.ON_FAILURE, 1, True),
        (Restart.NEVER, 0, False),
        (Restart.NEVER, 1, False),
    ],
)
def test_restart_policy_says_what_comes_back(restart, code, comes_back):
    stage = healthy(release({"app": container("app", restart=restart)}))
    end(stage, code=code)
    stage.play()
    assert stage.running == ({"app:1"} if comes_back else set())


def test_container_that_rests_still_rests_after_a_boot():
    stage = healthy(release({"job": container("job", restart=Restart.NEVER), "app": container("app")}))
    end(stage, "job", 0)
    stage.play()
    stage.reboot()
    stage.play()
    assert stage.running == {"app:1"}


def test_container_whose_end_nobody_saw_comes_back_after_a_boot():
    stage = healthy(release({"app": container("app", restart=Restart.ON_FAILURE)}))
    end(stage, code=0)
    stage.reboot()
    stage.play()
    assert stage.running == {"app:1"}


def test_boot_starts_everything_in_order_from_what_is_there():
    stage = healthy(CHAIN)
    stage.reboot()
    stage.play()
    assert stage.record.hold_reason == "dependency"
    stage.probe(Health.READY)
    stage.play()
    assert stage.acts() == ["start-container disk", "start-container db", "start-container web"]


def test_dependant_waits_for_readiness_no_longer_than_the_deadline():
    stage = healthy(CHAIN)
    stage.reboot()
    stage.play()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert "web:1" in stage.running


def test_restarted_dependency_does_not_restart_its_dependants():
    stage = healthy(CHAIN)
    end(stage, "db")
    stage.play()
    assert stage.acts() == ["start-container db"]


def test_container_that_is_just_stopping_is_waited_for():
    stage = healthy()
    one = stage.engine._containers[stage.part("app").name]
    one.seen = type(one.seen)(**{**_fields(one.seen), "state": ContainerState.STOPPING})
    assert stage.look().work is None


def test_paused_container_is_stopped_and_started():
    stage = healthy()
    one = stage.engine._containers[stage.part("app").name]
    one.seen = type(one.seen)(**{**_fields(one.seen), "state": ContainerState.PAUSED})
    stage.play()
    assert stage.acts() == ["stop-container app", "start-container app"]


def _fields(seen):
    return {name: getattr(seen, name) for name in type(seen).__dataclass_fields__}


# --- probes


@pytest.mark.parametrize(
    ("on_unhealthy", "acts"),
    [
        (OnUnhealthy.RESTART, ["stop-container app", "start-container app"]),
        (OnUnhealthy.STOP, ["stop-container app"]),
        (OnUnhealthy.REPORT, []),
    ],
)
def test_failed_live_probe_does_what_the_manifest_says(on_unhealthy, acts):
    stage = healthy(release({"app": container("app", on_unhealthy=on_unhealthy)}))
    stage.probe(Health.NOT_LIVE)
    stage.play()
    stage.pass_time(20 * MINUTE)
    stage.play()
    assert stage.acts() == acts


def test_unready_container_is_left_running():
    stage = healthy()
    stage.probe(Health.UNREADY)
    stage.play()
    assert stage.acts() == []


# --- drift


@pytest.mark.parametrize("how", ["removed", "lost", "detached", "relabelled"])
def test_missing_lost_or_changed_container_is_created_anew(how):
    stage = healthy()
    name = stage.part("app").name
    if how == "removed":
        stage.engine.remove(name)
    elif how == "lost":
        stage.engine.lose(name)
    else:
        one = stage.engine._containers[name]
        change = (
            {"addresses": {}} if how == "detached" else {"labels": {**one.seen.labels, "io.edgegitops.digest": "0"}}
        )
        one.seen = type(one.seen)(**{**_fields(one.seen), **change})
    stage.play()
    assert stage.acts("create-container", "start-container") == ["create-container app", "start-container app"]
    assert stage.running == {"app:1"}
    assert stage.look().work is None


def test_removed_network_and_volume_come_back_before_the_container():
    stage = healthy(release({"a": container("a", volume="data"), "b": container("b")}))
    parts = stage.parts()
    for name in (*parts.names(), parts.networks["net"], parts.volumes["data"]):
        stage.engine.remove(name)
    stage.play()
    assert sorted(stage.acts("create-network", "create-volume")) == ["create-network net", "create-volume data"]
    assert stage.running == {"a:1", "b:1"}


def test_removed_image_is_pulled_again():
    stage = healthy()
    stage.engine.remove(stage.part("app").name)
    stage.engine.images.clear()
    for _ in range(3):
        stage.play()
        stage.pass_time(MINUTE)
    stage.play()
    assert (stage.engine.pulls, stage.running) == ([ONE.spec.containers["app"].create.image] * 2, {"app:1"})


def test_removed_image_is_not_pulled_by_a_worker_that_may_use_nothing_but_journal_and_engine():
    stage = healthy()
    stage.is_local, stage.is_target_known = True, False
    stage.engine.remove(stage.part("app").name)
    stage.engine.images.clear()
    for _ in range(3):
        stage.play()
        stage.pass_time(MINUTE)
    assert stage.acts("pull-image") == []


@pytest.mark.parametrize("drift", [DriftPolicy.REPORT, DriftPolicy.PAUSE])
def test_drift_that_is_not_to_be_corrected_is_told_once(drift):
    stage = healthy(with_policy(ONE, drift=drift))
    stage.engine.remove(stage.part("app").name)
    for _ in range(3):
        stage.play()
        stage.pass_time(MINUTE)
    assert (stage.acts(), stage.record.hold_reason) == ([], "drift-paused")
    assert [one.kind for one in stage.events] == ["hold-changed"]


@pytest.mark.parametrize("drift", [DriftPolicy.REPORT, DriftPolicy.PAUSE])
def test_starting_what_ended_is_no_drift(drift):
    stage = healthy(with_policy(ONE, drift=drift))
    end(stage)
    stage.play()
    assert stage.running == {"app:1"}


def test_container_is_created_anew_three_times_in_ten_minutes_then_loudly_later():
    stage = healthy()
    for _ in range(4):
        stage.engine.remove(stage.part("app").name)
        stage.play()
    assert len(stage.acts("create-container")) == 3
    assert (stage.alarms, stage.record.hold_reason) == ({"recreate-limit"}, "recreate-limit")
    assert stage.look().until == DAWN + 10 * MINUTE
    stage.pass_time(10 * MINUTE)
    stage.play()
    assert (stage.running, stage.alarms) == ({"app:1"}, set())


def test_container_that_was_created_anew_while_an_update_waits_counts_too():
    stage = healthy()
    stage.want(app("2"))
    stage.gate = Hold(HoldReason.PAUSED)
    for _ in range(4):
        stage.engine.remove(stage.part("app", ONE).name)
        stage.play()
    assert stage.alarms == {"recreate-limit"}


def test_container_created_anew_has_to_soak_again():
    stage = healthy()
    stage.engine.remove(stage.part("app").name)
    stage.play()
    assert not stage.record.soaked_for


# --- what is not ours


def test_foreign_container_under_our_name_is_never_touched_and_named():
    """Red where core/reconcile/heal.py has `if False:` for `if not parts.is_ours(seen):`."""
    stage = healthy()
    name = stage.part("app").name
    stage.engine.remove(name)
    foreign = stage.add_foreign(name)
    stage.play()
    assert stage.engine.observe().named(name) == foreign
    assert stage.acts() == []
    assert name in stage.ledger.alarms[f"name-conflict {LINE}"].detail
    stage.engine.remove(name)
    stage.play()
    assert (stage.running, stage.alarms) == ({"app:1"}, set())


def test_two_conflicts_are_one_alarm_that_is_told_once():
    stage = healthy(release({"a": container("a"), "b": container("b")}))
    for part in stage.parts().containers:
        stage.engine.remove(part.name)
        stage.add_foreign(part.name)
    for _ in range(3):
        stage.play()
        stage.pass_time(2 * MINUTE)
    assert alarm_events(stage.events) == ["+name-conflict"]
    detail = stage.ledger.alarms[f"name-conflict {LINE}"].detail
    assert all(part.name in detail for part in stage.parts().containers)


def test_foreign_containers_networks_and_volumes_stay_as_they_are():
    stage = healthy()
    foreign = stage.add_foreign("their-database")
    stage.engine._networks["podman"] = {}
    stage.engine._volumes["their-data"] = {"io.edgegitops.fleet": "urn:fleet:other"}
    stage.converge(app("2"))
    stage.want(None)
    stage.play()
    seen = stage.engine.observe()
    assert (seen.containers, set(seen.networks), set(seen.volumes)) == ((foreign,), {"podman"}, {"their-data"})
