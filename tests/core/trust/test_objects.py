"""Raw commits, trees and tags: one reading, and everything odd refused."""

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.objects import (
    Commit,
    Tag,
    TreeEntry,
    entry_of,
    first_parent,
    parse_commit,
    parse_rows,
    parse_tag,
    parse_tree,
)

TREE, ONE, TWO = "a" * 40, "1" * 40, "2" * 40
IDENT = b"Anna <anna@example> 1780000000 +0200"
ARMOR = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----"
FOLDED = ARMOR.replace(b"\n", b"\n ")
HEAD = b"tree %s\nparent %s\nauthor %s\ncommitter %s\n" % (TREE.encode(), ONE.encode(), IDENT, IDENT)
GOOD = HEAD + b"gpgsig " + FOLDED + b"\n\nchange\n"
MERGETAG = b"mergetag object " + TWO.encode() + b"\n type commit\n tag v1\n \n -----BEGIN SSH SIGNATURE-----\n"


def test_commit_is_taken_apart_into_what_was_signed_and_the_signature():
    assert parse_commit(GOOD) == Commit(TREE, (ONE,), IDENT, IDENT, ARMOR + b"\n", HEAD + b"\nchange\n")


def test_unsigned_commit_is_read_and_its_payload_is_all_of_it():
    data = HEAD + b"\nchange\n"
    assert parse_commit(data) == Commit(TREE, (ONE,), IDENT, IDENT, None, data)


def test_payload_is_the_same_wherever_the_signature_stands():
    late = HEAD + MERGETAG + b"gpgsig " + FOLDED + b"\n\nchange\n"
    early = HEAD + b"gpgsig " + FOLDED + b"\n" + MERGETAG + b"\nchange\n"
    assert parse_commit(late).payload == parse_commit(early).payload == HEAD + MERGETAG + b"\nchange\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"parent " + ONE.encode() + b"\n", b"") + b"\nroot commit\n",
        HEAD.replace(b"parent", b"parent " + TWO.encode() + b"\nparent", 1) + b"\nmerge\n",
        HEAD + b"\n",
        HEAD + b"\nno line feed at the end",
        HEAD + b"\n\n\nblank lines first\n\n",
        HEAD + b"\nlatin \xe4 bytes are the writer's own affair\n",
        HEAD + b"\ngpgsig is a header\n",
        HEAD + b"\n quoted: -----BEGIN SSH SIGNATURE-----\n",
        HEAD.replace(b"Anna <anna@example>", b" <>") + b"\nan empty name\n",
        HEAD + MERGETAG + MERGETAG + b"\nan octopus of signed tags\n",
    ],
)
def test_odd_but_honest_commit_is_read(data):
    assert isinstance(parse_commit(data), Commit)


REFUSED_COMMITS = {
    "two gpgsig headers": HEAD + b"gpgsig " + FOLDED + b"\ngpgsig " + FOLDED + b"\n\nx\n",
    "gpgsig-sha256": HEAD + b"gpgsig-sha256 " + FOLDED + b"\n\nx\n",
    "gpgsig and gpgsig-sha256": HEAD + b"gpgsig " + FOLDED + b"\ngpgsig-sha256 " + FOLDED + b"\n\nx\n",
    "an unknown signature header": HEAD + b"sshsig " + FOLDED + b"\n\nx\n",
    "GPGSIG in capitals": HEAD + b"GPGSIG " + FOLDED + b"\n\nx\n",
    "an encoding": HEAD + b"encoding ISO-8859-1\n\nx\n",
    "an unknown header": HEAD + b"x-extra 1\n\nx\n",
    "an SSH signature in the message": GOOD + b"\n" + ARMOR + b"\n",
    "a gpgsig block in the message": HEAD + b"\nx\n\ngpgsig " + FOLDED + b"\n",
    "a gpgsig block as the message": HEAD + b"\ngpgsig " + FOLDED + b"\n\nx\n",
    "a gpgsig-sha256 block in the message": HEAD + b"\nx\n\ngpgsig-sha256 " + FOLDED + b"\n",
    "a PGP signature in the message": GOOD + b"-----BEGIN PGP SIGNATURE-----\n",
    "an X.509 signature in the message": GOOD + b"-----BEGIN SIGNED MESSAGE-----\n",
    "a NUL in the message": GOOD + b"\0",
    "bytes after a NUL": GOOD + b"\0unseen by those who read C strings\n",
    "a NUL in the author": GOOD.replace(b"Anna", b"An\0a", 1),
    "no tree": GOOD.partition(b"\n")[2],
    "two trees": b"tree " + TWO.encode() + b"\n" + GOOD,
    "a parent before the tree": b"parent " + ONE.encode() + b"\n" + GOOD,
    "a parent after the author": GOOD.replace(b"committer", b"parent " + TWO.encode() + b"\ncommitter", 1),
    "a parent after the committer": HEAD + b"parent " + TWO.encode() + b"\n\nx\n",
    "a tree after the committer": HEAD + b"tree " + TWO.encode() + b"\n\nx\n",
    "the committer first": GOOD.replace(b"author", b"x", 1).replace(b"committer", b"author", 1),
    "no committer": GOOD.replace(b"committer " + IDENT + b"\n", b""),
    "two authors": GOOD.replace(b"author", b"author " + IDENT + b"\nauthor", 1),
    "two committers": HEAD + b"committer " + IDENT + b"\n\nx\n",
    "a short id": GOOD.replace(TREE.encode(), TREE[1:].encode(), 1),
    "an id in capitals": GOOD.replace(TREE.encode(), b"A" * 40, 1),
    "an id of SHA-256": GOOD.replace(TREE.encode(), b"a" * 64, 1),
    "no blank line": HEAD,
    "headers alone and the signature": HEAD + b"gpgsig " + FOLDED + b"\n",
    "an author without address": GOOD.replace(b" <anna@example>", b"", 1),
    "an author without time": GOOD.replace(b" 1780000000 +0200", b"", 1),
    "an author with a forged second address": GOOD.replace(b"<anna@example>", b"<a@b> <c@d>", 1),
    "a CR at a header's end": GOOD.replace(b"+0200\n", b"+0200\r\n", 1),
    "CRLF everywhere": GOOD.replace(b"\n", b"\r\n"),
    "a continuation line of nothing": HEAD + b" folded\n\nx\n",
    "a header without a value": HEAD + b"gpgsig\n\nx\n",
    "a header with a space first": HEAD + b" gpgsig " + FOLDED + b"\n\nx\n",
    "a negative time": GOOD.replace(b"1780000000", b"-1780000000", 1),
    "nothing": b"",
    "a tag": b"object " + ONE.encode() + b"\ntype commit\ntag v1\ntagger " + IDENT + b"\n\nx\n",
}


