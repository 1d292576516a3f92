"""What is kept of a node's word says the same as all that it ever said."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.evidence import Evidence
from edgegitops.core.rollout.retention import MOST, SIZE_MOST, worth_keeping

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def said(sequence, *failures, installation="i1", name="line", digest="a" * 64, minutes=0):
    """A report; failures are (digest, sequence that told it first)."""
    kept = tuple(ReportedFailure("r2", bad, told, "crashed") for bad, told in failures)
    told = ReportedDeployment("r1", digest, ReportedState.HEALTHY, failures=kept)
    at = NOW + timedelta(minutes=minutes)
    report = Report("f", "plant", "gw", installation, "b", sequence, at, 1, "r1", deployments={name: told})
    return Statement(report, repr(report))


WORDS = st.sets(
    st.builds(
        lambda sequence, bad, told, which, name, digest: said(
            sequence, *((bad * 64, one) for one in told), installation=f"i{which}", name=name, digest=digest
        ),
        st.integers(1, 5),
        st.sampled_from("xy"),
        st.sets(st.integers(1, 4), max_size=2),
        st.integers(1, 2),
        st.sampled_from(["line", "other"]),
        st.sampled_from(["a" * 64, ABSENT]),
    ),
    max_size=10,
)


def kept(*several):
    return set(worth_keeping(dict.fromkeys(set().union(*several), 900)))


def lies(statements):
    return Evidence(frozenset(statements)).liars


def meaning(statements):
    """All but who lies."""
    evidence = Evidence(frozenset(statements))
    names = ("line", "other")
    return (
        evidence.latest,
        [evidence.failures(name) for name in names],
        [evidence.has_run(name, "plant/gw") for name in names],
    )


@given(WORDS, WORDS)
def test_what_is_kept_says_the_same_whatever_comes_first_and_comes_again(one, two):
    every = one | two
    assert kept(every) <= every
    assert (meaning(kept(every)), lies(kept(every))) == (meaning(every), lies(every))
    assert meaning(kept(kept(one), two)) == meaning(kept(kept(two), one)) == meaning(every)
    assert kept(kept(every)) == kept(every)
    assert lies(kept(kept(one), two)) >= lies(one) | lies(two)


def test_heartbeats_leave_one_report_of_a_node():
    assert kept([said(sequence, minutes=sequence) for sequence in range(1, 500)]) == {said(499, minutes=499)}


def test_failure_that_a_retry_let_go_is_kept_with_the_last_report_that_told_it():
    told = [said(sequence, ("x" * 64, 2)) for sequence in range(2, 9)]
    after = [said(sequence) for sequence in range(9, 99)]
    assert kept(told, after) == {said(8, ("x" * 64, 2)), said(98)}


def test_two_payloads_under_one_sequence_stay_as_a_proof_of_the_lie():
    lie = [said(3), said(3, minutes=1)]
    assert kept(lie, [said(sequence) for sequence in range(4, 50)]) == {*lie, said(49)}


def test_word_under_the_key_of_now_comes_first_and_of_one_before_only_failures_are_kept():
    now, told, ran = said(1), said(500, ("x" * 64, 2)), said(600, name="other")
    found = worth_keeping(dict.fromkeys([told, now, ran], 900), [told, ran])
    assert found == (now, told)


def test_newest_report_is_kept_once_also_where_it_is_half_of_a_lie():
    lie = [said(3), said(3, minutes=1)]
    assert worth_keeping(dict.fromkeys(lie, 900)) == (lie[1], lie[0])


def test_third_payload_under_one_sequence_proves_nothing_more():
    third, *newer = (said(3, minutes=at) for at in range(3))
    assert kept([third, *newer]) == set(newer)


def test_bounds_of_one_node_are_what_the_pages_say():
    assert (MOST, SIZE_MOST) == (32, 262_144)


@pytest.mark.parametrize(("more", "is_kept"), [(0, True), (1, False)])
def test_what_fills_the_bound_to_the_byte_is_kept_and_a_byte_more_is_not(more, is_kept):
    """The newest report is not counted."""
    newest, old, older = said(9), said(8, ("x" * 64, 1)), said(7, ("y" * 64, 1))
    found = worth_keeping({newest: SIZE_MOST, old: 1000, older: SIZE_MOST - 1000 + more})
    assert found == ((newest, old, older) if is_kept else (newest, old))


def test_node_that_floods_its_word_takes_a_bounded_place_and_its_newest_report_stays():
    flood = {said(at, ("x" * 64, at)): SIZE_MOST // 10 for at in range(1, 200)}
    newest = said(200)
    found = worth_keeping(flood | {newest: 4 * SIZE_MOST})
    assert found[0] == newest
    assert sum(flood[one] for one in found[1:]) <= SIZE_MOST
    assert len(worth_keeping(dict.fromkeys(flood, 1))) == MOST
