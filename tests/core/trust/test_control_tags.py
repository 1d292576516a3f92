"""Control tags are believed as they are written, or refused by name; roles of the past keep their place."""

from datetime import UTC, datetime

import pytest

from edgegitops.core.model.control import ControlKind, ControlTag, Forgiven
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.control_tags import Signers, read_control_tag
from edgegitops.core.trust.lookup import Lookup
from edgegitops.core.trust.root import roots_ever
from edgegitops.core.trust.walk import TrustLimits

NAME = "rollout/vision-qa/000007"
TARGET = "ab" * 20
BEFORE = "1" * 64
SAID = {"Kind": "approve", "Deployment": "vision-qa", "Wave": "pilot", "Previous": "none", "Reason": "two nights clean"}


def text(fleet, lines=(), **said):
    told = {"Repository": fleet.fleet} | SAID | {key.replace("_", "-"): value for key, value in said.items()}
    rows = [f"{key}: {value}" for key, value in told.items() if value is not None]
    return "\n".join(["approve vision-qa wave pilot", "", *rows, *lines]) + "\n"


def tag(fleet, message, *, by="max", name=NAME, kind="commit", namespace="git"):
    head = f"object {TARGET}\ntype {kind}\ntag {name}\ntagger Max <max@example> 1780000000 +0000\n\n"
    payload = head.encode() + (message if isinstance(message, bytes) else message.encode())
    return payload + (fleet.signer(by).sign(payload, namespace) if by else b"")


def signers(fleet, *, now=None):
    roots = roots_ever(fleet.pin, Lookup(fleet.store, TrustLimits()), fleet.store.tree(fleet.files))
    assert not isinstance(roots, Refused)
    return Signers(fleet.fleet, roots, now or fleet.now)


def read(fleet, message, **odd):
    ref = f"refs/tags/{odd.pop('ref', NAME)}"
    return read_control_tag(ref, tag(fleet, message, **odd), signers(fleet))


def test_tag_says_what_its_trailers_say(fleet):
    found = read(fleet, text(fleet, Expires="2026-11-23T00:00:00Z"))
    assert isinstance(found, ControlTag)
    assert (found.kind, found.wave, found.target, found.number) == (ControlKind.APPROVE, "pilot", TARGET, 7)
    assert found.expires_at == datetime(2026, 11, 23, tzinfo=UTC)
    assert found.roles == found.roles_now == {"release-manager"}
    assert found.previous == ()


def test_trailers_that_may_repeat_are_all_kept(fleet):
    said = text(
        fleet,
        ["Forgives: a/gw-1@12", "Forgives: b/gw-2@3", f"Previous: {BEFORE}"],
        Kind="retry",
        Wave=None,
        Previous="2" * 64,
    )
    found = read(fleet, said)
    assert isinstance(found, ControlTag)
    assert found.previous == (BEFORE, "2" * 64)
    assert found.forgives == (Forgiven("a/gw-1", 12), Forgiven("b/gw-2", 3))


def test_signature_made_anew_is_the_same_tag(fleet):
    one, other = read(fleet, text(fleet)), read(fleet, text(fleet), by="max")
    assert one.payload == other.payload


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ({"Kind": "approval"}, ()),
        ({"Kind": None}, ()),
        ({"Wave": None}, ()),
        ({"Previous": None}, ()),
        ({"Repository": "urn:edgegitops:other"}, ()),
        ({"Deployment": "other"}, ()),
        ({"Previous": "none"}, [f"Previous: {BEFORE}"]),
        ({"Previous": BEFORE}, [f"Previous: {BEFORE}"]),
        ({"Previous": "1234"}, ()),
        ({"Expires": "tomorrow"}, ()),
        ({"Expires": "2026-02-30T00:00:00Z"}, ()),
        ({"Policy": "old"}, ()),
        ({"To": TARGET}, ()),
        ({"Colour": "blue"}, ()),
        ({}, ["Wave: canary"]),
        ({}, ["no trailer at all"]),
        ({}, [""]),
        ({}, ["Reason: \x1b[2Jgone"]),
        ({"Kind": "hotfix", "Wave": None}, ()),
        ({"Kind": "resume", "Wave": None}, ()),
        ({"Kind": "retry", "Wave": None, "Forgives": "somebody"}, ()),
    ],
)
def test_message_out_of_the_grammar_is_refused(fleet, said, lines):
    found = read(fleet, text(fleet, lines, **said))
    assert isinstance(found, Refused)
    assert found.doubt is Doubt.MALFORMED_OBJECT


@pytest.mark.parametrize(
    "message", [b"", b"subject only\n", b"two\nlines\n\nKind: halt\n", b"\xff\n\nKind: halt\n", b"x\n\nKind: halt"]
)
def test_message_of_another_shape_is_refused(fleet, message):
    assert isinstance(read(fleet, message), Refused)


@pytest.mark.parametrize(
    ("odd", "doubt"),
    [
        ({"by": None}, Doubt.UNSIGNED),
        ({"by": "mallory"}, Doubt.KEY_UNKNOWN),
        ({"namespace": "file"}, Doubt.WRONG_NAMESPACE),
        ({"kind": "tree"}, Doubt.MALFORMED_OBJECT),
        ({"ref": "rollout/vision-qa/000008"}, Doubt.MALFORMED_OBJECT),
        ({"name": "rollout/vision-qa/7", "ref": "rollout/vision-qa/7"}, Doubt.MALFORMED_OBJECT),
    ],
)
def test_tag_that_nobody_may_have_made_is_refused(fleet, odd, doubt):
    found = read(fleet, text(fleet), **odd)
    assert isinstance(found, Refused)
    assert found.doubt is doubt


def test_changed_byte_is_refused(fleet):
    data = tag(fleet, text(fleet)).replace(b"two nights", b"ten nights")
    found = read_control_tag(f"refs/tags/{NAME}", data, signers(fleet))
    assert isinstance(found, Refused)
    assert found.doubt is Doubt.SIGNATURE_MISMATCH


def test_revoked_key_keeps_its_place_and_loses_its_effect(fleet):
    gone = [{"key": fleet.signer("max").id, "reason": "stolen"}]
    fleet.rotate(2, fleet.signer("sara"), [fleet.signer(one) for one in ("rita", "ravi", "rosa")], revoked=gone)
    found = read(fleet, text(fleet))
    assert isinstance(found, ControlTag)
    assert (found.roles, found.roles_now) == ({"release-manager"}, frozenset())


def test_role_that_a_key_lost_counts_no_longer(fleet):
    staff = fleet.staff | {"release-manager": [fleet.signer("mia")], "engineer": [fleet.signer("max")]}
    fleet.rotate(2, fleet.signer("sara"), [fleet.signer(one) for one in ("rita", "ravi", "rosa")], roles=staff)
    found = read(fleet, text(fleet))
    assert isinstance(found, ControlTag)
    assert (found.roles, found.roles_now) == ({"release-manager", "engineer"}, {"engineer"})
