"""Which commits are believed: each lie that a server or a thief of keys can tell, and what the node makes of it."""

from datetime import UTC, datetime, timedelta

import pytest

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Belief, Floor, Pin, TrustLimits

ANNA, SARA, MAX, INES = "anna", "sara", "max", "ines"
APP = {"apps/broker/app.yaml": b"kind: App\n"}
YEAR_2030 = datetime(2030, 1, 1, tzinfo=UTC)


def doubts(belief):
    return belief.refused.subject, belief.refused.doubt


def good(fleet, count=1, by=ANNA):
    """Commits that anna may make; answers the last."""
    for at in range(count):
        fleet.commit(fleet.signer(by), add={"apps/broker/app.yaml": b"# %d %d\n" % (at, len(fleet.store.kept))})
    return fleet.tip


def test_tip_that_is_the_checkpoint_is_believed_as_it_is(fleet):
    belief = fleet.walk()
    assert belief == Belief(Floor(fleet.tip, belief.floor.payload, belief.floor.tree, 1, belief.floor.clock))
    assert belief.floor == fleet.floor()


def test_tip_that_is_the_floor_costs_no_look_at_any_object(fleet):
    floor = fleet.floor(good(fleet))
    fleet.store.reads.clear()
    assert fleet.walk(floor) == Belief(floor)
    assert fleet.store.reads == []


def test_each_role_may_change_its_own_paths(fleet):
    for by, path in [
        (SARA, "fleet.yaml"),
        (SARA, "policies/p.yaml"),
        (SARA, "trust/nodes/plant-a.yaml"),
        (INES, "sites/plant-a/n1.yaml"),
        (MAX, "deployments/broker.yaml"),
        (ANNA, "apps/broker/app.yaml"),
        ("amir", "apps/broker/files/config.txt"),
        ("rita", "README.md"),
        (INES, "docs/how/to.md"),
    ]:
        fleet.commit(fleet.signer(by), add={path: by.encode()})
    belief = fleet.walk()
    assert belief.refused is None
    assert len(belief.accepted) == 9
    assert belief.floor == fleet.floor()


@pytest.mark.parametrize(
    ("by", "path", "doubt"),
    [
        (INES, "apps/broker/app.yaml", Doubt.ROLE_MISSING),
        (ANNA, "sites/plant-a/n1.yaml", Doubt.ROLE_MISSING),
        (ANNA, "trust/nodes/plant-a.yaml", Doubt.ROLE_MISSING),
        (INES, "trust/nodes/plant-a.yaml", Doubt.ROLE_MISSING),
        ("rita", "apps/broker/app.yaml", Doubt.ROLE_MISSING),
        (SARA, "secrets/x.1.age", Doubt.PATH_DENIED),
        (SARA, "apps", Doubt.PATH_DENIED),
        (SARA, "trust", Doubt.PATH_DENIED),
        ("mallory", "apps/broker/app.yaml", Doubt.KEY_UNKNOWN),
        ("mallory", "README.md", Doubt.KEY_UNKNOWN),
    ],
)
def test_change_by_a_key_without_the_role_is_refused(fleet, by, path, doubt):
    """Red where core/trust/walk.py has `if False:` for `if not need & roles:`."""
    start = fleet.tip
    remove = [name for name in fleet.files if name.startswith(path + "/")]
    bad = fleet.commit(fleet.signer(by), add={path: b"mine\n"}, remove=remove)
    belief = fleet.walk()
    assert belief.floor.commit == start
    assert belief.accepted == ()
    assert doubts(belief) == ((bad, Doubt.ROOT_VERSION) if path == "trust" else (bad, doubt))


def test_one_foreign_path_among_many_is_found(fleet):
    bad = fleet.commit(
        fleet.signer(ANNA), add={f"apps/a{n}/app.yaml": b"x" for n in range(40)} | {"sites/s.yaml": b"x"}
    )
    belief = fleet.walk()
    assert doubts(belief) == (bad, Doubt.ROLE_MISSING)
    assert "sites/s.yaml" in belief.refused.detail
    assert "inventory" in belief.refused.detail


def test_removing_a_file_needs_the_role_too(fleet):
    good(fleet)
    bad = fleet.commit(fleet.signer(INES), remove=["apps/broker/app.yaml"])
    assert doubts(fleet.walk()) == (bad, Doubt.ROLE_MISSING)


