"""Loops among what waits."""

from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.desired.graph import find_cycle

GRAPHS = st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdefx")), max_size=6)


def test_loop_begins_with_its_smallest_name():
    assert find_cycle({"a": {"c"}, "c": {"b"}, "b": {"c"}}) == ("b", "c")
    assert find_cycle({"a": {"a"}}) == ("a",)
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": {"gone"}}) == ()


@given(GRAPHS)
def test_what_is_found_is_a_loop(edges):
    loop = find_cycle(edges)
    assert len(set(loop)) == len(loop)
    assert all(after in edges[before] for before, after in zip(loop, (*loop[1:], *loop[:1]), strict=True))


@given(GRAPHS)
def test_without_a_loop_everything_can_start_in_some_order(edges):
    if find_cycle(edges):
        return
    started: set[str] = set()
    for _ in edges:
        started |= {name for name, afters in edges.items() if afters & edges.keys() <= started}
    assert started == edges.keys()
