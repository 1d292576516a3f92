"""What the answers of a remote are worth: a fetch at once, a fetch after a pause, or none."""

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.daemon.metrics import Counts
from edgegitops.daemon.poll import SAME_VIEW_MOST, SILENCE_MOST, Poll
from edgegitops.errors import UnavailableError

MINUTE = timedelta(minutes=1)
SILENT = UnavailableError("repository", "list", "no answer", reason="fetch-failed")
DENIED = UnavailableError("repository", "list", "401", reason="credential-denied")


class Remote:
    """A remote that answers as told, asked once a minute; `wakes` are (minute, reason)."""

    def __init__(self):
        self.clock = MemoryClock(datetime(2026, 11, 1, tzinfo=UTC))
        self.answer, self.fetched, self.is_fetching, self.counts = "a", "a", False, Counts()
        self.poll = Poll(self.ask, self.clock, self, self, MINUTE)

    def ask(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def submit(self, ask):
        future = Future()
        try:
            future.set_result(ask())
        except UnavailableError as error:
            future.set_exception(error)
        return future

    def info(self, *_, **__):
        """The log is not looked at."""

    warning = info

    def wakes(self, minutes):
        told = []
        for minute in range(minutes):
            for _ in range(2):  # one turn asks, the next one takes the answer
                reason = self.poll.turn(self.counts, fetched=self.fetched, is_fetching=self.is_fetching)
                told += [(minute, reason)] if reason else []
            self.clock.advance(MINUTE)
        return told


@pytest.fixture
def remote():
    return Remote()


def test_view_that_was_fetched_is_no_news(remote):
    assert remote.wakes(100) == []
    remote.answer = None
    assert remote.wakes(100) == []


def test_another_view_is_fetched_at_once(remote):
    remote.answer = "b"
    assert remote.wakes(1) == [(0, "new-tip")]
    remote.fetched = "b"
    assert remote.wakes(10) == []


def test_nothing_is_asked_for_before_a_first_worker_said_what_it_fetched(remote):
    remote.fetched = None
    assert remote.wakes(3) == []


def test_view_that_cannot_be_fetched_is_tried_again_after_pauses_that_double(remote):
    """Red where daemon/poll.py has `if False:` for `if not self._of_view.is_due(now):`."""
    remote.answer = "b"
    minutes = [minute for minute, _ in remote.wakes(120)]
    assert minutes[:5] == [0, 1, 3, 7, 15]
    assert {after - before for before, after in pairwise(minutes[4:])} == {15}
    assert SAME_VIEW_MOST == 15 * MINUTE


def test_view_that_was_fetched_before_is_fetched_once_more_to_end_the_alarm(remote):
    remote.answer = "b"
    remote.wakes(4)
    remote.answer = "a"
    assert remote.wakes(10) == [(0, "remote-is-back")]


def test_yet_another_view_ends_the_pause(remote):
    remote.answer = "b"
    remote.wakes(40)
    remote.answer = "c"
    assert remote.wakes(1) == [(0, "new-tip")]


def test_view_is_not_asked_for_while_it_is_fetched(remote):
    remote.answer, remote.is_fetching = "b", True
    assert remote.wakes(5) == []
    remote.is_fetching = False
    assert remote.wakes(1) == [(0, "new-tip")]


def test_remote_that_does_not_answer_is_told_after_three_polls_and_ever_more_rarely(remote):
    remote.answer = SILENT
    minutes = [minute for minute, reason in remote.wakes(400) if reason == "remote-is-silent"]
    assert minutes[:4] == [2, 5, 11, 23]
    assert {after - before for before, after in pairwise(minutes[6:])} == {60}
    assert SILENCE_MOST == 60 * MINUTE
    assert remote.counts.poll_failures == 400


def test_remote_that_answers_again_is_fetched_from(remote):
    remote.answer = SILENT
    remote.wakes(1)
    remote.answer = "a"
    assert remote.wakes(2) == [(0, "remote-is-back")]


def test_denied_credentials_are_told_once_and_at_once(remote):
    remote.answer = DENIED
    assert remote.wakes(2) == [(0, "credential-denied")]
