"""Merge patch: every example of RFC 7386, appendix A, and its laws."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.desired.merge import merge_patch

EXAMPLES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def without_nulls(tree):
    if isinstance(tree, dict):
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    return tree


@pytest.mark.parametrize(("target", "patch", "result"), EXAMPLES)
def test_example_of_the_rfc(target, patch, result):
    assert merge_patch(target, patch) == result


@given(TREES, TREES)
def test_patch_changes_neither_of_its_inputs(target, patch):
    before = copy.deepcopy((target, patch))
    merge_patch(target, patch)
    assert (target, patch) == before


@given(TREES, TREES)
def test_patching_twice_is_patching_once(target, patch):
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(TREES)
def test_empty_patch_changes_no_object(target):
    if isinstance(target, dict):
        assert merge_patch(target, {}) == target


@given(TREES)
def test_patch_over_nothing_is_the_patch_without_nulls(patch):
    assert merge_patch({}, patch) == (without_nulls(patch) if isinstance(patch, dict) else patch)
