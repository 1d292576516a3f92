"""A Git server that nobody trusts, spoken to from a confined child: list its refs, fetch some of them, push one.

1. No submodules, no tags that were not asked for, no redirect to another host, no configuration of this machine.
2. Bytes and objects are counted while they arrive; beyond the caps the transfer is aborted. The process around it is
   confined by errand_process.
3. http, https, git and local files are libgit2's; ssh is left to git and OpenSSH, which know host keys, agents and FIDO
   keys better than any library.
4. A login that was not accepted is not tried twice.

What is asked for is `request`: `url`, `over` (`ssh` or `libgit2`), `quarantine` (the bare repository to work in), the
proofs (`user`, `password`, `ca_file`, `ssh_key`, `known_hosts`, `proxy`) and `limits`.
"""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pygit2
from pygit2.enums import ConfigLevel

T = TypeVar("T")


class FetchError(Exception):
    """The fetch ended without a tip; `reason` is a code of core.model.reasons."""

    def __init__(self, message: str, reason: str = "fetch-failed") -> None:
        self.reason = reason
        super().__init__(message)


DENIED = "the server did not accept the credentials (401); check the token or key file that node.yaml names"
NO_REPOSITORY = "there is no repository at this address (404); check the URL"
BROKEN = "the transfer broke off or its bytes are damaged"
NOT_GIT = "the answer is not Git (a proxy or a login page?)"

# What libgit2, git and ssh say, in the order in which it is looked for: pattern, reason, words for people.
SAID: tuple[tuple[str, str, str], ...] = (
    (r"status code: 401|authentication (required|failed|error|replays|that)", "credential-denied", DENIED),
    (r"Permission denied|could not read (Username|Password)", "credential-denied", DENIED),
    (r"Host key verification failed", "credential-denied", "the server's host key is not the known one"),
    (r"status code: 403|not exported", "credential-denied", "the server forbids this repository (403); ask its owner"),
    (r"status code: 404|[Rr]epository not found|no such repository", "fetch-failed", NO_REPOSITORY),
    (r"not appear to be a git|not find repository|failed to resolve path", "fetch-failed", NO_REPOSITORY),
    (r"status code: 429", "fetch-failed", "the server asks to slow down (429)"),
    (r"status code: 30\d|redirect", "fetch-failed", "the server redirects; put the final address into node.yaml"),
    (r"status code: \d+", "fetch-failed", "the server failed"),
    (r"content.type|unexpected content|HTML", "fetch-failed", NOT_GIT),
    (r"resolve address|not known|[Nn]ot resolve", "fetch-failed", "the server's name cannot be resolved (DNS)"),
    (r"Connection refused", "fetch-failed", "the server refused the connection"),
    (r"No route|unreachable", "fetch-failed", "the server cannot be reached"),
    (r"certificate", "fetch-failed", "the server's certificate is not trusted; check the CA file in node.yaml"),
    (r"timed? ?out|ETIMEDOUT", "fetch-failed", "the server did not answer in time"),
    (r"hold the normalization", "fetch-failed", "the server shows a ref name of over 1024 bytes; delete it there"),
    (r"File too large|file size limit", "fetch-failed", "more bytes than the limit; raise it if the fleet grew"),
    (r"[Oo]ut of memory|failed to allocate|Cannot allocate", "fetch-failed", "more memory than the limit"),
    (r"No space left", "fetch-failed", "the disk is full"),
    (r"EOF state|early EOF|unexpected EOF|disconnected|hung up|reset by peer|Broken pipe", "fetch-failed", BROKEN),
    (r"hash mismatch|indexer|truncated|zlib|inflate|deltas|packfile|missing", "fetch-failed", BROKEN),
    (r"invalid pkt|unparseable|bad packet|invalid packet", "fetch-failed", NOT_GIT),
)


def explain(said: str) -> FetchError:
    """The typed error for what a Git library or program said; user information in URLs is taken out."""
    clean = re.sub(r"//[^/\s]*@", "//", " ".join(said.split()))[:300]
    for pattern, reason, words in SAID:
        if re.search(pattern, said):
            return FetchError(f"{words}: {clean}", reason)
    return FetchError(clean or "it failed without a word")


