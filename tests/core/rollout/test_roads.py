"""Tables of the ways from base to candidate: where the base is, what a revision changes, whom a failure concerns."""

import pytest
from tests.core.rollout.world import D, content, page

from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.waves import ABSENT, Edition, Editions
from edgegitops.core.rollout.blame import Failure, does_concern, is_mended
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.exclusion import barring, excluding
from edgegitops.core.rollout.road import Road, changed_nodes, is_changed, is_changed_for_blame, road_to

N, M, O = "a/n", "b/m", "c/o"  # noqa: E741 - a third node is called so


def chain(**words: str) -> Editions:
    """What each revision gives each node, a letter a revision; `-` is nothing. The revisions are r0, r1 and so on."""
    nodes = {"n": N, "m": M, "o": O}
    count = len(next(iter(words.values())))
    return Editions(
        tuple(
            page(f"r{at}", {nodes[short]: line[at] for short, line in words.items()}, dict.fromkeys(nodes.values(), 0))
            for at in range(count)
        )
    )


@pytest.mark.parametrize(
    ("given", "runs", "base", "is_from_nothing"),
    [
        ("AB", "A", 0, False),
        ("AAB", "A", 1, False),
        ("ABAC", "A", 2, False),
        ("ABCB", "B", 1, False),
        ("AB", "Z", 0, True),
        ("A", "-", 0, True),
        ("-A", "-", 1, True),
        ("AB", "-", 0, True),
        ("A-B", "-", 0, True),
        ("AB-C", "-", 1, True),
        ("--AB", "-", 2, True),
        ("-A-BC", "-", 1, True),
        ("-A--B", "-", 1, True),
        ("A-B-C", "-", 2, True),
        ("---", "-", 2, True),
        ("AB-", "B", 1, False),
        ("AB-", "Z", 1, True),
    ],
)
def test_base_is_the_newest_revision_that_gave_what_runs(
    given: str, runs: str, base: int, *, is_from_nothing: bool
) -> None:
    """From nothing, policy is read before the last absence, else where the deployment first came."""
    road = road_to(chain(n=given), N, content(runs), len(given) - 1)
    assert (road.base, road.is_from_nothing, road.candidate) == (base, is_from_nothing, len(given) - 1)


def test_candidate_itself_is_never_the_base() -> None:
    assert road_to(chain(n="AA"), N, content("A"), 1).base == 0
    assert road_to(chain(n="BA"), N, content("A"), 1).is_from_nothing


def test_road_says_what_lies_between() -> None:
    pages = chain(n="AABB", m="AACC", o="AAA-")
    road = road_to(pages, N, content("A"), 3)
    assert (road.before, road.after, road.span) == (pages.edition(1), pages.edition(3), range(2, 4))
    assert (road.was(N), road.own_changes, road.touched) == (content("A"), (2,), {N, M, O})
    assert [road.is_covered(name) for name in (N, M, O)] == [True, True, True]


def test_who_is_given_what_it_had_is_not_covered() -> None:
    road = road_to(chain(n="AB", m="AA", o="ABA"), N, content("A"), 1)
    assert [road.is_covered(name) for name in (N, M, O)] == [True, False, True]


def test_last_change_is_the_last_on_the_way_else_its_end() -> None:
    assert road_to(chain(n="ABCC"), N, content("A"), 3).last_change == 2
    assert Road(chain(n="ABBB"), N, 1, 3).last_change == 3


def test_last_mend_is_the_last_that_changed_both_else_none() -> None:
    road = road_to(chain(n="ABCC", m="AXYY", o="AAAZ"), N, content("A"), 3)
    assert [road.last_mend(name) for name in (M, O)] == [2, -1]


def test_from_nothing_everybody_is_covered_and_everything_is_news() -> None:
    road = road_to(chain(n="AAB", m="AAA"), N, ABSENT, 2)
    assert (road.span, road.was(M), road.is_covered(M)) == (range(3), ABSENT, True)
    assert (road.own_changes, road.touched) == ((0, 2), {N, M})


