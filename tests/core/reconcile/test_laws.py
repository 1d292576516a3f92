"""Whatever happens in whatever order: every decision is a function, no move is illegal, and rest is reached."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.stage import LINE, MINUTE, POLICY, SECOND, Stage, container, image, release

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.events import PhaseMoved, WorkerStarted
from edgegitops.core.model.facts import Hold
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Condition
from edgegitops.core.model.steps import CreateContainer, PullImage, RemoveContainer, StopContainer, StoreContent
from edgegitops.core.reconcile.lifecycle import BEGUN
from edgegitops.core.reconcile.reconcile import reconcile


def pair(app: str, db: str, *, attempt: int = 1, **policy: bool) -> Release:
    needs = {"db": Condition.READY}
    held = {"app": container("app", app, needs=needs), "db": container("db", db, volume="data")}
    return release(held, attempt=attempt, policy=replace(POLICY, **policy), version=f"{app}-{db}")


GOOD = [pair("1", "1"), pair("2", "1"), pair("2", "2"), pair("2", "1", attempt=2)]
BAD = [
    pair("dead", "1"),
    pair("1", "uncreatable"),
    pair("unstartable", "1", safe=False),
    pair("dead", "2", automatic=False),
]
BEHAVIOURS = {
    "dead": Behaviour(crashes_after=5 * SECOND),
    "uncreatable": Behaviour(fails_to_create=True),
    "unstartable": Behaviour(fails_to_start=True),
}


def names(stage: Stage) -> list[str]:
    return sorted(one.name for one in stage._owned())


def gate(stage: Stage, hold: Hold | None) -> None:
    stage.gate = hold


def know(stage: Stage, *, known: bool) -> None:
    stage.is_target_known = known


def mishap(act: Callable[[Stage, str], None]) -> Callable[[Stage], None]:
    """Something that happens to the first container there is."""
    return lambda stage: act(stage, names(stage)[0]) if names(stage) else None


def go_well(stage: Stage) -> None:
    """Time passes in which everything that runs is well."""
    if stage.target is not None:
        stage.start_up()
        stage.observe_for(soaked=POLICY.soak)
    stage.play()


OPERATIONS: dict[str, Callable[[Stage], object]] = {
    "go well": go_well,
    "turn": lambda stage: stage.turn(),
    "play": lambda stage: stage.play(),
    "end": mishap(lambda stage, name: stage.engine.end(name, 1)),
    "end well": mishap(lambda stage, name: stage.engine.end(name, 0)),
    "lose": mishap(lambda stage, name: stage.engine.lose(name)),
    "remove": mishap(lambda stage, name: stage.engine.remove(name)),
    "hold": lambda stage: gate(stage, Hold(HoldReason.PAUSED)),
    "open": lambda stage: gate(stage, None),
    "forget": lambda stage: know(stage, known=False),
    "know": lambda stage: know(stage, known=True),
    "ready": lambda stage: stage.probe(Health.READY) if stage.target else None,
    "not live": lambda stage: stage.probe(Health.NOT_LIVE) if stage.target else None,
    "soak": lambda stage: stage.observe_for(soaked=POLICY.soak),
    "late": lambda stage: stage.observe_for(waited=POLICY.deadline),
    "minute": lambda stage: stage.pass_time(MINUTE),
    "reboot": lambda stage: stage.reboot(),
    "worker dies": lambda stage: stage.tell(WorkerStarted()),
    "engine fails": lambda stage: stage.engine.fail_next(2),
    "reply is lost": lambda stage: stage.engine.lose_replies(1),
    "nothing wanted": lambda stage: stage.want(None),
}
RELEASES = {f"want {one.version}{at}": one for at, one in enumerate(GOOD + BAD)}
LIVES = st.lists(st.sampled_from([*OPERATIONS, *RELEASES, *["go well", "play", "turn"] * 3]), max_size=40)


def live(doings: list[str]) -> Stage:
    """A life, checked at each turn."""
    stage = Stage(GOOD[0])
    for name, how in BEHAVIOURS.items():
        stage.engine.behaviours |= {image(one, name): how for one in ("app", "db")}
    for doing in doings:
        if doing in RELEASES:
            stage.want(RELEASES[doing])
        else:
            OPERATIONS[doing](stage)
    return stage


def settle(stage: Stage) -> None:
    """From now on all goes well: what runs goes on running and is ready, and time is observed."""
    stage.engine.behaviours.clear()
    stage.gate, stage.is_target_known = None, True
    calm = 0
    for _ in range(60):
        outlook = stage.play(turns=100)
        is_calm = stage.record.transition is None and outlook.until is None
        calm = calm + 1 if is_calm else 0
        if calm == 3:
            return
        for one in (stage.record.serving, stage.record.transition.new if stage.record.transition else None):
            if one is not None:
                stage.probe(Health.READY, of=one)
        if outlook.until is not None and not is_calm:
            stage.pass_time(max(MINUTE, outlook.until - stage.clock.now()))
        stage.pass_time(MINUTE)
        stage.observe_for(soaked=POLICY.soak)
    raise AssertionError(f"no rest in {stage.phase}: {stage.look()}")


@given(LIVES)
def test_every_life_comes_to_rest_at_one_whole_release(doings):
    stage = live(doings)
    settle(stage)
    serving = stage.record.serving
    wanted = stage.parts(serving).names() if serving else frozenset()
    running = {one.name for one in stage._owned() if one.state is ContainerState.RUNNING}
    if serving is not None:
        assert running == wanted
    if stage.target is None:
        assert (stage.present, stage.alarms) == (set(), set())
    elif stage.target.digest not in stage.record.latches:
        assert (stage.phase, serving) == (Phase.HEALTHY, stage.target)
        assert (set(names(stage)), stage.alarms) == (wanted, set())


@given(LIVES)
def test_what_failed_never_starts_again(doings):
    stage = live(doings)
    failed: set[str] = set()
    for entry in stage.journal.entries():
        event = entry.event
        if event.kind == "latched" and not event.is_refusal:
            failed.add(event.digest)
        if event.kind == "transition-began" and event.transition.new is not None:
            assert event.transition.new.digest not in failed


@given(LIVES)
def test_looking_twice_is_looking_once(doings):
    stage = live(doings)
    stage.play()
    assert stage.look().work is None
    assert stage.look() == stage.look()


@given(LIVES, st.randoms(use_true_random=False))
def test_order_of_what_was_seen_changes_no_decision(doings, chance):
    stage = live(doings)
    scene = stage.scene()

    def shuffled(mapping):
        return dict(chance.sample(sorted(mapping.items()), len(mapping)))

    seen = scene.observed
    containers = tuple(chance.sample(seen.containers, len(seen.containers)))
    observed = replace(seen, containers=containers, networks=shuffled(seen.networks), volumes=shuffled(seen.volumes))
    record = replace(scene.record, containers=shuffled(scene.record.containers), latches=shuffled(scene.record.latches))
    assert reconcile(replace(scene, observed=observed, record=record)) == reconcile(scene)


@given(LIVES)
def test_revert_and_repair_without_a_network_use_none(doings):
    stage = live(doings)
    stage.is_target_known, stage.is_local = False, True
    stage.engine.performed.clear()
    while stage.turn().work is not None:
        pass
    assert not [one for one in stage.engine.performed if isinstance(one, PullImage | StoreContent)]
    assert stage.phase not in {Phase.REVERTING, Phase.REMOVING} or stage.look().until is not None


@given(LIVES)
def test_before_the_switch_nothing_that_serves_is_stopped_while_it_is_well(doings):
    stage = live(doings)
    for _ in range(60):
        record = stage.record
        begun = record.transition is not None and record.transition.phase in BEGUN
        outlook = stage.look()
        if outlook.work is None:
            return
        goes_on = any(isinstance(one, PhaseMoved) and one.new in BEGUN for one in outlook.work.events)
        if record.serving is not None and not begun and not goes_on:
            well = {
                part.name
                for part in stage.parts(record.serving).containers
                if (seen := stage.seen(part.container, record.serving)) is not None
                and seen.state is ContainerState.RUNNING
                and stage.scene().remembered(part).health is not Health.NOT_LIVE
            }
            ending = (StopContainer, RemoveContainer, CreateContainer)
            assert not well & {one.subject for one in outlook.work.steps if isinstance(one, ending)}
        stage.turn()
    raise AssertionError(f"{LINE} does not come to rest")
