"""What drawn lives have found, told as short stories: each was a promise that had once been broken."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation.laws import Laws, names
from tests.simulation.life import BIRTH, DaemonDies, Life, PowerCut, WorkerDies
from tests.simulation.releases import BEHAVIOURS, behaviours, desired, image, release
from tests.simulation.rest import assert_at, assert_latched, is_resting

from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.steps import StopContainer

MINUTE = timedelta(minutes=1)
AGES = timedelta(days=3650)
DEATHS = 2


@pytest.fixture
def life() -> Life:
    return Life()


@pytest.fixture
def laws(life: Life) -> Laws:
    return Laws(life)


def wanted(life: Life, *, at: timedelta = timedelta(), attempt: int = 1, **versions: str) -> Release:
    """A release of the deployment `app` that the fleet wants from this age on."""
    made = release("app", versions, attempt=attempt)
    for container, version in versions.items():
        life.engine.behaviours |= behaviours(container, version)
    life.at(at, lambda: life.push(lambda tip: desired(tip, made)))
    return made


def settle(life: Life, after: timedelta, patience: timedelta = 30 * MINUTE) -> None:
    """Live until at rest, after this age."""
    life.live(after + patience, lambda: life.age > after and life.is_settled and is_resting(life, "app"))


def test_whole_worker_follows_one_that_might_only_revert(life, laws):
    wanted(life, web="good-1")
    settle(life, timedelta())
    two = wanted(life, at=life.age, web="good-2")
    deaths = iter([WorkerDies, WorkerDies])

    def die(_: object) -> None:
        if life.is_working:
            for blow in deaths:
                raise blow

    life.journal.before_append = die
    settle(life, life.age + MINUTE)
    assert life.deaths == ["worker", "worker"]
    assert_at(life, laws, "app", two)


def test_name_that_a_stranger_took_is_used_once_it_is_free(life, laws):
    one = release("app", {"web": "good-1"})
    name = next(iter(names(one)))
    laws.add_stranger(ContainerSeen(name, "f" * 64, ContainerState.EXITED, started_at=BIRTH))
    wanted(life, web="good-1")
    life.live(10 * MINUTE)
    assert life.record("app").hold_reason == "name-taken"
    assert life.running("app") == frozenset()
    laws.strangers.clear()
    life.engine.remove(name)
    settle(life, life.age)
    assert_at(life, laws, "app", one)


@pytest.mark.parametrize("step", [-AGES, -timedelta(hours=1), timedelta(hours=1), AGES])
def test_what_is_tried_again_is_tried_by_a_clock_that_was_set(life, laws, step):
    life.engine.is_registry_down = True
    one = wanted(life, web="good-1")

    def turn() -> None:
        assert life.record("app").failures
        life.clock.step(life.clock.now() + step)
        life.engine.is_registry_down = False

    life.at(20 * MINUTE, turn)
    settle(life, 20 * MINUTE, patience=10 * MINUTE)
    assert_at(life, laws, "app", one)


@pytest.mark.parametrize("step", [-AGES, -timedelta(hours=1), timedelta(hours=1), AGES])
@pytest.mark.usefixtures("laws")
def test_container_that_ends_is_started_again_by_a_clock_that_was_set(life, step):
    one = wanted(life, web="good-1")
    settle(life, timedelta())
    for _ in range(5):
        life.engine.end(next(iter(names(one))), 1)
        life.live(life.age + MINUTE)
    life.clock.step(life.clock.now() + step)
    life.live(life.age + 10 * MINUTE)
    assert life.running("app") == names(one)
    life.live(life.age + 20 * MINUTE)
    assert life.record("app").phase is Phase.HEALTHY


def test_time_without_a_working_prober_is_no_soak(life, laws):
    old = wanted(life, web="good-1")
    settle(life, timedelta())
    new = wanted(life, at=life.age, web="fading-2")
    life.at(life.age + timedelta(seconds=10), lambda: setattr(life, "is_prober_broken", True))
    life.at(life.age + 10 * MINUTE, lambda: setattr(life, "is_prober_broken", False))
    settle(life, life.age + 10 * MINUTE)
    assert_latched(assert_at(life, laws, "app", old), new)


@pytest.mark.parametrize("version", ["short-1", "mute-1", "unstartable-1", "uncreatable-1"])
def test_first_release_that_fails_leaves_nothing(life, laws, version):
    first = wanted(life, db="good-1", web=version)
    settle(life, timedelta())
    assert_latched(assert_at(life, laws, "app", None), first)


def test_failed_release_starts_again_with_a_new_attempt_only(life, laws):
    old = wanted(life, web="good-1")
    settle(life, timedelta())
    bad = wanted(life, at=life.age, web="short-2")
    settle(life, life.age + MINUTE)
    wanted(life, at=life.age, web="good-1")
    settle(life, life.age + MINUTE)
    wanted(life, at=life.age, web="short-2")
    settle(life, life.age + MINUTE)
    assert_latched(assert_at(life, laws, "app", old), bad)
    again = wanted(life, at=life.age, attempt=2, web="short-2")
    life.engine.behaviours |= {image("web", "short-2"): BEHAVIOURS["good"]}
    settle(life, life.age + MINUTE)
    assert_at(life, laws, "app", again)


def test_node_without_network_reverts_and_boots_by_itself(life, laws):
    old = wanted(life, db="good-1", web="good-1")
    settle(life, timedelta())
    new = wanted(life, at=life.age, db="good-2", web="short-2")
    life.at(life.age + 70 * timedelta(seconds=1), life.repository.go_offline)
    life.at(life.age + 70 * timedelta(seconds=1), lambda: setattr(life.engine, "is_registry_down", True))
    settle(life, life.age + 2 * MINUTE)
    assert_latched(assert_at(life, laws, "app", old), new)
    pulled = list(life.engine.pulls)
    life.engine.power_cut()
    life.clock.reboot()
    settle(life, life.age + 2 * MINUTE)
    assert_latched(assert_at(life, laws, "app", old), new)
    assert life.engine.pulls == pulled


@pytest.mark.usefixtures("laws")
def test_dead_daemon_stops_nothing(life):
    one = wanted(life, db="good-1", web="good-1")
    settle(life, timedelta())
    started = {name: life.engine._containers[name].seen for name in names(one)}

    def die(*_: object) -> None:
        raise DaemonDies

    life.journal.before_append = die
    life.live(life.age + timedelta(hours=3))
    life.journal.before_append = None
    life.live(life.age + 5 * MINUTE)
    assert {name: life.engine._containers[name].seen for name in names(one)} == started


def test_stop_that_does_not_work_yet_holds_the_start(life, laws):
    wanted(life, web="good-1")
    settle(life, timedelta())
    two = wanted(life, at=life.age, web="good-2")
    failing = iter(range(3))

    def fail_stops(step: object) -> None:
        if isinstance(step, StopContainer) and next(failing, None) is not None:
            life.engine.fail_next(1)

    life.before_step.append(fail_stops)
    settle(life, life.age + MINUTE)
    assert next(failing, None) is None
    assert_at(life, laws, "app", two)


@pytest.mark.parametrize("blow", [WorkerDies, PowerCut])
def test_release_under_which_the_agent_dies_twice_is_undone(life, laws, blow):
    old = wanted(life, web="good-1")
    settle(life, timedelta())
    new = wanted(life, at=life.age, web="good-2")

    def die(_: object) -> None:
        if life.is_working and life.record("app").phase is Phase.PROVING and len(life.deaths) < DEATHS:
            raise blow

    life.journal.after_append = die
    settle(life, life.age + 2 * MINUTE)
    record = assert_at(life, laws, "app", old)
    assert_latched(record, new)
    assert record.latches[new.digest].reason == "attempts-exhausted"


def test_engine_that_goes_away_while_a_release_is_proven_is_not_the_release_s_fault(life, laws):
    wanted(life, web="good-1")
    settle(life, timedelta())
    two = wanted(life, at=life.age, web="good-2")
    times = iter(range(4))

    def go_away(_: object) -> None:
        if life.is_working and life.record("app").phase is Phase.PROVING and next(times, None) is not None:
            life.engine.is_down = True

    life.journal.after_append = go_away
    life.on_rest.append(lambda: setattr(life.engine, "is_down", False))
    settle(life, life.age + 2 * MINUTE)
    assert next(times, None) is None
    assert_at(life, laws, "app", two)


def test_daemon_of_another_version_touches_no_container(life, laws):
    """It knows the releases by the digests that the old one made."""
    one = wanted(life, db="good-1", web="good-1")
    settle(life, timedelta())
    performed, seen = list(life.engine.performed), {name: life.engine._containers[name].seen for name in names(one)}
    life.version = "newer"
    life.worked_at = None
    life.live(life.age + 30 * MINUTE)
    assert life.engine.performed == performed
    assert {name: life.engine._containers[name].seen for name in names(one)} == seen
    assert_at(life, laws, "app", one)


def test_last_words_outlive_a_release_and_go_with_their_deployment(life):
    """Red where nobody throws them away: a node that had a thousand deployments would keep a thousand files."""
    wanted(life, web="good-1")
    life.engine.behaviours = {name: replace(one, log="no camera\n") for name, one in life.engine.behaviours.items()}
    settle(life, timedelta())
    wanted(life, at=life.age, web="good-2")
    settle(life, life.age + MINUTE)
    assert life.engine.words == {"app/web": "no camera\n"}
    life.push(desired)
    life.live(life.age + 30 * MINUTE, lambda: life.record("app").phase is Phase.ABSENT and life.is_settled)
    assert life.record("app").phase is Phase.ABSENT
    assert life.engine.words == {}
