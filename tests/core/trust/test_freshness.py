"""Freshness statements: which are believed, what they cover, and that none of them can stop or wedge a node."""

import json
from datetime import timedelta

import pytest

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.freshness import read_statement

DAY = timedelta(days=1)
PATHS = [{"path": "trust/freshness/**", "roles": ["freshness", "security"]}]


def statement(forge, commit, *, issued_at=None, lasts=14 * DAY, **more):
    issued_at = issued_at or forge.now - DAY
    tree = {
        "repository": forge.fleet,
        "commit": commit,
        "issuedAt": issued_at.isoformat(),
        "expiresAt": (issued_at + lasts).isoformat(),
    } | more
    return json.dumps({key: value for key, value in tree.items() if value is not None}).encode()


def files(by, data, namespace="edgegitops-freshness"):
    return {"trust/freshness/statement.json": data, "trust/freshness/statement.sig": by.sign(data, namespace)}


def old(**fields):
    return {"notAfter": "2026-01-01T00:00:00Z"} | fields


@pytest.fixture
def fresh(forge):
    """A fleet with a holder of the role freshness."""
    fiona = forge.signer("fiona")
    return forge.enrol(roles=forge.staff | {"freshness": [fiona]}, paths=PATHS + PATHS_OF(forge))


def PATHS_OF(forge):  # noqa: N802 - a constant of the forge
    return json.loads(forge.root_json(roles=forge.staff))["paths"]


def tell(fleet, data=None, *, by=None, publisher=None, **odd):
    by = by or fleet.signer("fiona")
    return fleet.commit(publisher or fleet.signer("fiona"), add=files(by, data or statement(fleet, fleet.tip), **odd))


def test_statement_is_believed_and_moves_the_clock_floor(fresh):
    named = fresh.tip
    tell(fresh)
    floor = fresh.walk().floor
    assert (floor.fresh.commit, floor.fresh.key) == (named, fresh.signer("fiona").id)
    assert floor.clock == floor.fresh.issued_at == fresh.now - DAY


def test_statement_stays_in_force_under_later_commits_and_in_two_walks(fresh):
    tell(fresh)
    first = fresh.walk().floor
    fresh.commit(fresh.signer("anna"), add={"apps/a": b"1"})
    assert fresh.walk(first).floor.fresh == fresh.walk().floor.fresh == first.fresh


def test_statement_in_the_checkpoint_itself_counts(fresh):
    tell(fresh)
    fresh.pin = type(fresh.pin)(fresh.fleet, fresh.pin.root_sha256, fresh.tip)
    assert fresh.walk().floor.fresh is not None


def test_replayed_older_statement_does_not_take_the_place_of_a_newer_one(fresh):
    before = statement(fresh, fresh.tip, issued_at=fresh.now - 9 * DAY)
    tell(fresh)
    newer = fresh.walk().floor.fresh
    tell(fresh, before)
    assert fresh.walk().floor.fresh == newer


NOT_BELIEVED = {
    "by somebody without the role": lambda f: tell(f, by=f.signer("anna")),
    "by a key that nobody knows": lambda f: tell(f, by=f.signer("stranger")),
    "for another purpose": lambda f: tell(f, namespace="git"),
    "of another repository": lambda f: tell(f, statement(f, f.tip, repository="urn:other")),
    "from the future": lambda f: tell(f, statement(f, f.tip, issued_at=f.now + DAY)),
    "about a commit that is not in this history": lambda f: tell(f, statement(f, "0" * 40)),
    "about no commit": lambda f: tell(f, statement(f, "HEAD")),
    "that ends before it begins": lambda f: tell(f, statement(f, f.tip, lasts=-DAY)),
    "with a field too many": lambda f: tell(f, statement(f, f.tip, note="x")),
    "with a field too few": lambda f: tell(f, statement(f, f.tip, expiresAt=None)),
    "that chooses its own signer": lambda f: tell(f, statement(f, f.tip, key="me")),
    "that is no JSON": lambda f: tell(f, b"\xff{"),
    "that is nested without end": lambda f: tell(f, b"[" * 100_000),
    "without a signature": lambda f: f.commit(
        f.signer("fiona"), add={"trust/freshness/statement.json": statement(f, f.tip)}
    ),
    "with another signature": lambda f: f.commit(
        f.signer("fiona"),
        add={
            "trust/freshness/statement.json": statement(f, f.tip),
            "trust/freshness/statement.sig": f.signer("fiona").sign(b"other", "edgegitops-freshness"),
        },
    ),
}


@pytest.mark.parametrize("name", NOT_BELIEVED)
def test_statement_is_passed_over_and_its_commit_stands(fresh, name):
    tip = NOT_BELIEVED[name](fresh)
    belief = fresh.walk()
    assert (belief.floor.commit, belief.floor.fresh, belief.refused) == (tip, None, None)
    assert belief.floor.clock < fresh.now - DAY


def test_statement_by_a_revoked_or_expired_key_is_passed_over(forge):
    fiona = forge.signer("fiona")
    roles = forge.staff | {"freshness": [fiona]}
    paths = PATHS + PATHS_OF(forge)
    for fields in ({"revoked": [{"key": fiona.id, "reason": "stolen"}]}, {"keys": [(fiona, old())]}):
        fleet = type(forge)().enrol(roles=roles, paths=paths, **fields)
        tell(fleet, publisher=fleet.signer("sara"))
        belief = fleet.walk()
        assert (belief.floor.fresh, belief.refused) == (None, None)


def test_publishing_a_statement_needs_the_role_for_its_path(fresh):
    tell(fresh, publisher=fresh.signer("anna"))
    assert fresh.walk().refused.doubt is Doubt.ROLE_MISSING


@pytest.fixture
def lapsed(forge):
    """A fleet whose engineer's key has expired."""
    anna, fiona = forge.signer("anna"), forge.signer("fiona")
    roles = forge.staff | {"freshness": [fiona]}
    return forge.enrol(roles=roles, paths=PATHS + PATHS_OF(forge), keys=[(anna, old())])


def test_statement_covers_commits_by_expired_keys_up_to_the_one_that_it_names(lapsed):
    lapsed.commit(lapsed.signer("anna"), add={"apps/a": b"1"})
    assert lapsed.walk().refused.doubt is Doubt.KEY_EXPIRED
    lapsed.commit(lapsed.signer("max"), add={"deployments/a": b"1"})
    covered = lapsed.walk(tip=tell(lapsed))
    assert (covered.refused, covered.floor.commit) == (None, lapsed.tip)


def test_expired_keys_commit_after_the_named_one_is_not_covered(lapsed):
    lapsed.commit(lapsed.signer("anna"), add={"apps/a": b"1"})
    named = lapsed.tip
    later = lapsed.commit(lapsed.signer("anna"), add={"apps/b": b"1"})
    tell(lapsed, statement(lapsed, named))
    belief = lapsed.walk()
    assert (belief.refused.subject, belief.refused.doubt) == (later, Doubt.KEY_EXPIRED)
    assert belief.floor.commit == named


def test_statement_that_is_not_believed_covers_nothing(lapsed):
    lapsed.commit(lapsed.signer("anna"), add={"apps/a": b"1"})
    tell(lapsed, by=lapsed.signer("max"))
    assert lapsed.walk().refused.doubt is Doubt.KEY_EXPIRED


@pytest.mark.parametrize("data", [b"", b"[]", b'"x"', b"{}", b'{"a": 1, "a": 1}', b'{"repository": 1.5}'])
def test_no_bytes_make_the_reader_of_statements_raise(data):
    assert isinstance(read_statement(data, "urn:x"), Refused)
