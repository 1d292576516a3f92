"""A person's signed tags, with the git that the person has, as it is set up: keys and agents are git's business.

A passphrase is asked for by the program that needs it, on the terminal. At a node nobody can be asked: there git has
the node's own credentials and no settings of this machine (`node_environment`). DeniedError: git is missing or ended
badly, in its own words. What a tag says, and whether it is believed, is decided elsewhere.
"""

import base64
import os
import re
import shlex
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from edgegitops.errors import DeniedError

_PORT = "git"
_SHOWN = re.compile(r"([0-9a-f]{40})\t(refs/tags/\S+)(?<!\^\{\})\Z")


class Tags:
    """The tags of the clone or mirror at `path`; `environment` None: the person's own."""

    def __init__(self, path: Path, environment: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._environment = environment

    def sign(self, name: str, target: str, message: str) -> None:
        """Make an annotated tag with this exact message, signed as the person's settings say."""
        self._git("tag", "-s", "--cleanup=verbatim", "-F", "-", name, target, said=message)

    def remove(self, name: str) -> None:
        """Remove a tag of this clone."""
        self._git("tag", "-d", name)

    def push(self, remote: str, name: str) -> None:
        """Push one tag. Git refuses where the remote has another tag of that name."""
        self._git("push", remote, f"refs/tags/{name}")

    def fetch(self, remote: str, prefix: str) -> None:
        """Fetch the tags below a prefix; one that is here stays as it is, and the call fails where it would move."""
        self._git("fetch", "--no-tags", remote, f"refs/tags/{prefix}*:refs/tags/{prefix}*")

    def shown(self, remote: str, prefix: str) -> dict[str, str]:
        """The tags below a prefix that a remote (name or URL) shows now: ref to object, tags unpeeled."""
        said = self._git("ls-remote", "--", remote, f"refs/tags/{prefix}*").decode(errors="replace")
        found = (_SHOWN.match(line) for line in said.splitlines())
        return {one[2]: one[1] for one in found if one}

    def bring(self, remote: str, refs: Collection[str]) -> None:
        """Fetch what these refs name there; no ref is made or moved here."""
        if refs:
            self._git("fetch", "--no-tags", "--no-write-fetch-head", remote, *sorted(refs))

    def store(self, tag: bytes) -> None:
        """Store a tag object as it is."""
        self._git("hash-object", "-t", "tag", "-w", "--stdin", said=tag)

    def keep(self, ref: str, oid: str) -> None:
        """Let a ref that is not there name an object."""
        self._git("update-ref", ref, oid, "0" * 40)

    def show(self, remote: str, ref: str, oid: str) -> None:
        """Push an object under a name. Git refuses where the remote has another tag of that name."""
        self._git("push", "--", remote, f"{oid}:{ref}")

    def _git(self, *arguments: str, said: str | bytes = b"") -> bytes:
        argv = ["git", "-C", str(self._path), *arguments]
        given = said.encode() if isinstance(said, str) else said
        try:
            done = subprocess.run(  # noqa: S603 - an argument list, no shell
                argv, input=given, capture_output=True, check=False, env=self._environment
            )
        except OSError as error:
            raise DeniedError(_PORT, "run git", f"{error.strerror}; install it (Debian: git)") from error
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
            raise DeniedError(_PORT, " ".join(arguments[:3]), words)
        return done.stdout


def node_environment(
    *, login: tuple[str, str] | None, ssh: tuple[str, str], ca_file: str, proxy: str
) -> dict[str, str]:
    """The environment in which git speaks for a node: its credentials, nobody to ask, no settings of this machine.
    `login` is user and password, `ssh` the files of the key and of the known hosts; empty: OpenSSH's own.
    """
    found = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
    found |= {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    found |= {"GIT_SSH_COMMAND": _ssh_command(*ssh)}
    settings = {"safe.directory": "*"}  # the mirror may be the agent's user's; nothing of it is run
    if login is not None:
        proof = base64.b64encode(":".join(login).encode()).decode()
        settings["http.extraHeader"] = f"Authorization: Basic {proof}"
    settings |= {key: value for key, value in (("http.sslCAInfo", ca_file), ("http.proxy", proxy)) if value}
    found["GIT_CONFIG_COUNT"] = str(len(settings))
    for at, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return found


def _ssh_command(key: str, known_hosts: str) -> str:
    """The command line for git, which splits it as a shell does."""
    words = ["ssh", "-oBatchMode=yes", "-oClearAllForwardings=yes"]
    words += ["-oIdentitiesOnly=yes", f"-i{key}"] if key else []
    words += ["-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={known_hosts}"] if known_hosts else []
    return shlex.join(words)
