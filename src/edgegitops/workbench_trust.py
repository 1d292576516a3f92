"""Joins adapters to what people do with the trust of a fleet: roots, statements, verifying. It decides nothing.

Signatures are made by `ssh-keygen`, with a key file or an agent, and checked with our strict profile before they are
written: what a node would not believe is never left behind. InvalidDocumentError: the root documents are not sound;
DeniedError: a key cannot be used, or something is there already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops.core.model.trust import Belief, Pin, Refused, RootDocument, TrustKey
from edgegitops.errors import DeniedError, InvalidDocumentError

if TYPE_CHECKING:
    from edgegitops.core.trust.rotation import Standing
    from edgegitops.core.trust.verify_ssh import Answer, Signers, Wish

_PORT = "trust"
_LARGEST = 1024 * 1024


def now() -> datetime:
    """The wall clock, in UTC, to the second: instants that people sign."""
    from edgegitops.adapters.clock_system import SystemClock

    return SystemClock().now().replace(microsecond=0)


def read_standing(path: Path) -> "Standing":
    """The root documents in the working directory at `path`, and how far the newest is signed."""
    from edgegitops.adapters.objects_directory import DirectoryObjects
    from edgegitops.core.trust import rotation

    objects = DirectoryObjects(path, {"trust"}, largest=_LARGEST)
    found = rotation.read_standing(objects, objects.tree)
    if isinstance(found, Refused):
        raise InvalidDocumentError(f"{path}: {found.subject}: {found.doubt}: {found.detail}")
    return found


def read_key(path: Path, owner: str = "") -> TrustKey:
    """The public half of a key, as root documents name it. DeniedError: a type that nodes would not believe."""
    from edgegitops.adapters.founding_git import public_line
    from edgegitops.core.trust.keys import read_line

    line = public_line(path)
    read = read_line(line)
    if isinstance(read, Refused):
        raise DeniedError(_PORT, f"use {path}", read.detail, reason=read.doubt)
    kind, encoded, *comment = line.split(" ", 2)
    return TrustKey(id=read.id, line=f"{kind} {encoded}", owner=owner or (comment[0] if comment else path.stem))


def begin(path: Path, repository: str, held: Mapping[str, Sequence[Path]]) -> "Standing":
    """Write the first root document; `held` are keys (or .pub files) by role. DeniedError: there is one already."""
    from edgegitops.core.founding import ROOT_FILE, root_document

    if (path / Path(ROOT_FILE).parent).exists():
        raise DeniedError(_PORT, "init", f"{path / Path(ROOT_FILE).parent} is there already; see edgegitops trust show")
    write_root(path, root_document(repository, {role: [read_key(one) for one in keys] for role, keys in held.items()}))
    return read_standing(path)


def write_root(path: Path, root: RootDocument) -> list[str]:
    """Write the document; signatures over an older text of it are removed. Their key ids."""
    from edgegitops.adapters.founding_git import remove_files, write_files
    from edgegitops.core.trust import root_document

    name = root_document.path_of(root.version)
    data = root_document.write_root(root).encode()
    judged = root_document.read_root(data, version=root.version, repository=root.repository)
    if isinstance(judged, Refused):
        raise InvalidDocumentError(f"nothing was written: {judged.detail}")
    folder = path / f"{name.removesuffix('.json')}.sig"
    gone = sorted(one.stem for one in folder.glob("*.sig")) if folder.is_dir() else []
    remove_files(folder, (f"{key}.sig" for key in gone))
    write_files(path, {name: data})
    return gone


def sign_root(path: Path, key: Path) -> "Standing":
    """Sign the newest root document with this key. DeniedError: its signature would not count."""
    from edgegitops.adapters.founding_git import write_files
    from edgegitops.core.trust.root_document import path_of
    from edgegitops.core.trust.sshsig import NAMESPACE_ROOT

    standing = read_standing(path)
    named = read_key(key)
    if not any(named.id in (*tally.signed, *tally.missing) for tally in standing.counted):
        words = f"it holds the role root neither in root {standing.newest.version} nor in the one before"
        raise DeniedError(_PORT, f"sign with {key}", words, reason="role-missing")
    signature = _sign(standing.data, key, named, NAMESPACE_ROOT)
    folder = f"{path_of(standing.newest.version).removesuffix('.json')}.sig"
    write_files(path, {f"{folder}/{named.id}.sig": signature})
    return read_standing(path)


def _sign(data: bytes, key: Path, named: TrustKey, namespace: str) -> bytes:
    """A signature that nodes take; DeniedError where ssh-keygen makes none, or one that they would refuse."""
    from edgegitops.adapters.founding_git import sign
    from edgegitops.core.trust import sshsig

    signature = sign(data, key, namespace)
    signed = sshsig.verify(signature, data, namespace)
    if isinstance(signed, Refused):
        raise DeniedError(_PORT, f"sign with {key}", f"nodes would refuse it: {signed.detail}", reason=signed.doubt)
    if signed.key_id != named.id:
        raise DeniedError(_PORT, f"sign with {key}", "the private key is not that of the .pub beside it")
    return signature


def write_statement(path: Path, key: Path, lasts: timedelta) -> list[str]:
    """Sign a freshness statement about the newest commit of the clone; the files that are to be committed."""
    import json

    from edgegitops.adapters.founding_git import write_files
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.core.model.codec import to_tree
    from edgegitops.core.trust import freshness, sshsig

    root = read_standing(path).in_force
    named = read_key(key)
    role = root.roles.get(freshness.ROLE) if root else None
    if root is None or role is None or named.id not in role.keys:
        words = f"it does not hold the role {freshness.ROLE} (edgegitops trust add-key --role {freshness.ROLE})"
        raise DeniedError(_PORT, f"sign with {key}", words, reason="role-missing")
    at = now()
    tree = {
        "repository": root.repository,
        "commit": Clone(path).commit("HEAD").id,
        "issuedAt": to_tree(at),
        "expiresAt": to_tree(at + lasts),
    }
    data = (json.dumps(tree, indent=2) + "\n").encode()
    signature = _sign(data, key, named, sshsig.NAMESPACE_FRESHNESS)
    write_files(path, {freshness.STATEMENT: data, freshness.SIGNATURE: signature})
    return [freshness.STATEMENT, freshness.SIGNATURE]


# --- verifying --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verified:
    """What a node with this pin would believe of a commit. `is_pinned`: the pin was given and not read of the clone."""

    tip: str
    pin: Pin
    is_pinned: bool
    belief: Belief


def verify_clone(path: Path, revision: str, *, pin: Mapping[str, str]) -> Verified:
    """Judge the first-parent history up to a revision exactly as a node does, from the checkpoint on.

    `pin` may say `repository`, `root_sha256` and `checkpoint`; what it does not say is read from the oldest commit that
    has a trust root. DeniedError: no clone, no such revision, or no trust root in it.
    """
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.adapters.repository_pygit2 import MirrorObjects
    from edgegitops.core.trust.pinning import first_pin
    from edgegitops.core.trust.walk import walk

    clone = Clone(path)
    tip = clone.commit(revision).id
    given = {name: value for name, value in pin.items() if value}
    if "checkpoint" in given:
        given["checkpoint"] = clone.commit(given["checkpoint"]).id
    objects = MirrorObjects(lambda: clone.odb, str(path))
    whole = (
        given if len(given) == len(pin) else _filled(first_pin(objects, tip, given.get("checkpoint", "")), given, path)
    )
    asked = Pin(whole["repository"], whole["root_sha256"], whole["checkpoint"])
    return Verified(tip, asked, "root_sha256" in given, walk(asked, None, tip, objects, now=now()))


def _filled(found: Pin | Refused, given: Mapping[str, str], path: Path) -> dict[str, str]:
    if isinstance(found, Refused):
        raise DeniedError(_PORT, f"verify {path}", f"{found.subject}: {found.detail}", reason=found.doubt)
    first = {"repository": found.repository, "root_sha256": found.root_sha256, "checkpoint": found.checkpoint}
    return {**first, **given}


# --- as ssh-keygen ----------------------------------------------------------------------------------------------------


def sign_instead(arguments: Sequence[str]) -> None:
    """Become `ssh-keygen` with these arguments: whoever signs is asked by the program that has the keys."""
    import os

    try:
        os.execvp("ssh-keygen", ["ssh-keygen", *arguments])  # noqa: S606, S607 - the program that the person has
    except OSError as error:
        raise DeniedError(_PORT, "run ssh-keygen", error.strerror or str(error)) from error


def ask_ssh(question: str, files: Mapping[str, str], options: Sequence[str], message: bytes) -> "Answer":
    """The answer to a question of `ssh-keygen -Y`. `files` are its flags' values by name."""
    from edgegitops.core.trust import verify_ssh as ssh
    from edgegitops.core.trust.allowed_signers import parse_time

    at, shows_key = int(now().timestamp()), False
    no = ("Could not verify signature.",) if question in {"verify", "check-novalidate"} else ()
    for option in options:
        name, _, value = option.partition("=")
        if name.lower() == "verify-time":
            found = parse_time(value, datetime.astimezone)
            if found is None:
                return ssh.Answer(ssh.FAILED, no, (f'Invalid date/time specification: "{value}"',))
            at = found
        elif name.lower() == "print-pubkey" and not value:
            shows_key = True
        else:
            return ssh.Answer(ssh.FAILED, no, (f'Invalid option "{option}"',))
    try:
        return _ask_ssh(question, files, ssh.Wish(files["namespace"], at, shows_key=shows_key), message)
    except OSError as error:
        code = ssh.NO_FILE if question == "match-principals" else ssh.FAILED
        return ssh.Answer(code, no, (f"{error.filename}: {error.strerror}",))


def _ask_ssh(question: str, files: Mapping[str, str], wish: "Wish", message: bytes) -> "Answer":
    from dataclasses import replace

    from edgegitops.core.trust import verify_ssh as ssh

    if question == "match-principals":
        return ssh.match_principals(files["identity"], _signers(files["signers"]))
    armor = Path(files["signature"]).read_bytes()
    if question == "find-principals":
        return ssh.find_principals(armor, _signers(files["signers"]), wish.at)
    if question == "verify":
        revoked = Path(files["revoked"]).read_bytes() if files["revoked"] else None
        signers = _signers(files["signers"])
        wish = replace(wish, principal=files["identity"], signers=signers, revoked=revoked)
    return ssh.verify(armor, message, wish)


def _signers(path: str) -> "Signers":
    from edgegitops.core.trust.verify_ssh import Signers

    return Signers(Path(path).read_bytes().decode("utf-8", "surrogateescape"), path, datetime.astimezone)
