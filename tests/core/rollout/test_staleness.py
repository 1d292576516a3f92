"""A view that is too old raises an alarm once, is looked at when it will be, and stops nothing that runs."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.reconcile.stage import FLEET, Stage, app
from tests.core.trust.conftest import Store

from edgegitops.core.believe import believe
from edgegitops.core.decide import decide
from edgegitops.core.model.events import AlarmCleared, AlarmRaised, Entry, FloorMoved, Reanchored, TipRefused
from edgegitops.core.model.facts import Desired, Facts, Hold, NodeIdentity, Proceed
from edgegitops.core.model.ledger import AlarmRecord, Ledger
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.trust import Floor, Freshness, Pin
from edgegitops.core.reconcile.fold import advance
from edgegitops.core.rollout.staleness import ask_freshness

ONE, TWO = app("1"), app("2")
DAY = timedelta(days=1)
NODE = NodeIdentity(FLEET, "plant", "press-1", Pin(FLEET, "0" * 64, "c" * 40))


def facts(stage: Stage, wanted: Desired, *, age: timedelta | None, alarms: tuple[str, ...] = ()) -> Facts:
    """A node whose newest statement is so old; it ends 30 days after its beginning."""
    now = stage.clock.now()
    fresh = None if age is None else Freshness("c" * 40, now - age, now - age + 30 * DAY)
    floor = Floor("c" * 40, "p", "t", 1, now - 300 * DAY, fresh)
    known = {f"{code} fleet": AlarmRecord(code, "fleet", "said before", now) for code in alarms}
    ledger = replace(stage.ledger, floor=floor, alarms=known, snapshot="c" * 40)
    return Facts(
        now=now,
        boot_id=stage.clock.boot_id(),
        node=NODE,
        policy=NodePolicy(),
        ledger=ledger,
        observed=stage.engine.observe(),
        remembered=wanted,
    )


def healthy() -> Stage:
    stage = Stage()
    stage.converge(ONE)
    return stage


def wanted(*, longest: timedelta | None = 7 * DAY, release=ONE) -> Desired:
    return Desired("r" * 40, {release.deployment: release}, max_staleness=longest)


def test_fresh_view_is_silent_and_looked_at_again_when_it_ends():
    stage = healthy()
    decision = decide(facts(stage, wanted(), age=3 * DAY))
    assert decision.is_idle
    assert decision.handover.next_look == stage.clock.now() + 4 * DAY


def test_stale_view_raises_an_alarm_once():
    """Red where core/rollout/staleness.py has `if True:` for `if now < ends_at(fresh, longest):`."""
    stage = healthy()
    (alarm,) = decide(facts(stage, wanted(), age=8 * DAY)).events
    assert (alarm.code, alarm.subject) == (Alarm.STALE, "fleet")
    again = facts(stage, wanted(), age=8 * DAY, alarms=(Alarm.STALE,))
    record = replace(again.ledger.alarms["stale fleet"], detail=alarm.detail)
    assert decide(replace(again, ledger=replace(again.ledger, alarms={"stale fleet": record}))).is_idle


def test_missing_statement_raises_an_alarm_where_the_fleet_asks_for_one():
    assert [one.code for one in decide(facts(healthy(), wanted(), age=None)).events] == [Alarm.STALE]
    assert decide(facts(healthy(), wanted(longest=None), age=None)).is_idle


def test_fresh_view_clears_the_alarm_and_so_does_a_fleet_that_asks_no_more():
    for fields, age in (({}, DAY), ({"longest": None}, 90 * DAY)):
        events = decide(facts(healthy(), wanted(**fields), age=age, alarms=(Alarm.STALE,))).events
        assert events == (AlarmCleared(Alarm.STALE, "fleet"),)


def test_stale_view_stops_neither_healing_nor_a_release_without_waves():
    stage = healthy()
    stage.engine.end(stage.part("app", ONE).name, 1)
    decision = decide(facts(stage, wanted(), age=90 * DAY))
    assert "container-ended" in [event.kind for work in decision.works for event in work.events]
    decision = decide(facts(healthy(), wanted(release=TWO), age=90 * DAY))
    assert "transition-began" in [event.kind for work in decision.works for event in work.events]


def test_statement_that_has_ended_counts_no_more_although_it_is_young():
    now = Stage().clock.now()
    ended = Freshness("c", now - 2 * DAY, now - DAY)
    hold = ask_freshness(ended, 7 * DAY, now)
    assert isinstance(hold, Hold)
    assert (hold.reason, "it has expired" in hold.detail) == (HoldReason.STALE, True)
    assert ask_freshness(ended, 7 * DAY, now - DAY - timedelta(seconds=1)) == Proceed()


def test_clock_that_was_set_back_makes_nothing_fresh():
    stage = healthy()
    now = stage.clock.now()
    known = facts(stage, wanted(), age=8 * DAY)
    floor = replace(known.ledger.floor, clock=now)
    back = replace(known, now=now - 300 * DAY, ledger=replace(known.ledger, floor=floor))
    assert Alarm.STALE in [one.code for one in decide(back).events if isinstance(one, AlarmRaised)]


def after(ledger: Ledger, *events) -> Ledger:
    for event in events:
        ledger = advance(ledger, Entry(ledger.seq + 1, Stage().clock.now(), event, "", ""))
    return ledger


def test_anchor_makes_the_refused_tip_news_and_ends_where_the_floor_is():
    ledger = after(Ledger(), TipRefused("b" * 40, "b" * 40, "history-diverged", ""), Reanchored("b" * 40, "rewritten"))
    assert (ledger.anchor, ledger.refused_tip, ledger.refused_reason) == ("b" * 40, "", "")
    assert after(ledger, FloorMoved(Floor("b" * 40, "p", "t", 1, Stage().clock.now()))).anchor == ""


def test_tip_that_is_the_floor_is_looked_at_where_an_anchor_waits():
    known = facts(healthy(), wanted(), age=None)
    waiting = replace(known, tip="c" * 40, objects=Store(), ledger=replace(known.ledger, anchor="b" * 40))
    found = believe(waiting)
    assert [type(event) for event in found.events] == [TipRefused, AlarmRaised]
    assert found.ledger.floor == known.ledger.floor
    assert found.ledger.anchor == "b" * 40


@pytest.mark.parametrize(
    ("age", "lasts", "words"),
    [
        (7 * DAY, 30 * DAY, "fleet.yaml asks for a newer one"),
        (7 * DAY - timedelta(seconds=1), 30 * DAY, ""),
        (7 * DAY, 7 * DAY, "it has expired"),
        (3 * DAY, 3 * DAY, "it has expired"),
        (3 * DAY - timedelta(seconds=1), 3 * DAY, ""),
    ],
)
def test_view_is_stale_from_the_instant_at_which_its_statement_ends(age, lasts, words):
    now = Stage().clock.now()
    answer = ask_freshness(Freshness("c" * 40, now - age, now - age + lasts), 7 * DAY, now)
    assert isinstance(answer, Proceed) is (not words)
    assert isinstance(answer, Proceed) or f"and {words};" in answer.detail
