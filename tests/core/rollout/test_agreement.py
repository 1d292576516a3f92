"""What interlocks say to a stop."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.plant import Answer, Interlock
from edgegitops.core.rollout.interlocks import Held, ask_interlocks

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ONES = [Interlock(f"i{number}", "sites/a.yaml", path="/a", for_at_least=timedelta(seconds=60)) for number in range(3)]
answers = st.dictionaries(
    st.sampled_from(ONES),
    st.builds(Answer, st.none() | st.booleans(), st.sampled_from([timedelta(), timedelta(seconds=60)])),
)


@given(answers)
def test_only_what_was_answered_yes_for_long_enough_opens(said):
    agreement = ask_interlocks(ONES, said, Held(), now=NOW)
    is_open = all(one in said and said[one].agrees and said[one].agreed_for >= one.for_at_least for one in ONES)
    assert (agreement.hold is None) is is_open
    assert not (is_open and agreement.questions)


@given(answers, st.sampled_from(ONES), st.sampled_from([None, False]))
def test_more_doubt_never_opens(said, one, agrees):
    assert ask_interlocks(ONES, said | {one: Answer(agrees)}, Held(), now=NOW).hold is not None


def test_nothing_asked_for_is_open():
    assert ask_interlocks([], {}, Held(), now=NOW).hold is None


def test_a_refusal_is_asked_again_later_and_not_now():
    agreement = ask_interlocks(ONES, dict.fromkeys(ONES, Answer(agrees=False)), Held(), now=NOW)
    assert agreement.questions == ()
    assert agreement.hold is not None
    assert agreement.hold.until == NOW + timedelta(seconds=30)


def test_while_it_is_asked_again_the_old_words_stay():
    agreement = ask_interlocks(ONES, {}, Held(NOW, "as before"), now=NOW)
    assert agreement.hold is not None
    assert (agreement.hold.detail, agreement.questions) == ("as before", tuple(ONES))


MINUTE = timedelta(minutes=1)
FORCING = replace(ONES[0], max_defer=MINUTE, forces=True)


def test_first_that_does_not_agree_is_told():
    agreement = ask_interlocks(ONES, dict.fromkeys(ONES, Answer(agrees=False, detail="busy")), Held(), now=NOW)
    assert agreement.hold is not None
    assert agreement.hold.detail == f"{ONES[0].label} does not agree: busy"


def test_words_are_those_of_the_first_that_does_not_agree():
    said = {ONES[0]: Answer(agrees=False, detail="busy"), ONES[1]: Answer(None, detail="gone")}
    agreement = ask_interlocks(ONES[:2], said, Held(), now=NOW)
    assert agreement.hold is not None
    assert agreement.hold.detail == f"{ONES[0].label} does not agree: busy"


def test_who_cannot_be_asked_is_told_so():
    agreement = ask_interlocks(ONES[:1], {ONES[0]: Answer(None)}, Held(), now=NOW)
    assert agreement.hold is not None
    assert agreement.hold.detail == f"{ONES[0].label} cannot be asked"


def test_longest_of_the_times_that_are_too_short_is_told():
    longer = replace(ONES[1], for_at_least=2 * MINUTE)
    agreement = ask_interlocks(
        [ONES[0], longer], dict.fromkeys([ONES[0], longer], Answer(agrees=True)), Held(), now=NOW
    )
    assert agreement.hold is not None
    assert "for 120 s" in agreement.hold.detail


@pytest.mark.parametrize(("waited", "is_overdue"), [(MINUTE, True), (MINUTE - timedelta(seconds=1), False)])
def test_one_that_waits_for_too_long_makes_the_hold_overdue(waited, is_overdue):
    several = [replace(ONES[0], max_defer=MINUTE), ONES[1]]
    agreement = ask_interlocks(several, dict.fromkeys(several, Answer(agrees=False)), Held(NOW - waited), now=NOW)
    assert agreement.hold is not None
    assert agreement.hold.is_overdue is is_overdue


@pytest.mark.parametrize(
    ("may_force", "answer", "forced"),
    [
        (True, Answer(agrees=False), FORCING.label),
        (True, Answer(None), FORCING.label),
        (True, Answer(agrees=True, agreed_for=59 * timedelta(seconds=1)), FORCING.label),
        (True, Answer(agrees=True, agreed_for=MINUTE), ""),
        (True, Answer(agrees=True, agreed_for=2 * MINUTE), ""),
        (False, Answer(agrees=False), None),
    ],
)
def test_overdue_one_is_overruled_where_it_may_be_and_only_where_it_does_not_agree(may_force, answer, forced):
    agreement = ask_interlocks([FORCING], {FORCING: answer}, Held(NOW - MINUTE), now=NOW, may_force=may_force)
    assert (agreement.forced if agreement.hold is None else None) == forced


def test_nothing_is_overruled_unless_somebody_says_so():
    assert ask_interlocks([FORCING], {FORCING: Answer(agrees=False)}, Held(NOW - MINUTE), now=NOW).hold is not None
