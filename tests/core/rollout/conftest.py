"""The world in which most stories of one deployment begin."""

import pytest
from tests.core.rollout.world import NODES, WHERE, World, all_run, page


@pytest.fixture
def world() -> World:
    """All run the old release, healthy; the new one has just been committed."""
    made = World([page("r1", all_run("old"), WHERE), page("r2", all_run("new"), WHERE)])
    for node in NODES:
        made.tell(node, "old", "r1")
    return made
