"""How a Git server is reached from this node: address, proofs, and what one exchange may cost.

Whoever speaks to the server is a confined child; here it is asked, and what it could not do becomes UnavailableError
with reason `fetch-failed` or `credential-denied`. Passwords never show in words; files that hold proofs are named where
they were not accepted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from edgegitops.adapters.errand_process import ErrandError, ask
from edgegitops.errors import InvalidConfigError, UnavailableError

SCP_LIKE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^:]")
ANSWER_LIMIT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one fetch may cost: bytes received, objects, address space in bytes, CPU time, wall time, and `stall_after`
    without a byte (a hung server is given up then). With more than `packs` packs the mirror is repacked.
    """

    bytes: int = 512 * 1024 * 1024
    objects: int = 2_000_000
    memory: int = 1024 * 1024 * 1024
    cpu_for: timedelta = timedelta(seconds=120)
    wall_for: timedelta = timedelta(seconds=120)
    stall_after: timedelta = timedelta(seconds=20)
    packs: int = 50


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """How to show who we are; files are read at each fetch, so they can be rotated. Empty: not used.

    `password_file` holds a password or token; `ca_file` PEM certificates that replace the system's; `proxy` a URL.
    """

    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    ssh_key_file: str = ""
    known_hosts_file: str = ""
    proxy: str = ""

    def told(self, key: str = "repository") -> str:
        """The files that may have to be changed, for an error about them: ` (repository.tokenFile: /…)`."""
        keys = {"tokenFile": self.password_file, "keyFile": self.ssh_key_file, "knownHostsFile": self.known_hosts_file}
        named = ", ".join(f"{key}.{name}: {file}" for name, file in keys.items() if file)
        return f" ({named})" if named else ""


class Access:
    """The road to one repository; `key` is its place in node.yaml. InvalidConfigError: the URL makes no sense."""

    def __init__(self, url: str, credentials: GitCredentials, limits: FetchLimits, *, key: str = "repository") -> None:
        self._over = transport(url, f"{key}.url" if key == "repository" else f"{key}.git")
        self._url = url
        self._credentials = credentials
        self._key = key
        self.limits = limits

    def ask(self, module: str, errand: Mapping[str, Any], *, longest: int = ANSWER_LIMIT) -> dict[str, Any]:
        """What the child says, who is told the road and this errand; UnavailableError where it says nothing."""
        try:
            return ask(module, {**self._road(), **errand}, wall_for=self.limits.wall_for, longest=longest)
        except ErrandError as error:
            raise self.failed(str(error)) from error

    def _road(self) -> dict[str, Any]:
        credentials, limits = self._credentials, self.limits
        return {
            "url": self._url,
            "over": self._over,
            "user": credentials.user,
            "password": self._secret(credentials.password_file),
            "ca_file": credentials.ca_file,
            "ssh_key": credentials.ssh_key_file,
            "known_hosts": credentials.known_hosts_file,
            "proxy": credentials.proxy,
            "limits": {
                "bytes": limits.bytes,
                "objects": limits.objects,
                "memory": limits.memory,
                "cpu": max(1, int(limits.cpu_for.total_seconds())),
                "wall": limits.wall_for.total_seconds(),
                "stall": max(1, int(limits.stall_after.total_seconds())),
            },
        }

    def _secret(self, file: str) -> str:
        if not file:
            return ""
        try:
            return Path(file).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise self.failed(f"the credential file {file} cannot be read: {error}", "credential-denied") from error

    def failed(self, words: str, reason: str = "") -> UnavailableError:
        """The typed error, with the address and, where a proof was not accepted, the file that holds it."""
        where = re.sub(r"//[^/\s]*@", "//", self._url)
        if reason == "credential-denied":
            words = f"{words}{self._credentials.told(self._key)}"
        return UnavailableError(self._key, "fetch", f"{where}: {words}", reason=reason or "fetch-failed")


def transport(url: str, key: str = "repository.url") -> str:
    """`ssh` or `libgit2`: who fetches this URL. InvalidConfigError where nobody may."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme == "ssh" or SCP_LIKE.match(url):
        return "ssh"
    if scheme in {"http", "https", "git", "file"} or url.startswith("/"):
        return "libgit2"
    raise InvalidConfigError(
        f"{url!r} is no repository address; use https, ssh, git, file or an absolute path", key=key
    )
