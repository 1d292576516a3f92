"""The fetch child: one branch of a remote that nobody trusts comes into a quarantine, in a process of its own.

Run as `python -m edgegitops.adapters.repository_fetch`: an errand (errand_process), spoken as repository_remote does.
The rules, in order:

1. The limits are set before a byte of the remote is read: memory, CPU, file size, and an alarm for the wall time.
   The parent's death kills at once (git and ssh too).
2. Only the one branch comes, and after it the control tags (`refs/tags/rollout/`).
3. The tip must be a commit, and what arrived must be closed: every object that a new commit, tree or tag names is
   here or in the mirror. Else a lying server could leave a hole that no later fetch would fill.

Control tags that cannot be had are said so, and the branch stands: who may push a tag must not stop a node.

The second errand, `repack`, writes one pack of all that the mirror's refs reach: packs do not pile up, and what a
remote took back does not stay for ever.

The mirror is only read here. Promotion is the parent's, which has not spoken to the server.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import ObjectType

from edgegitops.adapters.errand_process import serve
from edgegitops.adapters.repository_remote import FetchError, answered, fetch, prepare, tune

ENTRY = re.compile(rb"([0-7]{5,6}) [^\0]+\0(.{20})", re.DOTALL)
SUBMODULE = b"160000"
LARGEST_STRUCTURE = 32 * 1024 * 1024  # bytes of one commit, tree or tag; blobs are never read here
QUARANTINED = "refs/quarantine/tip"
QUARANTINED_TAGS = "refs/quarantine/tags/"
CONTROL_TAGS = "refs/tags/rollout/"  # core.model.view says it too; this process does not load the core
MOST_TAGS = 10_000  # core.model.view, too
LONGEST_ANSWER = 3 * 1024 * 1024


def branch_of(request: dict[str, Any]) -> str:
    """The refspec of the branch."""
    return f"+refs/heads/{request['branch']}:{QUARANTINED}"


def bring(request: dict[str, Any]) -> dict[str, str]:
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
    if len(json.dumps(json.dumps(told))) > LONGEST_ANSWER:  # as `reply` says it; more the parent does not listen to
        raise FetchError(f"the names of the remote's {len(refs)} control tags take more than {LONGEST_ANSWER} bytes")
    return told


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


def run(request: dict[str, Any]) -> dict[str, str]:
    """The whole errand: `{"tip": id}`. FetchError where it fails."""
    if request["errand"] == "repack":
        repack(request)
        return {"tip": ""}
    prepare(Path(request["quarantine"]), Path(request["mirror"]), request["haves"])
    return bring(request)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What `run` says, or why it failed."""
    return answered(run, request)


if __name__ == "__main__":
    serve(answer)
