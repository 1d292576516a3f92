"""What goes: a deployment nobody wants any more, and leftovers; and what stays whatever happens."""

import pytest
from tests.core.reconcile.stage import LINE, MINUTE, POLICY, SECOND, Stage, app, container, image, release, with_policy

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, VolumePrune
from edgegitops.core.model.spec import Condition

ONE, TWO = app("1"), app("2")
WITH_DATA = release(
    {
        "web": container("web", needs={"db": Condition.STARTED}, stop_timeout=7 * SECOND),
        "db": container("db", volume="data", stop_timeout=90 * SECOND),
    }
)


def healthy(what=ONE) -> Stage:
    stage = Stage()
    stage.converge(what)
    return stage


def leave(stage: Stage, name: str, *, labels: dict[str, str] | None = None) -> None:
    """A container that carries our labels and that no release explains."""
    ours = {"io.edgegitops.fleet": "urn:fleet:test", "io.edgegitops.deployment": LINE, "io.edgegitops.container": "old"}
    stage.engine.add_foreign(ContainerSeen(name, "e" * 64, ContainerState.RUNNING, labels or ours, image("old", "0")))


# --- removal


def test_removal_stops_dependants_first_with_their_own_patience_and_keeps_volumes():
    stage = healthy(WITH_DATA)
    stage.want(None)
    stage.play()
    assert stage.acts() == [
        "stop-container web",
        "stop-container db",
        "remove-container db",
        "remove-container web",
        "remove-network net",
    ]
    assert [one.timeout for one in stage.engine.performed[:2]] == [7 * SECOND, 90 * SECOND]
    assert stage.phase is Phase.ABSENT
    assert set(stage.engine.observe().volumes) == {f"{LINE}.data"}


def test_removal_takes_the_data_only_where_the_manifest_says_so():
    stage = healthy(with_policy(WITH_DATA, prune_volumes=VolumePrune.DELETE))
    stage.want(None)
    stage.play()
    assert stage.acts()[-1] == "remove-volume data"
    assert stage.engine.observe().volumes == {}


def test_removal_asks_the_gate_before_it_stops_anything():
    stage = healthy()
    stage.want(None)
    stage.gate = Hold(HoldReason.OPERATOR, "night shift")
    stage.play()
    assert (stage.phase, stage.running, stage.record.hold_detail) == (Phase.PENDING, {"app:1"}, "night shift")
    stage.gate = None
    stage.play()
    assert stage.phase is Phase.ABSENT


def test_removal_that_has_not_begun_is_called_off_when_the_deployment_is_wanted_again():
    stage = healthy()
    stage.want(None)
    stage.gate = Hold(HoldReason.OPERATOR)
    stage.play()
    stage.want(ONE)
    stage.play()
    assert (stage.moves, stage.running) == ([Phase.SUPERSEDED, Phase.HEALTHY], {"app:1"})


def test_removal_clears_every_alarm_of_the_deployment():
    stage = healthy()
    stage.engine.behaviours[image("app", "2")] = Behaviour(fails_to_start=True)
    stage.want(TWO)
    stage.play()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert stage.alarms == {"release-failed", "regressed"}
    stage.want(None)
    stage.play()
    assert (stage.alarms, stage.record.hold_reason) == (set(), "")


def test_removed_deployment_that_failed_stays_latched():
    stage = healthy()
    stage.engine.behaviours[image("app", "2")] = Behaviour(fails_to_start=True)
    stage.want(TWO)
    stage.play()
    stage.want(None)
    stage.play()
    stage.want(TWO)
    stage.play()
    assert (stage.present, stage.record.hold_reason) == (set(), "latched")


def test_removed_deployment_has_nothing_more_to_do():
    stage = healthy()
    stage.want(None)
    stage.play()
    assert stage.look().work is None


def test_deployment_nobody_remembers_and_nobody_wants_is_removed_as_a_transition():
    stage = healthy()
    stage.lose_journal()
    stage.want(None)
    stage.gate = Hold(HoldReason.OPERATOR)
    stage.play()
    assert (stage.phase, stage.running) == (Phase.PENDING, {"app:1"})
    stage.gate = None
    stage.play()
    assert (stage.phase, stage.present) == (Phase.ABSENT, set())


