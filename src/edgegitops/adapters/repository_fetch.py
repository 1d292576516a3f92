"""The fetch child: one branch of a remote that nobody trusts comes into a quarantine, in a process of its own.

Run as `python -m edgegitops.adapters.repository_fetch`; one line of JSON comes in on stdin (secrets too: argv and
environment are seen by others), one line of JSON goes out. The rules, in order:

1. The limits are set before a byte of the remote is read: memory, CPU, file size, and an alarm for the wall time.
   The end of stdin, which is the parent's death, kills at once (SIGIO, to the process group: git and ssh too).
2. Only the one branch comes, and after it the control tags (`refs/tags/rollout/`): no other tags, no submodules, no
   redirect to another host, no configuration of this machine.
3. Bytes and objects are counted while they arrive; beyond the caps the transfer is aborted.
4. The tip must be a commit, and what arrived must be closed: every object that a new commit, tree or tag names is
   here or in the mirror. Else a lying server could leave a hole that no later fetch would fill.

Control tags that cannot be had are said so, and the branch stands: who may push a tag must not stop a node.

The second errand, `repack`, writes one pack of all that the mirror's refs reach: packs do not pile up, and what a
remote took back does not stay for ever.

The mirror is only read here. Promotion is the parent's, which has not spoken to the server.
"""

import contextlib
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import ConfigLevel, ObjectType

ENTRY = re.compile(rb"([0-7]{5,6}) [^\0]+\0(.{20})", re.DOTALL)
SUBMODULE = b"160000"
LARGEST_STRUCTURE = 32 * 1024 * 1024  # bytes of one commit, tree or tag; blobs are never read here
OPEN_FILES = 256
QUARANTINED = "refs/quarantine/tip"
QUARANTINED_TAGS = "refs/quarantine/tags/"
CONTROL_TAGS = "refs/tags/rollout/"  # core.model.view says it too; this process imports nothing of ours
MOST_TAGS = 2_000  # core.model.view, too
LONGEST_ANSWER = 768 * 1024


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