@pytest.mark.parametrize(("given", "changes"), [("AAB", (0, 2)), ("-AA", (1,)), ("A-A", (0, 1, 2)), ("---", ())])
def test_revision_changes_a_node_where_its_digest_differs(given: str, changes: tuple[int, ...]) -> None:
    pages = chain(n=given, m="AAA")
    assert tuple(at for at in range(3) if is_changed(pages, N, at)) == changes
    assert tuple(at for at in range(3) if N in changed_nodes(pages, at)) == changes
    assert list(changed_nodes(pages, 0)).count(M) == 1


@pytest.mark.parametrize(
    ("given", "others", "is_blamed"),
    [
        ("AB", "AA", True),
        ("AA", "AB", False),
        ("-B", "AB", True),
        ("-B", "AA", False),
        ("--", "AB", True),
        ("A-", "AA", True),
        ("-A", "--", True),
    ],
)
def test_node_that_did_not_have_it_stands_with_the_others_for_blame(
    given: str, others: str, *, is_blamed: bool
) -> None:
    assert is_changed_for_blame(chain(n=given, m=others), N, 1) is is_blamed


def test_node_that_did_not_have_it_stands_with_all_of_the_others() -> None:
    assert not is_changed_for_blame(chain(n="-B", m="AB", o="AA"), N, 1)
    assert is_changed_for_blame(chain(n="-B", m="AB", o="-A"), N, 1)
    assert not is_changed_for_blame(chain(n="-B", m="AA"), N, 1)


def test_first_revision_changes_whom_it_gives_something() -> None:
    assert is_changed_for_blame(chain(n="A"), N, 0)
    assert is_changed(chain(n="A"), N, 0)
    assert not is_changed(chain(n="-"), N, 0)


def concerns(pages: Editions, at: str, *, runs: str = "A", word: str = "B", node: str = M) -> bool:
    """Whether a failure of m at that revision concerns n, which runs that release."""
    road = road_to(pages, N, content(runs), len(pages.revisions) - 1)
    return does_concern(Failure(node, at, content(word)), road)


@pytest.mark.parametrize(
    ("n", "m", "at", "does"),
    [
        ("AB", "AB", "r1", True),  # it lies between, and nothing mended it
        ("ABC", "ABC", "r1", False),  # the next one changed both
        ("ABC", "ABB", "r1", True),  # m was left as it was, and the base had not given it that
        ("ABB", "ABC", "r1", True),  # n gets what it would have got then
        ("AAB", "ABC", "r1", False),  # both were changed since
        ("ABCC", "ABBC", "r1", True),  # each was changed by another one
        ("BAC", "BAC", "r0", False),  # before the base
        ("BAB", "CAC", "r0", True),  # before the base, and n gets what it would have got then
        ("CAD", "BAB", "r0", True),  # before the base, and m has it again
        ("CAD", "BBB", "r0", False),  # m had it all the time
        ("CAD", "BBC", "r1", False),  # at the base itself
        ("A-B", "-B-", "r1", False),  # neither has it now as then; both were changed since
        ("AB", "AB", "r9", False),  # of an unknown revision by its digest alone, see below
    ],
)
def test_failure_concerns_who_may_fail_for_the_same_reason(n: str, m: str, at: str, *, does: bool) -> None:
    word = m[int(at[1])] if int(at[1]) < len(m) else "Z"
    assert concerns(chain(n=n, m=m), at, word=word) is does


@pytest.mark.parametrize(
    ("n", "m", "word", "does"),
    [
        ("AB", "AA", "B", True),
        ("AB", "AC", "C", True),
        ("AB", "CC", "C", False),
        ("AB", "AA", "A", False),
        ("AB", "AC", "Z", False),
        ("A-", "A-", "-", False),
    ],
)
def test_failure_at_an_unknown_revision_concerns_by_its_digest_alone(n: str, m: str, word: str, *, does: bool) -> None:
    assert concerns(chain(n=n, m=m), "unknown", word=word) is does


def test_what_the_base_gave_is_not_blamed_on_the_candidate() -> None:
    """The failing digest is what n runs: it is not what n is about to start."""
    assert not concerns(chain(n="AB", m="CD"), "unknown", word="A")


def test_node_without_the_deployment_then_and_now_is_not_given_the_same() -> None:
    pages = chain(n="-A-", m="BBB")
    assert not concerns(pages, "r0", word="B")


