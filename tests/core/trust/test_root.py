"""Root documents: pinned once, then each follows from the one before by the thresholds of both."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Pin, Refused, RootDocument, TrustLimits
from edgegitops.core.trust.objects import parse_tree
from edgegitops.core.trust.root import trust_state, version_of
from edgegitops.core.trust.root_document import read_root

APP = {"apps/broker/app.yaml": b"kind: App\n"}


def people(fleet, *names):
    return [fleet.signer(name) for name in names]


def state_of(fleet):
    return trust_state(fleet.pin, fleet.store, fleet.store.tree(fleet.files))


def doubt_of(fleet):
    return fleet.walk().refused.doubt


def test_pinned_root_is_in_force(fleet):
    state = state_of(fleet)
    assert (state.root.version, state.root_sha256) == (1, fleet.pin.root_sha256)
    assert [rule.path for rule in state.root.paths][:2] == ["trust/**", "fleet.yaml"]


def test_root_is_found_in_the_tree_of_every_later_commit(fleet):
    fleet.commit(fleet.signer("anna"), add=APP)
    assert trust_state(fleet.pin, fleet.store, fleet.walk().floor.tree).root.version == 1


@pytest.mark.parametrize("names", [("rita", "ravi"), ("rita", "rosa"), ("rita", "ravi", "rosa")])
def test_rotation_needs_the_threshold_and_not_all(fleet, names):
    fleet.rotate(2, fleet.signer("sara"), people(fleet, *names))
    assert fleet.walk().refused is None
    assert fleet.walk().floor.root_version == 2
    assert state_of(fleet).root.version == 2


@pytest.mark.parametrize("names", [(), ("rita",), ("rita", "sara"), ("sara", "anna", "max")])
def test_rotation_below_the_threshold_is_refused(fleet, names):
    fleet.rotate(2, fleet.signer("sara"), people(fleet, *names))
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD
    assert state_of(fleet).doubt is Doubt.ROOT_THRESHOLD


def test_same_key_twice_counts_once(fleet):
    """Red where core/trust/root.py has `return None` for `return None if signed.key_id == key else f"signed by
    {signed.key_id}"`.
    """
    data = fleet.root_json(2, roles=fleet.staff)
    rita = fleet.signer("rita")
    signature = rita.sign(data, "edgegitops-root")
    files = {"trust/root/000002.json": data, f"trust/root/000002.sig/{rita.id}.sig": signature}
    for other in ("ravi", "rosa"):
        files[f"trust/root/000002.sig/{fleet.signer(other).id}.sig"] = signature
    files[f"trust/root/000002.sig/{'0' * 64}.sig"] = rita.sign(data, "edgegitops-root", hash_=b"sha256")
    fleet.commit(fleet.signer("sara"), add=files)
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD
    assert f"signed by {rita.id}" in fleet.walk().refused.detail


def test_old_threshold_alone_is_not_enough(fleet):
    """Red where core/trust/root.py has `tallies((state.root,), data` for `tallies((state.root, root), data`."""
    new = fleet.staff | {"root": (2, people(fleet, "nora", "nils"))}
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"), roles=new)
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_new_threshold_alone_is_not_enough(fleet):
    """Red where core/trust/root.py has `tallies((root,), data` for `tallies((state.root, root), data`."""
    new = fleet.staff | {"root": (2, people(fleet, "nora", "nils"))}
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "nora", "nils"), roles=new)
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_both_thresholds_hand_the_fleet_over(fleet):
    new = fleet.staff | {"root": (2, people(fleet, "nora", "nils"))}
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi", "nora", "nils"), roles=new)
    fleet.rotate(3, fleet.signer("sara"), people(fleet, "nora", "nils"), roles=new)
    assert (fleet.walk().refused, fleet.walk().floor.root_version) == (None, 3)
    fleet.rotate(4, fleet.signer("sara"), people(fleet, "rita", "ravi"))
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_lowered_threshold_counts_only_after_the_old_one_agreed(fleet):
    low = fleet.staff | {"root": (1, people(fleet, "rita"))}
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita"), roles=low)
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_skipped_version_is_refused(fleet):
    """Red where core/trust/root.py has `for version in sorted(folder.documents)[1:]:` for `for version in
    range(state.root.version + 1, newest + 1):`.
    """
    fleet.rotate(3, fleet.signer("sara"), people(fleet, "rita", "ravi"))
    assert doubt_of(fleet) is Doubt.ROOT_VERSION


def test_replayed_old_root_under_the_next_number_is_refused(fleet):
    """Red where core/trust/root_document.py has `if False:` for `if root.version != version:`."""
    rota = people(fleet, "rita", "ravi")
    fleet.commit(fleet.signer("sara"), add=fleet.root_files(2, fleet.root, rota))
    assert doubt_of(fleet) is Doubt.ROOT_VERSION


def test_root_of_another_repository_is_refused(fleet):
    """Red where core/trust/root_document.py has `if False:` for `if root.repository != repository:`."""
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"), repository="other-plants")
    assert doubt_of(fleet) is Doubt.REPOSITORY_MISMATCH


def test_signatures_for_another_purpose_do_not_count(fleet):
    data = fleet.root_json(2, roles=fleet.staff)
    files = {"trust/root/000002.json": data}
    for who in people(fleet, "rita", "ravi", "rosa"):
        files[f"trust/root/000002.sig/{who.id}.sig"] = who.sign(data, "git")
    fleet.commit(fleet.signer("sara"), add=files)
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_signatures_over_other_bytes_do_not_count(fleet):
    data = fleet.root_json(2, roles=fleet.staff)
    signed = fleet.root_files(2, data, people(fleet, "rita", "ravi"))
    fleet.commit(fleet.signer("sara"), add=signed | {"trust/root/000002.json": data + b"\n"})
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_junk_beside_good_signatures_changes_nothing(fleet):
    data = fleet.root_json(2, roles=fleet.staff)
    files = fleet.root_files(2, data, people(fleet, "rita", "ravi"))
    junk = {f"trust/root/000002.sig/{fleet.signer('rosa').id}.sig": b"\0junk", "trust/root/000002.sig/README": b"x"}
    fleet.commit(fleet.signer("sara"), add=files | junk)
    assert fleet.walk().refused is None


def test_revoked_root_key_does_not_count_for_the_root_that_revokes_it(fleet):
    revoked = [{"key": fleet.signer("rosa").id, "reason": "lost"}]
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "rosa"), revoked=revoked)
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_rotation_that_revokes_a_root_key_is_signed_by_the_others(fleet):
    revoked = [{"key": fleet.signer("rosa").id, "reason": "lost"}]
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"), revoked=revoked)
    assert fleet.walk().refused is None
    fleet.rotate(3, fleet.signer("sara"), people(fleet, "rita", "rosa"))
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_expired_root_signers_still_lead_a_node_that_was_away_for_months(fleet):
    fleet.enrol(keys=[(who, {"notAfter": "2026-02-01T00:00:00Z"}) for who in people(fleet, "rita", "ravi")])
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"))
    assert (fleet.walk().refused, fleet.walk().floor.root_version) == (None, 2)


# What a commit may do to trust/root


@pytest.mark.parametrize("by", ["rita", "anna", "ines", "nora"])
def test_commit_of_only_the_next_root_is_authorised_by_its_signatures(fleet, by):
    new = fleet.staff | {"auditor": people(fleet, "nora")}
    fleet.rotate(2, fleet.signer(by), people(fleet, "rita", "ravi"), roles=new)
    assert (fleet.walk().refused, fleet.walk().floor.root_version) == (None, 2)


def test_prepared_rotation_cannot_be_published_by_the_server_itself(fleet):
    """Red where core/trust/walk.py has `doubt = None` for `doubt = min((doubt, later), key=_weight)`."""
    start = fleet.tip
    for nobody, doubt in [(None, Doubt.UNSIGNED), (fleet.signer("mallory"), Doubt.KEY_UNKNOWN)]:
        fleet.rotate(2, nobody, people(fleet, "rita", "ravi"))
        assert doubt_of(fleet) is doubt
        fleet.tip = start


def test_key_that_is_revoked_before_and_after_does_not_publish_a_rotation(fleet):
    fleet.enrol(revoked=[{"key": fleet.signer("anna").id, "reason": "left"}])
    fleet.rotate(
        2,
        fleet.signer("anna"),
        people(fleet, "rita", "ravi"),
        revoked=[{"key": fleet.signer("anna").id, "reason": "left"}],
    )
    assert doubt_of(fleet) is Doubt.KEY_REVOKED


def test_rotation_with_anything_else_in_its_commit_needs_roles_for_all_of_it(fleet):
    rota = people(fleet, "rita", "ravi")
    fleet.rotate(2, fleet.signer("anna"), rota, add=APP)
    assert doubt_of(fleet) is Doubt.ROLE_MISSING


def test_rotation_with_another_trust_file_is_for_the_security_role(fleet):
    start, files = fleet.tip, dict(fleet.files)
    rota = people(fleet, "rita", "ravi")
    fleet.rotate(2, fleet.signer("rita"), rota, add={"trust/nodes/a.yaml": b"x"})
    assert doubt_of(fleet) is Doubt.ROLE_MISSING
    fleet.tip, fleet.files = start, files
    fleet.rotate(2, fleet.signer("sara"), rota, add={"trust/nodes/a.yaml": b"x"})
    assert fleet.walk().refused is None


def test_roles_of_the_new_root_do_not_carry_the_commit_that_brings_it(fleet):
    new = fleet.staff | {"engineer": people(fleet, "anna", "ines")}
    fleet.rotate(2, fleet.signer("ines"), people(fleet, "rita", "ravi"), roles=new, add=APP)
    assert doubt_of(fleet) is Doubt.ROLE_MISSING


def test_roles_of_the_new_root_hold_from_the_next_commit_on(fleet):
    new = fleet.staff | {"engineer": people(fleet, "ines")}
    fleet.rotate(2, fleet.signer("ines"), people(fleet, "rita", "ravi"), roles=new)
    tip = fleet.commit(fleet.signer("ines"), add=APP)
    assert fleet.walk().floor.commit == tip
    bad = fleet.commit(fleet.signer("anna"), add={"apps/x.yaml": b"x"})
    assert (fleet.walk().refused.subject, doubt_of(fleet)) == (bad, Doubt.KEY_UNKNOWN)


def test_two_rotations_in_one_merge_are_followed_one_by_one(fleet):
    rota = people(fleet, "rita", "ravi")
    second = fleet.root_files(2, fleet.root_json(2, roles=fleet.staff), rota)
    third = fleet.root_files(3, fleet.root_json(3, roles=fleet.staff), rota)
    fleet.commit(fleet.signer("max"), add=second | third)
    assert (fleet.walk().refused, fleet.walk().floor.root_version) == (None, 3)


@pytest.mark.parametrize("act", ["change", "remove", "mode", "signature"])
def test_published_root_and_its_signatures_stay_as_they_are(fleet, act):
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"))
    one, signature = "trust/root/000001.json", next(path for path in fleet.files if path.endswith(".sig"))
    sara = fleet.signer("sara")
    match act:
        case "change":
            fleet.commit(sara, add={one: fleet.files[one] + b"\n"})
        case "remove":
            fleet.commit(sara, remove=[one])
        case "mode":
            fleet.commit(sara, add={one: ("100755", fleet.store.put("blob", fleet.files[one]))})
        case _:
            fleet.commit(sara, remove=[signature])
    assert doubt_of(fleet) is Doubt.ROOT_VERSION
    assert fleet.walk().floor.root_version == 2


@pytest.mark.parametrize(
    "name",
    ["2.json", "000002.yaml", "notes.txt", "0000002.json", "000002.json/x", "000003.sig", "old/x", "000002.sigs/x"],
)
def test_nothing_else_lies_beside_the_roots(fleet, name):
    fleet.commit(fleet.signer("sara"), add={f"trust/root/{name}": b"x"})
    assert doubt_of(fleet) is Doubt.ROOT_MALFORMED


def test_symlink_is_no_root_document(fleet):
    blob = fleet.store.put("blob", fleet.root_json(2, roles=fleet.staff))
    fleet.commit(fleet.signer("sara"), add={"trust/root/000002.json": ("120000", blob)})
    assert doubt_of(fleet) is Doubt.ROOT_MALFORMED


def test_later_signature_of_a_published_root_may_be_added_by_security(fleet):
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"))
    late = fleet.root_files(2, fleet.files["trust/root/000002.json"], people(fleet, "rosa"))
    fleet.commit(fleet.signer("sara"), add=late)
    assert fleet.walk().refused is None


# Revoked keys


def test_revoked_keys_commits_are_refused_after_the_revoking_one_and_stay_before_it(fleet):
    """Red where core/trust/rules.py has `if False:` for `if key in self._revoked:`."""
    anna = fleet.signer("anna")
    kept = fleet.commit(anna, add=APP)
    revoked = [{"key": anna.id, "reason": "stolen laptop"}]
    rotated = fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"), revoked=revoked)
    bad = fleet.commit(anna, add={"apps/broker/app.yaml": b"evil\n"})
    belief = fleet.walk()
    assert [one.commit for one in belief.accepted] == [kept, rotated]
    assert (belief.refused.subject, belief.refused.doubt) == (bad, Doubt.KEY_REVOKED)
    assert "stolen laptop" in belief.refused.detail


def test_revoked_keys_commit_is_not_covered_by_a_later_one(fleet):
    anna = fleet.signer("anna")
    fleet.enrol(keys=[(anna, {"notAfter": "2026-01-01T00:00:00Z"})], revoked=[{"key": anna.id, "reason": "left"}])
    fleet.commit(anna, add=APP)
    fleet.commit(fleet.signer("amir"), add={"apps/broker/app.yaml": b"x"})
    assert doubt_of(fleet) is Doubt.KEY_REVOKED


# The pin


def test_root_that_is_not_pinned_is_nobody(fleet):
    pin = Pin(fleet.fleet, "0" * 64, fleet.pin.checkpoint)
    found = trust_state(pin, fleet.store, fleet.store.tree(fleet.files))
    assert found.doubt is Doubt.ROOT_PIN
    fleet.pin = pin
    assert (doubt_of(fleet), fleet.walk().floor) == (Doubt.ROOT_PIN, None)


def test_rotated_root_can_be_pinned_and_those_before_it_are_not_looked_at(fleet):
    fleet.files["trust/root/000001.json"] = b"whatever this was"
    second = fleet.root_json(2, roles=fleet.staff)
    fleet.files |= fleet.root_files(2, second, [])
    third = fleet.root_files(3, fleet.root_json(3, roles=fleet.staff), people(fleet, "rita", "ravi"))
    fleet.files |= third
    fleet.pin = Pin(fleet.fleet, hashlib.sha256(second).hexdigest(), "")
    assert state_of(fleet).root.version == 3


def test_pinned_root_of_another_repository_is_refused(fleet):
    fleet.pin = Pin("other-plants", fleet.pin.root_sha256, fleet.pin.checkpoint)
    assert state_of(fleet).doubt is Doubt.REPOSITORY_MISMATCH


def test_tree_without_roots_is_refused_and_says_what_belongs_there(fleet):
    found = trust_state(fleet.pin, fleet.store, fleet.store.tree({"fleet.yaml": b"x"}))
    assert (found.doubt, found.subject) == (Doubt.ROOT_PIN, "trust/root")


def test_floor_under_a_newer_root_than_its_tree_is_refused(fleet):
    floor = fleet.floor(root_version=2)
    fleet.commit(fleet.signer("anna"), add=APP)
    assert fleet.walk(floor).refused.doubt is Doubt.ROOT_VERSION


# The document


def changed(fleet, **fields):
    tree = json.loads(fleet.root) | fields
    return json.dumps({key: value for key, value in tree.items() if value is not None}).encode()


def key_fields(fleet, **fields):
    tree = json.loads(fleet.root)
    tree["keys"][fleet.signer("anna").id] |= fields
    return json.dumps(tree).encode()


def roles(fleet, **more):
    return changed(fleet, roles=json.loads(fleet.root)["roles"] | more)


MALFORMED = {
    "no JSON": lambda _: b"kind: Root\n",
    "nothing": lambda _: b"",
    "a list": lambda _: b"[]",
    "not UTF-8": lambda f: f.root.replace(b"acme", b"\xff\xff"),
    "a byte order mark": lambda f: b"\xef\xbb\xbf" + f.root,
    "bytes after the document": lambda f: f.root + b"{}",
    "a key twice": lambda f: f.root.replace(b"{", b'{"version": 2,', 1),
    "a key twice inside": lambda f: f.root.replace(b'"threshold": 2', b'"threshold": 1, "threshold": 2', 1),
    "a fraction": lambda f: f.root.replace(b'"version": 1', b'"version": 1.0', 1),
    "NaN": lambda f: f.root.replace(b'"version": 1', b'"version": NaN', 1),
    "a version in words": lambda f: changed(f, version="1"),
    "a version that is true": lambda f: changed(f, version=True),
    "an unknown field": lambda f: changed(f, comment="hello"),
    "no keys": lambda f: changed(f, keys=None),
    "keys that are a list": lambda f: changed(f, keys=[]),
    "a key that is text": lambda f: changed(f, keys={"x": "y"}),
    "JSON nested without end": lambda _: b"[" * 100_000,
    "a lone surrogate": lambda f: key_fields(f, owner="\ud800"),
    "a control character in an owner": lambda f: key_fields(f, owner="anna\x1b[2J"),
    "an id inside a key": lambda f: key_fields(f, id=f.signer("anna").id),
    "the line of another key": lambda f: key_fields(f, line=f.signer("mallory").line),
    "a line with options": lambda f: key_fields(f, line="no-pty " + f.signer("anna").line),
    "a key type that is not allowed": lambda f: key_fields(f, line=f.signer("anna", "ecdsa-sha2-nistp521").line),
    "an RSA key of 2048 bits": lambda f: key_fields(f, line=f.signer("anna", "ssh-rsa:2048").line),
    "an instant without offset": lambda f: key_fields(f, notAfter="2026-01-01T00:00:00"),
    "an instant that is none": lambda f: key_fields(f, notAfter="tomorrow"),
    "a number for an instant": lambda f: key_fields(f, notAfter=5),
    "no root role": lambda f: changed(f, roles={}),
    "a role that nobody can fill": lambda f: roles(f, root={"keys": [f.signer("rita").id], "threshold": 2}),
    "a threshold of zero": lambda f: roles(f, root={"keys": [f.signer("rita").id], "threshold": 0}),
    "a root role of nobody": lambda f: roles(f, root={"keys": [], "threshold": 1}),
    "a role that names a key twice": lambda f: roles(f, root={"keys": [f.signer("rita").id] * 2, "threshold": 2}),
    "a role that names an unknown key": lambda f: roles(f, engineer={"keys": ["0" * 64]}),
    "a role name of spaces": lambda f: roles(f, **{"an engineer": {"keys": []}}),
    "a root role that only revoked keys fill": lambda f: changed(
        f, revoked=[{"key": f.signer(name).id, "reason": "lost"} for name in ("rita", "rosa")]
    ),
    "a path rule for an unknown role": lambda f: changed(f, paths=[{"path": "apps/**", "roles": ["engineers"]}]),
    "a path with a star in it": lambda f: changed(f, paths=[{"path": "apps/*/app.yaml", "roles": ["engineer"]}]),
    "a path with stars in the middle": lambda f: changed(f, paths=[{"path": "a/**/b", "roles": ["engineer"]}]),
    "a path that starts with a slash": lambda f: changed(f, paths=[{"path": "/apps/**", "roles": ["engineer"]}]),
    "a path that ends with a slash": lambda f: changed(f, paths=[{"path": "apps/", "roles": ["engineer"]}]),
    "an empty path": lambda f: changed(f, paths=[{"path": "", "roles": ["engineer"]}]),
    "a repository id with spaces": lambda f: changed(f, repository="acme plants"),
    "an empty repository id": lambda f: changed(f, repository=""),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_root_document_is_refused_for(fleet, name):
    found = read_root(MALFORMED[name](fleet), version=1, repository=fleet.fleet)
    assert isinstance(found, Refused)
    assert (found.doubt, found.subject) == (Doubt.ROOT_MALFORMED, "trust/root/000001.json")


def test_malformed_next_root_stops_the_walk_and_keeps_the_old_one(fleet):
    rota = people(fleet, "rita", "ravi")
    data = fleet.root_json(2, roles=fleet.staff).replace(b"{", b'{"version": 9,', 1)
    fleet.commit(fleet.signer("sara"), add=fleet.root_files(2, data, rota))
    assert doubt_of(fleet) is Doubt.ROOT_MALFORMED
    assert fleet.walk().floor.root_version == 1


def test_path_rules_may_name_all_folders_and_nobody(fleet):
    data = changed(fleet, paths=[{"path": "apps/frozen.yaml", "roles": []}, {"path": "**", "roles": ["engineer"]}])
    assert isinstance(read_root(data, version=1, repository=fleet.fleet), RootDocument)


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_no_bytes_make_the_reader_of_roots_raise(data):
    assert isinstance(read_root(data, version=1, repository="acme"), Refused)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "roles", "x"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["keys", "roles", "paths", "revoked", "version", "issuedAt"]), TREES))
def test_no_json_makes_the_reader_of_roots_raise(forge_of_module, fields):
    whole = json.loads(forge_of_module.root_json(1, roles=forge_of_module.staff))
    data = json.dumps(whole | fields).encode()
    assert isinstance(read_root(data, version=1, repository=forge_of_module.fleet), RootDocument | Refused)


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("trust/root/000002.json", 2),
        ("trust/root/000012.sig/abc.sig", 12),
        ("trust/root/2.json", None),
        ("trust/roots/000002.json", None),
        ("apps/000002.json", None),
    ],
)
def test_version_of_a_path_in_the_root_folder(path, version):
    assert version_of(path) == version


@pytest.mark.parametrize("version", [1, 2])
def test_root_document_that_is_missing_or_too_large_is_named(fleet, version):
    fleet.rotate(2, fleet.signer("sara"), people(fleet, "rita", "ravi"))
    tree = fleet.store.tree(fleet.files)
    limits = TrustLimits(object_size=100)
    assert trust_state(fleet.pin, fleet.store, tree, limits=limits).doubt is Doubt.OBJECT_TOO_LARGE
    path = f"trust/root/{version:06}.json"
    del fleet.store.kept[fleet.store.put("blob", fleet.files[path])]
    found = trust_state(fleet.pin, fleet.store, tree)
    assert (found.doubt, found.subject) == (Doubt.OBJECT_MISSING, path)


def test_signatures_that_are_missing_from_the_mirror_do_not_count(fleet):
    data = fleet.root_json(2, roles=fleet.staff)
    fleet.commit(
        fleet.signer("sara"),
        add={"trust/root/000002.json": data, "trust/root/000002.sig": ("40000", "1" * 40)},
    )
    assert state_of(fleet).doubt is Doubt.ROOT_THRESHOLD


@pytest.mark.parametrize("gone", ["", "trust", "trust/root"])
def test_folder_that_is_missing_from_the_mirror_is_named(fleet, gone):
    tree = oid = fleet.store.tree(fleet.files)
    for part in filter(None, gone.split("/")):
        oid = next(entry.oid for entry in parse_tree(fleet.store.kept[oid].data) if entry.name == part)
    del fleet.store.kept[oid]
    found = trust_state(fleet.pin, fleet.store, tree)
    assert (found.doubt, found.subject) == (Doubt.OBJECT_MISSING, oid)


def test_signature_that_is_a_symlink_does_not_count(fleet):
    data = fleet.root_json(2, roles=fleet.staff)
    files = fleet.root_files(2, data, people(fleet, "rita", "ravi"))
    path = f"trust/root/000002.sig/{fleet.signer('ravi').id}.sig"
    files[path] = ("120000", fleet.store.put("blob", files[path]))
    fleet.commit(fleet.signer("sara"), add=files)
    assert doubt_of(fleet) is Doubt.ROOT_THRESHOLD


def test_root_folder_that_is_a_file_is_no_folder(fleet):
    for files in ({"trust": b"x"}, {"trust/root": b"x"}, {"trust/root": ("160000", "1" * 40)}):
        assert trust_state(fleet.pin, fleet.store, fleet.store.tree(files)).doubt is Doubt.ROOT_PIN


def test_document_without_a_root_role_is_refused_even_where_nothing_names_it(fleet):
    found = read_root(changed(fleet, roles={"auditor": {"keys": []}}, paths=[]), version=1, repository=fleet.fleet)
    assert "no role root" in found.detail


def test_role_may_be_empty_or_wholly_revoked_but_not_the_root_role(fleet):
    empty = roles(fleet, auditor={"keys": []})
    left = changed(fleet, revoked=[{"key": fleet.signer("max").id, "reason": "left"}])
    for data in (empty, left):
        assert isinstance(read_root(data, version=1, repository=fleet.fleet), RootDocument)
