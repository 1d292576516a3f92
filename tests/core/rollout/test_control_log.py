"""The log of a deployment: whatever shape people and attackers give it, places are those of the rules."""

from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.rollout.control_log import ControlLog

ROLES = frozenset({"release-manager"})


def made(number, previous, kind=ControlKind.RETRY):
    """A tag that continues these."""
    return ControlTag(
        f"t{number}", number, "app", kind, "r1", "rosa", roles=ROLES, roles_now=ROLES, previous=tuple(sorted(previous))
    )


@st.composite
def logs(draw):
    """Tags that continue some earlier ones, of which some are unknown here."""
    tags = []
    for number in range(draw(st.integers(1, 9))):
        near = [f"t{one}" for one in range(max(0, number - 3), number)]
        tags.append(made(number, draw(st.sets(st.sampled_from(near))) if near else ()))
    lost = draw(st.sets(st.integers(0, 8), max_size=1))
    return [tag for tag in tags if tag.number not in lost]


def before(tags, tag):
    """All that a tag continues, over others, by the word of the rules; unknown ones too."""
    known = {one.payload: one for one in tags}
    found = set(tag.previous)
    for one in tag.previous:
        if one in known:
            found |= before(tags, known[one])
    return found


def has_place(tags, tag):
    known = {one.payload for one in tags}
    rooted = [one for one in tags if before(tags, one) <= known]
    mine = before(tags, tag)
    return tag in rooted and all(
        one.payload == tag.payload or one.payload in mine or tag.payload in before(tags, one) for one in rooted
    )


@given(logs())
def test_positive_counts_exactly_where_all_before_it_is_known_and_nothing_of_that_kind_stands_beside_it(tags):
    log = ControlLog(frozenset(tags))
    assert {tag.payload for tag in tags if log.counts(tag)} == {tag.payload for tag in tags if has_place(tags, tag)}
    for tag in tags:
        for other in tags:
            assert log.stands_after(tag, other) == (other.payload in before(tags, tag))


def test_log_of_many_years_is_read_and_so_is_one_that_a_stolen_key_wrote_full():
    """Both took the square of their length, in memory too: more than a worker may have."""
    years = [made(number, (f"t{number - 1}",) if number else ()) for number in range(6_000)]
    halts = [made(number, (), ControlKind.HALT) for number in range(6_000, 9_000)]
    assert len(ControlLog(frozenset(years)).retries) == len(years)
    full = ControlLog(frozenset([*years, *halts]))
    assert (full.retries, len(full.halts)) == ((), len(halts))
