"""A work's steps run side by side, and it is over when its last one has ended, not before."""

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.core.model.events import OutcomeRecorded
from edgegitops.core.model.steps import PullImage, RemoveContainer, Work
from edgegitops.daemon import execute
from edgegitops.daemon.execute import Ended, Works


class Waiter:
    """Stands in for the pool and for waiting: each wait passes a second and ends one more step."""

    def __init__(self, clock):
        self.clock, self.futures, self.waits = clock, [], 0

    def submit(self, *_):
        self.futures.append(Future())
        return self.futures[-1]

    def wait(self, pending, timeout, return_when):  # noqa: ARG002 - the library's words
        assert timeout > 0
        self.waits += 1
        self.clock.advance(timedelta(seconds=1))
        next(future for future in self.futures if not future.done()).set_result(Ended(execute.Result.DONE))


def begun(monkeypatch, *works):
    clock = MemoryClock(datetime(2026, 11, 1, tzinfo=UTC))
    waiter, journal = Waiter(clock), MemoryJournal()
    monkeypatch.setattr(execute, "wait", waiter.wait)
    running = Works(SimpleNamespace(clock=clock, journal=journal, log=None), waiter)
    running.begin(works, None)
    return running, waiter, journal


def work(name, steps):
    return Work(name, (), tuple(RemoveContainer(f"{name}{at}") for at in range(steps)))


def outcomes(journal):
    return [entry.event.subject for entry in journal.entries() if isinstance(entry.event, OutcomeRecorded)]


def test_wait_lasts_until_the_last_step_of_a_work_has_ended(monkeypatch):
    running, waiter, journal = begun(monkeypatch, work("a", 3), work("b", 2))
    running.wait(timedelta(seconds=60))
    assert (waiter.waits, running.busy) == (3, {"b"})
    assert outcomes(journal) == ["a0", "a1", "a2"]


def test_wait_ends_with_patience_though_steps_go_on(monkeypatch):
    running, waiter, journal = begun(monkeypatch, work("a", 5))
    running.wait(timedelta(seconds=2))
    assert (waiter.waits, running.busy, outcomes(journal)) == (2, {"a"}, [])
    running.wait(timedelta(seconds=60))
    assert running.busy == frozenset()


def test_waiting_for_nothing_comes_back_at_once(monkeypatch):
    running, waiter, _ = begun(monkeypatch)
    running.wait(timedelta(seconds=60))
    assert waiter.waits == 0


def test_pulls_that_hang_keep_no_other_step_from_its_turn():
    journal, pulls, others = MemoryJournal(), Waiter(None), Waiter(None)
    gear = SimpleNamespace(clock=MemoryClock(datetime(2026, 11, 1, tzinfo=UTC)), journal=journal, log=None)
    images = tuple(PullImage(f"registry.example/{at}@sha256:{'0' * 64}") for at in range(40))
    Works(gear, others, pulls).begin((Work("a", (), images), work("b", 1)), None)
    assert (len(pulls.futures), len(others.futures)) == (40, 1)
