"""The machine below the agent, as Linux tells of it: clock, disks, files; and new files that are whole or not there.

Looking answers with a problem as text, or None, and never raises. Writing never replaces a file.
"""

import contextlib
import ctypes
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

from edgegitops.errors import DeniedError, UnavailableError

_TIME_ERROR: Final = 5
_TIMEX_SIZE: Final = 512  # more than struct timex has anywhere


def is_clock_synced() -> bool | None:
    """Whether the kernel's clock is kept by a time service; None where the kernel does not say."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0))


def free_bytes(path: str | Path) -> int | None:
    """Free bytes of the file system that this path, or the nearest directory above it, is on."""
    place = Path(path)
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        room = os.statvfs(place)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize


def secret_problem(path: str, *, is_secret: bool) -> str:
    """What is wrong with a file that must be readable, and for its owner only where it is a secret; else empty."""
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            file.read(1)
    except OSError as error:
        return f"{path}: {error.strerror}"
    if is_secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"{path}: others may read or write it (mode {stat.S_IMODE(mode):o})"
    return ""


def law_problem(path: str) -> str:
    """Who besides root could change a file that is the last word on this machine; empty: nobody, or it is not there."""
    try:
        about = Path(path).stat()
    except OSError:
        return ""
    if about.st_uid not in (0, os.geteuid()):
        return f"{path}: it belongs to user {about.st_uid}, who could open this node to the fleet"
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path}: others than its owner may write to it (mode {stat.S_IMODE(about.st_mode):o})"
    return ""


def write_problem(directory: str) -> str:
    """Why nothing can be written into the directory (which may be made first); else empty."""
    place = Path(directory)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = place / f".check-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return f"{directory}: {error.strerror}"
    return ""


def write_new(path: str | Path, text: str, *, mode: int) -> bool:
    """Write a file that was not there, whole and durable; False where it is there already. DeniedError: it cannot."""
    place = Path(path)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.write(handle, text.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(draft, place)  # unlike a rename it never replaces
        except FileExistsError:
            return False
        finally:
            draft.unlink()
    except OSError as error:
        raise DeniedError("files", "write", f"{place}: {error.strerror}; run this as root") from error
    return True


def make_ssh_key(path: str | Path, comment: str) -> str:
    """The public line of the ed25519 key at `path`, which is made where it is not there. DeniedError, UnavailableError:
    ssh-keygen could not.
    """
    place = Path(path)
    if not place.exists():
        with contextlib.suppress(OSError):
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(place))
    return _keygen("-y", "-f", str(place)).strip()


def _keygen(*words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            ["ssh-keygen", *words],  # noqa: S607 - OpenSSH is where the system has it
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError("keys", "ssh-keygen", f"{error}; install openssh-client") from error
    if done.returncode:
        raise DeniedError("keys", "ssh-keygen", done.stderr.strip() or done.stdout.strip())
    return done.stdout


def remove_tree(path: str | Path) -> None:
    """Remove a directory and all in it, following no links. DeniedError: something stayed."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DeniedError("files", "remove", f"{error.filename}: {error.strerror}") from error
