"""The watch in virtual time: what is asked when, what is counted, what is journalled, and when a worker is woken."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta

import pytest

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.core.model.events import Event, HealthChanged, SoakMarked
from edgegitops.core.model.facts import Handover, SoakWatch, Watch
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.spec import Probe
from edgegitops.daemon.watch import Watcher

DAWN = datetime(2026, 6, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
NAME = "line.app.1"
READY = Probe(tcp_port=80, interval=10 * SECOND, start_period=timedelta())


class Pool(Executor):
    """Does a call at once, or not before `let_go` where it is told to hang."""

    def __init__(self) -> None:
        self.is_hanging = False
        self._waiting: list[Callable[[], None]] = []

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future[object] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except RuntimeError as error:
                future.set_exception(error)

        self._waiting.append(run)
        if not self.is_hanging:
            self.let_go()
        return future

    def let_go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for run in waiting:
            run()


class Plant:
    """One watcher over one container, whose answers the test gives."""

    def __init__(self, **soak: object) -> None:
        self.clock = MemoryClock(DAWN)
        self.journal = MemoryJournal()
        self.pool = Pool()
        self.answer: bool | None = True
        self.is_broken = False
        self.asked = 0
        self.soak = soak
        self.watcher = self.resident()

    def resident(self) -> Watcher:
        """A resident that just began."""
        return Watcher(self.journal, self, self.clock, self.pool)

    def ask(self, probe: Probe, container: str, address: str) -> bool | None:  # noqa: ARG002 - the port's words
        self.asked += 1
        if self.is_broken:
            raise RuntimeError("the prober broke")
        return self.answer

    def follow(
        self, *, life: int = 1, health: Health = Health.UNKNOWN, probe: Probe | None = READY, **soak: object
    ) -> None:
        """A worker handed this over; `life` tells starts of the container apart, its id stays."""
        started_at = DAWN + life * SECOND
        watch = Watch("line", "d" * 64, NAME, "id", "10.0.0.2", timedelta(), health, ready=probe, started_at=started_at)
        counted = {"soaked_for": timedelta(), "waited_for": timedelta(), "is_proving": True, **self.soak, **soak}
        fields = {"needed": 10 * MINUTE, "deadline": 5 * MINUTE, **counted}
        soaks = (SoakWatch("line", "d" * 64, (NAME,), **fields),)  # type: ignore[arg-type]
        self.watcher.follow(Handover(watches=(watch,), soaks=soaks))

    def pass_time(self, span: timedelta, *, every: timedelta = SECOND) -> list[bool]:
        """Ticks for so long; whether each woke a worker."""
        woken = []
        passed = timedelta()
        while passed < span:
            self.clock.advance(every)
            passed += every
            woken.append(self.watcher.tick())
        return woken

    @property
    def events(self) -> list[Event]:
        return [entry.event for entry in self.journal.entries()]

    @property
    def healths(self) -> list[Health]:
        return [one.health for one in self.events if isinstance(one, HealthChanged)]

    @property
    def marks(self) -> list[SoakMarked]:
        return [one for one in self.events if isinstance(one, SoakMarked)]

    def flushed(self) -> tuple[timedelta, timedelta]:
        """What was counted, as a worker that begins now reads it."""
        self.watcher.flush()
        return self.marks[-1].soaked_for, self.marks[-1].waited_for


@pytest.fixture
def plant() -> Plant:
    return Plant()


def test_only_changes_of_health_are_journalled_and_each_wakes_a_worker(plant):
    plant.follow()
    assert sum(plant.pass_time(30 * SECOND)) == 1
    plant.answer = False
    assert sum(plant.pass_time(45 * SECOND)) == 1
    assert plant.healths == [Health.READY, Health.UNREADY]


def test_container_is_asked_eagerly_until_ready_and_then_at_its_interval(plant):
    plant.answer = False
    plant.follow()
    plant.pass_time(10 * SECOND)
    assert plant.asked == 10
    plant.answer = True
    plant.pass_time(2 * SECOND)
    plant.asked = 0
    plant.pass_time(60 * SECOND)
    assert plant.asked == 6


def test_healthy_time_is_marked_once_a_minute_and_at_once_when_it_is_enough(plant):
    plant.follow()
    woken = plant.pass_time(10 * MINUTE + 5 * SECOND)
    assert [one.soaked_for for one in plant.marks][:3] == [59 * SECOND + at * MINUTE + SECOND for at in range(3)]
    assert plant.marks[-1].soaked_for == 10 * MINUTE
    assert len(plant.marks) <= 11
    assert [at for at, woke in enumerate(woken) if woke] == [0, 599]


def test_deadline_wakes_a_worker_once(plant):
    plant.answer = False
    plant.follow()
    woken = plant.pass_time(8 * MINUTE)
    assert plant.marks[-1].waited_for == 5 * MINUTE
    assert [at for at, woke in enumerate(woken) if woke] == [2, 299]


def test_deadline_wakes_a_worker_also_where_no_soak_is_needed():
    plant = Plant(needed=timedelta())
    plant.answer = False
    plant.follow()
    woken = plant.pass_time(6 * MINUTE)
    assert [at for at, woke in enumerate(woken) if woke][-1] == 299
    assert plant.marks[-1].waited_for == 5 * MINUTE


def test_waiting_adds_up_over_a_whole_transition(plant):
    plant.follow()
    for plant.answer in (False, True, False, True):
        plant.pass_time(2 * MINUTE)
    assert plant.flushed()[1] > 3 * MINUTE


def test_waiting_at_rest_begins_anew_whenever_the_release_is_ready():
    plant = Plant(is_proving=False)
    plant.follow()
    for plant.answer in (False, True, False, True):
        plant.pass_time(2 * MINUTE)
    assert plant.flushed()[1] == timedelta()


def test_failed_probe_takes_the_soak_back(plant):
    plant.follow()
    plant.pass_time(5 * MINUTE)
    plant.answer = False
    plant.pass_time(MINUTE)
    assert plant.flushed()[0] == timedelta()


def test_suspended_machine_counts_ten_seconds_at_most(plant):
    plant.follow()
    plant.pass_time(5 * SECOND)
    plant.pass_time(timedelta(hours=9), every=timedelta(hours=9))
    assert plant.flushed()[0] == 15 * SECOND


def test_wall_clock_that_is_set_counts_nothing(plant):
    plant.follow()
    plant.pass_time(5 * SECOND)
    plant.clock.step(DAWN + timedelta(days=3650))
    plant.pass_time(5 * SECOND)
    plant.clock.step(DAWN - timedelta(days=3650))
    plant.pass_time(5 * SECOND)
    assert plant.flushed()[0] == 15 * SECOND


@pytest.mark.parametrize("how", ["no answer", "broken prober"])
def test_time_in_which_nobody_could_ask_is_neither_healthy_nor_failed(plant, how):
    plant.follow()
    plant.pass_time(MINUTE)
    plant.answer, plant.is_broken = (None, False) if how == "no answer" else (True, True)
    plant.pass_time(20 * MINUTE)
    soaked, waited = plant.flushed()
    assert MINUTE <= soaked <= MINUTE + 10 * SECOND
    assert waited == timedelta()
    assert plant.healths == [Health.READY]


def test_new_resident_goes_on_with_the_soak_that_is_journalled(plant):
    plant.follow()
    plant.pass_time(4 * MINUTE)
    soaked, waited = plant.flushed()
    plant.watcher = plant.resident()
    plant.pool.is_hanging = True
    plant.follow(health=Health.READY, soaked_for=soaked, waited_for=waited)
    plant.pass_time(5 * SECOND)
    plant.pool.let_go()
    plant.pass_time(MINUTE)
    assert soaked < plant.flushed()[0] <= soaked + MINUTE + SECOND


def test_handover_in_between_loses_no_time(plant):
    plant.follow()
    plant.pass_time(4 * MINUTE)
    soaked, waited = plant.flushed()
    plant.pass_time(30 * SECOND)
    plant.follow(health=Health.READY, soaked_for=soaked, waited_for=waited)
    plant.pass_time(30 * SECOND)
    assert plant.flushed()[0] == soaked + MINUTE


def test_soak_that_is_complete_while_a_worker_ends_is_not_taken_back() -> None:
    plant = Plant(needed=3 * SECOND)
    plant.follow()
    plant.pass_time(SECOND)
    soaked_for, waited_for = plant.flushed()  # a worker begins, and reads this
    assert plant.pass_time(5 * SECOND).count(True) == 1
    plant.follow(health=Health.READY, soaked_for=soaked_for, waited_for=waited_for)
    assert plant.flushed()[0] == 3 * SECOND
    assert not any(plant.pass_time(5 * SECOND))


def test_reset_that_the_journal_tells_of_is_never_counted_over(plant):
    plant.follow()
    plant.pass_time(4 * MINUTE)
    plant.flushed()
    plant.follow(life=2, soaked_for=timedelta())
    plant.pass_time(30 * SECOND)
    assert plant.flushed()[0] == 30 * SECOND


def test_restart_that_no_journal_tells_of_takes_the_soak_back(plant):
    plant.follow()
    plant.pass_time(4 * MINUTE)
    soaked, waited = plant.flushed()
    plant.follow(life=2, health=Health.READY, soaked_for=soaked, waited_for=waited)
    plant.pass_time(30 * SECOND)
    assert plant.flushed()[0] == 30 * SECOND


def test_restarted_container_has_to_answer_anew_before_it_is_ready(plant):
    plant.follow()
    plant.pass_time(MINUTE)
    plant.answer = False
    plant.follow(life=2)
    plant.pass_time(2 * SECOND)
    assert plant.healths == [Health.READY]
    assert plant.watcher.healths() == {NAME: Health.UNKNOWN}


def test_same_life_keeps_its_streak_over_a_handover(plant):
    plant.follow()
    plant.answer = False
    plant.pass_time(2 * SECOND)
    plant.follow()
    plant.pass_time(SECOND)
    assert plant.healths == [Health.UNREADY]


def test_answer_for_a_container_that_is_gone_is_dropped(plant):
    plant.pool.is_hanging = True
    plant.follow()
    plant.watcher.tick()
    plant.watcher.follow(Handover())
    plant.pool.let_go()
    assert plant.watcher.tick() is False
    assert plant.events == []


def test_hanging_probe_is_asked_once_and_makes_no_hurry(plant):
    plant.pool.is_hanging = True
    plant.follow()
    plant.pass_time(30 * SECOND)
    plant.pool.let_go()
    assert plant.asked == 1
    plant.pool.is_hanging = True
    plant.watcher.tick()
    plant.clock.advance(5 * MINUTE)
    assert plant.watcher.next_tick() == timedelta(milliseconds=100)


def test_nothing_watched_sleeps_long_and_journals_nothing(plant):
    plant.watcher.follow(Handover())
    assert plant.pass_time(MINUTE) == [False] * 60
    plant.watcher.flush()
    assert (plant.watcher.next_tick(), plant.events) == (10 * SECOND, [])


def test_time_that_only_a_later_wave_asks_for_is_counted_on_and_wakes_a_worker_too(plant):
    plant.follow(gate=30 * MINUTE)
    woken = plant.pass_time(11 * MINUTE)
    assert (sum(woken), plant.marks[-1].soaked_for) == (2, 11 * MINUTE)  # ready, and proven
    plant.follow(gate=30 * MINUTE, soaked_for=11 * MINUTE, is_proving=False, health=Health.READY)
    woken = plant.pass_time(21 * MINUTE)
    assert (sum(woken), plant.marks[-1].soaked_for) == (1, 30 * MINUTE)
    plant.pass_time(10 * MINUTE)
    assert plant.marks[-1].soaked_for == 30 * MINUTE


def test_container_without_probes_that_has_soaked_costs_nothing(plant):
    plant.follow(probe=None, soaked_for=10 * MINUTE, is_proving=False, health=Health.READY)
    plant.pass_time(timedelta(hours=1), every=10 * SECOND)
    assert (plant.events, plant.asked) == ([], 0)
    assert plant.watcher.next_tick() == 10 * SECOND


def test_container_that_must_run_and_does_not_is_waited_for(plant):
    soak = SoakWatch("line", "d" * 64, (NAME,), timedelta(), MINUTE, timedelta(), MINUTE, is_proving=True)
    plant.watcher.follow(Handover(soaks=(soak,)))
    woken = plant.pass_time(MINUTE)
    assert (woken[-1], plant.marks[-1].waited_for) == (True, MINUTE)


def test_release_whose_containers_all_rest_soaks(plant):
    soak = SoakWatch("line", "d" * 64, (), timedelta(), MINUTE, timedelta(), MINUTE, is_proving=True)
    plant.watcher.follow(Handover(soaks=(soak,)))
    woken = plant.pass_time(MINUTE)
    assert (woken[-1], plant.marks[-1].soaked_for) == (True, MINUTE)


def test_prober_without_an_answer_for_the_deadline_is_told_once_and_its_first_answer_too(plant):
    plant.follow()
    plant.answer = None
    woken = plant.pass_time(20 * MINUTE)
    assert sum(woken) == 1
    assert plant.marks[-1].unanswered_for == 5 * MINUTE
    plant.answer = True
    assert any(plant.pass_time(12 * SECOND))
    assert plant.marks[-1].unanswered_for == timedelta()


def test_release_that_stays_unwell_writes_no_marks_for_ever(plant):
    plant.answer = False
    plant.follow(is_proving=False)
    plant.pass_time(20 * MINUTE)
    before = len(plant.events)
    plant.pass_time(5 * 60 * MINUTE, every=5 * SECOND)
    assert len(plant.events) == before


def test_end_that_a_living_worker_heals_takes_no_time_off_the_deadline(plant):
    plant.answer = False
    plant.follow()
    plant.pass_time(90 * SECOND)
    marked = plant.marks[-1].waited_for
    plant.follow(life=2, soaked_for=timedelta(), waited_for=marked)
    assert plant.flushed()[1] == 90 * SECOND