@pytest.mark.parametrize(
    ("n", "m", "at", "is_so"),
    [("ABC", "ABC", 1, True), ("ABC", "ABC", 2, False), ("ABBC", "ABCC", 1, False), ("ABCD", "ABCD", 1, True)],
)
def test_failure_is_mended_by_one_revision_that_changed_both(n: str, m: str, at: int, *, is_so: bool) -> None:
    assert is_mended(M, at, road_to(chain(n=n, m=m), N, content("A"), len(n) - 1)) is is_so


def rollback(target: str, payload: str = "t1") -> ControlTag:
    manager = frozenset({"release-manager"})
    return ControlTag(payload, 1, D, ControlKind.ROLLBACK, target, "rosa", roles=manager, roles_now=manager)


def excluded(pages: Editions, target: str, runs: str = "A") -> bool:
    road = road_to(pages, N, content(runs), len(pages.revisions) - 1)
    tag = rollback(target)
    found = excluding(ControlLog(frozenset({tag})), road)
    assert found in {tag, None}
    return found is not None


@pytest.mark.parametrize(
    ("n", "m", "target", "is_out"),
    [
        ("AB", "AA", "r1", True),  # the digest that it gave
        ("ABC", "AAA", "r1", False),  # mended
        ("ABC", "ABB", "r1", True),  # mended for n, and m has it
        ("AB", "AA", "r9", False),  # not on the chain (yet)
        ("AAB", "ABB", "r1", False),  # at the base
        ("AAB", "ABC", "r1", False),  # both are mended
        ("ABAB", "AAAA", "r1", True),  # given again
        ("AAB", "AAB", "r1", False),  # it changed nobody
        ("AB-", "AA-", "r2", True),  # a removal that was taken back
        ("AB-", "ABB", "r1", True),  # where a failure would concern it, a removal waits, too
        ("AB-", "AB-", "r1", False),  # removed from both
    ],
)
def test_rollback_excludes_what_its_target_gave_and_what_may_fail_like_it(
    n: str, m: str, target: str, *, is_out: bool
) -> None:
    assert excluded(chain(n=n, m=m), target) is is_out


def test_target_that_is_no_valid_revision_bars_nothing() -> None:
    """Its place is that of the valid revision before it, which gave what it gave in innocence."""

    class Stands(Editions):
        def position(self, revision: str) -> int | None:
            return 1 if revision == "invalid" else super().position(revision)

    pages = Stands(chain(n="AB", m="AB").pages)
    assert not excluded(pages, "invalid")
    assert excluded(pages, "r1")
    assert barring(ControlLog(frozenset({rollback("invalid")})), pages, N, content("B")) == []


def test_tags_that_bar_a_digest_are_those_whose_target_gave_it() -> None:
    pages = chain(n="ABB", m="AAC")
    tags = [rollback(target, target) for target in ("r0", "r1", "r2")]
    log = ControlLog(frozenset(tags))
    assert [one.target for one in barring(log, pages, N, content("B"))] == ["r1"]
    assert [one.target for one in barring(log, pages, N, content("A"))] == ["r0"]
    assert [one.target for one in barring(log, pages, M, content("B"))] == []


def test_editions_know_where_they_stand() -> None:
    road = Road(Editions((Edition("r0"),)), N, 0, 0)
    assert (road.before, road.after, list(road.span)) == (Edition("r0"), Edition("r0"), [])


class Counted(Editions):
    """A chain that counts how often it is looked at."""

    looks = 0

    def edition(self, position: int) -> Edition:
        Counted.looks += 1
        return super().edition(position)


def test_thousands_of_revocations_of_one_revision_cost_no_more_than_one() -> None:
    """Whoever stole a key that may revoke could else keep every node thinking for minutes."""
    pages = chain(n="ABCD", m="ABCD").pages
    manager = frozenset({"release-manager"})
    made = [ControlTag(f"t{at}", at, D, ControlKind.REVOKE, "r1", "x", roles=manager) for at in range(500)]
    looks = []
    for tags in (made[:1], made):
        Counted.looks = 0
        assert excluding(ControlLog(frozenset(tags)), road_to(Counted(pages), N, content("A"), 3)) is None
        looks.append(Counted.looks)
    assert looks[0] == looks[1] > 0