@pytest.mark.parametrize("name", REFUSED_COMMITS)
def test_commit_is_refused_for(name):
    found = parse_commit(REFUSED_COMMITS[name])
    assert isinstance(found, Refused)
    assert found.doubt is Doubt.MALFORMED_OBJECT


def test_refusal_names_the_header_that_is_not_allowed():
    assert "'encoding'" in parse_commit(REFUSED_COMMITS["an encoding"]).detail
    assert "\x1b" not in parse_commit(HEAD + b"\x1b[2J 1\n\nx\n").detail


def test_way_back_leads_through_a_malformed_commit():
    assert first_parent(REFUSED_COMMITS["an encoding"]) == ONE
    assert first_parent(b"tree " + TREE.encode() + b"\nauthor x") is None
    assert first_parent(b"") is None


def row(mode, name, oid=b"\x11" * 20):
    return mode + b" " + name + b"\0" + oid


def test_tree_is_read_in_its_order():
    data = row(b"100644", b"a.b") + row(b"40000", b"a") + row(b"100755", b"a0") + row(b"120000", b"l")
    assert [(entry.mode, entry.name) for entry in parse_tree(data)] == [
        ("100644", "a.b"),
        ("40000", "a"),
        ("100755", "a0"),
        ("120000", "l"),
    ]
    assert parse_tree(b"") == ()
    assert parse_tree(row(b"160000", b"sub")) == (TreeEntry("160000", "sub", "11" * 20),)


REFUSED_TREES = {
    "an entry twice": row(b"100644", b"a") * 2,
    "an entry twice with other ids": row(b"100644", b"a") + row(b"100644", b"a", b"\x22" * 20),
    "entries out of order": row(b"100644", b"b") + row(b"100644", b"a"),
    "a folder sorted like a file": row(b"40000", b"a") + row(b"100644", b"a.b"),
    "a name that is a file and a folder": row(b"100644", b"a") + row(b"40000", b"a"),
    "a file and a folder with one between": row(b"100644", b"a") + row(b"100644", b"a.b") + row(b"40000", b"a"),
    "a dot": row(b"40000", b"."),
    "two dots": row(b"40000", b".."),
    "a .git": row(b"40000", b".git"),
    "a .GIT": row(b"100644", b".GIT"),
    "a slash in a name": row(b"100644", b"a/b"),
    "an empty name": row(b"100644", b""),
    "a mode with a zero first": row(b"040000", b"a"),
    "a mode of a device": row(b"60000", b"a"),
    "a mode that is set-uid": row(b"104755", b"a"),
    "a mode that is not octal": row(b"100648", b"a"),
    "a mode of nothing": row(b"", b"a"),
    "an id cut off": row(b"100644", b"a")[:-1],
    "bytes after the last entry": row(b"100644", b"a") + b"1",
    "bytes before the first entry": b"\0" + row(b"100644", b"a"),
    "bytes between entries": row(b"100644", b"a") + b"  " + row(b"100644", b"b"),
    "no name at all": b"100644",
}


@pytest.mark.parametrize("name", REFUSED_TREES)
def test_tree_is_refused_for(name):
    found = parse_tree(REFUSED_TREES[name])
    assert isinstance(found, Refused)
    assert found.doubt is Doubt.MALFORMED_OBJECT


