"""Windows and interlocks at the one door: what waits, what never asks, and what a person is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.core.reconcile.stage import DAWN, FLEET, LINE, POLICY, Stage, app, with_policy

from edgegitops.core.decide import decide
from edgegitops.core.model.events import HoldChanged, PhaseMoved, RetryAsked
from edgegitops.core.model.facts import Decision, Desired, Facts, NodeIdentity
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.observed import ContainerState, Observed
from edgegitops.core.model.plant import Answer, Interlock, Plant, Window, WindowKind
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.trust import Floor, Pin

HOUR = timedelta(hours=1)
NODE = NodeIdentity(FLEET, "plant", "press-1", Pin(FLEET, "0" * 64, "c" * 40))
SOON = DAWN + 2 * HOUR
NIGHT = Window("night", "sites/plant.yaml", WindowKind.ALLOW, f"{SOON.minute} {SOON.hour} * * *", HOUR)
STOPPED = Interlock("line-stopped", "policies/lines.yaml", url="http://10.1.2.3/state", for_at_least=timedelta(0))
YES, NO, UNKNOWN = Answer(agrees=True), Answer(agrees=False, detail="state is not stopped"), Answer(None)


class Node:
    """A node whose decisions are carried out until nothing is left to do; interlocks answer as told."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.answer: Answer | None = YES
        self.asked = 0
        self.wanted: Desired | None = None
        self.changed = ""

    def want(self, *releases: Release, plant: Plant | None = None) -> None:
        self.stage.want(releases[0] if releases else None)
        told = {one.deployment: one for one in releases}
        self.wanted = Desired("r" * 40, told, plant=plant or Plant())

    def facts(self, **fields: object) -> Facts:
        stage = self.stage
        facts = Facts(
            now=stage.clock.now(),
            boot_id=stage.clock.boot_id(),
            node=NODE,
            policy=NodePolicy(),
            ledger=stage.ledger,
            observed=self.observe(),
            remembered=self.wanted,
        )
        return replace(facts, **fields)  # type: ignore[arg-type]

    def observe(self) -> Observed:
        """The engine now; the container with the id `changed` has lost its networks."""
        seen = self.stage.engine.observe()
        ones = (replace(one, addresses={}) if one.id == self.changed else one for one in seen.containers)
        return replace(seen, containers=tuple(ones))

    def play(self, **fields: object) -> Decision:
        """As a worker does: ask what is to be asked, look, act; the last look comes back."""
        answers: dict[Interlock, Answer] = {}
        for _ in range(60):
            decision = decide(self.facts(answers=answers, **fields))
            for work in decision.works:
                self.stage._do(work)
            fresh = dict.fromkeys(decision.questions, self.answer) if self.answer else {}
            self.asked += len(fresh)
            is_short = all(one.for_at_least > each.agreed_for for one, each in fresh.items() if each.agrees)
            if decision.is_idle and (not fresh or (is_short and self.asked > 5)):
                return decision
            answers = {one: each for one, each in answers.items() if not each.agrees} | fresh
        raise AssertionError("no rest")

    def converge(self, release: Release, **fields: object) -> None:
        self.want(release)
        self.play(**fields)
        self.stage.probe(Health.READY)
        self.play(**fields)
        self.stage.observe_for(soaked=release.policy.soak)
        self.play(**fields)
        assert (self.stage.phase, self.stage.record.serving) == (Phase.HEALTHY, release)
        self.stage.events.clear()
        self.stage.engine.performed.clear()
        self.asked = 0


def with_plant(release: Release, *windows: Window, interlocks: tuple[Interlock, ...] = (), **policy: object) -> Release:
    return with_policy(release, plant=Plant(windows, interlocks), **policy)


@pytest.fixture
def node() -> Node:
    node = Node()
    node.converge(app("1"))
    return node


def test_release_is_prepared_and_waits_for_its_window_with_nothing_stopped(node):
    node.want(with_plant(app("2"), NIGHT))
    decision = node.play()
    record = node.stage.record
    assert (record.phase, record.hold_reason) == (Phase.READY, "window")
    assert "night (sites/plant.yaml)" in record.hold_detail
    assert (node.stage.running, node.stage.present) == ({"app:1"}, {"app:1", "app:2"})
    assert decision.handover.next_look == SOON
    node.stage.pass_time(2 * HOUR)
    node.play()
    assert node.stage.running == {"app:2"}


def test_needs_is_what_must_be_left_of_the_window(node):
    node.want(with_plant(app("2"), NIGHT, needs=timedelta(minutes=90)))
    node.stage.pass_time(2 * HOUR)
    node.play()
    assert (node.stage.phase, node.stage.record.hold_reason) == (Phase.READY, "window")
    node.want(with_plant(app("2"), NIGHT, needs=timedelta(minutes=60)))
    node.play()
    assert node.stage.running == {"app:2"}


