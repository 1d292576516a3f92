"""SSH wire data has one reading."""

import pytest

from edgegitops.core.trust.wire import Wire, string


@pytest.mark.parametrize(("raw", "value"), [(b"\1", 1), (b"\x7f", 127), (b"\0\x80", 128), (b"\1\0", 256)])
def test_shortest_form_of_a_number_is_read(raw, value):
    assert Wire(string(raw)).positive() == value


@pytest.mark.parametrize("raw", [b"", b"\0", b"\x80", b"\xff", b"\0\1", b"\0\0\x80", b"\xff\x80"])
def test_zero_negative_and_padded_numbers_are_no_numbers(raw):
    with pytest.raises(ValueError, match="number"):
        Wire(string(raw)).positive()


def test_each_part_is_read_once_and_in_turn():
    wire = Wire(string(b"ab") + b"\0\0\1\0" + b"xy")
    assert (wire.string(), wire.number(), wire.take(2)) == (b"ab", 256, b"xy")
    wire.end()


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xffabc"])
def test_string_beyond_the_end_is_refused(data):
    with pytest.raises(ValueError, match="early"):
        Wire(data).string()


def test_bytes_that_are_left_are_counted():
    with pytest.raises(ValueError, match="2 bytes too many"):
        Wire(b"ab").end()
