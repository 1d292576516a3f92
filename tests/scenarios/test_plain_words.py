"""Plain words: every reason has a sentence, spans are short, and text from outside is tame."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.cli import plain_words as words
from edgegitops.core.model.reasons import Doubt, HoldReason, Refusal

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("reason", HoldReason)
def test_every_reason_to_wait_is_explained(reason: HoldReason) -> None:
    assert words.HOLDS[reason][0]


@pytest.mark.parametrize("reason", Refusal)
def test_every_failure_is_explained(reason: Refusal) -> None:
    assert words.REFUSALS[reason]


def test_tables_name_only_reasons_that_exist() -> None:
    assert set(words.HOLDS) <= set(HoldReason)
    assert set(words.REFUSALS) <= set(Refusal)
    assert set(words.DOUBTS) <= set(Doubt)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_600, "1 h"),
        (3_659, "1 h"),
        (7_500, "2 h 5 min"),
        (90_061, "1 d 1 h"),
        (86_400 + 60, "1 d"),
    ],
)
def test_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert words.span(timedelta(seconds=seconds)) == text


def test_end_says_how_long_is_left() -> None:
    assert words.until(AT + timedelta(hours=2), AT) == "until 2026-03-01 14:00:00 UTC (2 h left)"
    assert words.until(AT, AT + timedelta(hours=2)) == "until 2026-03-01 12:00:00 UTC"
    assert words.until(None, AT) == ""


def test_reason_without_a_sentence_is_its_own_word() -> None:
    assert words.why("brand-new", "seen") == "brand-new: seen"
    assert words.why("", "seen") == "seen"
    assert words.why("port-taken", "8080") == "a port that it publishes is taken (port-taken): 8080"


@given(text=st.text())
def test_text_from_outside_steers_no_terminal(text: str) -> None:
    assert words.visible(text).isprintable()
    assert words.visible(text, keep="\n").replace("\n", "").isprintable()
