"""How many ends make a serving release count as regressed, where the manifest says so and where it does not."""

from dataclasses import replace

import pytest
from tests.core.reconcile.stage import SECOND, Stage, container, release

from edgegitops.core.model.ledger import ContainerRecord
from edgegitops.core.model.release import Phase
from edgegitops.core.model.spec import RestartLimit
from edgegitops.core.reconcile.regress import regress


def judged(limit: RestartLimit | None, ends_ago: tuple[int, ...]) -> tuple[Phase | None, str]:
    """The phase that a serving release moves to, and why."""
    one = container("app")
    stage = Stage()
    stage.converge(release({"app": replace(one, care=replace(one.care, restart_limit=limit))}))
    scene = stage.scene()
    (part,) = stage.parts().containers
    ends = tuple(scene.now - ago * SECOND for ago in ends_ago)
    record = replace(scene.record, containers={part.name: ContainerRecord(ends=ends)})
    outlook = regress(replace(scene, record=record), stage.parts())
    moves = [event for event in outlook.work.events if hasattr(event, "new")] if outlook.work else []
    return (moves[0].new, moves[0].detail) if moves else (None, "")


@pytest.mark.parametrize(
    ("limit", "ends_ago", "is_regressed"),
    [
        (None, (500, 400), False),
        (None, (500, 400, 300), True),
        (RestartLimit(3, 600 * SECOND), (500, 400, 300), False),
        (RestartLimit(3, 600 * SECOND), (500, 400, 300, 200), True),
        (RestartLimit(1, 60 * SECOND), (500, 400, 30), False),
        (RestartLimit(1, 60 * SECOND), (500, 50, 30), True),
        (RestartLimit(1, 60 * SECOND), (60, 30), False),
    ],
)
def test_more_ends_than_the_limit_regress(
    *, limit: RestartLimit | None, ends_ago: tuple[int, ...], is_regressed: bool
) -> None:
    phase, detail = judged(limit, ends_ago)
    assert phase is (Phase.REGRESSED if is_regressed else None)
    if is_regressed and limit is not None:
        assert f"times in {limit.within.total_seconds() // 60:g} min" in detail
