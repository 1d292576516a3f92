"""The life cycle is a table: every move that is in it, and the refusal of every other."""

import pytest

from edgegitops.core.model.release import Phase
from edgegitops.core.reconcile.lifecycle import BEGUN, MOVES, OPEN, check_move
from edgegitops.errors import BrokenInvariantError

LEGAL = """
absent     -> pending
pending    -> preparing superseded removing
preparing  -> ready refused cancelled
ready      -> switching superseded cancelled
switching  -> proving reverting stuck
proving    -> healthy reverting stuck
healthy    -> pending regressed
reverting  -> reverted stuck
reverted   -> pending regressed healthy
stuck      -> pending healthy
refused    -> pending regressed healthy
superseded -> pending regressed healthy
cancelled  -> pending regressed healthy
regressed  -> pending healthy
removing   -> absent
"""
TABLE = {
    Phase(old.strip()): {Phase(new) for new in news.split()}
    for old, news in (line.split("->") for line in LEGAL.strip().splitlines())
}
EVERY = [(old, new) for old in Phase for new in Phase]


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new in EVERY if new in TABLE[old]])
def test_legal_move(old, new):
    check_move(old, new)


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new in EVERY if new not in TABLE[old]])
def test_every_other_move_is_our_bug(old, new):
    with pytest.raises(BrokenInvariantError, match=f"no move from {old} to {new}"):
        check_move(old, new)


def test_every_phase_is_in_the_table():
    assert set(MOVES) == set(Phase)


def test_no_phase_is_a_dead_end():
    def reach(start: Phase) -> set[Phase]:
        known, news = {start}, {start}
        while news:
            news = {new for old in news for new in MOVES[old]} - known
            known |= news
        return known

    assert all({Phase.HEALTHY, Phase.ABSENT} <= reach(phase) for phase in Phase)


def test_what_has_begun_ends_at_old_or_new_or_says_that_it_cannot():
    ends = {new for old in BEGUN for new in MOVES[old]} - OPEN
    assert ends == {Phase.HEALTHY, Phase.REVERTED, Phase.STUCK, Phase.ABSENT}


def test_what_has_not_begun_never_ends_at_another_release():
    ends = {new for old in OPEN - BEGUN for new in MOVES[old]} - OPEN
    assert ends == {Phase.SUPERSEDED, Phase.CANCELLED, Phase.REFUSED}
