"""What a root document says of a key and of a path."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import PathRule, Revocation, Role, RootDocument, TrustKey
from edgegitops.core.trust.rules import Authority, is_manifest_path, matches

FROM, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
SKEW = timedelta(minutes=5)
SECOND = timedelta(seconds=1)


def authority(*rules, **more):
    keys = {"k": TrustKey("k", "line", "anna", FROM, UNTIL), "gone": TrustKey("gone", "line", "gus")}
    paths = tuple(PathRule(path, tuple(roles)) for path, roles in rules)
    roles = {"engineer": Role(("k",)), "plant-a": Role(("k", "gone")), "root": Role(("gone",))}
    revoked = (Revocation("gone", "left"), Revocation("stranger", "lost"))
    return Authority(RootDocument("acme", 3, keys, roles, paths, revoked, **more))


@pytest.mark.parametrize(
    ("rule", "path", "fits"),
    [
        ("apps/**", "apps/a", True),
        ("apps/**", "apps/a/b/c", True),
        ("apps/**", "apps", False),
        ("apps/**", "applications/a", False),
        ("apps/**", "x/apps/a", False),
        ("apps/**", "Apps/a", False),
        ("fleet.yaml", "fleet.yaml", True),
        ("fleet.yaml", "fleet.yaml/x", False),
        ("fleet.yaml", "fleet.yam", False),
        ("secrets/plant-a/**", "secrets/plant-a/x", True),
        ("secrets/plant-a/**", "secrets/plant-ab/x", False),
        ("**", "anything/at/all", True),
    ],
)
def test_rule_is_about(rule, path, fits):
    assert matches(PathRule(rule, ()), path) is fits


@pytest.mark.parametrize("path", ["fleet.yaml", "apps", "apps/x", "trust/root/1", "sites/x", "secrets/x", "policies/x"])
def test_manifest_path_without_a_rule_is_denied_to_all(path):
    assert is_manifest_path(path)
    assert authority().need(path).doubt is Doubt.PATH_DENIED


@pytest.mark.parametrize("path", ["README.md", "docs/apps/x", "fleet.yml", "Apps/x", "application/x", "x/fleet.yaml"])
def test_other_path_without_a_rule_needs_no_role(path):
    assert not is_manifest_path(path)
    assert authority().need(path) is None


def test_first_matching_rule_wins():
    found = authority(("secrets/a/**", ["plant-a"]), ("secrets/**", ["engineer"]), ("secrets/b/**", ["plant-a"]))
    assert found.need("secrets/a/x") == {"plant-a"}
    assert found.need("secrets/b/x") == {"engineer"}


def test_rule_may_close_paths_to_all_and_may_be_about_other_paths():
    found = authority(("apps/frozen", []), ("docs/**", ["engineer"]), ("apps/**", ["engineer"]))
    assert found.need("apps/frozen") == frozenset()
    assert found.need("docs/x") == {"engineer"}


def test_roles_of_a_key_are_all_that_name_it():
    assert authority().roles_of("k") == {"engineer", "plant-a"}
    assert authority().roles_of("stranger") == frozenset()
    assert (authority().owner_of("k"), authority().owner_of("stranger")) == ("anna", "")


@pytest.mark.parametrize(
    ("key", "at", "doubt"),
    [
        ("k", FROM, None),
        ("k", FROM - SKEW, None),
        ("k", FROM - SKEW - SECOND, Doubt.KEY_NOT_YET_VALID),
        ("k", UNTIL + SKEW - SECOND, None),
        ("k", UNTIL + SKEW, Doubt.KEY_EXPIRED),
        ("gone", FROM, Doubt.KEY_REVOKED),
        ("stranger", FROM, Doubt.KEY_REVOKED),
        ("nobody", FROM, Doubt.KEY_UNKNOWN),
    ],
)
def test_key_counts_within_its_validity_and_the_skew(key, at, doubt):
    found = authority().judge_key(key, at, SKEW)
    assert (found and found.doubt) == doubt


def test_expired_root_is_told_apart_from_an_expired_key():
    found = authority(expires_at=FROM + timedelta(days=1))
    assert found.judge_key("k", FROM, SKEW) is None
    assert found.judge_key("k", FROM + timedelta(days=1) + SKEW - SECOND, SKEW) is None
    assert found.judge_key("k", FROM + timedelta(days=1) + SKEW, SKEW).doubt is Doubt.ROOT_EXPIRED
    assert found.judge_key("k", UNTIL + timedelta(days=2), SKEW).doubt is Doubt.KEY_EXPIRED


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1), max_value=datetime(9000, 1, 1)))  # noqa: DTZ001 - Hypothesis adds the zone
def test_revoked_key_never_counts(at):
    assert authority().judge_key("gone", at, SKEW).doubt is Doubt.KEY_REVOKED
