"""Lives drawn from seeds: hours of releases and faults, with the promises as laws; then calm, and the node must rest.

`EDGEGITOPS_SEEDS=N` asks for N seeds, `EDGEGITOPS_SEED=S` for one, `EDGEGITOPS_DEEP=1` for many. A failure names its
seed and tells what had happened.
"""

import os
from datetime import timedelta

import pytest
from tests.simulation.laws import Laws, names
from tests.simulation.life import Slow
from tests.simulation.releases import is_good
from tests.simulation.rest import assert_at, assert_latched, is_resting
from tests.simulation.weather import CALM_AT, DEPLOYMENTS, Weather

from edgegitops.core.model.release import Phase
from edgegitops.daemon import cycle, execute

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
COUNT = int(os.environ.get("EDGEGITOPS_SEEDS", "5000" if IS_DEEP else "60"))
ONE = os.environ.get("EDGEGITOPS_SEED")
SEEDS = [int(ONE)] if ONE else range(COUNT)
BATCHES = 1 if ONE else 10
REST_WITHIN = timedelta(hours=2)

EXCUSES = {
    "attempts-exhausted": ("Dies", "PowerCut", "journal broken"),
    "ended-while-proving": ("somebody",),
    "regressed": ("prober broken", "engine down", "somebody"),
    "deadline-missed": ("prober broken", "engine down", "somebody"),
}


def judge(weather: Weather, laws: Laws, deployment: str) -> None:
    """At the wanted release if that is good, else at a good one from before with the failure latched."""
    wanted = weather.wanted.get(deployment)
    record = weather.life.record(deployment)
    if record.phase is Phase.STUCK and is_robbed(weather, deployment):
        assert weather.life.running(deployment) == names(record.serving)
        return
    assert_at(weather.life, laws, deployment, record.serving)
    assert record.serving is None or is_good(record.serving), f"{record.serving.short} serves and is bad"
    if wanted is None:
        assert record.serving is None, f"{deployment} was removed and serves"
        return
    if record.serving is not None and record.serving.digest == wanted.digest:
        failed = record.latches.get(wanted.digest)
        assert failed is None or failed.reason == "regressed", failed
        return
    assert_latched(record, wanted)
    if is_good(wanted):
        latch = record.latches[wanted.digest]
        words = EXCUSES.get(latch.reason, ())
        assert any(word in line for word in words for line in weather.told), f"{wanted.short}: {latch}"


def is_robbed(weather: Weather, deployment: str) -> bool:
    """A stranger took a name of what serves, so that a revert could not get through."""
    old = names(weather.life.record(deployment).serving)
    return any(f"stranger {name} comes" in line for name in old for line in weather.told)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_node_keeps_its_promises_and_comes_to_rest(batch, monkeypatch):
    for seed in SEEDS[batch::BATCHES]:
        weather = Weather.of(seed)
        life = weather.life
        if isinstance(life.steps, Slow):
            monkeypatch.setattr(execute, "wait", life.steps.wait)
            monkeypatch.setattr(cycle, "wait", life.steps.wait)
        try:
            until = CALM_AT + REST_WITHIN
            life.live(until, lambda life=life: life.is_settled and all(is_resting(life, one) for one in DEPLOYMENTS))
            for deployment in DEPLOYMENTS:
                judge(weather, weather.laws, deployment)
        except BaseException as error:
            story = "\n".join(weather.told)
            error.add_note(f"seed {seed}: run it alone with EDGEGITOPS_SEED={seed}\n{story}")
            raise
