"""Workers as the resident sees them: what a living one says is watched at once, dying ones cost pauses, not healing."""

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.core.model.events import HealthChanged
from edgegitops.core.model.facts import Handover, Watch
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.spec import Probe
from edgegitops.daemon.resident import Resident, Senses
from edgegitops.daemon.watch import Watcher
from edgegitops.errors import JournalError, UnavailableError

RUNS = {"line.web.1": "mark"}
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
WATCH = Watch("line", "d" * 64, "line.web.1", "id", "10.0.0.2", timedelta(), ready=Probe(tcp_port=80))


class Worker:
    """A worker that ends as told: `code` None lives on; `says` is what it hands over meanwhile."""

    def __init__(self, code, says=None):
        self.code, self.says, self.is_stopped = code, says, False

    def poll(self):
        return self.code

    def news(self):
        said, self.says = self.says, None
        return said

    def handover(self):
        return Handover(expected=RUNS)

    def stop(self, _):
        self.is_stopped = True


class Plant:
    """A resident in virtual time; `born` are the workers as (instant, revert only)."""

    def __init__(self, worker):
        self.worker, self.born, self.journal = worker, [], MemoryJournal()
        self.clock = MemoryClock(datetime(2026, 11, 1, tzinfo=UTC))
        self.running, self.agenda, self.last = dict(RUNS), {}, None
        self.remote, self.why = lambda: None, []
        self.followed, self.is_file_written = [], False

    def submit(self, ask, *args):
        future = Future()
        try:
            future.set_result(ask(*args))
        except UnavailableError as error:
            future.set_exception(error)
        return future

    def ask(self, *_):
        return True

    def tip(self):
        return self.remote()

    def launch(self, _, revert_only):
        self.born.append((self.clock.monotonic(), revert_only))
        self.last = self.worker(revert_only)
        return self.last

    def listing(self):
        if isinstance(self.running, dict):
            return dict(self.running)
        raise self.running

    def has_changed_files(self):
        was, self.is_file_written = self.is_file_written, False
        return was

    def sleep(self, span):
        self.clock.advance(min(span, SECOND))
        for at in [at for at in self.agenda if at <= self.clock.monotonic()]:
            self.agenda.pop(at)()

    def live(self, span):
        began = self.clock.monotonic()
        senses = Senses(
            listing=self.listing,
            tip=self.tip,
            launch=self.launch,
            has_hint=lambda: True,
            sleep=self.sleep,
            is_stopping=lambda: self.clock.monotonic() >= began + span,
            follow_files=self.followed.append,
            has_changed_files=self.has_changed_files,
        )
        Resident(
            watcher=Watcher(self.journal, self, self.clock, self),
            journal=self.journal,
            clock=self.clock,
            log=self,
            senses=senses,
            pool=self,
            interval=MINUTE,
            version="",
        ).run()
        return [(at - began, is_local) for at, is_local in self.born]

    def info(self, event, **told):
        """Of the log, only why a worker is launched is looked at, and whether it fetches."""
        if event == "worker":
            self.why.append((told["reasons"], told["fetch"]))

    warning = info


def test_what_a_living_worker_started_is_probed_at_once():
    plant = Plant(lambda _: Worker(None, Handover(watches=(WATCH,))))
    plant.live(3 * SECOND)
    healths = [one.event for one in plant.journal.entries() if isinstance(one.event, HealthChanged)]
    assert [one.health for one in healths] == [Health.READY]


def test_after_two_deaths_drift_is_healed_at_once_and_whole_workers_wait():
    plant = Plant(lambda is_local: Worker(0 if is_local else 1))
    for minute in range(1, 10):
        plant.agenda[minute * MINUTE + plant.clock.monotonic()] = plant.running.clear
        plant.agenda[minute * MINUTE + 3 * SECOND + plant.clock.monotonic()] = lambda: plant.running.update(RUNS)
    born = plant.live(10 * MINUTE)
    local, whole = [at for at, one in born if one], [at for at, one in born if not one]
    for minute in range(1, 10):
        assert any(timedelta() <= at - minute * MINUTE <= 2 * SECOND for at, _ in born), (minute, born)
    assert len(local) >= 9
    assert [one for _, one in born[:3]] == [False, False, True]
    assert all(later - at > SECOND for at, later in pairwise(whole))
    assert len(whole) <= 10


def test_worker_that_may_only_revert_and_dies_too_waits_longer_each_time():
    plant = Plant(lambda _: Worker(1))
    plant.agenda[SECOND] = plant.running.clear
    assert len(plant.live(30 * MINUTE)) < 30


def test_engine_that_answers_again_ends_every_back_off():
    plant = Plant(lambda _: Worker(4 if plant.running is SILENT else 0))
    plant.running = SILENT
    ends_at = plant.clock.monotonic() + 20 * MINUTE

    def comes_back():
        plant.running = dict(RUNS)

    plant.agenda[ends_at] = comes_back
    born = plant.live(21 * MINUTE)
    assert len(born) < 40
    assert [one for at, one in born if at >= 20 * MINUTE][-1] is False
    assert any(timedelta() <= at - 20 * MINUTE <= 20 * SECOND for at, _ in born)


SILENT = UnavailableError("engine", "list", "it does not answer")


def test_journal_that_fails_ends_the_worker_too():
    plant = Plant(lambda _: Worker(None, Handover(watches=(WATCH,))))

    def fails(*_):
        raise JournalError("the disk failed")

    plant.agenda[plant.clock.monotonic()] = lambda: setattr(plant.journal, "append", fails)
    with pytest.raises(JournalError):
        plant.live(MINUTE)
    assert plant.last.is_stopped


def failing(reason, message="the server says no"):
    """A remote that answers every question so."""

    def tip():
        raise UnavailableError("repository", "list", message, reason=reason)

    return tip


def test_denied_credential_wakes_a_worker_once_whose_fetch_tells_of_it():
    plant = Plant(lambda _: Worker(0))
    plant.remote = failing("credential-denied")
    plant.live(10 * MINUTE)
    assert plant.why.count(("credential-denied", True)) == 1
    assert plant.why[:2] == [("start", True), ("credential-denied", True)]


def test_credential_that_is_mended_wakes_a_worker_that_fetches():
    plant = Plant(lambda _: Worker(0))
    plant.remote = failing("credential-denied")
    plant.agenda[plant.clock.monotonic() + 5 * MINUTE] = lambda: setattr(plant, "remote", lambda: None)
    plant.live(10 * MINUTE)
    assert plant.why[-1] == ("remote-is-back", True)


def test_written_file_wakes_a_worker_at_once_and_one_that_is_written_without_end_every_ten_seconds():
    plant = Plant(lambda _: Worker(0))
    began = plant.clock.monotonic()

    def written():
        plant.is_file_written = True

    for second in range(60, 120):
        plant.agenda[began + timedelta(seconds=second)] = written
    born = plant.live(3 * MINUTE)
    files = [at for (at, _), (why, _) in zip(born, plant.why, strict=True) if "files" in why]
    assert timedelta(seconds=60) <= files[0] <= timedelta(seconds=62)
    assert all(later - at >= timedelta(seconds=10) for at, later in pairwise(files))
    assert 5 <= len(files) <= 8


def test_files_that_a_worker_names_are_followed():
    plant = Plant(lambda _: Worker(None, Handover(files=("/run/plc/stopped",))))
    plant.live(3 * SECOND)
    assert plant.followed[-1] == ("/run/plc/stopped",)
