"""Law: what age has encrypted is opened in memory only, with the identity file of whoever may read it.

1. Encrypting needs public keys alone; what is written is a native age file (age-encryption.org/v1), as text.
2. An identity is X25519, in a file as age-keygen writes it. It is read when it is needed and kept nowhere.
3. The node's store holds age files as they came from Git, `<name>.<version>.age`, durably: what a release once needed
   is there without a network. A file that the node's identity does not open does not count as stored.
4. Errors name files and never say what is in them.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.secrets import unbind
from edgegitops.errors import DeniedError, UnavailableError

_PORT: Final = "secrets"
_Stamp = tuple[int, int, int]
_SECRET_KEY: Final = "AGE-SECRET-KEY-1"  # noqa: S105 - how such a line begins


def encrypt(plain: bytes, recipients: Iterable[str]) -> bytes:
    """An age file for these recipients (`age1…`). DeniedError: one is none, or there are none."""
    import pyrage

    try:
        keys = [pyrage.x25519.Recipient.from_str(one) for one in recipients]
        sealed: bytes = pyrage.encrypt(plain, keys, armored=True)
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise DeniedError(_PORT, "encrypt", f"{error}; recipients are age1… keys") from None
    return sealed


def decrypt(data: bytes, identity: Path) -> bytes:
    """What an age file holds. DeniedError: this identity does not open it, or the file is damaged."""
    import pyrage

    keys = _identities(identity)
    try:
        opened: bytes = pyrage.decrypt(data, keys)
    except pyrage.DecryptError:
        words = f"{identity} does not open it: it was not encrypted for that key, or it is damaged"
        raise DeniedError(_PORT, "decrypt", words) from None
    return opened


def make_identity(path: Path) -> str:
    """The recipient of the identity at `path`, which is made, 0600, where it is not there. DeniedError: it cannot."""
    import pyrage

    if not path.exists():
        made = pyrage.x25519.Identity.generate()
        text = f"# public key: {made.to_public()}\n{made}\n"
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(handle)
        except OSError as error:
            raise DeniedError(_PORT, "make a key", f"{path}: {error.strerror}; run this as root") from None
    return str(_identities(path)[0].to_public())


def _identities(path: Path) -> Sequence[Any]:
    import pyrage

    try:
        lines = path.read_text("ascii").splitlines()
        keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith(_SECRET_KEY)]
    except OSError as error:
        raise UnavailableError(_PORT, "read the key", f"{path}: {error.strerror}") from None
    except (ValueError, pyrage.IdentityError):
        raise DeniedError(_PORT, "read the key", f"{path} is no age identity file (age-keygen makes one)") from None
    if not keys:
        raise DeniedError(_PORT, "read the key", f"{path} holds no line {_SECRET_KEY}…")
    return keys


class SecretsDirectory:
    """`ports.Secrets` in a directory, with the identity file of this node. May be used from several threads."""

    def __init__(self, path: str | Path, identity: str | Path) -> None:
        self._path = Path(path)
        self._identity = Path(identity)
        self._readable: dict[str, tuple[_Stamp, _Stamp]] = {}

    def put(self, file: str, data: bytes) -> None:
        """Store the age file of `file` (`db.2`) durably. UnavailableError (secret-unreadable): this node cannot read
        it, now; the disk has no room (disk-full).
        """
        self._opened(file, data)
        part = self._path / f".{file}.new"
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(self._place(file))
            folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            message = f"{self._place(file)}: {error.strerror}"
            raise UnavailableError(_PORT, "store", message, reason=HoldReason.DISK_FULL) from None

    def present(self) -> frozenset[str]:
        """What is stored and can be read by this node now."""
        try:
            names = [one.name.removesuffix(".age") for one in self._path.glob("[!.]*.age")]
            return frozenset(name for name in names if self._is_readable(name))
        except OSError:
            return frozenset()

    def _is_readable(self, file: str) -> bool:
        """Opened once, and again where the file or the key has changed."""
        try:
            now = (_stamp(self._place(file)), _stamp(self._identity))
            if self._readable.get(file) != now:
                self.open(file)
                self._readable[file] = now
        except (OSError, UnavailableError):
            return False
        return True

    def open(self, file: str) -> bytes:
        """The secret itself. UnavailableError (secret-unreadable): it is not stored, or this node cannot read it."""
        try:
            data = self._place(file).read_bytes()
        except OSError as error:
            raise _unreadable(file, f"{self._place(file)}: {error.strerror}") from None
        return self._opened(file, data)

    def keep(self, files: Iterable[str]) -> None:
        """Remove all but these; what hinders that hinders nothing else."""
        kept = {f"{one}.age" for one in files}
        with contextlib.suppress(OSError):
            for one in self._path.iterdir():
                if one.name not in kept:
                    one.unlink()

    def _place(self, file: str) -> Path:
        return self._path / f"{file}.age"

    def _opened(self, file: str, data: bytes) -> bytes:
        try:
            return unbind(file, decrypt(data, self._identity))
        except (DeniedError, UnavailableError) as error:
            raise _unreadable(file, error.message) from None
        except ValueError as error:
            raise _unreadable(file, str(error)) from None


def _stamp(path: Path) -> _Stamp:
    state = path.stat()
    return state.st_ino, state.st_size, state.st_ctime_ns


def _unreadable(file: str, why: str) -> UnavailableError:
    words = f"secrets/{file}.age: {why}; run edgegitops secret rekey in the fleet's repository"
    return UnavailableError(_PORT, "read", words, reason=HoldReason.SECRET_UNREADABLE)