def answered(run: Callable[[dict[str, Any]], dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """What `run` says, or `{"reason": code, "message": words}`: the last word of a child is always an answer."""
    try:
        return run(request)
    except FetchError as error:
        return {"reason": error.reason, "message": str(error)}
    except MemoryError:
        return {"reason": "fetch-failed", "message": f"more memory than {request['limits']['memory']} bytes"}
    except Exception as error:  # noqa: BLE001 - see above
        return {"reason": "fetch-failed", "message": f"{type(error).__name__}: {explain(str(error))}"}


def refused(ref: str, said: str) -> FetchError:
    """The typed error for a ref that the server did not take."""
    words = " ".join(said.split())[:200]
    return FetchError(f"the server does not take {ref.rpartition(':')[2]}; ask its owner: {words}", "credential-denied")


def prepare(quarantine: Path, mirror: Path, haves: list[str]) -> None:
    """Lay out a bare repository that reads the mirror's objects and tells the server that it has `haves`."""
    for folder in ("objects/pack", "objects/info", "refs/heads"):
        (quarantine / folder).mkdir(parents=True)
    (quarantine / "HEAD").write_text("ref: refs/heads/none\n")
    (quarantine / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n[http]\n\tfollowRedirects = false\n"
    )
    (quarantine / "objects/info/alternates").write_text(f"{mirror / 'objects'}\n")
    (quarantine / "packed-refs").write_text("".join(f"{oid} refs/haves/{oid}\n" for oid in sorted(haves)))


def fetch(request: dict[str, Any], wanted: list[str]) -> None:
    """Fetch these refspecs into the quarantine; one whose ref is not there is passed over by libgit2, and over ssh only
    where it is the only one. FetchError where it fails.
    """
    if request["over"] == "ssh":
        _fetch_with_git(request, wanted)
    else:
        _with_libgit2(request, lambda remote, told: remote.fetch(wanted, callbacks=told, proxy=_proxy(request)))


def list_refs(request: dict[str, Any], prefix: str) -> dict[str, str]:
    """The refs of the server whose names begin so, ref to object id. FetchError where it fails."""
    if request["over"] == "ssh":
        lines = (line.split("\t") for line in _run_git(request, ["ls-remote", "--quiet"], [f"{prefix}*"]).splitlines())
        shown = {name: oid for oid, name in lines}
    else:
        heads = _with_libgit2(request, lambda remote, told: remote.list_heads(callbacks=told, proxy=_proxy(request)))
        shown = {str(one.name): str(one.oid) for one in heads}
    return {name: oid for name, oid in shown.items() if name.startswith(prefix)}


def push(request: dict[str, Any], ref: str) -> None:
    """Put a ref of the quarantine in place of the server's one of that name. FetchError where it does not take it."""
    if request["over"] == "ssh":
        _run_git(request, ["push", "--quiet", "--force", "--no-verify"], [f"+{ref}:{ref}"])
    else:
        _with_libgit2(request, lambda remote, told: remote.push([f"+{ref}:{ref}"], told, _proxy(request)))


def _proxy(request: dict[str, Any]) -> str | None:
    return request["proxy"] or None


def _with_libgit2(request: dict[str, Any], act: Callable[[Any, Any], T]) -> T:
    """Do it at the server with its callbacks."""
    limits = request["limits"]
    tune(request)

    class Callbacks(pygit2.RemoteCallbacks):
        asked = False

        def credentials(self, _url: str, name: str | None, _allowed: object) -> pygit2.UserPass:
            if self.asked:
                raise explain("authentication failed")
            if not request["user"] and not request["password"]:
                raise FetchError(
                    "the server asks for credentials (401) and none are configured; name a token file in node.yaml",
                    "credential-denied",
                )
            self.asked = True
            return pygit2.UserPass(request["user"] or name or "git", request["password"])

        def transfer_progress(self, stats: Any) -> None:  # noqa: ANN401 - pygit2 does not export the type
            if stats.received_bytes > limits["bytes"]:
                raise FetchError(f"more than {limits['bytes']} bytes arrived: aborted; raise the limit if fleet grew")
            if stats.total_objects > limits["objects"]:
                raise FetchError(f"{stats.total_objects} objects are more than the limit of {limits['objects']}")

        def push_update_reference(self, ref: str, said: str | None) -> None:
            if said is not None:
                raise refused(ref, said)

    repo = pygit2.Repository(request["quarantine"])
    remote = repo.remotes.create_anonymous(request["url"])
    try:
        return act(remote, Callbacks())
    except FetchError:
        raise
    except Exception as error:  # pygit2 maps libgit2 codes to KeyError, ValueError and more
        raise explain(str(error)) from error


def tune(request: dict[str, Any]) -> None:
    """Process-wide settings of libgit2: nothing of this machine's configuration counts, mappings stay small."""
    for level in (ConfigLevel.SYSTEM, ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.PROGRAMDATA):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
    pygit2.settings.mwindow_size = 32 * 1024 * 1024
    pygit2.settings.mwindow_mapped_limit = request["limits"]["memory"] // 4
    pygit2.settings.server_connect_timeout = request["limits"]["stall"] * 1000
    pygit2.settings.server_timeout = request["limits"]["stall"] * 1000
    if request["ca_file"]:
        pygit2.settings.set_ssl_cert_locations(request["ca_file"], None)


def _fetch_with_git(request: dict[str, Any], wanted: list[str]) -> None:
    words = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc"]
    _run_git(request, words, wanted, but="couldn't find remote ref")


def _run_git(request: dict[str, Any], words: list[str], refs: list[str], *, but: str = "") -> str:
    """What git says to a command at the server. FetchError where it ends badly, `but` where it says this."""
    ssh = ["ssh", "-oBatchMode=yes", "-oClearAllForwardings=yes", f"-oConnectTimeout={request['limits']['stall']}"]
    if request["ssh_key"]:
        ssh += ["-oIdentitiesOnly=yes", f"-i{request['ssh_key']}"]
    if request["known_hosts"]:
        ssh += ["-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={request['known_hosts']}"]
    settings = ("protocol.allow=never", "protocol.ssh.allow=always", "fetch.unpackLimit=1", "gc.auto=0")
    argv = ["git", "--git-dir", request["quarantine"]]
    argv += [part for setting in settings for part in ("-c", setting)]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": " ".join(quote(part) for part in ssh),
        "LC_ALL": "C",
    }
    try:
        ended = subprocess.run(  # noqa: S603 - an argument list, and `--` ends the options
            [*argv, *words, "--", request["url"], *refs],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise FetchError("ssh addresses need the program git; install git and openssh-client") from error
    said = ended.stderr[-4096:].decode(errors="replace")
    if ended.returncode != 0 and (not but or but not in said):
        raise refused(refs[0], said) if "rejected]" in said else explain(said)
    return ended.stdout.decode(errors="replace")


def quote(word: str) -> str:
    """The word for git's ssh command line, which a shell splits."""
    return "'" + word.replace("'", "'\\''") + "'"