def test_changing_only_the_mode_of_a_file_needs_the_role_too(fleet):
    good(fleet)
    blob = fleet.store.put("blob", fleet.files["apps/broker/app.yaml"])
    bad = fleet.commit(fleet.signer(INES), add={"apps/broker/app.yaml": ("100755", blob)})
    assert doubts(fleet.walk()) == (bad, Doubt.ROLE_MISSING)


def test_adding_an_empty_folder_needs_the_role_too(fleet):
    bad = fleet.commit(fleet.signer(INES), add={"apps": ("40000", fleet.store.raw_tree([]))})
    assert doubts(fleet.walk()) == (bad, Doubt.PATH_DENIED)


def test_commit_without_changes_needs_a_known_key_and_no_role(fleet):
    """Red where core/trust/rules.py has `if False:` for `if known is None:`."""
    fleet.commit(fleet.signer("rita"))
    assert fleet.walk().refused is None
    bad = fleet.commit(fleet.signer("mallory"))
    assert doubts(fleet.walk()) == (bad, Doubt.KEY_UNKNOWN)


def test_unsigned_tip_is_refused_and_the_signed_prefix_stands(fleet):
    """Red where core/trust/walk.py has `if False:` for `if commit.signature is None:`."""
    last = good(fleet, 3)
    bad = fleet.commit(None, add=APP)
    belief = fleet.walk()
    assert doubts(belief) == (bad, Doubt.UNSIGNED)
    assert (belief.floor.commit, len(belief.accepted)) == (last, 3)


def test_bad_commit_buried_below_good_ones_stops_the_walk_there(fleet):
    """Red where core/trust/walk.py has `continue` for `refused = step`."""
    last = good(fleet, 2)
    bad = fleet.commit(fleet.signer("mallory"), add=APP)
    good(fleet, 3)
    belief = fleet.walk()
    assert doubts(belief) == (bad, Doubt.KEY_UNKNOWN)
    assert belief.floor.commit == last
    assert fleet.walk(belief.floor) == Belief(belief.floor, (), belief.refused)


def test_bad_change_that_a_good_commit_takes_back_is_still_refused(fleet):
    good(fleet)
    before = dict(fleet.files)
    bad = fleet.commit(fleet.signer("mallory"), add=APP)
    fleet.files = before
    fleet.commit(fleet.signer(ANNA))
    assert doubts(fleet.walk()) == (bad, Doubt.KEY_UNKNOWN)


def test_malformed_commit_buried_below_good_ones_leaves_the_prefix_before_it(fleet):
    last = good(fleet)
    data = fleet.payload(fleet.store.tree(fleet.files), [fleet.tip], extra=b"encoding latin1\n")
    fleet.tip = fleet.store.put("commit", fleet.with_signature(data, fleet.signer(ANNA).sign(data)))
    bad = fleet.tip
    good(fleet, 2)
    belief = fleet.walk()
    assert doubts(belief) == (bad, Doubt.MALFORMED_OBJECT)
    assert belief.floor.commit == last


@pytest.mark.parametrize("header", [b"gpgsig-sha256", b"sshsig"])
def test_signature_under_another_header_is_refused(fleet, header):
    data = fleet.payload(fleet.store.tree(fleet.files), [fleet.tip])
    bad = fleet.store.put("commit", fleet.with_signature(data, fleet.signer(ANNA).sign(data), header=header))
    assert doubts(fleet.walk(tip=bad)) == (bad, Doubt.MALFORMED_OBJECT)


def test_signature_of_one_commit_does_not_fit_another(fleet):
    """Red where core/trust/keys.py has `pass` for `crypto_sign_open(inner + message, key.loaded)`."""
    data = fleet.payload(fleet.store.tree(fleet.files), [fleet.tip])
    other = fleet.payload(fleet.store.tree(fleet.files | APP), [fleet.tip])
    bad = fleet.store.put("commit", fleet.with_signature(other, fleet.signer(ANNA).sign(data)))
    assert doubts(fleet.walk(tip=bad)) == (bad, Doubt.SIGNATURE_MISMATCH)


