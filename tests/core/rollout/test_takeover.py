"""A node whose journal was lost, or is an older one, goes on where its own published reports end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model import events as e
from edgegitops.core.model.events import Entry, WordTakenOver, read_event, write_event
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.report import (
    SEQUENCE_MOST,
    Report,
    ReportedDeployment,
    ReportedFailure,
    ReportedState,
    Statement,
)
from edgegitops.core.model.trust import Floor, Pin
from edgegitops.core.reconcile.fold import advance
from edgegitops.core.rollout.evidence import Evidence
from edgegitops.core.rollout.takeover import MOST, WORD_MOST, take_over
from edgegitops.core.rollout.telling import Voice, report_of
from edgegitops.core.trust.reports import SIZE_MOST, payload_of

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
BAD, OTHER = "bad0" * 16, "0b1d" * 16
FRESH = "fresh"


def said(sequence, *failures, installation="i1", name="line", word=""):
    """A report of this node; failures are (digest, sequence that told it first)."""
    kept = tuple(ReportedFailure("r2", digest, told, "crashed", NOW - timedelta(hours=1)) for digest, told in failures)
    told = ReportedDeployment("r1", OTHER, ReportedState.HEALTHY, failures=kept)
    report = Report("f", "plant", "gw", installation, "b", sequence, NOW, 1, "r1", deployments={name: told})
    return Statement(report, f"{installation}#{sequence}#{word}")


def folded(*events, ledger=None):
    known = ledger or Ledger()
    for event in events:
        known = advance(known, Entry(known.seq + 1, NOW, event, "", ""))
    return known


def latches(ledger, name="line"):
    return {digest: latch.told_in for digest, latch in ledger.deployments[name].latches.items()}


def test_node_without_a_journal_takes_over_failures_and_sequence_under_another_id():
    taken = take_over(Ledger(), [said(3, (BAD, 2))], fresh=FRESH)
    ledger = folded(taken)
    assert (ledger.report_sequence, ledger.installation, ledger.is_sure) == (3, FRESH, True)
    assert latches(ledger) == {BAD: 2}
    assert ledger.deployments["line"].latches[BAD].at == NOW - timedelta(hours=1)


def test_node_that_never_published_is_sure_once_it_has_heard_so():
    assert not Ledger().is_sure
    ledger = folded(take_over(Ledger(), [], fresh=FRESH))
    assert (ledger.is_sure, ledger.report_sequence, ledger.installation) == (True, 0, FRESH)
    assert take_over(ledger, [], fresh="another") is None


def test_node_whose_sequences_were_used_up_begins_anew_under_another_key_and_keeps_what_failed():
    thief = said(SEQUENCE_MOST, (BAD, 2))
    ledger = folded(take_over(Ledger(), [thief], fresh=FRESH))
    assert take_over(ledger, [thief], fresh="another") is None, "it has the same key still"
    ledger = folded(take_over(ledger, [], fresh="another", bygone=[thief]), ledger=ledger)
    assert (ledger.report_sequence, ledger.installation, latches(ledger)) == (0, "another", {BAD: 2})
    assert take_over(ledger, [], fresh="third", bygone=[thief]) is None


def test_failures_without_end_make_no_journal_and_no_report_that_is_longer_than_it_may_be():
    """By whoever stole the key, again and again; what it said lasts after the key is another one."""
    ledger = Ledger(installation="i1")
    for round_ in range(1, 5):
        told = {
            f"never-{round_}-{at}": ReportedDeployment(
                "r1", OTHER, ReportedState.HEALTHY, failures=(ReportedFailure("r2", f"{at:064x}", at, "crashed"),)
            )
            for at in range(700)
        }
        told["long"] = replace(told[f"never-{round_}-1"], failures=(ReportedFailure("r2", "x" * 999, 800, "crashed"),))
        made = replace(said(10_000 * round_).report, deployments=told)
        ledger = folded(take_over(ledger, [Statement(made, str(round_))], fresh=f"f{round_}"), ledger=ledger)
    assert len(ledger.deployments) == MOST
    assert "long" not in ledger.deployments
    assert latches(ledger, "never-1-699") == {f"{699:064x}": 699}, "the newest"
    voice = Voice(NodeIdentity("f", "plant", "gw", Pin("f", "0" * 64, "c" * 40)), "i1", "b")
    assert len(payload_of(report_of(ledger, voice, {}, sequence=9, now=NOW))) < SIZE_MOST / 2


def test_bounds_of_what_is_taken_over_are_what_the_pages_say():
    assert (MOST, WORD_MOST) == (200, 64)


def test_word_of_64_characters_is_taken_over_and_a_longer_one_is_not():
    own = said(3, ("x" * 64, 1), ("y" * 65, 2))
    assert latches(folded(take_over(Ledger(), [own], fresh=FRESH))) == {"x" * 64: 1}


def test_node_with_more_failures_than_it_would_take_over_takes_none():
    many = [e.Latched("line", f"{at:064x}", "r2", "crashed") for at in range(MOST + 1)]
    taken = take_over(folded(*many), [said(3, (BAD, 2), (OTHER, 3))], fresh=FRESH)
    assert (taken.sequence, taken.failures) == (3, {})


def test_sequence_goes_on_under_another_key():
    ledger = folded(e.ReportMade(500, "p", "i1"))
    assert take_over(ledger, [], fresh=FRESH, bygone=[said(500)]) is None
    anew = folded(take_over(Ledger(), [said(3)], fresh=FRESH, bygone=[said(500, (BAD, 2))]))
    assert (anew.report_sequence, latches(anew)) == (3, {BAD: 2})


def test_journal_that_made_them_all_takes_over_nothing():
    ledger = folded(e.ReportMade(3, "p", "i1"))
    assert take_over(ledger, [said(1), said(3, (BAD, 2))], fresh=FRESH) is None


def test_older_copy_of_the_journal_takes_over_what_came_later():
    ledger = folded(e.ReportMade(3, "p", "i1"))
    ledger = folded(take_over(ledger, [said(3), said(5, (BAD, 4))], fresh=FRESH), ledger=ledger)
    assert (ledger.report_sequence, ledger.installation, latches(ledger)) == (5, FRESH, {BAD: 4})


def test_floor_that_was_put_back_makes_a_journal_unsure_until_it_has_heard():
    floor = Floor("c" * 40, "d" * 64, "e" * 40, 1, NOW)
    ledger = folded(e.ReportMade(3, "p", "i1"), e.FloorMoved(floor, commits=0, is_put_back=True))
    assert not ledger.is_sure
    taken = take_over(ledger, [said(3)], fresh=FRESH)
    assert taken.installation == "i1"
    assert folded(taken, ledger=ledger).is_sure


def test_installation_that_said_two_things_at_once_is_left():
    ledger = folded(e.ReportMade(3, "p", "i1"))
    taken = take_over(ledger, [said(3), said(3, word="again")], fresh=FRESH)
    assert taken.installation == FRESH
    assert take_over(folded(taken, ledger=ledger), [said(3), said(3, word="again")], fresh="another") is None


def test_digest_that_failed_again_after_a_retry_stands_with_the_later_failure():
    """The retry names the first one: it must not let the second go."""
    own = [said(5, (BAD, 5)), said(9, (BAD, 9))]
    assert latches(folded(take_over(Ledger(), own, fresh=FRESH))) == {BAD: 9}
    older = folded(e.Latched("line", BAD, "r2", "crashed"), e.ReportMade(5, "p", "i1", {"line": (BAD,)}))
    assert latches(older) == {BAD: 5}
    assert latches(folded(take_over(older, own, fresh=FRESH), ledger=older)) == {BAD: 9}


def test_failure_that_nobody_was_told_of_is_told_as_news_whatever_was_told_before():
    older = folded(e.ReportMade(3, "p", "i1"), e.Latched("line", BAD, "r2", "crashed"))
    assert latches(folded(take_over(older, [said(5, (BAD, 5))], fresh=FRESH), ledger=older)) == {BAD: 0}


def test_refusal_becomes_the_failure_that_it_hid():
    older = folded(e.ReportMade(3, "p", "i1"), e.Latched("line", BAD, "r2", "create-failed", is_refusal=True))
    ledger = folded(take_over(older, [said(5, (BAD, 5))], fresh=FRESH), ledger=older)
    assert (latches(ledger), ledger.deployments["line"].latches[BAD].is_refusal) == ({BAD: 5}, False)


WORDS = st.lists(
    st.builds(
        lambda sequence, digest, told, which, name: said(
            sequence,
            (digest * 64, min(told, sequence)),
            installation=f"i{which}",
            name=name,
            word=f"{digest}{told}{name}",
        ),
        st.integers(1, 6),
        st.sampled_from("abc"),
        st.integers(1, 6),
        st.integers(1, 2),
        st.sampled_from(["line", "other"]),
    ),
    max_size=8,
)


@given(WORDS, st.integers(0, 6), st.randoms())
def test_after_it_nothing_is_left_to_take_over_and_no_failure_is_lost_whatever_order_and_repetition(own, made, chance):
    before = folded(e.ReportMade(made, "p", "i1")) if made else Ledger()
    taken = take_over(before, own, fresh=FRESH)
    mixed = [*own, *own]
    chance.shuffle(mixed)
    assert take_over(before, mixed, fresh=FRESH) == taken
    if taken is None:
        return
    after = folded(read_event(*write_event(taken)), ledger=before)
    assert after.report_sequence >= max([made, *(one.report.sequence for one in own)])
    assert take_over(after, own, fresh="another") is None
    for name in ("line", "other"):
        told = {one.digest for one in Evidence(frozenset(own)).failures(name)}
        assert told <= (after.deployments[name].latches.keys() if name in after.deployments else set())
    liars = {installation for _, installation in Evidence(frozenset(own)).liars}
    assert after.installation not in liars


def test_event_of_an_older_version_is_read():
    event = read_event("word-taken-over", {"sequence": 3, "installation": "i"})
    assert event == WordTakenOver(3, "i")
    assert replace(event, sequence=4).failures == {}


def test_node_that_never_published_begins_with_the_first_number():
    taken = take_over(Ledger(), (), fresh="new")
    assert taken is not None
    assert (taken.sequence, taken.installation) == (0, "new")
