"""Selectors against a table and against their own string form."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.desired.selectors import matches, node_tags, parse_selector, selector_text
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import NodeEntry, Origin, Site
from edgegitops.core.model.selector import Requirement, Selector

TABLE = json.loads((Path(__file__).parents[2] / "vectors/selectors.json").read_text())
KEYS = st.from_regex(
    r"(?:[a-z][a-z0-9-]{0,5}[a-z]\.example/)?[A-Za-z](?:[A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?", fullmatch=True
)
VALUES = st.from_regex(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?)?", fullmatch=True)
NUMBERS = st.integers(-(10**9), 10**9).map(str)
REQUIREMENTS = st.one_of(
    st.builds(Requirement, KEYS, st.sampled_from(["In", "NotIn"]), st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(Requirement, KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
    st.builds(Requirement, KEYS, st.sampled_from(["Gt", "Lt"]), st.tuples(NUMBERS)),
)
SELECTORS = st.one_of(
    st.just(Selector(is_all=True)),
    st.lists(REQUIREMENTS, min_size=1, max_size=4).map(lambda found: Selector(tuple(found))),
)
TAGS = st.dictionaries(KEYS, VALUES, max_size=5)
OPPOSITES = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}


@pytest.mark.parametrize("row", TABLE["matches"], ids=lambda row: f"{row['selector']} {row['tags']}")
def test_selector_matches_as_the_table_says(row):
    selector = parse_selector(row["selector"])
    assert isinstance(selector, Selector)
    assert matches(selector, row["tags"]) is row["is_match"]


@pytest.mark.parametrize("row", TABLE["refused"], ids=lambda row: row["selector"] or "empty")
def test_text_that_is_no_selector_is_refused(row):
    fault = parse_selector(row["selector"])
    assert isinstance(fault, Fault)
    assert fault.code == row["code"]
    assert fault.expected


@given(SELECTORS)
def test_text_of_a_selector_reads_back_to_it(selector):
    assert parse_selector(selector_text(selector)) == selector


@given(REQUIREMENTS.filter(lambda one: one.operator in OPPOSITES), TAGS)
def test_opposite_operators_answer_opposite(requirement, tags):
    opposite = Requirement(requirement.key, OPPOSITES[requirement.operator], requirement.values)
    assert matches(Selector((requirement,)), tags) is not matches(Selector((opposite,)), tags)


@given(st.lists(REQUIREMENTS, min_size=2, max_size=4), TAGS)
def test_all_requirements_must_hold_in_any_order(requirements, tags):
    each = [matches(Selector((one,)), tags) for one in requirements]
    assert matches(Selector(tuple(requirements)), tags) is all(each)
    assert matches(Selector(tuple(reversed(requirements))), tags) is all(each)


def test_selector_that_says_nothing_selects_nothing():
    assert not matches(Selector(), {"a": "b"})
    assert not matches(Selector((Requirement("a", "Nearly", ("b",)),)), {"a": "b"})


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_a_fault(text):
    found = parse_selector(text)
    assert isinstance(found, Fault) or parse_selector(selector_text(found)) == found


def test_node_tags_cover_the_site_and_nobody_covers_site_and_node():
    node = NodeEntry("gw-a", tags={"tier": "pilot", "node": "stolen"})
    site = Site(Origin("s"), "plant", {"tier": "production", "region": "emea", "site": "stolen"}, {"gw-a": node})
    assert node_tags(site, node) == {"tier": "pilot", "region": "emea", "site": "plant", "node": "gw-a"}
