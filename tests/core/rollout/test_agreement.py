"""What interlocks say to a stop."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.plant import Answer, Interlock
from edgegitops.core.rollout.interlocks import ASKED_AGAIN_AFTER, Held, ask_interlocks

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
    assert agreement.hold.until == NOW + ASKED_AGAIN_AFTER


def test_while_it_is_asked_again_the_old_words_stay():
    agreement = ask_interlocks(ONES, {}, Held(NOW, "as before"), now=NOW)
    assert agreement.hold is not None
    assert (agreement.hold.detail, agreement.questions) == ("as before", tuple(ONES))
