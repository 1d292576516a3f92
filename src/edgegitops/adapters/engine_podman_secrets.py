"""Law: a secret is shown to its container from the node's memory, and is put there anew before each start.

1. A label says what a container is given: names, versions, keys, places, owners. Never a value. A start knows only the
   container, and after a power cut the memory is empty; so the label is what a start puts in place, without a network.
2. Files lie on a memory file system under a folder of root's own, one folder a container, and are bound read-only, 0400
   where no mode is said. A folder that is not in memory is refused.
3. A variable goes through a Podman secret that is made for this container and goes with it: the request names it and
   never holds it. Podman itself keeps those on disk, and 4.3 shows them in `inspect` of what runs.
4. What cannot be opened holds the start back and stops nothing. No error holds a part of a secret.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from edgegitops.adapters.engine_podman_wire import NOT_FOUND, Wire, unavailable
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.secrets import bytes_of, fill, read_pairs, text_of
from edgegitops.core.model.spec import CreateSpec

LABEL_SECRET_WORK: Final = "io.edgegitops.secret-work"  # noqa: S105 - the name of a label
"""JSON: what is put in place at each start (see `secret_work`)."""

_OPTIONS: Final = ["rbind", "ro", "nosuid", "nodev", "noexec"]
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_PREFIX: Final = "edgegitops-"

Work: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Vault:
    """Where secrets are shown from, as the engine's host sees it, and how one (`db.2`) is opened."""

    folder: str
    open: Callable[[str], bytes]
    is_in_memory: Callable[[str], bool]


def is_in_memory(path: str) -> bool:
    """Whether a path, or what will be made there, lies on a memory file system."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        head, _, tail = line.partition(" - ")
        place = head.split()[4]
        if f"{path}/".startswith(f"{place.rstrip('/')}/") and len(place) >= len(best):
            best, kind = place, tail.split()[0]
    return kind in _IN_MEMORY


def secret_work(spec: CreateSpec) -> Work:
    """What a container is given, without any value; empty where it is given no secret."""
    if not spec.secrets():
        return {}
    return {
        "files": [{**one, "at": sha256_hex(str(one["target"]).encode())[:16]} for one in _files(spec)],
        "env": {name: [ref.file, ref.key] for name, ref in spec.env_secrets.items()},
        "groups": [ref.file for ref in spec.env_from],
        "given": sorted(spec.env) if spec.env_from else [],
    }


def secret_mounts(work: Work, vault: Vault, name: str) -> list[dict[str, Any]]:
    """The binds of the files, in the words of a create request."""
    folder = f"{vault.folder}/{name}"
    return [
        {"type": "bind", "source": f"{folder}/{one['at']}", "destination": one["target"], "options": _OPTIONS}
        for one in work.get("files", ())
    ]


def put(work: Work, vault: Vault | None, wire: Wire, name: str, contents_dir: str) -> dict[str, str]:
    """Put all in place before the container is made or started; variable -> Podman secret. UnavailableError where a
    secret cannot be opened (secret-unreadable); OSError.
    """
    if not work:
        return {}
    action = f"give {name} its secrets"
    if vault is None or not vault.is_in_memory(vault.folder):
        where = vault.folder if vault else "no folder"
        raise unavailable(action, f"{where} is no memory file system", HoldReason.SECRET_UNREADABLE)
    try:
        files = [(one, _content(one, vault, contents_dir)) for one in work["files"]]
        variables = _variables(work, vault)
    except ValueError as wrong:
        raise unavailable(action, str(wrong), HoldReason.SECRET_UNREADABLE) from None
    folder = Path(vault.folder) / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one, data in files:
        _write(folder / one["at"], data, one)
    return {variable: _make(wire, name, variable, text) for variable, text in variables.items()}


def forget(vault: Vault | None, wire: Wire, name: str) -> None:
    """Remove what a container that is gone was given."""
    if vault is not None:
        shutil.rmtree(Path(vault.folder) / name, ignore_errors=True)
    prefix = _of_container(name)
    found = wire.ask("GET", "/secrets/json")
    for row in (found.json() or ()) if found.is_ok else ():
        secret = str((row.get("Spec") or {}).get("Name", ""))
        if secret.startswith(prefix):
            wire.ask("DELETE", f"/secrets/{quote(secret, safe='')}")


def _files(spec: CreateSpec) -> Iterator[Work]:
    for mount in spec.mounts:
        look = {"mode": 0o400 if mount.mode is None else mount.mode, "uid": mount.uid or 0, "gid": mount.gid or 0}
        if mount.secret is not None:
            yield {**look, "target": mount.target, "secret": mount.secret.file, "key": mount.secret.key}
        elif mount.secrets:
            contents = {mount.target: mount.file} if mount.file else {}
            contents |= {f"{mount.target}/{path}": sha256 for path, sha256 in mount.folder.items()}
            for target, sha256 in sorted(contents.items()):
                yield {**look, "target": target, "content": sha256, "secrets": dict(mount.secrets)}


def _content(one: Work, vault: Vault, contents_dir: str) -> bytes:
    if "secret" in one:
        with _telling(one["secret"]):
            return bytes_of(vault.open(one["secret"]), one["key"])
    template = (Path(contents_dir) / one["content"]).read_bytes()
    names = ", ".join(f"{name}.{version}" for name, version in sorted(one["secrets"].items()))
    with _telling(names):
        return fill(template, one["secrets"], lambda ref: vault.open(ref.file))


def _variables(work: Work, vault: Vault) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in work["groups"]:
        with _telling(file):
            found |= read_pairs(text_of(vault.open(file)))[0]
    known = {name: text for name, text in found.items() if name not in work["given"]}
    for name, (file, key) in work["env"].items():
        with _telling(file):
            known[name] = text_of(vault.open(file), key)
    return known


@contextmanager
def _telling(file: str) -> Iterator[None]:
    """Say which secret it is that something is wrong with."""
    try:
        yield
    except ValueError as wrong:
        raise ValueError(f"secret {file}: {wrong}") from None


def _write(path: Path, data: bytes, look: Mapping[str, Any]) -> None:
    part = path.with_name(f".{path.name}.new")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        os.fchown(handle, look["uid"], look["gid"])
        os.fchmod(handle, look["mode"])
    part.replace(path)


def _make(wire: Wire, name: str, variable: str, text: str) -> str:
    """The Podman secret of a variable. It never changes, since neither a version nor the container does."""
    secret = f"{_of_container(name)}{sha256_hex(variable.encode())[:16]}"
    if not wire.ask("GET", f"/secrets/{secret}/json").is_ok:
        answer = wire.ask("POST", "/secrets/create", params={"name": secret}, body=text.encode() or b"\n")
        if not answer.is_ok:
            words = f"variable {variable}: {answer.status} of the engine's secrets"
            reason = HoldReason.SECRET_UNREADABLE if answer.status != NOT_FOUND else HoldReason.ENGINE_UNAVAILABLE
            raise unavailable(f"give {name} its secrets", words, reason)
    return secret


def _of_container(name: str) -> str:
    return f"{_PREFIX}{sha256_hex(name.encode())[:24]}-"