TAG = b"object %s\ntype commit\ntag ctl/1\ntagger %s\n\npause\n" % (ONE.encode(), IDENT)


def test_tag_is_taken_apart_into_what_was_signed_and_the_signature():
    assert parse_tag(TAG + ARMOR + b"\n") == Tag(ONE, "commit", "ctl/1", IDENT, ARMOR + b"\n", TAG)
    assert parse_tag(TAG) == Tag(ONE, "commit", "ctl/1", IDENT, None, TAG)


REFUSED_TAGS = {
    "two signatures": TAG + ARMOR + b"\n" + ARMOR + b"\n",
    "a PGP signature": TAG + b"-----BEGIN PGP SIGNATURE-----\nx\n",
    "a PGP and an SSH signature": TAG + b"-----BEGIN PGP SIGNATURE-----\nx\n" + ARMOR + b"\n",
    "a NUL": TAG + b"\0",
    "a gpgsig header": TAG.replace(b"\n\n", b"\ngpgsig " + FOLDED + b"\n\n", 1),
    "a gpgsig-sha256 header": TAG.replace(b"\n\n", b"\ngpgsig-sha256 " + FOLDED + b"\n\n", 1),
    "no tagger": TAG.replace(b"tagger " + IDENT + b"\n", b""),
    "no name": TAG.replace(b"tag ctl/1\n", b"", 1),
    "a name that is not UTF-8": TAG.replace(b"ctl/1", b"ctl/\xff", 1),
    "a type that is none": TAG.replace(b"type commit", b"type note", 1),
    "headers in another order": TAG.replace(b"type commit\ntag ctl/1", b"tag ctl/1\ntype commit", 1),
    "no blank line": TAG.replace(b"\n\n", b"\n", 1),
    "nothing": b"",
}


@pytest.mark.parametrize("name", REFUSED_TAGS)
def test_tag_is_refused_for(name):
    assert parse_tag(REFUSED_TAGS[name]).doubt is Doubt.MALFORMED_OBJECT


def spoilt(good):
    """Bytes near a good object, which is where parsers break."""
    cuts = st.integers(0, len(good))
    pieces = st.one_of(st.binary(max_size=12), st.sampled_from([b"\n", b"\n\n", b"\0", b" ", b"gpgsig ", FOLDED]))
    return st.builds(lambda a, b, piece: good[: min(a, b)] + piece + good[max(a, b) :], cuts, cuts, pieces)


@given(st.one_of(st.binary(max_size=200), spoilt(GOOD)))
@example(GOOD)
def test_no_bytes_make_the_commit_reader_raise(data):
    found = parse_commit(data)
    assert isinstance(found, Commit | Refused)
    first_parent(data)
    if isinstance(found, Commit):
        assert b"\0" not in data
        assert found.parents[:1] == tuple(filter(None, [first_parent(data)]))
        assert (found.signature is None) == (found.payload == data)
        assert b"\ngpgsig" not in found.payload.partition(b"\n\n")[0]


@given(st.one_of(st.binary(max_size=200), spoilt(TAG + ARMOR + b"\n")))
def test_no_bytes_make_the_tag_reader_raise(data):
    found = parse_tag(data)
    assert isinstance(found, Tag | Refused)
    if isinstance(found, Tag):
        assert found.payload + (found.signature or b"") == data


@given(st.one_of(st.binary(max_size=200), spoilt(row(b"100644", b"a") + row(b"40000", b"b") + row(b"120000", b"c"))))
def test_tree_that_is_read_says_all_of_its_bytes(data):
    found = parse_tree(data)
    if isinstance(found, Refused):
        assert parse_rows(data) == found
        return
    rows = parse_rows(data)
    assert b"".join(mode + b" " + name + b"\0" + oid for mode, name, oid in rows) == data
    assert tuple(map(entry_of, rows)) == found
    assert len({entry.name for entry in found}) == len(found) or any("\\x" in entry.name for entry in found)


@pytest.fixture(scope="module")
def real_tree(tmp_path_factory):
    """(raw bytes, `git ls-tree` lines) of a real tree with names that sort oddly."""
    path = tmp_path_factory.mktemp("real")
    git = ["git", "-C", str(path)]
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    for name in ("a.b", "a/x", "a0", "A", "a-b", "a_b", "_", "é"):
        file = path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    (path / "link").symlink_to("a0")
    subprocess.run([*git, "add", "-A"], check=True)
    tree = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True).stdout.strip()
    raw = subprocess.run([*git, "cat-file", "tree", tree], check=True, capture_output=True).stdout
    listed = subprocess.run([*git, "ls-tree", "-z", tree], check=True, capture_output=True, text=True).stdout
    return raw, listed.strip("\0").split("\0")


def test_tree_of_real_git_is_read_as_git_lists_it(real_tree):
    raw, listed = real_tree
    kinds = {"40000": "tree"}
    mine = [f"{e.mode:0>6} {kinds.get(e.mode, 'blob')} {e.oid}\t{e.name}" for e in parse_tree(raw)]
    assert mine == listed