@pytest.mark.parametrize("namespace", ["edgegitops-root", "file", ""])
def test_signature_for_another_purpose_is_refused(fleet, namespace):
    """Red where core/trust/sshsig.py has `if False:` for `if envelope.namespace != namespace.encode():`."""
    data = fleet.payload(fleet.store.tree(fleet.files), [fleet.tip])
    bad = fleet.store.put("commit", fleet.with_signature(data, fleet.signer(ANNA).sign(data, namespace)))
    assert doubts(fleet.walk(tip=bad)) == (bad, Doubt.WRONG_NAMESPACE)


def test_security_key_that_was_not_touched_does_not_sign_a_commit(forge):
    """Red where core/trust/keys.py has `if False:` for `if profile.must_touch and not flags[0] & USER_PRESENT:`."""
    kind = "sk-ssh-ed25519@openssh.com"
    sk = forge.signer("sk", kind)
    forge.enrol(roles=forge.staff | {"engineer": [sk]})
    forge.commit(sk, add=APP)
    assert forge.walk().refused is None
    bad = forge.commit(type(sk)(kind, sk.private, sk.application, flags=0), add=APP)
    assert doubts(forge.walk()) == (bad, Doubt.NO_USER_PRESENCE)


# The floor


def test_old_tip_is_refused_and_the_floor_stays(fleet):
    """Red where core/trust/walk.py has `return chain[::-1]` for `return Refused(tip, Doubt.HISTORY_DIVERGED,
    detail)`.
    """
    old = good(fleet, 2)
    floor = fleet.floor(good(fleet, 2))
    belief = fleet.walk(floor, old)
    assert doubts(belief) == (old, Doubt.HISTORY_DIVERGED)
    assert (belief.floor, belief.accepted) == (floor, ())


def test_forked_tip_is_refused_although_all_its_commits_are_good(fleet):
    """Red where core/trust/walk.py has `return chain[::-1]` for `return Refused(tip, Doubt.HISTORY_DIVERGED,
    detail)`.
    """
    fork = good(fleet, 2)
    files = dict(fleet.files)
    floor = fleet.floor(good(fleet))
    fleet.tip, fleet.files = fork, files
    other = good(fleet, 5)
    belief = fleet.walk(floor, other)
    assert doubts(belief) == (other, Doubt.HISTORY_DIVERGED)
    assert "reanchor" in belief.refused.detail
    assert belief.floor == floor


def test_floor_on_a_second_parent_is_not_on_the_chain(fleet):
    """Red where core/trust/walk.py has `return chain[::-1]` for `return Refused(tip, Doubt.HISTORY_DIVERGED,
    detail)`.
    """
    start = fleet.tip
    floor = fleet.floor(good(fleet))
    bad = fleet.commit(fleet.signer(ANNA), parents=[start, floor.commit])
    assert doubts(fleet.walk(floor)) == (bad, Doubt.HISTORY_DIVERGED)


def rewrapped(fleet, oid):
    """The same payload under another signature of the same key, so another commit id."""
    data = fleet.store.kept[oid].data
    head, _, rest = data.partition(b"gpgsig ")
    payload = head + rest.partition(b"-----END SSH SIGNATURE-----\n")[2]
    odd = fleet.with_signature(payload, fleet.signer(ANNA).sign(payload, hash_=b"sha256"))
    return fleet.store.put("commit", odd)


def test_rewrapped_tip_neither_wedges_the_node_nor_moves_the_floor_back(fleet):
    """Red where core/trust/walk.py has `sha256_hex(data)` for `sha256_hex(commit.payload)`."""
    genuine = good(fleet, 2)
    files = dict(fleet.files)
    hostile = rewrapped(fleet, genuine)
    assert hostile != genuine
    floor = fleet.walk(tip=hostile).floor
    assert floor.commit == hostile
    assert fleet.walk(floor, genuine) == Belief(floor)
    fleet.tip, fleet.files = genuine, files
    following = good(fleet)
    belief = fleet.walk(floor, following)
    assert (belief.refused, belief.floor.commit) == (None, following)
    assert [one.commit for one in belief.accepted] == [following]


def test_floor_whose_payload_differs_is_not_the_floor(fleet):
    floor = fleet.floor(good(fleet))
    good(fleet)
    other = Floor(floor.commit, "0" * 64, floor.tree, floor.root_version, floor.clock)
    assert doubts(fleet.walk(other)) == (fleet.tip, Doubt.HISTORY_DIVERGED)