def confine(limits: dict[str, int]) -> None:
    """Set the limits of this process; `memory` and `bytes` in bytes, `cpu` and `wall` in seconds."""
    for kind, amount in (
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["bytes"] + limits["bytes"] // 8 + 4096),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(kind)
        least = amount if most == resource.RLIM_INFINITY else min(amount, most)
        resource.setrlimit(kind, (least, least))
    signal.setitimer(signal.ITIMER_REAL, limits["wall"])


def receive() -> dict[str, Any]:
    """The request: one line on stdin. From then on the end of stdin kills this process."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 65536)
        if not chunk:
            raise SystemExit(1)
        line += chunk
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp() if os.getpgrp() == os.getpid() else os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if os.read(0, 1) == b"":
            raise SystemExit(1)
    return dict(json.loads(line))


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


def fetch_with_libgit2(request: dict[str, Any], wanted: list[str]) -> None:
    """http, https, git and local files; `wanted` are refspecs. FetchError where it fails."""
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

    repo = pygit2.Repository(request["quarantine"])
    remote = repo.remotes.create_anonymous(request["url"])
    try:
        remote.fetch(wanted, callbacks=Callbacks(), proxy=request["proxy"] or None)
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


def branch_of(request: dict[str, Any]) -> str:
    """The refspec of the branch."""
    return f"+refs/heads/{request['branch']}:{QUARANTINED}"


def bring(request: dict[str, Any], fetch: Callable[[dict[str, Any], list[str]], None]) -> dict[str, str]:
    """Branch and control tags in one exchange; where that fails, the branch alone, and why there are no tags."""
    branch = branch_of(request)
    try:
        fetch(request, [branch, f"+{CONTROL_TAGS}*:{QUARANTINED_TAGS}*"])
        return {"tip": judge(request), "tags": json.dumps(arrived_tags(request))}
    except FetchError as error:
        if error.reason == "credential-denied":
            raise  # asking twice with a wrong password locks accounts
        quarantine = Path(request["quarantine"])
        for folder in ("objects", "refs"):
            shutil.rmtree(quarantine / folder)
        prepare(quarantine, Path(request["mirror"]), request["haves"])
        fetch(request, [branch])
        return {"tip": judge(request), "tags_failed": str(error)}


def arrived_tags(request: dict[str, Any]) -> dict[str, str]:
    """The control tags that the remote shows, ref to object, whatever these are. FetchError: too many."""
    repo = pygit2.Repository(request["quarantine"])
    refs = [name for name in repo.references if name.startswith(QUARANTINED_TAGS)]
    if len(refs) > MOST_TAGS:
        raise FetchError(f"the remote shows {len(refs)} control tags, more than {MOST_TAGS}")
    shown = {name.removeprefix(QUARANTINED_TAGS): str(repo.references[name].target) for name in refs}
    told = {f"{CONTROL_TAGS}{name}": oid for name, oid in shown.items()}
    if len(json.dumps(json.dumps(told))) > LONGEST_ANSWER:  # as `main` says it; more the parent does not listen to
        raise FetchError(f"the names of the remote's {len(refs)} control tags take more than {LONGEST_ANSWER} bytes")
    return told


def fetch_with_git(request: dict[str, Any], wanted: list[str]) -> None:
    """ssh: OpenSSH knows host keys, agents and FIDO keys better than any library. FetchError where it fails."""
    ssh = ["ssh", "-oBatchMode=yes", "-oClearAllForwardings=yes", f"-oConnectTimeout={request['limits']['stall']}"]
    if request["ssh_key"]:
        ssh += ["-oIdentitiesOnly=yes", f"-i{request['ssh_key']}"]
    if request["known_hosts"]:
        ssh += ["-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={request['known_hosts']}"]
    settings = ("protocol.allow=never", "protocol.ssh.allow=always", "fetch.unpackLimit=1", "gc.auto=0")
    argv = ["git", "--git-dir", request["quarantine"]]
    argv += [part for setting in settings for part in ("-c", setting)]
    argv += ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc"]
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
            [*argv, "--", request["url"], *wanted],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError as error:
        raise FetchError("ssh addresses need the program git; install git and openssh-client") from error
    said = ended.stderr[-4096:].decode(errors="replace")
    if ended.returncode != 0 and "couldn't find remote ref" not in said:
        raise explain(said)


def quote(word: str) -> str:
    """The word for git's ssh command line, which a shell splits."""
    return "'" + word.replace("'", "'\\''") + "'"


def judge(request: dict[str, Any]) -> str:
    """The tip's id, where it is a commit and what arrived is closed; FetchError where not."""
    repo = pygit2.Repository(request["quarantine"])
    reference = repo.references.get(QUARANTINED)
    if reference is None:
        raise FetchError(f"the remote has no branch {request['branch']}; check the branch in node.yaml")
    tip = reference.target
    kind, _ = repo.odb.read_header(tip)
    if kind != ObjectType.COMMIT:
        raise FetchError(f"the branch {request['branch']} points to a {kind.name.lower()}, not to a commit")
    require_closed(repo.odb, Path(request["quarantine"], "objects"))
    return str(tip)


def require_closed(odb: pygit2.Odb, objects: Path) -> None:
    """FetchError where a new commit, tree or tag names an object that neither arrived nor was there before."""
    if not any(objects.joinpath("pack").glob("*.idx")):
        return
    arrived = pygit2.Odb()
    arrived.add_backend(pygit2.OdbBackendPack(str(objects)), 1)
    known = {oid.raw for oid in arrived}
    for oid in list(arrived):
        kind, size = arrived.read_header(oid)
        if kind == ObjectType.BLOB:
            continue
        if size > LARGEST_STRUCTURE:
            raise FetchError(f"the {kind.name.lower()} {oid} has {size} bytes, the limit is {LARGEST_STRUCTURE}")
        for named in names(kind.name, arrived.read(oid)[1]) - known:
            if not odb.exists(pygit2.Oid(raw=named)):
                raise FetchError(f"the server left out {named.hex()}, which {kind.name.lower()} {oid} needs")
            known.add(named)


def names(kind: str, data: bytes) -> set[bytes]:
    """The raw ids of the objects that a commit, tree or tag names; submodules are not followed."""
    if kind == "TREE":
        return {raw for mode, raw in ENTRY.findall(data) if mode != SUBMODULE}
    head = data.partition(b"\n\n")[0]
    found = re.findall(rb"^(?:tree|parent|object) ([0-9a-f]{40})$", head, re.MULTILINE)
    return {bytes.fromhex(one.decode()) for one in found}


def repack(request: dict[str, Any]) -> None:
    """Write one pack of everything that `haves` reach into the quarantine. FetchError where an object is missing."""
    tune(request)
    repo = pygit2.Repository(request["mirror"])
    target = Path(request["quarantine"], "objects/pack")
    target.mkdir(parents=True)
    builder = pygit2.PackBuilder(repo)
    builder.set_threads(1)
    waiting = [bytes.fromhex(oid) for oid in request["haves"]]
    seen = set(waiting)
    while waiting:
        raw = waiting.pop()
        oid = pygit2.Oid(raw=raw)
        builder.add(oid)
        kind, _ = repo.odb.read_header(oid)
        if kind != ObjectType.BLOB:
            new = names(kind.name, repo.odb.read(oid)[1]) - seen
            seen |= new
            waiting.extend(new)
    builder.write(str(target))


def answer(request: dict[str, Any]) -> dict[str, str]:
    """The whole errand: `{"tip": id}` or `{"reason": code, "message": words}`."""
    try:
        if request["errand"] == "repack":
            repack(request)
            return {"tip": ""}
        prepare(Path(request["quarantine"]), Path(request["mirror"]), request["haves"])
        return bring(request, fetch_with_git if request["over"] == "ssh" else fetch_with_libgit2)
    except FetchError as error:
        return {"reason": error.reason, "message": str(error)}
    except MemoryError:
        return {"reason": "fetch-failed", "message": f"more memory than {request['limits']['memory']} bytes"}
    except Exception as error:  # noqa: BLE001 - the last word of this process is always an answer
        return {"reason": "fetch-failed", "message": f"{type(error).__name__}: {explain(str(error))}"}


def main() -> None:
    """Read the request, do it, answer."""
    request = receive()
    confine(request["limits"])
    os.write(1, json.dumps(answer(request)).encode() + b"\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
