"""The lenient readers of `verify-ssh`: any bytes give a value or words of ours; a node never asks them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust import keys, sshsig
from edgegitops.core.trust.allowed_signers import Complaints, matches, parse_time, read_lines
from edgegitops.core.trust.certificates import Signing, read_signing
from edgegitops.core.trust.krl import MAGIC, is_listed
from edgegitops.core.trust.verify_ssh import Answer, Wish, read_signature, verify


def utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)


@given(
    st.text()
    | st.from_regex(r'[a*!?]+ (namespaces="[^"]*",?|valid-(after|before)="[0-9Z]+",?)* ssh-ed25519 [A-Za-z0-9+/=]*')
)
def test_no_text_makes_the_reader_of_allowed_signers_raise(text):
    complaints = Complaints("signers")
    for line in read_lines(text, utc, complaints):
        assert isinstance(line.key, Signing)


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com", b"\0\0\0\x0bssh-ed25519"]),
)
def test_no_bytes_make_the_readers_of_keys_and_certificates_raise(tail, head):
    assert isinstance(read_signing(head + tail), Signing | Refused)


@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_of_signatures_raise(data):
    framed = b"-----BEGIN SSH SIGNATURE-----\n" + data + b"\n-----END SSH SIGNATURE-----\n"
    assert isinstance(read_signature(framed), str)
    assert isinstance(verify(framed, b"", Wish("git", 0)), Answer)


@given(st.binary(max_size=400))
def test_revocation_list_that_cannot_be_read_revokes(forge_of_module, data):
    key = read_signing(forge_of_module.signer().blob)
    assert isinstance(is_listed(key, MAGIC + data), str)
    assert is_listed(key, MAGIC + b"\0\0\0\x02")
    assert is_listed(key, MAGIC + b"\0\0\0\x01" + b"\0" * 32 + b"\x09\0\0\0\0")


@given(st.text(alphabet="a*?!,b", max_size=12), st.text(alphabet="ab", max_size=6))
def test_exclusion_wins_over_every_pattern(patterns, name):
    assert not matches(name, f"{patterns},!*")


@pytest.mark.parametrize(
    "text", ["", "2025", "20250230", "20250101246060", "99999999", "20250101z", "\uff12\uff10250101"]
)
def test_time_that_there_is_not_is_none(text):
    assert parse_time(text, utc) is None


def test_strict_profile_takes_nothing_that_only_the_lenient_one_takes(forge):
    short, curve = forge.signer("short", "ssh-rsa:2048"), forge.signer("curve", "ecdsa-sha2-nistp521")
    idle = forge.signer("idle", "sk-ssh-ed25519@openssh.com")
    idle = type(idle)(idle.kind, idle.private, idle.application, flags=0)
    for one, doubt in (
        (short, Doubt.ALGORITHM_REFUSED),
        (curve, Doubt.ALGORITHM_REFUSED),
        (idle, Doubt.NO_USER_PRESENCE),
    ):
        if one is not curve:
            assert verify(one.sign(b"m"), b"m", Wish("git", 0)).code == 0
        assert isinstance(keys.read_key(one.blob, keys.LENIENT), keys.PublicKey)
        refused = sshsig.verify(one.sign(b"m"), b"m", "git")
        assert (type(refused), refused.doubt) == (Refused, doubt)
