"""The resident compares what runs with what its last worker saw running, and wakes another one where they differ."""

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import pytest

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.core.model.facts import Handover
from edgegitops.daemon.resident import Resident, Senses
from edgegitops.daemon.watch import Watcher

RUNS = {"line.web.1": "digest"}


class Ended:
    """A worker that saw the container running, and has ended."""

    def poll(self):
        return 0

    def news(self):
        return None

    def handover(self):
        return Handover(expected=RUNS)


class Plant:
    """A resident over an engine that shows what a test says; a pool that hangs where it is told to."""

    def __init__(self):
        self.running, self.workers, self.is_hanging, self.sleeps = dict(RUNS), 0, False, 0
        self.is_written = False
        self.clock = MemoryClock(datetime(2026, 11, 1, tzinfo=UTC))

    def submit(self, ask):
        future = Future()
        if not self.is_hanging:
            future.set_result(ask())
        return future

    def launch(self, *_):
        self.workers += 1
        return Ended()

    def sleep(self, span):
        self.clock.advance(span)
        self.sleeps += 1

    def live(self, span):
        """Workers that were started in this time."""
        before, ends_at = self.workers, self.clock.monotonic() + span
        journal = MemoryJournal()
        senses = Senses(
            listing=lambda: dict(self.running),
            tip=lambda: None,
            launch=self.launch,
            has_hint=lambda: False,
            sleep=self.sleep,
            is_stopping=lambda: self.clock.monotonic() >= ends_at,
            has_changed_files=lambda: self.is_written,
        )
        Resident(
            watcher=Watcher(journal, None, self.clock, self),
            journal=journal,
            clock=self.clock,
            log=self,
            senses=senses,
            pool=self,
            interval=timedelta(minutes=1),
            version="",
        ).run()
        return self.workers - before

    def info(self, *_, **__):
        """The log is not looked at."""

    warning = info


@pytest.mark.parametrize(
    ("running", "at_least", "at_most"),
    [
        (RUNS, 1, 1),
        (RUNS | {"stray": "x"}, 2, 2),
        ({}, 8, 41),
        ({"line.web.1": "another"}, 8, 41),
        ({"stray": "x"}, 8, 41),
    ],
    ids=["as expected", "a stray is news once", "what ends again is news again", "another digest", "both"],
)
def test_workers_of_ten_minutes(running, at_least, at_most):
    plant = Plant()
    plant.running = running
    assert at_least <= plant.live(timedelta(minutes=10)) <= at_most


def test_engine_that_is_silent_delays_no_turn():
    plant = Plant()
    plant.is_hanging = True
    plant.live(timedelta(minutes=1))
    assert plant.sleeps > 1000


def test_files_that_are_written_all_the_time_wake_a_worker_now_and_then() -> None:
    plant = Plant()
    plant.is_written = True
    assert 30 <= plant.live(timedelta(minutes=10)) <= 62