# --- not admitted is still wanted


def test_deployment_that_is_not_admitted_keeps_what_runs():
    stage = healthy()
    stage.want(None)
    stage.refusal = "privileged is not allowed"
    stage.play()
    assert (stage.running, stage.record.hold_reason, stage.alarms) == ({"app:1"}, "admission", {"admission-denied"})
    stage.refusal = ""
    stage.want(ONE)
    stage.play()
    assert (stage.record.hold_reason, stage.alarms) == ("", set())


def test_deployment_that_is_not_admitted_keeps_what_runs_after_a_lost_journal():
    stage = healthy()
    stage.lose_journal()
    stage.want(None)
    stage.refusal = "privileged is not allowed"
    stage.play()
    assert stage.running == {"app:1"}


def test_waiting_removal_of_what_is_wanted_again_and_not_admitted_is_called_off():
    stage = healthy()
    stage.want(None)
    stage.gate = Hold(HoldReason.OPERATOR)
    stage.play()
    stage.gate, stage.refusal = None, "privileged is not allowed"
    stage.play()
    assert (stage.phase, stage.running) == (Phase.SUPERSEDED, {"app:1"})


# --- prune


def test_leftover_with_our_labels_goes():
    stage = healthy()
    leave(stage, "line.old.0")
    stage.play()
    assert stage.acts() == ["stop-container old", "remove-container old"]
    assert stage.running == {"app:1"}


@pytest.mark.parametrize("labels", [{"io.edgegitops.deployment": LINE}, {"io.edgegitops.fleet": "urn:fleet:other"}])
def test_leftover_that_is_not_wholly_ours_stays(labels):
    stage = healthy()
    leave(stage, "line.old.0", labels=labels)
    stage.play()
    assert stage.acts() == []


def test_network_that_no_release_needs_goes_and_a_shared_one_stays():
    stage = healthy(release({"app": container("app")}, net=None))
    gone = f"{LINE}.net.000000000000"
    stage.engine._networks[gone] = {"io.edgegitops.fleet": "urn:fleet:test", "io.edgegitops.deployment": LINE}
    stage.play()
    assert set(stage.engine.observe().networks) == set(stage.parts().networks.values())


def test_nothing_is_pruned_while_nobody_knows_what_is_wanted():
    stage = healthy()
    leave(stage, "line.old.0")
    stage.is_target_known = False
    assert stage.play().work is None
    assert stage.acts() == []


@pytest.mark.parametrize("at", [Phase.PENDING, Phase.PREPARING, Phase.READY])
def test_what_serves_and_what_is_coming_are_never_leftovers(at):
    stage = healthy()
    stage.want(TWO)
    while stage.phase is not at:
        stage.turn()
    leave(stage, "line.old.0")
    prepared = stage.present - {"old:0"}
    stage.gate = Hold(HoldReason.PAUSED)
    stage.play()
    assert stage.present >= prepared
    assert "old:0" not in stage.present
    assert stage.acts("stop-container") == ["stop-container old"]


def test_containers_of_a_failed_release_go_after_the_revert():
    stage = healthy()
    stage.want(TWO)
    stage.start_up()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert (stage.phase, stage.present) == (Phase.REVERTED, {"app:1"})


def test_stuck_deployment_keeps_everything_for_a_person_to_see():
    stage = healthy()
    stage.want(with_policy(TWO, safe=False))
    stage.start_up()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    for _ in range(3):
        stage.pass_time(10 * MINUTE)
        stage.play()
    assert (stage.phase, stage.present) == (Phase.STUCK, {"app:1", "app:2"})


def test_what_runs_is_no_leftover_while_the_wanted_release_adopts_it():
    stage = healthy()
    stage.lose_journal()
    stage.gate = Hold(HoldReason.PAUSED)
    stage.play()
    assert stage.running == {"app:1"}
    stage.want(TWO)
    stage.play()
    assert stage.running == {"app:1"}
    stage.engine.wrong_digest.add(image("app", "2"))
    stage.gate = None
    stage.play()
    assert (stage.phase, stage.running) == (Phase.REFUSED, {"app:1"})
