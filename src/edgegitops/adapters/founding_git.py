"""A new repository on a person's machine, with the tools that the person has: git and ssh-keygen, as they are set up.

Keys may have a passphrase or live in an agent or a token: both programs ask the person themselves, on the terminal.
What is signed, and by whom, is decided elsewhere. DeniedError: a program is missing or ended badly, in its own words.
"""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgegitops.errors import DeniedError

_PORT = "init"


def make_key(path: Path, comment: str) -> Path:
    """A new Ed25519 key without passphrase at `path`, readable by its owner only; its path."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path


def public_line(path: Path) -> str:
    """The OpenSSH public key line of a private key's file, or of a `.pub` whose private part is in an agent."""
    public = path if path.suffix == ".pub" else path.with_name(f"{path.name}.pub")
    try:
        if public.is_file():
            return public.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise DeniedError(_PORT, f"read {public}", str(error)) from error
    if not path.is_file():
        raise DeniedError(_PORT, f"read {path}", "there is no such key; `ssh-keygen -t ed25519` makes one")
    return _run(["ssh-keygen", "-y", "-f", str(path)]).decode().strip()


def sign(data: bytes, key: Path, namespace: str) -> bytes:
    """The armored SSHSIG signature of `data`."""
    return _run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)], data=data)


class NewRepository:
    """A Git repository that is made at `path`; `signer` is the key that the person's own commits are signed with, and
    `owner` the name of that person where git knows none: without a name plain `git commit` would refuse.
    """

    def __init__(self, path: Path, signer: Path, signers_file: str, *, owner: str) -> None:
        self._path = path
        self._git("init", "-q", "--initial-branch=main")
        for key, value in (("user.name", owner), ("user.email", f"{owner}@localhost")):
            if not self._known(key):
                self._git("config", key, value)
        for key, value in (
            ("gpg.format", "ssh"),
            ("user.signingkey", str(signer)),
            ("commit.gpgsign", "true"),
            ("tag.gpgsign", "true"),
            ("gpg.ssh.allowedSignersFile", signers_file),
        ):
            self._git("config", key, value)

    def commit(self, files: Sequence[str], message: str, *, key: Path) -> str:
        """Commit these files, signed by `key`; the commit's id."""
        self._git("add", "--force", "--", *files)
        self._git("-c", f"user.signingkey={key}", "commit", "-q", "--no-verify", "-S", "-m", message)
        return self._git("rev-parse", "HEAD")

    def _known(self, setting: str) -> bool:
        argv = ["git", "-C", str(self._path), "config", setting]
        return subprocess.run(argv, check=False, stdout=subprocess.DEVNULL).returncode == 0  # noqa: S603 - our own words

    def _git(self, *arguments: str) -> str:
        return _run(["git", "-C", str(self._path), *arguments]).decode().strip()


def write_files(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files below `path`; folders are made, what stands there is replaced."""
    try:
        for name, data in files.items():
            target = path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except OSError as error:
        raise DeniedError(_PORT, f"write {error.filename or path}", error.strerror or str(error)) from error


def remove_files(path: Path, names: Iterable[str]) -> None:
    """Remove files below `path`; what is not there is no fault."""
    for name in names:
        try:
            (path / name).unlink(missing_ok=True)
        except OSError as error:
            raise DeniedError(_PORT, f"remove {path / name}", error.strerror or str(error)) from error


def _run(argv: list[str], *, data: bytes | None = None) -> bytes:
    given = {"input": data} if data is not None else {}
    try:
        done = subprocess.run(argv, capture_output=True, check=False, **given)  # type: ignore[call-overload] # noqa: S603 - no shell
    except OSError as error:
        hint = f"install it (Debian: {'openssh-client' if argv[0] == 'ssh-keygen' else argv[0]})"
        raise DeniedError(_PORT, f"run {argv[0]}", f"{error.strerror}; {hint}") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
        raise DeniedError(_PORT, " ".join(argv[:5]), words)
    output: bytes = done.stdout
    return output