def test_walk_goes_on_from_the_floor_and_not_from_the_checkpoint(fleet):
    floor = fleet.floor(good(fleet, 3))
    fresh = good(fleet, 2)
    belief = fleet.walk(floor)
    assert (len(belief.accepted), belief.floor.commit) == (2, fresh)
    assert belief.floor == fleet.walk().floor


def test_lost_floor_starts_again_at_the_checkpoint_and_ends_at_the_same_place(fleet):
    good(fleet, 4)
    assert fleet.walk().floor == fleet.walk(fleet.walk().floor).floor


def test_what_lies_before_the_checkpoint_is_not_judged(fleet):
    fleet.commit(None, add=APP)
    unsigned = fleet.commit(fleet.signer("mallory"), add={"sites/s.yaml": b"x"})
    fleet.pin = Pin(fleet.fleet, fleet.pin.root_sha256, unsigned)
    good(fleet)
    belief = fleet.walk()
    assert (belief.refused, len(belief.accepted)) == (None, 1)


def test_tip_without_the_checkpoint_is_refused(fleet):
    other = type(fleet)(store=fleet.store).enrol()
    elsewhere = other.commit(other.signer(ANNA), parents=[], add=APP)
    assert doubts(fleet.walk(tip=elsewhere)) == (elsewhere, Doubt.CHECKPOINT_MISSING)
    assert fleet.walk(tip=elsewhere).floor is None


def test_checkpoint_that_the_server_withholds_is_named(fleet):
    good(fleet)
    del fleet.store.kept[fleet.pin.checkpoint]
    belief = fleet.walk()
    assert doubts(belief) == (fleet.pin.checkpoint, Doubt.CHECKPOINT_MISSING)
    assert belief.floor is None


@pytest.mark.parametrize("what", ["commit", "tree", "parent"])
def test_missing_object_refuses_and_keeps_the_floor(fleet, what):
    floor = fleet.floor(good(fleet))
    parent = good(fleet)
    tip = good(fleet)
    gone = {"commit": tip, "tree": fleet.floor(tip).tree, "parent": parent}[what]
    del fleet.store.kept[gone]
    belief = fleet.walk(floor)
    assert belief.refused.doubt is Doubt.OBJECT_MISSING
    assert belief.floor.commit == (parent if what == "tree" else floor.commit)


def test_tip_that_is_no_commit_is_refused(fleet):
    blob = fleet.store.put("blob", b"x")
    assert doubts(fleet.walk(tip=blob)) == (blob, Doubt.MALFORMED_OBJECT)
    assert doubts(fleet.walk(tip="<html>")) == ("<html>", Doubt.OBJECT_MISSING)


def test_commit_beyond_the_size_limit_is_never_loaded(fleet):
    """Red where core/trust/lookup.py has `if False:` for `if header.size > limit:`."""
    good(fleet)
    big = fleet.commit(fleet.signer(ANNA), message=b"x" * (1024 * 1024))
    fleet.store.reads.clear()
    assert doubts(fleet.walk()) == (big, Doubt.OBJECT_TOO_LARGE)
    assert big not in fleet.store.reads


def test_history_longer_than_the_limit_is_refused(fleet):
    good(fleet, 6)
    assert fleet.walk(limits=TrustLimits(commits=6)).refused is None
    assert doubts(fleet.walk(limits=TrustLimits(commits=5))) == (fleet.tip, Doubt.LIMIT_EXCEEDED)


def test_commit_that_changes_more_paths_than_the_limit_is_refused(fleet):
    bad = fleet.commit(fleet.signer(ANNA), add={f"apps/a{n}": b"x" for n in range(30)})
    assert doubts(fleet.walk(limits=TrustLimits(entries=20))) == (bad, Doubt.LIMIT_EXCEEDED)


def test_tree_of_folders_that_multiply_is_stopped_by_the_limit(fleet):
    oid = fleet.store.tree({"f": b"x"})
    for _ in range(20):
        oid = fleet.store.raw_tree([("40000", f"d{n}", oid) for n in range(10)])
    bad = fleet.commit(fleet.signer(ANNA), add={"apps": ("40000", oid)})
    assert doubts(fleet.walk(limits=TrustLimits(entries=500))) == (bad, Doubt.LIMIT_EXCEEDED)


