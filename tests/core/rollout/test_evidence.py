"""Lies and accidents with reports: none of them is good news, whatever the order in which they arrive."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.rollout.world import NOW, SOAK, World, content, gate, page

from edgegitops.core.model.report import ReportedState, Statement
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.blame import Failure
from edgegitops.core.rollout.count import Reading, tally
from edgegitops.core.rollout.evidence import AHEAD, Evidence, Standpoint, word_of
from edgegitops.core.rollout.road import road_to

NODE = "a/c"
RINGS = {"a/c": 0, "b/p": 1}


@pytest.fixture
def world() -> World:
    return World()


def is_good(world: World, word: str = "new") -> bool:
    """Whether the node's word is that it runs that release well."""
    evidence = Evidence(frozenset(world.said))
    standpoint = Standpoint(NOW, is_clock_trusted=True, root_version=1)
    return evidence.is_good(NODE, "app", content(word), gate=gate(soak=SOAK), standpoint=standpoint)


def test_replayed_report_changes_nothing(world: World) -> None:
    """A genuine report of better days, sent again, is not the node's word any more.

    Red where core/rollout/evidence.py has `newest = min(said, key=rank, default=None)` for `newest = max(said,
    key=rank, default=None)`.
    """
    old = world.tell(NODE, "new", "r2")
    assert is_good(world)
    world.tell(NODE, "new", "r2", ReportedState.UNHEALTHY)
    world.said.append(old)
    assert not is_good(world)


def test_report_of_another_release_is_no_good_news(world: World) -> None:
    """Red where core/rollout/evidence.py has `or False or` for `or told.digest != digest or`."""
    world.tell(NODE, "other", "r2")
    assert is_good(world, "other")
    assert not is_good(world)


@pytest.mark.parametrize(("ahead", "is_believed"), [(AHEAD, True), (AHEAD + timedelta(seconds=1), False)])
def test_report_from_the_future_is_no_good_news(world: World, ahead: timedelta, *, is_believed: bool) -> None:
    """A clock that runs ahead would make its good news last for ever.

    Red where core/rollout/evidence.py has `and age <= at_most` for `and -AHEAD <= age <= at_most`.
    """
    world.now = NOW + ahead
    world.tell(NODE, "new", "r2")
    assert is_good(world) is is_believed


def knowing(world: World, **more: object) -> Evidence:
    """The last report says this, too."""
    last = world.said.pop()
    world.said.append(Statement(replace(last.report, **more), "changed"))  # type: ignore[arg-type]
    return Evidence(frozenset(world.said))


@pytest.mark.parametrize(
    ("more", "is_believed"),
    [
        ({}, True),
        ({"root_version": 1}, True),
        ({"root_version": 2}, False),
        ({"root_version": 0}, True),
        ({"heads": {"app": ("t1",), "other": ("t2", "t1")}}, True),
        ({"heads": {"app": ("t1",), "other": ("t3",)}}, False),
        ({"root_version": 2, "heads": {"app": ("t3",)}}, False),
    ],
)
def test_report_of_who_knows_more_than_we_do_is_no_good_news(
    world: World, more: dict[str, object], *, is_believed: bool
) -> None:
    """A newer root, or a control tag of any deployment that we do not have, may be what stops us."""
    world.tell(NODE, "new", "r2")
    standpoint = Standpoint(NOW, is_clock_trusted=True, root_version=1, payloads={"t1", "t2"})
    evidence = knowing(world, **more)
    assert evidence.is_good(NODE, "app", content("new"), gate=gate(soak=SOAK), standpoint=standpoint) is is_believed


def test_absent_digest_is_never_good(world: World) -> None:
    world.tell(NODE, "-", "r2")
    assert not is_good(world, "-")


@pytest.mark.parametrize("deployment", ["app", "other"])
def test_who_is_silent_of_a_deployment_is_not_good(world: World, deployment: str) -> None:
    if deployment == "other":
        world.tell(NODE, "new", "r2")
    standpoint = Standpoint(NOW, is_clock_trusted=True, root_version=1)
    evidence = Evidence(frozenset(world.said))
    assert not evidence.is_good(NODE, deployment, content("new"), gate=gate(), standpoint=standpoint)