def test_without_needs_the_deadline_must_be_left(node):
    node.want(with_plant(app("2"), NIGHT))
    node.stage.pass_time(3 * HOUR - POLICY.deadline + timedelta(seconds=1))
    node.play()
    assert node.stage.phase is Phase.READY


def test_a_hold_is_told_once_however_often_it_is_looked_at(node):
    node.want(with_plant(app("2"), NIGHT, interlocks=(STOPPED,)))
    node.answer = NO
    for _ in range(4):
        node.play()
        node.stage.pass_time(timedelta(minutes=10))
    node.stage.pass_time(2 * HOUR - timedelta(minutes=40))
    for _ in range(4):
        node.play()
        node.stage.pass_time(timedelta(minutes=1))
    told = [event.reason for event in node.stage.events if isinstance(event, HoldChanged) and event.reason]
    assert told[0] == "window"
    assert len(told) <= 3, told
    assert node.stage.record.hold_detail.endswith("does not agree: state is not stopped")
    assert node.stage.record.hold_since == SOON


@pytest.mark.parametrize("answer", [NO, UNKNOWN, None])
def test_interlock_that_does_not_agree_holds_with_nothing_stopped(node, answer):
    node.want(with_plant(app("2"), interlocks=(STOPPED,)))
    node.answer = answer
    node.play()
    assert (node.stage.phase, node.stage.record.hold_reason) == (Phase.READY, "interlock")
    assert "line-stopped (policies/lines.yaml)" in node.stage.record.hold_detail
    assert node.stage.running == {"app:1"}
    node.answer = YES
    node.play()
    assert node.stage.running == {"app:2"}


def test_interlock_must_agree_for_as_long_as_it_says(node):
    slow = replace(STOPPED, for_at_least=timedelta(seconds=60))
    node.want(with_plant(app("2"), interlocks=(slow,)))
    node.answer = replace(YES, agreed_for=timedelta(seconds=59))
    decision = node.play()
    assert node.stage.running == {"app:1"}
    assert decision.questions == (slow,), "it is asked on, while it agrees"
    node.answer = replace(YES, agreed_for=timedelta(seconds=60))
    node.play()
    assert node.stage.running == {"app:2"}


def test_interlock_is_asked_only_when_nothing_else_holds(node):
    node.want(with_plant(app("2"), NIGHT, interlocks=(STOPPED,)))
    node.play()
    assert node.asked == 0
    node.stage.pass_time(2 * HOUR)
    node.play()
    assert node.asked == 1


def test_first_release_stops_nothing_and_asks_no_interlock():
    node = Node()
    node.answer = NO
    node.want(with_plant(app("1"), interlocks=(STOPPED,)))
    node.play()
    assert (node.stage.running, node.asked) == ({"app:1"}, 0)


def test_held_for_longer_than_allowed_is_an_alarm_until_it_goes_on(node):
    node.want(with_plant(app("2"), interlocks=(replace(STOPPED, max_defer=8 * HOUR),)))
    node.answer = NO
    node.play()
    assert "held-too-long" not in node.stage.alarms
    node.stage.pass_time(8 * HOUR)
    node.play()
    assert "held-too-long" in node.stage.alarms
    assert node.stage.running == {"app:1"}, "an alarm opens nothing"
    node.answer = YES
    node.play()
    assert node.stage.running == {"app:2"}


FORCING = replace(STOPPED, max_defer=2 * HOUR, forces=True)
LETS = NodePolicy(allow_force_in_window=True)


def test_overdue_interlock_is_overruled_in_a_window_where_the_node_allows_it(node):
    node.want(with_plant(app("2"), NIGHT, interlocks=(FORCING,)))
    node.answer = NO
    node.play(policy=LETS)
    node.stage.pass_time(2 * HOUR)
    node.play(policy=NodePolicy())
    assert node.stage.running == {"app:1"}, "the node's policy is closed"
    node.play(policy=LETS)
    assert node.stage.running == {"app:2"}
    told = [one.detail for one in node.stage.events if isinstance(one, PhaseMoved) and one.new is Phase.SWITCHING]
    assert FORCING.label in told[0]


@pytest.mark.parametrize("case", ["early", "no window", "closed", "says alarm", "another one", "healing"])
def test_interlock_is_not_overruled_otherwise(node, case):
    one = replace(FORCING, forces=case != "says alarm", max_defer=(9 if case == "early" else 2) * HOUR)
    more = (replace(STOPPED, name="other"),) if case == "another one" else ()
    windows = () if case == "no window" else (NIGHT,)
    wanted = with_plant(app("2"), *windows, interlocks=(one, *more))
    if case == "healing":
        node.converge(wanted, now=SOON)
        seen = node.stage.seen("app")
        assert seen is not None
        node.changed = seen.id
    node.want(wanted)
    node.answer = NO
    node.play(policy=LETS)
    node.stage.pass_time((12 if case == "closed" else 2) * HOUR)
    before = node.stage.running
    node.play(policy=LETS)
    assert (node.stage.running, node.stage.acts("remove-container")) == (before, [])


