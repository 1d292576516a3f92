"""The canonical form is RFC 8785's, whoever makes it."""

import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from edgegitops.core.model.canonical import canonical_json

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(st.characters()), below, max_size=4),
    max_leaves=12,
)


def either(encode, tree):
    """The bytes, or that there is no canonical form."""
    try:
        return encode(tree)
    except (ValueError, RecursionError):
        return None


@given(TREES)
@example([1e-4, 9.9e-5, 1e15, 123456789012345.67, 1e16, 1e21, 1e-7, 600.0, -0.0, 0.1, 612.345])
@example([2**53 - 1, -(2**53) + 1])
@example([2**53])
@example({"\ue000": 1, "\U0001f600": 2, "a": 3})
@example('\x00\x1f\x7f"\\/\b\f\n\r\t\u2028é')
@example("\ud800")
def test_canonical_form_is_that_of_rfc_8785(tree):
    assert either(canonical_json, tree) == either(rfc8785.dumps, tree)
