"""`trust verify-ssh` beside the real ssh-keygen: the same question has the same exit code and the same words on stdout.

How it was seen that these can fail: eleven rules of allowed_signers, certificates and krl were broken, one at a time.
"""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgegitops.cli.trust_ssh import verify_ssh

MESSAGE = b"what was signed\n"
KINDS = {
    "ed25519": ("-t", "ed25519"),
    "p256": ("-t", "ecdsa", "-b", "256"),
    "p384": ("-t", "ecdsa", "-b", "384"),
    "p521": ("-t", "ecdsa", "-b", "521"),
    "rsa": ("-t", "rsa", "-b", "2048"),
}


class Desk:
    """Keys, certificates and signatures in a folder, and the two programs that are asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, options in KINDS.items():
            self.keygen("-q", *options, "-N", "", "-C", name, "-f", name)
        self.keygen("-q", "-t", "ed25519", "-N", "", "-f", "ca")
        self.keygen("-q", "-t", "ed25519", "-N", "", "-f", "stranger")
        for name, more in {
            "cert": ("-n", "ada,eve@x.org", "-V", "20200101Z:20400101Z"),
            "cert-old": ("-n", "ada", "-V", "20100101Z:20110101Z"),
            "cert-host": ("-h", "-n", "ada"),
            "cert-nobody": (),
            "cert-forced": ("-n", "ada", "-O", "force-command=true"),
        }.items():
            self.keygen("-q", "-t", "ed25519", "-N", "", "-f", name)
            self.keygen("-q", "-s", "ca", "-I", f"id {name}", "-z", "7", *more, f"{name}.pub")
        (path / "m").write_bytes(MESSAGE)
        for name in (*KINDS, "stranger"):
            self.sign(name, name)
        for name in ("cert", "cert-old", "cert-host", "cert-nobody", "cert-forced"):
            self.sign(f"{name}-cert.pub", name)
        self.sign("ed25519", "sha256", "-O", "hashalg=sha256")
        self.sign("ed25519", "file", namespace="file")

    def keygen(self, *argv: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        env = os.environ | {"TZ": "Europe/Stockholm"}
        return subprocess.run(
            ["ssh-keygen", *argv], cwd=self.path, check=False, capture_output=True, input=stdin, env=env
        )

    def sign(self, key: str, name: str, *more: str, namespace: str = "git") -> None:
        made = self.keygen("-q", "-Y", "sign", "-n", namespace, "-f", key, *more, stdin=MESSAGE)
        assert made.returncode == 0, made.stderr
        (self.path / f"{name}.sig").write_bytes(made.stdout)

    def public(self, name: str) -> str:
        return " ".join((self.path / f"{name}.pub").read_text().split()[:2])

    def both(self, *argv: str, stdin: bytes = MESSAGE) -> "tuple[tuple[int, bytes], tuple[int, bytes]]":
        """(exit code, stdout) of ssh-keygen, and of ours."""
        theirs = self.keygen(*argv, stdin=stdin)
        before = Path.cwd()
        os.chdir(self.path)
        try:
            ours = CliRunner().invoke(verify_ssh, list(argv), input=stdin)
        finally:
            os.chdir(before)
        if ours.exception is not None and not isinstance(ours.exception, SystemExit):
            raise ours.exception
        return (theirs.returncode, theirs.stdout), (ours.exit_code, ours.stdout_bytes)

    def agree(self, *argv: str, stdin: bytes = MESSAGE) -> int:
        theirs, ours = self.both(*argv, stdin=stdin)
        assert ours == theirs, argv
        return theirs[0]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(autouse=True)
def _plant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Stockholm")
    time.tzset()


def asked(desk: Desk, text: str, signature: str, *, identity: str = "ada", more: tuple[str, ...] = ()) -> list[int]:
    """Exit codes of find-principals, match-principals and verify over this file."""
    (desk.path / "signers").write_text(text)
    of = ("-s", f"{signature}.sig")
    return [
        desk.agree("-Y", "find-principals", "-f", "signers", *of, *more),
        desk.agree("-Y", "match-principals", "-f", "signers", "-I", identity),
        desk.agree("-Y", "verify", "-n", "git", "-f", "signers", "-I", identity, *of, *more),
    ]


@pytest.mark.parametrize("name", [*KINDS, "sha256"])
def test_every_type_of_key_is_known(desk, name):
    key = "ed25519" if name == "sha256" else name
    assert asked(desk, f"ada {desk.public(key)} a comment\n", name) == [0, 0, 0]
    assert desk.agree("-Y", "check-novalidate", "-n", "git", "-s", f"{name}.sig") == 0
    assert desk.agree("-Y", "check-novalidate", "-n", "git", "-s", f"{name}.sig", "-O", "print-pubkey") == 0


LINES = {
    "a name": "ada KEY",
    "a list of names": "bo,ada,*@x.org KEY",
    "a pattern": "a?a KEY",
    "a star": "* KEY",
    "names in quotes": '"ada" KEY',
    "names half in quotes": 'a"da",b KEY',
    "a quote without its end": '"ada KEY',
    "a name that is excluded": "!ada,* KEY",
    "another name excluded": "!bo,* KEY",
    "only an exclusion": "!bo KEY",
    "another name": "bo KEY",
    "no name": "KEY",
    "a name alone": "ada",
    "an empty file": "",
    "only comments": "# ada KEY\n\n   # more",
    "leading blanks and tabs": "  \tada\t\tKEY",
    "a carriage return": "ada KEY\r",
    "a name with an empty one in its list": "bo,,ada KEY",
    "another key before it": "ada OTHER\nada KEY",
    "another name before it": "bo KEY\nada KEY",
    "a broken line before it": "ada ssh-ed25519 AAAA\nada KEY",
    "a broken key type": "ada ssh-what AAAAC3NzaC1lZDI1NTE5",
    "a key of another type than it says": "ada ssh-rsa BLOB",
    "its namespace": 'ada namespaces="git" KEY',
    "a list of namespaces": 'ada namespaces="file,git" KEY',
    "a pattern of namespaces": 'ada namespaces="g*" KEY',
    "a namespace that is excluded": 'ada namespaces="!git,*" KEY',
    "another namespace": 'ada namespaces="file" KEY',
    "another namespace, then one that fits": 'ada namespaces="file" KEY\nada namespaces="git" KEY',
    "namespaces in capitals": 'ada NameSpaces="git" KEY',
    "namespaces twice": 'ada namespaces="git",namespaces="git" KEY',
    "namespaces without quotes": "ada namespaces=git KEY",
    "an unknown option": "ada what KEY",
    "an option with a comma at its end": 'ada namespaces="git", KEY',
    "valid after long ago": 'ada valid-after="20000101" KEY',
    "valid after a far day": 'ada valid-after="20900101" KEY',
    "valid before a far day": 'ada valid-before="20900101Z" KEY',
    "valid before long ago": 'ada valid-before="200001011200" KEY',
    "a span": 'ada valid-after="20000101000000Z",valid-before="20900101" KEY',
    "a span that ends before it begins": 'ada valid-after="20900101",valid-before="20000101" KEY',
    "a day that there is not": 'ada valid-after="20001332" KEY',
    "a time in other words": 'ada valid-after="yesterday" KEY',
    "an expired line, then a valid one": 'ada valid-before="20000101" KEY\nada KEY',
    "an authority that is no certificate's": "ada cert-authority KEY",
    "two options": 'ada namespaces="git",valid-after="20000101" KEY',
}


@pytest.mark.parametrize("name", LINES)
def test_lines_are_read_alike(desk, name):
    public = desk.public("ed25519")
    text = LINES[name].replace("KEY", public).replace("OTHER", desk.public("p256")).replace("BLOB", public.split()[1])
    asked(desk, f"{text}\n", "ed25519")
    asked(desk, text, "ed25519", identity="x@x.org")


@pytest.mark.parametrize("at", ["20250629", "20250630Z", "202506301159", "202506301201", "20250630120000", "20251231Z"])
@pytest.mark.parametrize("option", ["valid-after", "valid-before"])
def test_times_are_in_the_zone_of_the_machine_unless_they_say_another(desk, option, at):
    text = f'ada {option}="202506301200" {desk.public("ed25519")}\n'
    asked(desk, text, "ed25519", more=("-O", f"verify-time={at}"))


CERTIFIED = {
    "by a line for the authority": "ada cert-authority CA",
    "by a pattern": "* cert-authority CA",
    "for another name": "bo cert-authority CA",
    "for one of two names": "eve@* cert-authority CA",
    "with a namespace": 'ada cert-authority,namespaces="git" CA',
    "with another namespace": 'ada namespaces="file",cert-authority CA',
    "without the option": "ada CA",
    "by its own key": "ada KEY",
    "by its own certificate": "ada CERT",
    "by another authority": "ada cert-authority OTHER",
    "in the time of the line": 'ada cert-authority,valid-before="20000101" CA',
}


@pytest.mark.parametrize("signature", ["cert", "cert-old", "cert-host", "cert-nobody", "cert-forced"])
@pytest.mark.parametrize("name", CERTIFIED)
def test_certificates_are_judged_alike(desk, name, signature):
    words = {"CA": "ca", "KEY": signature, "CERT": f"{signature}-cert", "OTHER": "stranger"}
    text = CERTIFIED[name]
    for word, key in words.items():
        text = text.replace(f" {word}", f" {desk.public(key)}")
    asked(desk, f"{text}\n", signature)
    asked(desk, f"{text}\n", signature, identity="eve@x.org")
    asked(desk, f"{text}\n", signature, more=("-O", "verify-time=20100601"))


def spoilt(desk: Desk, act: str) -> bytes:
    good = (desk.path / "ed25519.sig").read_bytes()
    lines = good.split(b"\n")
    blob = base64.b64decode(b"".join(lines[1:-2]))

    def wrapped(data: bytes) -> bytes:
        return b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(data) + b"\n-----END SSH SIGNATURE-----\n"

    return {
        "as it is": good,
        "nothing": b"",
        "no armor": b"hello\n",
        "text before": b"x\n" + good,
        "text after": good + b"text\n",
        "no end": b"\n".join(lines[:-2]) + b"\n",
        "carriage returns": good.replace(b"\n", b"\r\n"),
        "one long line": wrapped(blob),
        "bytes after the signature": wrapped(blob + b"x"),
        "cut short": wrapped(blob[:-1]),
        "a flipped bit": wrapped(blob[:-1] + bytes([blob[-1] ^ 1])),
        "another version": wrapped(blob[:9] + b"\x02" + blob[10:]),
        "another magic": wrapped(b"SSHSIX" + blob[6:]),
        "no base64": good.replace(b"A", b"*", 1),
        "another namespace inside": (desk.path / "file.sig").read_bytes(),
    }[act]


SPOILT = [
    "as it is", "nothing", "no armor", "text before", "text after", "no end", "carriage returns", "one long line",
    "bytes after the signature", "cut short", "a flipped bit", "another version", "another magic", "no base64",
    "another namespace inside",
]  # fmt: skip


@pytest.mark.parametrize("act", SPOILT)
def test_signatures_are_read_alike(desk, act):
    (desk.path / "spoilt.sig").write_bytes(spoilt(desk, act))
    asked(desk, f"ada {desk.public('ed25519')}\n", "spoilt")
    desk.agree("-Y", "check-novalidate", "-n", "git", "-s", "spoilt.sig")
    desk.agree("-Y", "check-novalidate", "-n", "git", "-s", "spoilt.sig", stdin=b"another message")


@pytest.mark.parametrize("listed", ["ed25519", "stranger", "ca", "cert", "cert-cert"])
@pytest.mark.parametrize("signature", ["ed25519", "cert"])
@pytest.mark.parametrize("form", ["text", "krl"])
def test_revoked_keys_are_refused_alike(desk, listed, signature, form):
    (desk.path / "signers").write_text(f"ada {desk.public('ed25519')}\nada cert-authority {desk.public('ca')}\n")
    (desk.path / "revoked").write_text(f"# gone\n\n{desk.public(listed)} comment\n")
    if form == "krl":
        made = desk.keygen("-q", "-k", "-f", "revoked", f"{listed}.pub")
        assert made.returncode == 0, made.stderr
    desk.agree("-Y", "verify", "-n", "git", "-f", "signers", "-I", "ada", "-s", f"{signature}.sig", "-r", "revoked")


@pytest.mark.parametrize(
    "spec",
    ["serial: 7", "serial: 6",
     "serial: 1-9", "serial: 7-1000000", "serial: 8-1000000", "serial: 7-9", "serial: 5-7", "serial: 8-9",
     "serial: 1\nserial: 3\nserial: 7\nserial: 9",
     "id: id cert", "id: another", "sha1: KEY", "sha256: KEY", "key: KEY", "sha256: OTHER"],
)  # fmt: skip
def test_every_kind_of_revocation_list_is_read(desk, spec):
    text = spec.replace("KEY", desk.public("cert")).replace("OTHER", desk.public("stranger"))
    (desk.path / "spec").write_text(f"{text}\n")
    made = desk.keygen("-q", "-k", "-f", "krl", "-s", "ca.pub", "spec")
    assert made.returncode == 0, made.stderr
    (desk.path / "signers").write_text(f"ada cert-authority {desk.public('ca')}\n")
    desk.agree("-Y", "verify", "-n", "git", "-f", "signers", "-I", "ada", "-s", "cert.sig", "-r", "krl")


CALLS = {
    "a revocation file that is not there": "-Y verify -n git -f signers -I ada -s ed25519.sig -r nofile",
    "a signers file that is not there": "-Y verify -n git -f nofile -I ada -s ed25519.sig",
    "a signature that is not there": "-Y verify -n git -f signers -I ada -s nofile",
    "nowhere to find principals": "-Y find-principals -f nofile -s ed25519.sig",
    "no signature to find principals of": "-Y find-principals -f signers -s nofile",
    "nowhere to match principals": "-Y match-principals -f nofile -I ada",
    "another namespace": "-Y verify -n file -f signers -I ada -s ed25519.sig",
    "quietly": "-Y verify -q -n git -f signers -I ada -s ed25519.sig",
    "quietly refused": "-Y verify -q -n git -f signers -I bo -s ed25519.sig",
    "with the key": "-Y verify -n git -f signers -I ada -s ed25519.sig -O print-pubkey",
    "an unknown option": "-Y verify -n git -f signers -I ada -s ed25519.sig -O what",
    "a wrong time": "-Y verify -n git -f signers -I ada -s ed25519.sig -O verify-time=soon",
    "joined flags as git writes them": "-Y find-principals -fsigners -sed25519.sig -Overify-time=20250101",
    "a wrong time to find principals at": "-Y find-principals -f signers -s ed25519.sig -O verify-time=soon",
    "an unknown option to find principals": "-Y find-principals -f signers -s ed25519.sig -O what",
    "quietly found": "-Y find-principals -q -f signers -s ed25519.sig",
    "quietly matched": "-Y match-principals -q -f signers -I ada",
    "an option that git gives": "-Y check-novalidate -n git -s ed25519.sig -Overify-time=20250101000000",
    "a hash that is for signing": "-Y verify -n git -f signers -I ada -s ed25519.sig -O hashalg=sha256",
    "no namespace": "-Y verify -f signers -I ada -s ed25519.sig",
    "no identity": "-Y verify -n git -f signers -s ed25519.sig",
    "no signature": "-Y check-novalidate -n git",
    "no signers": "-Y find-principals -s ed25519.sig",
    "no such question": "-Y what",
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_end_alike(desk, name):
    (desk.path / "signers").write_text(f"ada {desk.public('ed25519')}\n")
    desk.agree(*CALLS[name].split())


def test_git_asks_our_program_as_it_asks_ssh_keygen(desk, tmp_path):
    program = tmp_path / "verify-ssh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edgegitops trust verify-ssh "$@"\n')
    program.chmod(0o755)
    (desk.path / "signers").write_text(f"ada {desk.public('ed25519')}\n")

    def git(*argv: str) -> "subprocess.CompletedProcess[str]":
        settings = {
            "gpg.format": "ssh",
            "gpg.ssh.program": str(program),
            "gpg.ssh.allowedSignersFile": str(desk.path / "signers"),
            "user.signingkey": str(desk.path / "ed25519"),
            "user.name": "ada",
            "user.email": "ada@example.org",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(
            ["git", *options, *argv], cwd=tmp_path, check=False, capture_output=True, text=True, env=env
        )

    git("init", "-q", "repo")
    work = ("-C", "repo")
    assert git(*work, "commit", "-q", "--allow-empty", "-S", "-m", "signed through our program").returncode == 0
    assert git(*work, "tag", "-s", "v1", "-m", "a tag").returncode == 0
    assert git(*work, "verify-commit", "HEAD").returncode == 0
    assert git(*work, "verify-tag", "v1").returncode == 0
    assert 'Good "git" signature for ada with ED25519 key' in git(*work, "log", "-1", "--show-signature").stdout
    (desk.path / "signers").write_text(f"ada {desk.public('stranger')}\n")
    assert git(*work, "verify-commit", "HEAD").returncode != 0
    assert git(*work, "verify-tag", "v1").returncode != 0
