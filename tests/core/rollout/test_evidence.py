"""Lies and accidents with reports: none of them is good news, whatever the order in which they arrive."""

from datetime import timedelta

import pytest
from tests.core.rollout.world import NOW, SOAK, World, content, gate

from edgegitops.core.model.report import ReportedState
from edgegitops.core.rollout.evidence import AHEAD, Evidence, Standpoint

NODE = "a/c"


@pytest.fixture
def world() -> World:
    return World()


def is_good(world: World, word: str = "new") -> bool:
    """Whether the node's word is that it runs that release well."""
    evidence = Evidence(frozenset(world.said))
    standpoint = Standpoint(NOW, is_clock_trusted=True, root_version=1)
    return evidence.is_good(NODE, "app", content(word), gate=gate(soak=SOAK), standpoint=standpoint)


def test_replayed_report_changes_nothing(world: World) -> None:
    """A genuine report of better days, sent again, is not the node's word any more.

    Red where core/rollout/evidence.py has `newest = min(said, key=rank, default=None)` for `newest = max(said,
    key=rank, default=None)`.
    """
    old = world.tell(NODE, "new", "r2")
    assert is_good(world)
    world.tell(NODE, "new", "r2", ReportedState.UNHEALTHY)
    world.said.append(old)
    assert not is_good(world)


def test_report_of_another_release_is_no_good_news(world: World) -> None:
    """Red where core/rollout/evidence.py has `or False or` for `or told.digest != digest or`."""
    world.tell(NODE, "other", "r2")
    assert is_good(world, "other")
    assert not is_good(world)


@pytest.mark.parametrize(("ahead", "is_believed"), [(AHEAD, True), (AHEAD + timedelta(seconds=1), False)])
def test_report_from_the_future_is_no_good_news(world: World, ahead: timedelta, *, is_believed: bool) -> None:
    """A clock that runs ahead would make its good news last for ever.

    Red where core/rollout/evidence.py has `and age <= at_most` for `and -AHEAD <= age <= at_most`.
    """
    world.now = NOW + ahead
    world.tell(NODE, "new", "r2")
    assert is_good(world) is is_believed