def test_revert_asks_nobody(node):
    begins = DAWN - timedelta(minutes=1)
    shortly = replace(NIGHT, schedule=f"{begins.minute} {begins.hour} * * *", duration=timedelta(minutes=7))
    node.want(with_plant(app("2"), shortly, interlocks=(STOPPED,)))
    node.play()
    assert node.stage.phase is Phase.PROVING
    node.answer = NO
    node.asked = 0
    node.stage.pass_time(10 * HOUR)
    node.stage.observe_for(waited=POLICY.deadline)
    node.play()
    assert (node.stage.phase, node.stage.running, node.asked) == (Phase.REVERTED, {"app:1"}, 0)


def test_removal_asks_windows_and_interlocks_of_the_node_and_its_own(node):
    node.converge(with_plant(app("1"), interlocks=(replace(STOPPED, file=f"deployments/{LINE}.yaml"),)))
    node.want(plant=Plant((NIGHT,)))
    node.answer = NO
    node.play()
    assert (node.stage.record.hold_reason, node.stage.running) == ("window", {"app:1"})
    node.stage.pass_time(2 * HOUR)
    node.play()
    assert (node.stage.record.hold_reason, node.stage.running) == ("interlock", {"app:1"})
    node.answer = YES
    node.play()
    assert node.stage.present == set()


def test_what_a_site_no_longer_says_does_not_hold_a_removal(node):
    node.converge(with_plant(app("1"), interlocks=(STOPPED,)))
    node.answer = NO
    node.want()
    node.play()
    assert node.stage.present == set()


def test_dead_container_is_healed_without_asking(node):
    node.converge(with_plant(app("1"), NIGHT, interlocks=(STOPPED,)), now=SOON)
    node.answer = NO
    node.stage.engine.end(node.stage.part("app").name, 1)
    node.stage.pass_time(HOUR)
    node.play()
    node.stage.pass_time(HOUR)
    node.play()
    assert (node.stage.running, node.asked) == ({"app:1"}, 0)


def test_running_container_is_recreated_only_while_interlocks_agree(node):
    node.converge(with_plant(app("1"), interlocks=(STOPPED,)))
    node.answer = NO
    seen = node.stage.seen("app")
    assert seen is not None
    node.changed = seen.id
    node.play()
    assert (node.asked, node.stage.acts("remove-container")) == (1, [])
    assert node.stage.record.hold_reason == "interlock"
    node.answer = YES
    node.play()
    assert node.stage.acts("remove-container") == ["remove-container app"]
    found = node.stage.seen("app")
    assert found is not None
    assert found.state is ContainerState.RUNNING


def test_clock_before_the_signed_floor_opens_no_window(node):
    node.want(with_plant(app("2"), NIGHT))
    node.stage.pass_time(2 * HOUR)
    floor = Floor("r" * 40, "", "", 1, node.stage.clock.now() + HOUR)
    ledger = replace(node.stage.ledger, floor=floor, snapshot="r" * 40)
    for _ in range(10):
        decision = decide(node.facts(ledger=ledger))
        for work in decision.works:
            node.stage._do(work)
        ledger = replace(node.stage.ledger, floor=floor, snapshot="r" * 40)
    assert (node.stage.phase, node.stage.record.hold_reason) == (Phase.READY, "clock")
    assert node.stage.running == {"app:1"}


@pytest.mark.parametrize("year", [1970, 2023, 2200])
def test_clock_of_an_impossible_year_opens_no_window(node, year):
    node.want(with_plant(app("2"), replace(NIGHT, schedule="* * * * *")))
    node.play(now=datetime(year, 6, 1, 12, tzinfo=UTC))
    assert node.stage.running == {"app:1"}


def test_a_worker_that_may_only_revert_leaves_a_changed_container_that_runs(node):
    node.converge(with_plant(app("1"), interlocks=(STOPPED,)))
    seen = node.stage.seen("app")
    assert seen is not None
    node.changed = seen.id
    node.stage.tell(RetryAsked())
    decision = decide(node.facts(is_revert_only=True, remembered=None))
    assert decision.works == () or all(not work.steps for work in decision.works)


def test_file_that_holds_an_update_is_handed_over_to_be_watched_until_it_agrees(node):
    absent = Interlock("flag", "sites/plant.yaml", path="/run/plc/stopped")
    agreeing = Interlock("door", "sites/plant.yaml", path="/run/plc/door", exists=False)
    node.want(with_plant(app("2"), interlocks=(absent, agreeing)))
    answers = {absent: NO, agreeing: YES}
    for _ in range(60):
        decision = decide(node.facts(answers=answers))
        for work in decision.works:
            node.stage._do(work)
        if decision.is_idle:
            break
    assert node.stage.record.hold_reason == "interlock"
    assert decision.handover.files == ("/run/plc/stopped",)
    node.answer = YES
    assert node.play().handover.files == ()