def test_folders_deeper_than_the_limit_are_refused(fleet):
    bad = fleet.commit(fleet.signer(ANNA), add={"apps/" + "d/" * 70 + "f": b"x"})
    assert doubts(fleet.walk()) == (bad, Doubt.LIMIT_EXCEEDED)


def test_tree_with_an_entry_twice_is_refused_by_the_walk(fleet):
    entry = ("100644", "app.yaml", fleet.store.put("blob", b"x"))
    odd = fleet.store.raw_tree([entry, entry])
    bad = fleet.commit(fleet.signer(ANNA), add={"apps": ("40000", odd)})
    assert doubts(fleet.walk()) == (bad, Doubt.MALFORMED_OBJECT)


def test_signed_but_invalid_manifests_move_the_floor(fleet):
    link = fleet.store.put("blob", b"/etc/passwd")
    tip = fleet.commit(fleet.signer(ANNA), add={"apps/link": ("120000", link), "apps/BAD name": b"x"})
    assert (fleet.walk().floor.commit, fleet.walk().refused) == (tip, None)


# Merges


def test_signer_of_a_merge_answers_for_all_that_it_brings(fleet):
    main = fleet.tip
    side = fleet.commit(None, add=APP)
    fleet.commit(fleet.signer(ANNA), parents=[main, side])
    assert [one.commit for one in fleet.walk().accepted] == [fleet.tip]
    bad = fleet.commit(fleet.signer(INES), parents=[main, side])
    assert doubts(fleet.walk()) == (bad, Doubt.ROLE_MISSING)


# Keys in time


def timed(fleet, **fields):
    """A fleet where anna's key has a validity."""
    return fleet.enrol(keys=[(fleet.signer(ANNA), fields)])


def test_key_that_is_not_yet_valid_does_not_count(forge):
    """Red where core/trust/rules.py has `if False:` for `if known.not_before and at + skew < known.not_before:`."""
    timed(forge, notBefore="2026-07-01T00:00:00Z")
    bad = good(forge)
    assert doubts(forge.walk()) == (bad, Doubt.KEY_NOT_YET_VALID)
    assert forge.walk(now=datetime(2026, 7, 1, tzinfo=UTC)).refused is None
    assert forge.walk(now=datetime(2026, 7, 1, tzinfo=UTC) - timedelta(minutes=4)).refused is None


@pytest.mark.parametrize("committed_at", [1_500_000_000, 1_780_000_000, 2_500_000_000])
def test_expired_key_does_not_count_whatever_date_the_commit_says(forge, committed_at):
    """Red where core/trust/rules.py has `if False:` for `if known.not_after and at - skew >= known.not_after:`."""
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    bad = forge.commit(forge.signer(ANNA), add=APP, at=committed_at)
    assert doubts(forge.walk()) == (bad, Doubt.KEY_EXPIRED)
    assert forge.walk(now=datetime(2026, 4, 30, tzinfo=UTC)).refused is None


def test_clock_that_went_back_does_not_make_an_expired_key_valid(forge):
    """Red where core/trust/walk.py has `now)` for `max(now, place.clock))`."""
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    at_floor = forge.floor()
    floor = Floor(at_floor.commit, at_floor.payload, at_floor.tree, 1, datetime(2026, 5, 2, tzinfo=UTC))
    bad = good(forge)
    belief = forge.walk(floor, now=datetime(1970, 1, 1, tzinfo=UTC))
    assert doubts(belief) == (bad, Doubt.KEY_EXPIRED)
    assert belief.floor == floor


def test_local_clock_never_moves_the_clock_floor(fleet):
    good(fleet, 2)
    assert fleet.walk(now=YEAR_2030 + timedelta(days=9000)).floor == fleet.walk().floor


def test_root_in_force_moves_the_clock_floor_to_when_it_was_issued(forge):
    forge.enrol(issuedAt="2026-05-01T00:00:00Z", keys=[(forge.signer(ANNA), {"notAfter": "2026-04-01T00:00:00Z"})])
    bad = good(forge)
    belief = forge.walk(now=datetime(1970, 1, 1, tzinfo=UTC))
    assert doubts(belief) == (bad, Doubt.KEY_EXPIRED)
    assert belief.floor.clock == datetime(2026, 5, 1, tzinfo=UTC)


