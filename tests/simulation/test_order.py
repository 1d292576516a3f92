"""Deployments that wait for each other on one node: before a release, and after a power cut; nobody is ever stopped."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation.laws import Laws, names
from tests.simulation.life import Life, PowerCut
from tests.simulation.releases import POLICY, behaviours, desired, release
from tests.simulation.rest import is_resting

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Condition
from edgegitops.core.model.steps import StartContainer, StopContainer

MINUTE = timedelta(minutes=1)
WAITING = replace(POLICY, depends_on={"line": Condition.READY})


@pytest.fixture
def life() -> Life:
    made = Life()
    Laws(made)
    return made


def known(life: Life, name: str, version: str) -> Release:
    life.engine.behaviours |= behaviours("web", version)
    return release(name, {"web": version}, policy=WAITING if name == "vision" else POLICY)


def push(life: Life, *releases: Release) -> None:
    life.push(lambda tip: desired(tip, *releases))


def settle(life: Life) -> None:
    after = life.age
    both = ("line", "vision")
    life.live(
        after + 30 * MINUTE, lambda: life.age > after and life.is_settled and all(is_resting(life, one) for one in both)
    )


def started(life: Life, since: int = 0) -> list[str]:
    return [one.subject.split(".")[0] for one in life.engine.performed[since:] if isinstance(one, StartContainer)]


def test_second_deployment_starts_when_the_first_is_ready(life):
    line = known(life, "line", "slow-1")
    seen = []
    life.before_step.append(
        lambda step: (
            seen.append(life.engine.is_answering(next(iter(names(line)))))
            if isinstance(step, StartContainer) and step.subject.startswith("vision")
            else None
        )
    )
    push(life, known(life, "vision", "good-1"), line)
    settle(life)
    assert started(life) == ["line", "vision"]
    assert seen == [True]
    assert life.record("vision").phase is Phase.HEALTHY


def test_who_is_missing_is_told_and_holds_no_one_who_runs(life):
    push(life, known(life, "line", "good-1"), known(life, "vision", "good-1"))
    settle(life)
    push(life, known(life, "vision", "good-2"))
    life.live(life.age + 20 * MINUTE)
    held = life.record("vision")
    assert (held.phase, held.hold_reason) == (Phase.READY, "dependency")
    assert held.hold_detail == "it waits for other deployments: line is not on this node"
    assert life.running("vision") == names(held.serving)
    assert not life.running("line")


@pytest.mark.parametrize("is_broken", [False, True], ids=["ready", "never ready"])
def test_cold_boot_keeps_the_order_but_no_longer_than_the_deadline(life, is_broken):
    line, vision = known(life, "line", "good-1"), known(life, "vision", "good-1")
    push(life, vision, line)
    settle(life)
    before = len(life.engine.performed)

    def cut(*_: object) -> None:
        life.journal.before_append = lambda *_: None
        if is_broken:
            life.engine.behaviours[line.spec.containers["web"].create.image] = Behaviour(never_ready=True)
        raise PowerCut

    life.journal.before_append = cut
    push(life, vision, replace(line, version="said anew"))
    life.live(life.age + 10 * MINUTE)
    assert life.deaths == ["power"]
    assert started(life, before)[:2] == ["line", "vision"]
    assert not [one for one in life.engine.performed[before:] if isinstance(one, StopContainer)]
    assert life.running("vision") == names(vision)
