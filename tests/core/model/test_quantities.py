"""Quantities: one spelling a unit, near misses refused with what was meant."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.quantities import (
    parse_cpus,
    parse_duration,
    parse_memory,
    suggest_cpus,
    suggest_duration,
    suggest_memory,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("30s", 30), ("5m", 300), ("2h", 7200), ("7d", 604800), ("999999999d", None)]
)
def test_duration_is_a_number_and_one_unit(text, seconds):
    assert parse_duration(text) == (timedelta(days=999999999) if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("5min", "5m"),
        ("30 seconds", "30s"),
        ("1m30s", "90s"),
        ("1h 30m", "5400s"),
        ("30", "30s"),
        ("5M", "5m"),
        ("2hrs", "2h"),
        ("05m", "5m"),
        ("soon", ""),
        ("5ms", ""),
        ("", ""),
        ("-5s", ""),
        ("5s\n", "5s"),
        ("٣s", ""),
    ],
)
def test_near_miss_of_a_duration_is_refused_with_what_was_meant(text, meant):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
    assert suggest_duration(text) == meant


@pytest.mark.parametrize(
    ("value", "amount"),
    [("256Mi", 256 * 1024**2), ("1.5Gi", 1536 * 1024**2), ("200M", 200_000_000), (1024, 1024), ("7", 7), ("1K", 1000)],
)
def test_memory_is_read_as_bytes(value, amount):
    assert parse_memory(value) == amount


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("256mb", "256M"),
        ("256m", "256M"),
        ("1 GiB", "1Gi"),
        ("1gi", "1Gi"),
        ("64k", "64K"),
        ("10b", "10"),
        ("lots", ""),
        (True, ""),
        ("-1", ""),
    ],
)
def test_near_miss_of_memory_is_refused_with_what_was_meant(value, meant):
    with pytest.raises(ValueError, match="is not an amount of memory"):
        parse_memory(value)
    assert suggest_memory(str(value)) == meant


def test_a_fraction_of_a_byte_is_refused():
    with pytest.raises(ValueError, match="whole number of bytes"):
        parse_memory("1.5")


@pytest.mark.parametrize(
    ("value", "milli"), [(2, 2000), (0.5, 500), ("0.25", 250), ("500m", 500), ("1500m", 1500), (2.0, 2000), (0.001, 1)]
)
def test_cpus_are_read_as_thousandths(value, milli):
    assert parse_cpus(value) == milli


@pytest.mark.parametrize(
    ("value", "meant"), [("50%", "500m"), ("2 cpus", "2"), ("0.0001", ""), (True, ""), ("many", ""), (1e-9, "")]
)
def test_near_miss_of_cpus_is_refused_with_what_was_meant(value, meant):
    with pytest.raises(ValueError, match="is not a number of CPUs"):
        parse_cpus(value)
    assert suggest_cpus(str(value)) == meant


@given(st.text())
def test_suggestions_are_always_readable(text):
    for suggest, parse in ((suggest_duration, parse_duration), (suggest_cpus, parse_cpus)):
        if meant := suggest(text):
            parse(meant)
    suggest_memory(text)


@given(st.integers(0, 10**9 - 1), st.sampled_from("smhd"))
def test_every_number_with_a_unit_is_a_duration(number, unit):
    assert parse_duration(f"{number}{unit}") >= timedelta(0)
