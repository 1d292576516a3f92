"""What a root changes is said in whole: each kind of change, and nothing for none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edgegitops.core.model.trust import PathRule, Revocation, Role, RootDocument, TrustKey
from edgegitops.core.trust.root_changes import root_changes

ANNA, BERTA = "a" * 64, "b" * 64
END = datetime(2027, 1, 1, tzinfo=UTC)
ROOT = RootDocument(
    "urn:x",
    1,
    {ANNA: TrustKey(id=ANNA, line="", owner="anna")},
    {"root": Role((ANNA,)), "engineer": Role((ANNA,), 2)},
    (PathRule("apps/**", ("engineer",)), PathRule("sites/**", ("inventory",))),
)
WITH_BERTA = {**ROOT.keys, BERTA: TrustKey(id=BERTA, line="", owner="berta", not_after=END)}


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (replace(ROOT, keys=WITH_BERTA), ["berta bbbbbbbbbbbb is a new key, counts until 2027-01-01 00:00 UTC"]),
        (
            replace(ROOT, keys=WITH_BERTA, roles={**ROOT.roles, "engineer": Role((BERTA,), 2)}),
            [
                "berta bbbbbbbbbbbb gets the role engineer",
                "anna aaaaaaaaaaaa loses the role engineer",
                "berta bbbbbbbbbbbb is a new key, counts until 2027-01-01 00:00 UTC",
            ],
        ),
        (replace(ROOT, roles={**ROOT.roles, "root": Role((ANNA,), 2)}), ["root: 2 must sign, before 1"]),
        (
            replace(ROOT, roles={"root": ROOT.roles["root"]}),
            ["anna aaaaaaaaaaaa loses the role engineer", "the role engineer is gone"],
        ),
        (replace(ROOT, revoked=(Revocation(ANNA, "stolen"),)), ["anna aaaaaaaaaaaa is revoked: stolen"]),
        (
            replace(ROOT, paths=(PathRule("apps/**", ("security",)), ROOT.paths[1])),
            ["apps/** may be changed by security, before by engineer"],
        ),
        (
            replace(ROOT, paths=ROOT.paths[::-1]),
            ["the first rule that matches counts, and their order changes: sites/**, apps/**"],
        ),
        (replace(ROOT, paths=ROOT.paths[:1]), ["the rule for sites/** (inventory) is gone"]),
        (replace(ROOT, expires_at=END), ["it counts until 2027-01-01 00:00 UTC, before without an end"]),
        (replace(ROOT, version=2, issued_at=END), []),
    ],
)
def test_each_change_is_said(new: RootDocument, said: list[str]) -> None:
    assert list(root_changes(ROOT, new)) == said


def test_first_root_is_all_change() -> None:
    assert "the role root is new" in root_changes(None, ROOT)
