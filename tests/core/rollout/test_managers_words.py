"""The log of control tags: which statement counts, and when; tables of forks, holes, ends and owners."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.rollout.world import NOW, D

from edgegitops.core.model.control import ControlKind, ControlTag, Forgiven
from edgegitops.core.rollout.control_log import ControlLog

MANAGER = frozenset({"release-manager"})
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def tag(payload: str, *previous: str, kind: ControlKind = ControlKind.APPROVE, **more: object) -> ControlTag:
    """A tag by rosa, a release manager; its number is the digit in its payload."""
    number = int("".join(filter(str.isdigit, payload)) or 0)
    made = ControlTag(payload, number, D, kind, "r1", "rosa", roles=MANAGER, roles_now=MANAGER, previous=previous)
    return replace(made, **more)  # type: ignore[arg-type]


def log(*tags: ControlTag, now: object = NOW) -> ControlLog:
    return ControlLog(frozenset(tags), now)  # type: ignore[arg-type]


def counting(found: ControlLog) -> list[str]:
    return sorted(one.payload for one in found.tags if found.counts(one))


LINE = (tag("t1"), tag("t2", "t1"), tag("t3", "t2"))


@pytest.mark.parametrize(
    ("tags", "counts", "heads", "missing"),
    [
        ((), [], (), set()),
        (LINE, ["t1", "t2", "t3"], ("t3",), set()),
        ((LINE[0], LINE[2]), ["t1"], ("t1",), {"t2"}),
        (LINE[1:], [], (), {"t1"}),
        ((*LINE, tag("t4", "t1")), ["t1"], ("t3", "t4"), set()),
        ((*LINE, tag("t4", "t1"), tag("t5", "t3", "t4")), ["t1", "t5"], ("t5",), set()),
        ((*LINE, tag("t4", "t1"), tag("t5", "t3", "t4"), tag("t6", "t5")), ["t1", "t5", "t6"], ("t6",), set()),
        ((tag("t1"), tag("t2")), [], ("t1", "t2"), set()),
        ((tag("t1"), tag("t2"), tag("t3", "t1", "t2")), ["t3"], ("t3",), set()),
        ((tag("t1"), tag("t2", "t1", "gone")), ["t1"], ("t1",), {"gone"}),
        ((tag("t1"), tag("t2", "t1"), tag("t3", "gone")), ["t1", "t2"], ("t2",), {"gone"}),
        ((tag("t1"), tag("t2", "gone"), tag("t3", "t1", "t2")), ["t1"], ("t1",), {"gone"}),
    ],
    ids=[
        "empty",
        "line",
        "hole",
        "headless",
        "fork",
        "healed",
        "after-it",
        "two-starts",
        "one-end",
        "lost",
        "island",
        "bridge",
    ],
)
def test_good_news_counts_on_one_unbroken_road_only(
    tags: tuple[ControlTag, ...], counts: list[str], heads: tuple[str, ...], missing: set[str]
) -> None:
    """What hangs in the air splits nothing: one key, a revoked one too, could silence a log for ever."""
    found = log(*tags)
    assert (counting(found), found.heads, found.missing) == (counts, heads, missing)


def test_halt_that_continues_a_tag_that_never_was_is_a_halt_and_a_resume_that_leaves_it_aside_ends_it() -> None:
    """Red where core/rollout/control_log.py has `self.by_payload.keys() - continued` for `self.rooted - continued`."""
    halt = tag("t2", "never", kind=ControlKind.HALT, roles=frozenset(), roles_now=frozenset())
    found = log(tag("t1"), halt)
    assert found.halts == (halt,)
    resume = tag("t3", *found.heads, kind=ControlKind.RESUME, resumes="t2")
    assert log(tag("t1"), halt, resume).halts == ()


def test_retry_never_stands_after_a_revocation_that_hangs_in_the_air() -> None:
    revoke = tag("t0", "never", kind=ControlKind.REVOKE)
    found = log(tag("t1"), revoke, tag("t2", "t1", kind=ControlKind.RETRY))
    assert found.exclusions == (revoke,)


def test_tag_stands_after_all_that_its_chain_contains() -> None:
    found = log(*LINE)
    after = [(one.payload, two.payload) for one in LINE for two in LINE if found.stands_after(one, two)]
    assert after == [("t2", "t1"), ("t3", "t1"), ("t3", "t2")]


@pytest.mark.parametrize(
    ("kind", "roles", "does_count"),
    [
        (ControlKind.APPROVE, {"anything"}, True),
        (ControlKind.APPROVE, (), False),
        *((kind, {"release-manager"}, True) for kind in ("resume", "retry", "rollback", "revoke")),
        *((kind, {"security"}, kind == "revoke") for kind in ("resume", "retry", "rollback", "revoke")),
        *((kind, {"engineer"}, False) for kind in ("resume", "retry", "rollback", "revoke")),
    ],
)
def test_word_counts_by_the_role_that_its_key_has_now(kind: str, roles: set[str], does_count: bool) -> None:
    made = tag("t1", kind=ControlKind(kind), roles=MANAGER, roles_now=frozenset(roles))
    assert log(made).counts(made) is does_count


@pytest.mark.parametrize(
    ("kind", "ends_in", "does_count"),
    [
        (ControlKind.APPROVE, None, True),
        (ControlKind.APPROVE, SECOND, True),
        (ControlKind.APPROVE, timedelta(), False),
        (ControlKind.APPROVE, -SECOND, False),
        (ControlKind.APPROVE, 9 * 24 * HOUR, True),
        (ControlKind.HOTFIX, None, False),
        (ControlKind.HOTFIX, SECOND, True),
        (ControlKind.HOTFIX, timedelta(), False),
        (ControlKind.HOTFIX, 24 * HOUR, True),
        (ControlKind.HOTFIX, 24 * HOUR + SECOND, False),
    ],
)
def test_word_counts_until_it_ends_and_a_hotfix_only_in_its_last_day(
    kind: ControlKind, ends_in: timedelta | None, does_count: bool
) -> None:
    """Nobody can say when a tag was made; so a hotfix that ends later than in a day does not count yet."""
    made = tag("t1", kind=kind, expires_at=None if ends_in is None else NOW + ends_in)
    assert log(made).counts(made) is does_count
    assert log(made, now=None).counts(made) is (ends_in is None and does_count)


def test_halt_ends_by_a_resume_that_names_it() -> None:
    halts = tag("t1", kind=ControlKind.HALT, roles=frozenset(), roles_now=frozenset()), tag("t2", "t1", kind=HALT)
    other = tag("t3", "t2", kind=ControlKind.RESUME, resumes="t2")
    assert log(*halts).halts == halts
    assert log(*halts, other).halts == halts[:1]
    assert log(*halts, replace(other, roles_now=frozenset())).halts == halts
    assert log(*halts, replace(other, kind=ControlKind.RETRY)).halts == halts
    assert log(halts[1], other).halts == (halts[1],)


HALT = ControlKind.HALT


def test_statements_are_told_by_number() -> None:
    """Of two under one number, the order is that of their payloads: the same for everybody."""
    several = [tag(name, kind=HALT) for name in ("t2", "t1", "b2", "a2")]
    assert [one.payload for one in log(*several).halts] == ["t1", "a2", "b2", "t2"]


@pytest.mark.parametrize("kind", [ControlKind.REVOKE, ControlKind.ROLLBACK])
def test_exclusion_lasts_until_a_retry_that_stands_after_it(kind: ControlKind) -> None:
    bad = tag("t2", "t1", kind=kind, roles_now=frozenset())
    early = tag("t1", kind=ControlKind.RETRY)
    late = tag("t3", "t2", kind=ControlKind.RETRY)
    assert log(early, bad).exclusions == (bad,)
    assert log(early, bad, late).exclusions == ()
    assert log(early, bad, replace(late, roles_now=frozenset())).exclusions == (bad,)
    assert log(early, bad, replace(late, kind=ControlKind.APPROVE)).exclusions == (bad,)


@pytest.mark.parametrize(
    ("kind", "roles", "does_act"),
    [
        (ControlKind.REVOKE, {"security"}, True),
        (ControlKind.ROLLBACK, {"security"}, False),
        (ControlKind.REVOKE, {"engineer"}, False),
        (ControlKind.ROLLBACK, {"engineer", "release-manager"}, True),
        (ControlKind.HALT, {"release-manager"}, False),
    ],
)
def test_exclusion_acts_by_a_role_that_its_key_ever_had(kind: ControlKind, roles: set[str], does_act: bool) -> None:
    made = tag("t1", "gone", kind=kind, roles=frozenset(roles), roles_now=frozenset())
    assert log(made).exclusions == ((made,) if does_act else ())


def test_approvals_and_retries_are_those_that_count() -> None:
    approval = tag("t1")
    retry = tag("t2", "t1", kind=ControlKind.RETRY, forgives=(Forgiven("a/c", 2), Forgiven("b/p", 3)))
    void = tag("t3", "t2", kind=ControlKind.RETRY, forgives=(Forgiven("d/p", 4),), roles_now=frozenset())
    found = log(approval, retry, void)
    assert (found.approvals, found.retries) == ((approval,), (retry,))
    assert found.pardons == {Forgiven("a/c", 2): (retry,), Forgiven("b/p", 3): (retry,)}


def hotfix(payload: str, *previous: str, **more: object) -> ControlTag:
    return tag(payload, *previous, kind=ControlKind.HOTFIX, expires_at=NOW + HOUR, **more)


@pytest.mark.parametrize(
    ("second", "is_there"),
    [
        ({}, False),
        ({"owner": "otto"}, True),
        ({"owner": "otto", "target": "r2"}, True),
        ({"owner": "otto", "target": "r3"}, False),
        ({"owner": "otto", "roles_now": frozenset()}, False),
        ({"owner": "otto", "expires_at": NOW}, False),
        ({"owner": "otto", "kind": ControlKind.APPROVE}, False),
    ],
    ids=["same-owner", "two", "two-commits", "another", "powerless", "ended", "approval"],
)
def test_hotfix_needs_two_owners_who_speak_of_what_is_asked_for(second: dict[str, object], is_there: bool) -> None:
    pair = hotfix("t1"), replace(hotfix("t2", "t1"), **second)  # type: ignore[arg-type]
    assert log(*pair).hotfix(["r1", "r2"]) == (pair if is_there else ())
    assert log(*pair).hotfix(iter(["r3"])) == ()
