"""Any bytes, and any wrong bytes within right ones: readers answer with a value or an error of ours, small and soon."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.any_bytes import read_within, readers

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
FEW = settings(max_examples=2_000 if IS_DEEP else 40)
WORDS = st.sampled_from([b"\0", b"\n", b"\r\n", b"\n\n", b" ", b"\xff" * 4, b"\x7f\xff\xff\xff", b"{" * 9, b"9" * 400])


@st.composite
def mutated(draw: st.DrawFn, sample: bytes) -> bytes:
    """A sample with a few wounds: a piece cut out, doubled, moved, or replaced."""
    data = sample
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, min(len(data), at + draw(st.sampled_from([1, 4, 40, 4000])))))
        new = draw(st.binary(max_size=12) | WORDS | st.just(data[at:to] * 2))
        data = data[:at] + new + data[to:]
    return data


@pytest.mark.parametrize("name", readers())
@FEW
@given(data=st.data())
def test_wounded_bytes_are_a_value_or_an_error_of_ours(name: str, data: st.DataObject) -> None:
    reader = readers()[name]
    read_within(reader, data.draw(mutated(data.draw(st.sampled_from(reader.samples)))))


@pytest.mark.parametrize("name", readers())
@FEW
@given(data=st.binary(max_size=600))
def test_any_bytes_are_a_value_or_an_error_of_ours(name: str, data: bytes) -> None:
    read_within(readers()[name], data)


LARGE = 1024 * 1024 if IS_DEEP else 128 * 1024  # no blob is larger than 1 MiB


@pytest.mark.parametrize("name", readers())
@pytest.mark.parametrize("fill", [b"\0", b"\n", b" ", b"[", b'"', b"9", b"A\n", b"a b\n"])
def test_large_and_dull_bytes_cost_no_more(name: str, fill: bytes) -> None:
    """Nested, doubled and quadratic things show themselves where the same is said again and again."""
    reader = readers()[name]
    read_within(reader, fill * (LARGE // len(fill)))
    for sample in reader.samples:
        half = len(sample) // 2
        read_within(reader, sample[:half] + fill * (LARGE // len(fill)) + sample[half:])


@pytest.mark.parametrize("name", readers())
def test_samples_are_valid(name: str) -> None:
    """Else the wounds would be those of something dead."""
    reader = readers()[name]
    for sample in reader.samples:
        assert "Refused" not in type(reader.read(sample)).__name__
