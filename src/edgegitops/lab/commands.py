"""Law: one door to other programs. A program that ends badly is an `UnavailableError` with its own words; a program
that is not there is an `InvalidConfigError` that says how to get it.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgegitops.errors import InvalidConfigError, UnavailableError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("podman", "conmon", "catatonit", "ip", "nsenter", "unshare", "mount", "git", "ssh-keygen", "busybox")
_PASSED_ON = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment: no proxies, no Git or container settings of whoever calls; `edgegitops` is on PATH."""
    passed = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    path = f"{PATH}:{Path(sys.executable).parent}"
    return {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", **passed, **(extra or {})}


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    data: bytes | None = None,
    cwd: str | None = None,
    seconds: float = 60,
) -> bytes:
    """Run a program to its end and return what it wrote to stdout. UnavailableError carries its stderr."""
    done = attempt(argv, env=env, data=data, cwd=cwd, seconds=seconds)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
        raise UnavailableError("lab", " ".join(argv[:6]), words)
    return done.stdout


def attempt(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    data: bytes | None = None,
    cwd: str | None = None,
    seconds: float = 60,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end, whatever the end. UnavailableError where it takes longer than `seconds`."""
    try:
        return subprocess.run(  # noqa: S603 - argv is ours or the operator's own; never a shell
            list(argv),
            env=dict(env) if env is not None else environment(),
            input=data if data is not None else b"",
            cwd=cwd,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise InvalidConfigError(f"program not found: {error.filename}; run packaging/install-debian.sh") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError("lab", " ".join(argv[:6]), f"no end within {seconds:g} s") from error


def missing_programs() -> tuple[str, ...]:
    """What the lab needs and this machine has not."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if not any(shutil.which(name, path=PATH) for name in ("crun", "runc")):
        lacking.append("crun")
    helpers = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/lib/podman", "/usr/local/libexec/podman")
    lacking += [
        name
        for name in ("netavark", "aardvark-dns")
        if not any(os.access(f"{folder}/{name}", os.X_OK) for folder in helpers)
    ]
    return tuple(lacking)


def until(is_so: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
    """Wait until something is so, looking ever less often. UnavailableError after `seconds`."""
    end_at = time.monotonic() + seconds
    pause = 0.005
    while not is_so():
        if time.monotonic() > end_at:
            raise UnavailableError("lab", what, f"not so within {seconds:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
