"""The one door: the same facts give the same decision, and a healthy node gives none."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.stage import FLEET, LINE, MINUTE, Stage, app, container

from edgegitops.core.decide import _gate, decide
from edgegitops.core.model.events import AlarmCleared, AlarmRaised, OperatorHeld
from edgegitops.core.model.facts import Decision, Desired, Facts, Hold, NodeIdentity, Proceed, Refusals
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import AlarmRecord, DeploymentRecord, Ledger, OperatorHold, Transition
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import Alarm, FaultCode, HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Condition, DeploymentSpec, NetworkSpec
from edgegitops.core.model.trust import Floor, Pin
from edgegitops.core.permit import Permit

ONE, TWO = app("1"), app("2")
NODE = NodeIdentity(FLEET, "plant", "press-1", Pin(FLEET, "0" * 64, "c" * 40))
DENIED = Refusals({LINE: (Fault("apps/app/app.yaml", FaultCode.ADMISSION_DENIED, "privileged is not allowed"),)})


def desired(*releases: Release, **fields: object) -> Desired:
    return Desired("r" * 40, {one.deployment: one for one in releases}, **fields)  # type: ignore[arg-type]


def facts_of(stage: Stage, wanted: Desired | None, **fields: object) -> Facts:
    """Facts of a node whose desired state was computed before (no Git in reach)."""
    facts = Facts(
        now=stage.clock.now(),
        boot_id=stage.clock.boot_id(),
        node=NODE,
        policy=NodePolicy(),
        ledger=stage.ledger,
        observed=stage.engine.observe(),
        remembered=wanted,
    )
    return replace(facts, **fields)  # type: ignore[arg-type]


def healthy() -> Stage:
    stage = Stage()
    stage.converge(ONE)
    return stage


def other(name: str) -> Release:
    spec = DeploymentSpec(name, {"app": container("app")}, {"net": NetworkSpec()})
    return Release(spec.digest(), "r", spec)


def kinds(decision: Decision) -> list[str]:
    return [event.kind for work in decision.works for event in work.events]


def test_healthy_node_decides_nothing_and_journals_nothing():
    decision = decide(facts_of(healthy(), desired(ONE)))
    assert decision.is_idle
    assert (decision.handover.is_at_rest, decision.handover.is_as_wanted) == (True, True)


def test_each_deployment_gets_at_most_one_work():
    names = ["a", "b", "c"]
    decision = decide(facts_of(Stage(), desired(*(other(name) for name in names))))
    assert [work.deployment for work in decision.works] == names


def test_deployment_whose_steps_are_under_way_is_left_alone():
    facts = facts_of(Stage(), desired(other("a"), other("b")), busy=frozenset({"a"}))
    assert [work.deployment for work in decide(facts).works] == ["b"]


def test_wanted_remembered_and_found_deployments_are_all_looked_at():
    stage = healthy()
    stage.want(None)
    assert kinds(decide(facts_of(stage, desired()))) == ["transition-began"]
    found = facts_of(stage, desired(), ledger=Ledger())
    assert kinds(decide(found)) == ["transition-began"]


@pytest.mark.parametrize(
    "wanted",
    [None, desired(is_enrolled=False), desired(refused=DENIED)],
    ids=["nothing known", "not enrolled", "not admitted"],
)
def test_what_runs_is_kept_and_healed_where_nothing_may_be_changed(wanted):
    stage = healthy()
    decision = decide(facts_of(stage, wanted))
    assert not [step for work in decision.works for step in work.steps]
    assert "transition-began" not in kinds(decision)
    stage.engine.end(stage.part("app", ONE).name, 1)
    assert "container-ended" in kinds(decide(facts_of(stage, wanted)))


def test_node_in_maintenance_begins_nothing_and_heals():
    stage = healthy()
    stage.want(TWO)
    while stage.phase is not Phase.PENDING:
        stage.turn()
    wanted = desired(TWO, is_in_maintenance=True)
    assert kinds(decide(facts_of(stage, wanted))) == ["hold-changed"]
    stage.engine.end(stage.part("app", ONE).name, 1)
    assert "container-ended" in kinds(decide(facts_of(stage, wanted)))


def test_worker_that_may_only_revert_reads_neither_tip_nor_desired_state():
    stage = healthy()
    stage.want(TWO)
    stage.start_up()
    stage.engine.end(stage.part("app").name, 1)
    facts = facts_of(stage, desired(TWO), is_revert_only=True, tip="f" * 40)
    decision = decide(facts)
    assert (decision.desired, decision.events) == (None, ())
    assert kinds(decision)[:2] == ["container-ended", "latched"]


def test_worker_that_may_only_revert_begins_nothing():
    stage = healthy()
    stage.want(TWO)
    stage.turn()
    assert decide(facts_of(stage, desired(TWO), is_revert_only=True)).is_idle


# --- an operator's hold


def hold(deployment=LINE, *, stops_healing=False, until=None) -> OperatorHeld:
    return OperatorHeld(deployment, "night shift", until, stops_healing)


@pytest.mark.parametrize("deployment", [LINE, ""])
def test_hold_stops_updates_and_not_healing(deployment):
    stage = healthy()
    stage.tell(hold(deployment))
    stage.want(TWO)
    stage.turn()
    assert kinds(decide(facts_of(stage, desired(TWO)))) == ["hold-changed"]
    stage.engine.end(stage.part("app", ONE).name, 1)
    assert "container-ended" in kinds(decide(facts_of(stage, desired(TWO))))


@pytest.mark.parametrize("phase", [Phase.HEALTHY, Phase.PENDING, Phase.READY])
@pytest.mark.parametrize("deployment", [LINE, ""])
def test_hold_that_stops_healing_stops_all_that_has_not_begun(phase, deployment):
    stage = healthy()
    stage.want(TWO)
    while stage.phase is not phase:
        stage.turn()
    stage.tell(hold(deployment, stops_healing=True))
    stage.engine.end(stage.part("app", ONE).name, 1)
    assert kinds(decide(facts_of(stage, desired(TWO)))) == ["hold-changed"]


def test_hold_of_one_does_not_hide_the_hold_of_all_that_stops_healing():
    stage = healthy()
    stage.tell(hold(), hold("", stops_healing=True))
    stage.engine.end(stage.part("app", ONE).name, 1)
    assert kinds(decide(facts_of(stage, desired(ONE)))) == ["hold-changed"]


def test_hold_never_stops_a_revert_that_has_begun():
    stage = healthy()
    stage.want(TWO)
    stage.start_up()
    stage.engine.end(stage.part("app").name, 1)
    stage.turn()
    assert stage.phase is Phase.REVERTING
    stage.tell(hold("", stops_healing=True))
    assert [work.steps for work in decide(facts_of(stage, desired(TWO))).works] != [()]


def test_hold_that_expires_names_the_next_look_and_is_then_over():
    stage = healthy()
    until = stage.clock.now() + MINUTE
    stage.tell(hold(stops_healing=True, until=until))
    stage.engine.end(stage.part("app", ONE).name, 1)
    assert decide(facts_of(stage, desired(ONE))).handover.next_look == until
    stage.pass_time(MINUTE)
    assert "container-ended" in kinds(decide(facts_of(stage, desired(ONE))))


def test_next_look_is_the_earliest_of_all_deployments():
    stage = healthy()
    now = stage.clock.now()
    holds = {
        "a": OperatorHold("a", "x", now, now + 2 * MINUTE),
        "b": OperatorHold("b", "x", now, now + MINUTE),
    }
    ledger = replace(stage.ledger, holds=holds)
    facts = facts_of(stage, desired(ONE, other("a"), other("b")), ledger=ledger)
    for _ in range(3):
        decision = decide(facts)
        events = [event for work in decision.works for event in work.events]
        stage.tell(*events)
        facts = replace(facts, ledger=replace(stage.ledger, holds=holds))
    assert decide(facts).is_idle
    assert decide(facts).handover.next_look == now + MINUTE


# --- a function


def nodes() -> st.SearchStrategy[Facts]:
    """Facts of a node with three deployments at drawn places of their roads."""
    return st.builds(_node, st.integers(0, 12), st.booleans(), st.sampled_from(["none", "end", "remove"]))


def _node(turns: int, has_journal: bool, mishap: str) -> Facts:
    stage = healthy()
    stage.want(TWO)
    for _ in range(turns):
        stage.turn()
    if mishap != "none":
        name = stage._owned()[0].name
        stage.engine.end(name, 1) if mishap == "end" else stage.engine.remove(name)
    stage.pass_time(timedelta(seconds=turns))
    facts = facts_of(stage, desired(TWO, other("a"), other("b")))
    return facts if has_journal else replace(facts, ledger=Ledger())


@given(nodes(), st.randoms(use_true_random=False))
def test_same_facts_in_another_order_are_the_same_decision(facts, chance):
    def shuffled(mapping):
        return dict(chance.sample(sorted(mapping.items()), len(mapping)))

    seen, wanted, ledger = facts.observed, facts.remembered, facts.ledger
    permuted = replace(
        facts,
        observed=replace(
            seen,
            containers=tuple(chance.sample(seen.containers, len(seen.containers))),
            networks=shuffled(seen.networks),
            volumes=shuffled(seen.volumes),
        ),
        remembered=replace(wanted, releases=shuffled(wanted.releases)),
        ledger=replace(ledger, deployments=shuffled(ledger.deployments), alarms=shuffled(ledger.alarms)),
    )
    assert decide(permuted) == decide(facts)


@given(nodes())
def test_deciding_changes_no_fact(facts):
    assert decide(facts) == decide(facts)


def impossible(name: str) -> Release:
    """A release that no resolution would let through: deciding on it meets a broken invariant."""
    one = container("app", needs={"app": Condition.STARTED})
    spec = DeploymentSpec(name, {"app": one}, {"net": NetworkSpec()})
    return Release(spec.digest(), "r", spec)


def test_a_bug_that_one_deployment_meets_stops_no_other():
    stage = healthy()
    stage.engine.end(stage.part("app").name, 1)
    pending = Transition("x/1", None, impossible("other"), Phase.PREPARING, stage.clock.now(), stage.clock.now())
    broken = DeploymentRecord("other", phase=Phase.PREPARING, transition=pending)
    ledger = replace(stage.ledger, deployments={**stage.ledger.deployments, "other": broken})
    facts = facts_of(stage, desired(ONE, impossible("other")), ledger=ledger)
    decision = decide(facts)
    (alarm,) = decision.events
    assert isinstance(alarm, AlarmRaised)
    assert (alarm.code, alarm.subject) == (Alarm.BUG, "other")
    assert [work.deployment for work in decision.works] == [LINE]
    assert kinds(decision) == ["container-ended"]
    standing = {f"{Alarm.BUG} other": AlarmRecord(Alarm.BUG, "other", alarm.detail, stage.clock.now())}
    assert decide(replace(facts, ledger=replace(ledger, alarms=standing))).events == ()
    mended = replace(facts, ledger=replace(stage.ledger, alarms=standing), remembered=desired(ONE, other("other")))
    assert decide(mended).events == (AlarmCleared(Alarm.BUG, "other"),)


def test_deployment_whose_steps_are_under_way_is_still_watched():
    facts = facts_of(healthy(), desired(ONE), busy=frozenset({LINE}))
    decision = decide(facts)
    assert decision.works == ()
    assert [watch.deployment for watch in decision.handover.watches] == [LINE]
    assert decision.handover.expected


class Poisoned:
    """Objects whose bytes nobody thought of."""

    def header(self, oid):
        raise ZeroDivisionError(oid)

    read = header


def test_bug_that_the_rollout_meets_stops_what_would_begin_and_no_healing():
    """Red where core/decide.py has `raise` for `return Permit(wanted, Hold(HoldReason.EVIDENCE, _bug(error))),
    _bug(error)`.
    """
    stage = healthy()
    stage.engine.end(stage.part("app").name, 1)
    revision = "r" * 40
    floor = Floor(revision, "p" * 64, "t" * 40, 1, stage.clock.now())
    ledger = replace(stage.ledger, floor=floor, snapshot=revision, snapshot_tree="t" * 40)
    tags = {f"refs/tags/rollout/{LINE}/000001": "a" * 40}
    poison = {"ledger": ledger, "objects": Poisoned(), "schemas": {}, "tags": tags}
    decision = decide(facts_of(stage, desired(ONE), **poison))
    assert {one.subject for one in decision.events if isinstance(one, AlarmRaised)} == {LINE, "fleet"}
    assert kinds(decision) == ["container-ended"]
    waiting = decide(facts_of(healthy(), desired(TWO), **poison))
    assert not [step for work in waiting.works for step in work.steps]


@pytest.mark.parametrize(
    ("cause", "reason", "holds"),
    [
        ("fellows", HoldReason.PAUSED, ""),
        ("rollback", HoldReason.PAUSED, ""),
        ("", HoldReason.PAUSED, "paused"),
        ("fellows", HoldReason.OPERATOR, "operator"),
    ],
)
def test_pause_of_a_release_holds_unless_the_rollout_lets_it_go(cause, reason, holds):
    """What fellows run and what a rollback goes back to may have been paused when it was new; a person's hold holds."""
    gate = _gate(Hold(reason, "words"), Permit(app("1"), cause=cause), Proceed())
    assert (gate.reason if gate else "") == holds