def test_expired_keys_commit_stands_once_a_valid_key_with_the_role_follows(forge):
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    good(forge, 3)
    tip = good(forge, by="amir")
    belief = forge.walk()
    assert (belief.refused, belief.floor.commit, len(belief.accepted)) == (None, tip, 4)


def test_only_the_tail_behind_the_last_covering_commit_is_refused(forge):
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    good(forge, 2)
    covering = good(forge, by="amir")
    bad = good(forge)
    good(forge)
    belief = forge.walk()
    assert doubts(belief) == (bad, Doubt.KEY_EXPIRED)
    assert (belief.floor.commit, len(belief.accepted)) == (covering, 3)


def test_valid_key_without_the_role_for_the_paths_covers_nothing(forge):
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    start = forge.tip
    bad = good(forge)
    forge.commit(forge.signer(INES), add={"sites/s.yaml": b"x"})
    belief = forge.walk()
    assert doubts(belief) == (bad, Doubt.KEY_EXPIRED)
    assert belief.floor.commit == start


def test_coverings_of_different_roles_come_one_by_one(forge):
    old = {"notAfter": "2026-05-01T00:00:00Z"}
    forge.enrol(
        roles=forge.staff | {"inventory": [forge.signer(INES), forge.signer("ivan")]},
        keys=[(forge.signer(ANNA), old), (forge.signer(INES), old)],
    )
    first = good(forge)
    forge.commit(forge.signer(INES), add={"sites/s.yaml": b"x"})
    forge.commit(forge.signer("ivan"), add={"sites/s.yaml": b"y"})
    assert doubts(forge.walk()) == (first, Doubt.KEY_EXPIRED)
    tip = good(forge, by="amir")
    assert (forge.walk().refused, forge.walk().floor.commit) == (None, tip)


def test_expired_key_covers_no_other_expired_key(forge):
    old = {"notAfter": "2026-05-01T00:00:00Z"}
    forge.enrol(keys=[(forge.signer(ANNA), old), (forge.signer("amir"), old)])
    bad = good(forge)
    good(forge, by="amir")
    assert doubts(forge.walk()) == (bad, Doubt.KEY_EXPIRED)


def test_uncovered_expiry_before_a_bad_commit_is_where_the_prefix_ends(forge):
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    start = forge.tip
    bad = good(forge)
    forge.commit(forge.signer("mallory"), add=APP)
    assert doubts(forge.walk()) == (bad, Doubt.KEY_EXPIRED)
    assert forge.walk().floor.commit == start


def test_expired_root_is_covered_like_an_expired_key(forge):
    forge.enrol(expiresAt="2026-05-01T00:00:00Z")
    bad = good(forge)
    assert doubts(forge.walk()) == (bad, Doubt.ROOT_EXPIRED)
    rota = [forge.signer("rita"), forge.signer("ravi")]
    forge.rotate(2, forge.signer(ANNA), rota, expiresAt="2027-05-01T00:00:00Z")
    assert doubts(forge.walk()) == (bad, Doubt.ROOT_EXPIRED)
    tip = good(forge)
    assert (forge.walk().refused, forge.walk().floor.commit) == (None, tip)


def test_rotation_published_by_an_expired_key_stands_once_it_is_covered(forge):
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    fields = {"notAfter": "2026-05-01T00:00:00Z"}
    rota = [forge.signer("rita"), forge.signer("ravi")]
    bad = forge.rotate(2, forge.signer(ANNA), rota, keys=[(forge.signer(ANNA), fields)])
    assert doubts(forge.walk()) == (bad, Doubt.KEY_EXPIRED)
    assert forge.walk().floor.root_version == 1
    good(forge, by="amir")
    assert (forge.walk().refused, forge.walk().floor.root_version) == (None, 2)


def test_rotation_that_renews_its_publishers_key_needs_no_covering(forge):
    timed(forge, notAfter="2026-05-01T00:00:00Z")
    forge.rotate(2, forge.signer(ANNA), [forge.signer("rita"), forge.signer("ravi")])
    assert (forge.walk().refused, forge.walk().floor.root_version) == (None, 2)


def test_refusal_says_who_lacks_what(fleet):
    fleet.commit(fleet.signer("rita"), add={"sites/s.yaml": b"x"})
    assert "needs the role inventory; owner-" in fleet.walk().refused.detail
    assert fleet.walk().refused.detail.endswith("has root")
