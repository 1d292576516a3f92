"""The paths that differ between two trees, against the naive answer, and what it costs to find them."""

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import TrustLimits
from edgegitops.core.trust.changes import Change, changes
from edgegitops.core.trust.lookup import Lookup

NAMES = st.sampled_from(["a", "a.b", "a-b", "a0", "b"])
FLAT = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.sampled_from([b"1", b"2", b"3"]))


def tidy(files):
    """Without files that lie below another file."""
    return {path: data for path, data in files.items() if not any(path.startswith(other + "/") for other in files)}


def between(store, old, new, **limits):
    return changes(Lookup(store, TrustLimits(**limits)), store.tree(old), store.tree(new))


@given(FLAT.map(tidy), FLAT.map(tidy))
def test_differing_paths_are_those_of_the_naive_answer(forge_of_module, old, new):
    expected = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    found = between(forge_of_module.store, old, new)
    assert {change.path for change in found} == expected
    assert [change.path for change in found] == sorted(expected)
    folders = {path[:at] for path in old for at, letter in enumerate(path) if letter == "/"}
    assert {change.path for change in found if change.is_added} == new.keys() - old.keys() - folders


def test_file_that_became_a_folder_differs_as_both(forge):
    assert between(forge.store, {"a": b"1"}, {"a/x": b"1"}) == (Change("a", False), Change("a/x", True))
    assert between(forge.store, {"a/x": b"1"}, {"a": b"1"}) == (Change("a", False), Change("a/x", False))


def test_no_difference_of_trees_is_without_a_path(forge):
    empty = ("40000", forge.store.raw_tree([]))
    assert between(forge.store, {}, {"a": empty}) == (Change("a", True),)
    assert between(forge.store, {"a": empty}, {}) == (Change("a", False),)
    assert between(forge.store, {"a": empty}, {"a/x": b"1"}) == (Change("a/x", True),)
    nested = ("40000", forge.store.raw_tree([("40000", "b", empty[1])]))
    assert between(forge.store, {}, {"a": nested}) == (Change("a/b", True),)


def test_submodules_and_symlinks_are_compared_and_never_read(forge):
    old = {"sub": ("160000", "1" * 40), "link": ("120000", "2" * 40)}
    new = {"sub": ("160000", "3" * 40), "link": ("120000", "4" * 40)}
    assert [change.path for change in between(forge.store, old, new)] == ["link", "sub"]


def test_names_that_are_not_utf8_differ_under_shown_names(forge):
    blob = forge.store.put("blob", b"x")
    tree = forge.store.raw_tree([("100644", b"\xff\x1b", blob), ("100644", "é", blob)])
    found = changes(Lookup(forge.store, TrustLimits()), forge.store.raw_tree([]), tree)
    assert {change.path for change in found} == {"\\xff\x1b", "é"}


def test_cost_is_that_of_the_difference_and_not_of_the_repository(forge):
    old = {f"sites/p{n % 50:02}/s{n:04}.yaml": b"x" for n in range(2_000)}
    new = old | {"sites/p07/s0007.yaml": b"y"}
    one, two = forge.store.tree(old), forge.store.tree(new)
    forge.store.reads.clear()
    found = changes(Lookup(forge.store, TrustLimits()), one, two)
    assert found == (Change("sites/p07/s0007.yaml", False),)
    assert len(forge.store.reads) == 6
    assert changes(Lookup(forge.store, TrustLimits()), one, one) == ()
    assert len(forge.store.reads) == 6


def test_trees_that_were_read_are_not_read_again(forge):
    trees = [forge.store.tree({"apps/a/x": b"%d" % n}) for n in range(4)]
    lookup = Lookup(forge.store, TrustLimits())
    forge.store.reads.clear()
    for old, new in pairwise(trees):
        assert changes(lookup, old, new) == (Change("apps/a/x", False),)
    assert len(forge.store.reads) == len(set(forge.store.reads)) == 12


def test_kept_trees_are_bounded(forge, monkeypatch):
    monkeypatch.setattr("edgegitops.core.trust.lookup.CACHED_ENTRIES", 50)
    lookup = Lookup(forge.store, TrustLimits())
    for n in range(100):
        assert len(lookup.tree(forge.store.tree({f"f{m}": b"%d" % n for m in range(9)}))) == 9
    assert len(lookup._kept) == 5


def test_tree_beyond_its_size_limit_is_never_loaded(forge):
    big = forge.store.tree({f"f{n}": b"x" for n in range(100)})
    forge.store.reads.clear()
    found = changes(Lookup(forge.store, TrustLimits(tree_size=1000)), forge.store.raw_tree([]), big)
    assert found.doubt is Doubt.OBJECT_TOO_LARGE
    assert big not in forge.store.reads


def test_object_that_is_shorter_than_its_header_says_is_missing(forge):
    tree = forge.store.tree({"a": b"1"})

    class Torn:
        header = staticmethod(forge.store.header)

        @staticmethod
        def read(oid):
            found = forge.store.kept[oid]
            return type(found)(found.kind, found.data[:-1])

    assert Lookup(Torn(), TrustLimits()).rows(tree).doubt is Doubt.OBJECT_MISSING


def test_missing_tree_on_either_side_is_refused_with_its_path(forge):
    whole, gone = forge.store.tree({"apps/a": b"1"}), forge.store.raw_tree([("40000", "apps", "1" * 40)])
    for old, new in [(whole, gone), (gone, whole)]:
        found = changes(Lookup(forge.store, TrustLimits()), old, new)
        assert (found.doubt, found.subject) == (Doubt.OBJECT_MISSING, new)
        assert "'apps'" in found.detail


def test_limits_of_one_comparison_are_exact(forge):
    new = {f"f{n}": b"x" for n in range(9)}
    assert len(between(forge.store, {}, new, entries=10)) == 9
    assert between(forge.store, {}, new, entries=9).doubt is Doubt.LIMIT_EXCEEDED
    assert len(between(forge.store, {}, {"d/d/d/f": b"x"}, walk_depth=3)) == 1
    assert between(forge.store, {}, {"d/d/d/d/f": b"x"}, walk_depth=3).doubt is Doubt.LIMIT_EXCEEDED


def test_object_that_vanishes_or_changes_its_kind_after_its_header_is_missing(forge):
    tree = forge.store.tree({"a": b"1"})

    class Gone:
        header = staticmethod(forge.store.header)

        @staticmethod
        def read(_):
            return None

    class Other(Gone):
        @staticmethod
        def read(oid):
            found = forge.store.kept[oid]
            return type(found)("blob", found.data)

    for objects in (Gone(), Other()):
        assert Lookup(objects, TrustLimits()).rows(tree).doubt is Doubt.OBJECT_MISSING


def test_object_of_exactly_the_limit_is_read(forge):
    blob = forge.store.put("blob", b"x" * 100)
    assert Lookup(forge.store, TrustLimits(object_size=100)).blob(blob) == b"x" * 100
    assert Lookup(forge.store, TrustLimits(object_size=99)).blob(blob).doubt is Doubt.OBJECT_TOO_LARGE