def test_word_of_a_node_is_its_highest_sequence_over_all_installations(world: World) -> None:
    old, new = world.tell(NODE, "old", "r1"), world.tell(NODE, "new", "r2")
    world.said.append(Statement(replace(old.report, installation="two"), "two"))
    assert Evidence(frozenset(world.said)).latest == {NODE: new.report}
    for several in (world.said, world.said[::-1]):
        union = Evidence()
        for one in several:
            union = union.with_more([one])
        assert union.statements == frozenset(world.said)


def test_of_one_sequence_the_later_one_is_the_word_and_neither_is_good(world: World) -> None:
    one = world.tell(NODE, "new", "r2")
    later = replace(one.report, issued_at=NOW + timedelta(seconds=1))
    world.said.append(Statement(later, "later"))
    evidence = Evidence(frozenset(world.said))
    assert (evidence.latest, evidence.liars) == ({NODE: later}, {(NODE, "one")})
    assert not is_good(world)


def test_two_installations_may_say_two_things_under_one_number(world: World) -> None:
    one = world.tell(NODE, "new", "r2")
    world.said.append(Statement(replace(one.report, installation="two"), "two"))
    world.said.append(Statement(replace(one.report, site="b"), "three"))
    assert Evidence(frozenset(world.said)).liars == frozenset()


def test_failures_are_those_of_all_reports_by_deployment(world: World) -> None:
    world.tell(NODE, "old", "r1", failures=[("r2", "new")])
    world.tell(NODE, "old", "r1", failures=[("r3", "newer")])
    found = Evidence(frozenset(world.said))
    assert found.failures("app") == {
        Failure(NODE, "r2", content("new"), 1, "crashed"),
        Failure(NODE, "r3", content("newer"), 2, "crashed"),
    }
    assert found.failures("other") == frozenset()


def test_who_ever_ran_a_deployment_has_run_it(world: World) -> None:
    world.tell("a/none", "-", "r1")
    world.tell(NODE, "new", "r1")
    world.tell(NODE, "-", "r2")
    found = Evidence(frozenset(world.said))
    ran = [found.has_run(*asked) for asked in (("app", NODE), ("app", "a/none"), ("other", NODE), ("app", "a/no"))]
    assert (ran, found.latest[NODE].deployments["app"].digest) == ([True, False, False, False], ABSENT)


def test_failures_under_a_key_that_is_gone_count_beside_the_word_of_now(world: World) -> None:
    old = world.tell(NODE, "old", "r1", failures=[("r2", "new")])
    new = Statement(replace(old.report, sequence=9, deployments={}), "new")
    for said in ([new], [new, Statement(replace(new.report, sequence=8), "between")], []):
        word = word_of(said, [old])
        assert word.latest == (new.report if said else None)
        assert word.failures == {"app": {Failure(NODE, "r2", content("new"), 1, "crashed")}}
        assert word.ran == frozenset()


def test_who_has_only_an_old_key_s_word_is_not_good(world: World) -> None:
    evidence = Evidence(heard={NODE: word_of([], [world.tell(NODE, "new", "r2")])})
    standpoint = Standpoint(NOW, is_clock_trusted=True, root_version=1)
    assert not evidence.is_good(NODE, "app", content("new"), gate=gate(), standpoint=standpoint)
    assert not evidence.is_good("a/nobody", "app", content("new"), gate=gate(), standpoint=standpoint)


def test_what_was_counted_over_other_evidence_or_by_another_clock_is_counted_anew(world: World) -> None:
    """A reading that differs in one of the two may carry what was counted before; it does not count again by it."""
    world.pages = [page("r1", {"a/c": "old", "b/p": "old"}, RINGS), page("r2", {"a/c": "new", "b/p": "new"}, RINGS)]
    road = road_to(world.chain, "b/p", content("old"), 1)
    none = Reading("app", Evidence(), Standpoint(NOW, is_clock_trusted=True, root_version=1))
    world.tell("a/c", "new", "r2")
    heard = replace(none, evidence=Evidence(frozenset(world.said)))
    later = replace(heard, standpoint=replace(heard.standpoint, now=NOW + timedelta(days=1)))
    good = [len(tally(road, road.after, 1, reading)[0].good) for reading in (none, heard, later)]
    assert good == [0, 1, 0]
