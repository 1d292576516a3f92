"""The strict profile of SSHSIG: each rule with the signature that would pass without it."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust import keys, sshsig
from edgegitops.core.trust.sshsig import SignedBy, verify

MESSAGE = b"exactly these bytes"
KINDS = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ssh-rsa:3072",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_allowed_key_type_verifies_and_only_its_own_message(forge, kind):
    who = forge.signer("anna", kind)
    assert verify(who.sign(MESSAGE), MESSAGE, "git") == SignedBy(who.id, who.blob)
    assert verify(who.sign(MESSAGE), MESSAGE + b"!", "git").doubt is Doubt.SIGNATURE_MISMATCH


@pytest.mark.parametrize("kind", ["ecdsa-sha2-nistp256", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519"])
def test_key_in_an_envelope_of_somebody_elses_signature_is_a_mismatch(forge, kind):
    made = forge.signer("anna", kind).blob_sign(MESSAGE)
    own, other = forge.signer("anna", kind).blob, forge.signer("mallory", kind).blob
    assert verify(forge.armor(made.replace(own, other)), MESSAGE, "git").doubt is Doubt.SIGNATURE_MISMATCH


# Points whose multiples are few (RFC 8032, section 5.1.7, without the check): the neutral one, and one of order eight.
FEW = [bytes([1]) + bytes(31), bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")]


@pytest.mark.parametrize("point", FEW, ids=["neutral", "order eight"])
def test_key_under_which_anybody_can_sign_signs_nothing(forge, point):
    blob = forge.ssh(b"ssh-ed25519") + forge.ssh(point)
    nobody = forge.ssh(b"ssh-ed25519") + forge.ssh(FEW[0] + bytes(32))
    for number in range(64):  # by the equation alone it would fit all of them, or one in eight
        message = b"%d" % number
        made = forge.signer().blob_sign(message)
        forged = made[: made.index(forge.ssh(forge.signer().blob))] + forge.ssh(blob)
        forged += forge.ssh(b"git") + forge.ssh(b"") + forge.ssh(b"sha512") + forge.ssh(nobody)
        assert verify(forge.armor(forged), message, "git").doubt is Doubt.SIGNATURE_MISMATCH


def test_signature_of_another_length_is_none(forge):
    who = forge.signer("anna", "ssh-ed25519")
    made = who.blob_sign(MESSAGE)
    signature = who.raw_sign(b"")[-64:]
    for odd in (b"", signature[:63], signature + b"x"):
        shell = made[: -len(forge.ssh(who.raw_sign(b"")))] + forge.ssh(forge.ssh(b"ssh-ed25519") + forge.ssh(odd))
        assert verify(forge.armor(shell), MESSAGE, "git").doubt is Doubt.MALFORMED_SIGNATURE


@pytest.mark.parametrize("size", [0, 31, 33])
def test_ed25519_key_of_another_length_is_none(forge, size):
    assert keys.read_key(forge.ssh(b"ssh-ed25519") + forge.ssh(bytes(size))).doubt is Doubt.MALFORMED_SIGNATURE


@pytest.mark.parametrize("hash_", [b"sha256", b"sha512"])
def test_both_hashes_of_the_profile_verify(forge, hash_):
    assert isinstance(verify(forge.signer().sign(MESSAGE, hash_=hash_), MESSAGE, "git"), SignedBy)


def test_rsa_with_sha256_verifies_and_its_id_is_that_of_the_key(forge):
    who = forge.signer("anna", "ssh-rsa:3072")
    short = type(who)(who.kind, who.private, sig_kind=b"rsa-sha2-256")
    assert verify(short.sign(MESSAGE), MESSAGE, "git").key_id == hashlib.sha256(who.blob).hexdigest()


ODD = {
    "another version": ({"version": 2}, Doubt.MALFORMED_SIGNATURE),
    "version zero": ({"version": 0}, Doubt.MALFORMED_SIGNATURE),
    "another magic": ({"magic": b"SSHSIH"}, Doubt.MALFORMED_SIGNATURE),
    "a reserved field that is not empty": ({"reserved": b"x"}, Doubt.MALFORMED_SIGNATURE),
    "hash sha1": ({"hash_": b"sha1"}, Doubt.ALGORITHM_REFUSED),
    "hash sha384": ({"hash_": b"sha384"}, Doubt.ALGORITHM_REFUSED),
    "an empty hash": ({"hash_": b""}, Doubt.ALGORITHM_REFUSED),
    "the namespace of roots": ({"namespace": "edgegitops-root"}, Doubt.WRONG_NAMESPACE),
    "the namespace file": ({"namespace": "file"}, Doubt.WRONG_NAMESPACE),
    "no namespace": ({"namespace": ""}, Doubt.WRONG_NAMESPACE),
    "a namespace with a tail": ({"namespace": "git "}, Doubt.WRONG_NAMESPACE),
    "a namespace in capitals": ({"namespace": "GIT"}, Doubt.WRONG_NAMESPACE),
}


@pytest.mark.parametrize("name", ODD)
def test_validly_signed_envelope_is_refused_for(forge, name):
    options, doubt = ODD[name]
    assert verify(forge.signer().sign(MESSAGE, **options), MESSAGE, "git").doubt is doubt


REARMORED = {
    "CRLF line ends": lambda text: text.replace(b"\n", b"\r\n"),
    "one CR": lambda text: text.replace(b"\n", b"\r\n", 1),
    "bytes after END": lambda text: text + b"x",
    "a second line feed after END": lambda text: text + b"\n",
    "a space after END": lambda text: text.rstrip(b"\n") + b" ",
    "a second signature after END": lambda text: text + text,
    "bytes before BEGIN": lambda text: b" " + text,
    "a line feed before BEGIN": lambda text: b"\n" + text,
    "no END": lambda text: text.partition(b"-----END")[0],
    "no BEGIN": lambda text: text.partition(b"\n")[2],
    "a PGP armor": lambda text: text.replace(b"SSH", b"PGP"),
    "an empty body": lambda _: b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
    "an empty line": lambda text: text.replace(b"-----\n", b"-----\n\n", 1),
    "a space in a line": lambda text: text.replace(b"-----\nU1", b"-----\nU 1", 1),
    "a letter that is not base64": lambda text: text.replace(b"-----\nU1", b"-----\nU_", 1),
    "padding in the middle": lambda text: text.replace(b"-----\nU1", b"-----\nU=", 1),
    "a lost letter": lambda text: text.replace(b"-----\nU1", b"-----\nU", 1),
    "an armor of 33 kB": lambda text: text.replace(b"-----\n", b"-----\n" + b"A" * 76 * 440 + b"\n", 1),
    "nothing at all": lambda _: b"",
    "a header line": lambda text: text.replace(b"-----\n", b"-----\nHash: SHA512\n", 1),
}


@pytest.mark.parametrize("name", REARMORED)
def test_armor_is_refused_for(forge, name):
    odd = REARMORED[name](forge.signer().sign(MESSAGE))
    assert verify(odd, MESSAGE, "git").doubt is Doubt.MALFORMED_SIGNATURE


def test_armor_beyond_its_limit_is_not_looked_into(forge):
    exact = forge.armor(forge.signer().blob_sign(MESSAGE) + bytes(40_000), 76)[: sshsig.ARMOR_SIZE_MOST]
    assert "longer" not in verify(exact, MESSAGE, "git").detail
    assert "longer" in verify(exact + b"A", MESSAGE, "git").detail


def test_armor_lines_may_be_of_76_characters_and_no_more(forge):
    blob = forge.signer().blob_sign(MESSAGE)
    assert isinstance(verify(forge.armor(blob, 76), MESSAGE, "git"), SignedBy)
    assert isinstance(verify(forge.armor(blob, 1), MESSAGE, "git"), SignedBy)
    assert isinstance(verify(forge.armor(blob, 77), MESSAGE, "git"), Refused)


def test_last_line_feed_of_the_armor_may_be_missing_as_in_a_commit_header(forge):
    assert isinstance(verify(forge.signer().sign(MESSAGE).rstrip(b"\n"), MESSAGE, "git"), SignedBy)


def test_base64_with_stray_bits_in_its_padding_is_refused(forge):
    blob = forge.signer().blob_sign(MESSAGE, hash_=b"sha256") + b""
    for tail in (b"", b"\0", b"\0\0"):
        text = forge.armor(blob + tail)
        if b"=\n-----END" not in text:
            continue
        at = text.index(b"=")
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        other = alphabet[alphabet.index(text[at - 1]) + 1 : alphabet.index(text[at - 1]) + 2]
        odd = text[: at - 1] + other + text[at:]
        assert base64.b64decode(odd.split(b"\n-----")[0].partition(b"\n")[2]) == blob + tail
        assert "canonical" in verify(odd, MESSAGE, "git").detail


@pytest.mark.parametrize("tail", [b"\0", b"more", b"\0\0\0\0"])
def test_bytes_after_the_signature_inside_the_armor_are_refused(forge, tail):
    odd = forge.armor(forge.signer().blob_sign(MESSAGE) + tail)
    assert verify(odd, MESSAGE, "git").doubt is Doubt.MALFORMED_SIGNATURE


@pytest.mark.parametrize("kind", KINDS)
def test_signature_cut_off_anywhere_is_refused(forge, kind):
    blob = forge.signer("anna", kind).blob_sign(MESSAGE)
    for cut in range(0, len(blob), 3):
        assert verify(forge.armor(blob[:cut] or b"\0"), MESSAGE, "git").doubt is Doubt.MALFORMED_SIGNATURE


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_byte_leaves_a_signature_valid(forge, kind):
    blob = forge.signer("anna", kind).blob_sign(MESSAGE)
    for at in range(0, len(blob), 1 if "rsa" not in kind else 17):
        odd = blob[:at] + bytes([blob[at] ^ 0x01]) + blob[at + 1 :]
        assert isinstance(verify(forge.armor(odd), MESSAGE, "git"), Refused), at


@pytest.mark.parametrize("kind", ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
@pytest.mark.parametrize(
    ("flags", "is_good"), [(0x00, False), (0x04, False), (0xFE, False), (0x01, True), (0x05, True)]
)
def test_security_key_must_have_been_touched(forge, kind, flags, is_good):
    who = forge.signer("anna", kind)
    found = verify(type(who)(kind, who.private, who.application, flags).sign(MESSAGE), MESSAGE, "git")
    assert isinstance(found, SignedBy) if is_good else found.doubt is Doubt.NO_USER_PRESENCE


@pytest.mark.parametrize(
    ("kind", "sig_kind"),
    [
        ("ssh-rsa:3072", b"ssh-rsa"),
        ("ssh-rsa:3072", b"rsa-sha2-384"),
        ("ssh-ed25519", b"ssh-ed448"),
        ("ssh-ed25519", b"sk-ssh-ed25519@openssh.com"),
        ("ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384"),
        ("sk-ecdsa-sha2-nistp256@openssh.com", b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com"),
        ("ssh-ed25519", b""),
    ],
)
def test_signature_of_another_type_than_its_key_is_refused_by_name(forge, kind, sig_kind):
    who = forge.signer("anna", kind)
    blob = who.blob_sign(MESSAGE)
    own = forge.ssh(b"rsa-sha2-512" if who.kind == "ssh-rsa" else who.kind.encode())
    at = blob.rindex(own)
    tail = forge.ssh(sig_kind) + blob[at + len(own) :]
    odd = blob[: at - 4] + forge.ssh(tail)
    found = verify(forge.armor(odd), MESSAGE, "git")
    assert found.doubt is Doubt.ALGORITHM_REFUSED
    assert sig_kind.decode() in found.detail


def test_rsa_signature_really_made_with_sha1_is_refused(forge):
    """Red where core/trust/keys.py has `b"ssh-rsa": hashes.SHA1(),` for `b"rsa-sha2-256": hashes.SHA256(),`."""
    who = forge.signer("anna", "ssh-rsa:3072")
    odd = type(who)(who.kind, who.private, sig_kind=b"ssh-rsa").sign(MESSAGE)
    assert verify(odd, MESSAGE, "git").doubt is Doubt.ALGORITHM_REFUSED


@pytest.mark.parametrize("bits", [1024, 2048, 3064])
def test_rsa_key_below_3072_bits_is_refused(forge, bits):
    """Red where core/trust/keys.py has `if bits > RSA_BITS_MOST:` for `if not profile.rsa_bits_least <= bits <=
    RSA_BITS_MOST:`.
    """
    found = verify(forge.signer("anna", f"ssh-rsa:{bits}").sign(MESSAGE), MESSAGE, "git")
    assert (found.doubt, str(bits) in found.detail) == (Doubt.ALGORITHM_REFUSED, True)


def test_rsa_key_beyond_16384_bits_costs_no_time(forge):
    blob = forge.ssh(b"ssh-rsa") + forge.mpint(65537) + forge.mpint(2**16385 + 1)
    assert keys.read_key(blob).doubt is Doubt.ALGORITHM_REFUSED


def test_rsa_signature_shorter_than_its_modulus_is_refused(forge):
    key = keys.read_key(forge.signer("anna", "ssh-rsa:3072").blob)
    found = keys.check(key, forge.ssh(b"rsa-sha2-512") + forge.ssh(b"\1" * 383), b"x")
    assert found.doubt is Doubt.MALFORMED_SIGNATURE


def test_ecdsa_p521_is_refused_by_name(forge):
    found = verify(forge.signer("anna", "ecdsa-sha2-nistp521").sign(MESSAGE), MESSAGE, "git")
    assert (found.doubt, "nistp521" in found.detail) == (Doubt.ALGORITHM_REFUSED, True)


@pytest.mark.parametrize(
    "name",
    [
        b"ssh-dss",
        b"ssh-ed448",
        b"ssh-ed25519-cert-v01@openssh.com",
        b"ssh-rsa-cert-v01@openssh.com",
        b"rsa-sha2-512",
        b"SSH-ED25519",
    ],
)
def test_other_key_types_are_refused_by_name(forge, name):
    found = keys.read_key(forge.ssh(name) + forge.ssh(bytes(32)))
    assert (found.doubt, name.decode() in found.detail) == (Doubt.ALGORITHM_REFUSED, True)


def odd_keys(forge):
    ed, ec = forge.signer().blob, forge.signer("anna", "ecdsa-sha2-nistp256").blob
    point = ec[-65:]
    ec_head = forge.ssh(b"ecdsa-sha2-nistp256")
    modulus = 2**3071 + 1
    rsa_head = forge.ssh(b"ssh-rsa")
    return {
        "ed25519 of 31 bytes": forge.ssh(b"ssh-ed25519") + forge.ssh(bytes(31)),
        "ed25519 with a tail": ed + b"\0",
        "a FIDO key without application": ed.replace(b"\0\0\0\x0bssh", b"\0\0\0\x1ask-ssh").replace(
            b"5519", b"5519@openssh.com", 1
        ),
        "a curve that is not of its type": ec_head + forge.ssh(b"nistp384") + forge.ssh(point),
        "a compressed point": ec_head + forge.ssh(b"nistp256") + forge.ssh(b"\2" + point[1:33]),
        "a point off the curve": ec_head + forge.ssh(b"nistp256") + forge.ssh(point[:-1] + bytes([point[-1] ^ 1])),
        "a modulus with a leading zero": rsa_head
        + forge.mpint(65537)
        + forge.ssh(b"\0\0" + modulus.to_bytes(384, "big")),
        "a negative modulus": rsa_head + forge.mpint(65537) + forge.ssh(modulus.to_bytes(384, "big")),
        "an even exponent": rsa_head + forge.mpint(65536) + forge.mpint(modulus),
        "an exponent of one": rsa_head + forge.mpint(1) + forge.mpint(modulus),
        "a huge exponent": rsa_head + forge.mpint(2**64 + 1) + forge.mpint(modulus),
        "no bytes": b"",
        "a type that is not ASCII": forge.ssh(b"\xff") + forge.ssh(bytes(32)),
        "a length beyond its end": b"\xff\xff\xff\xff",
    }


@pytest.mark.parametrize("at", range(14))
def test_malformed_or_second_encoding_of_a_key_is_refused(forge, at):
    name, blob = list(odd_keys(forge).items())[at]
    assert keys.read_key(blob).doubt is Doubt.MALFORMED_SIGNATURE, name


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: "no-pty " + line,
        lambda line: line.replace("ssh-ed25519", "ssh-rsa", 1),
        lambda line: line + "\n",
        lambda line: line.replace(" ", "  ", 1),
        lambda line: line.replace("AAAA", "AAA", 1),
        lambda line: line + " " + "x" * 9000,
        lambda _: "",
        lambda _: "ssh-ed25519",
        lambda line: line.replace("AAAA", "ÄAAA", 1),
    ],
)
def test_public_key_line_must_be_plain(forge, spoil):
    assert isinstance(keys.read_line(spoil(forge.signer().line)), Refused)
    assert keys.read_line(forge.signer().line).id == forge.signer().id


@given(st.binary(max_size=300))
def test_no_bytes_make_the_readers_of_keys_and_signatures_raise(data):
    assert isinstance(keys.read_key(data), Refused)
    assert isinstance(verify(data, MESSAGE, "git"), Refused)
    text = base64.b64encode(data) + b"\n"
    framed = b"-----BEGIN SSH SIGNATURE-----\n" + text + b"-----END SSH SIGNATURE-----\n"
    assert isinstance(verify(framed, MESSAGE, "git"), Refused)


@given(st.text(max_size=100))
def test_no_line_makes_the_reader_of_lines_raise(line):
    assert isinstance(keys.read_line(line), Refused)


@given(st.sampled_from(KINDS), st.binary(max_size=120))
def test_no_signature_bytes_make_the_check_raise_or_pass(forge_of_module, kind, data):
    key = keys.read_key(forge_of_module.signer("anna", kind).blob)
    for head in (b"", forge_of_module.ssh(kind.partition(":")[0].encode()), forge_of_module.ssh(b"rsa-sha2-256")):
        for body in (data, forge_of_module.ssh(data), forge_of_module.ssh(data) + b"\1\0\0\0\1"):
            assert isinstance(keys.check(key, head + body, b"x"), Refused)


def test_public_key_line_in_second_base64_is_refused(forge):
    kind, encoded, _ = forge.signer("anna", "ecdsa-sha2-nistp256").line.split()
    assert encoded.endswith("=")
    at = len(encoded.rstrip("="))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    odd = encoded[: at - 1] + alphabet[alphabet.index(encoded[at - 1]) + 1] + encoded[at:]
    assert base64.b64decode(odd) == base64.b64decode(encoded)
    assert isinstance(keys.read_line(f"{kind} {odd}"), Refused)


def test_namespace_asked_for_is_the_only_one_that_passes(forge):
    for given_ in ("git", "edgegitops-root"):
        for asked in ("git", "edgegitops-root"):
            found = verify(forge.signer().sign(MESSAGE, given_), MESSAGE, asked)
            assert isinstance(found, SignedBy) == (given_ == asked)
    assert (sshsig.NAMESPACE_GIT, sshsig.NAMESPACE_ROOT) == ("git", "edgegitops-root")
