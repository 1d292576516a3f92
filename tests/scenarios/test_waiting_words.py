"""What waits for its turn lacks nothing, and is not said to end when it is only looked at again."""

from datetime import timedelta

import pytest
from tests.core.reconcile.stage import Stage, app

from edgegitops.cli import explain, node_view
from edgegitops.core.model.facts import Desired, Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.reasons import HoldReason

ONE, TWO = app("1"), app("2")
LATER = timedelta(minutes=1)


@pytest.fixture
def stage() -> Stage:
    """The first release runs, and the second one waits at its gate, which is asked again in a minute."""
    made = Stage()
    made.converge(ONE)
    made.want(TWO)
    made.gate = Hold(HoldReason.GATE, "wave canary has not soaked", made.clock.now() + LATER)
    made.play()
    return made


def look(stage: Stage) -> node_view.Look:
    return node_view.Look(stage.clock.now(), stage.ledger, stage.engine.observe(), is_agent_running=True)


def test_containers_that_nobody_has_begun_to_make_are_not_missing(stage):
    assert [row["state"] for row in node_view.containers(stage.record, look(stage))] == ["running"]
    stage.gate = None
    while stage.phase != "ready":
        stage.turn()
    assert [row["state"] for row in node_view.containers(stage.record, look(stage))] == ["running", "created"]


def test_container_of_what_serves_is_missing_where_it_is_gone(stage):
    stage.engine.remove(stage.part("app", ONE).name)
    assert [row["state"] for row in node_view.containers(stage.record, look(stage))] == ["missing"]


def test_instant_of_the_next_look_is_told_until_it_is_over(stage):
    now = stage.clock.now()
    assert node_view.waits_until(stage.record, now) == now + LATER
    assert node_view.waits_until(stage.record, now + LATER) is None


@pytest.mark.parametrize(
    ("code", "word"), [("gate", "looked at again"), ("halted", "looked at again"), ("window", "until")]
)
def test_only_what_ends_by_itself_is_said_to_have_an_end(code, word):
    said = explain._end({"code": code, "until": "2026-03-01T12:00:00Z"}, Stage().clock.now())
    assert said.startswith(word)


def test_what_regressed_and_is_well_again_is_said_to_run_and_to_count_as_failed():
    stage = Stage()
    stage.converge(ONE)
    stage.probe(Health.UNREADY)
    stage.observe_for(waited=ONE.policy.deadline)
    stage.play()
    stage.probe(Health.READY)
    stage.observe_for(soaked=ONE.policy.soak)
    stage.play()
    desired = Desired("r1", {ONE.deployment: ONE})
    (told,) = explain._reasons(explain._Case(look(stage), stage.record, desired, ()))
    assert (told["code"], "counts as failed here and runs on" in told["text"]) == ("regressed", True)
    assert f"edgegitops rollout retry {ONE.deployment}" in told["toDo"]
    stage.converge(TWO)
    (told,) = explain._reasons(explain._Case(look(stage), stage.record, desired, ()))
    assert (told["code"], "is not started again" in told["text"]) == ("latched", True)
