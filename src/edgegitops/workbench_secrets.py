"""Joins adapters to what people do with secrets in a clone of the fleet repository; it decides nothing.

A secret passes through this process' memory and nothing else: it comes from a file or from standard input, and goes
into an age file. Nothing is committed for anybody. DeniedError: a key cannot be used, a node has none, or a version is
there already; InvalidDocumentError: the fleet cannot be read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops import workbench
from edgegitops.errors import DeniedError

if TYPE_CHECKING:
    from edgegitops.core.model.manifests import Snapshot
    from edgegitops.core.model.objects import Objects
    from edgegitops.core.readers import Readers

_PORT = "secret"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret that was written: `file` is `db.2`; the nodes that read it, and how many others."""

    file: str
    nodes: tuple[str, ...]
    others: int


def encrypt(path: Path, name: str, body: bytes, *, version: int | None, others: Sequence[str]) -> Sealed:
    """Encrypt a new version of a secret (None: the next) for the nodes that use the secret, and for `others`."""
    from edgegitops.core.model.secrets import bind
    from edgegitops.core.readers import users_of

    snapshot, _ = _look(path)
    known = [int(file.rpartition(".")[2]) for file in snapshot.secrets if file.rpartition(".")[0] == name]
    version = version or max(known, default=0) + 1
    if version in known:
        words = f"secrets/{name}.{version}.age is there; a version never changes, the next one is {max(known) + 1}"
        raise DeniedError(_PORT, "encrypt", words)
    nodes = users_of(snapshot, name)
    _demand_keys(nodes)
    if not nodes and not others:
        words = f"no deployment uses {name}: declare it under spec.secrets of its application, or give --recipient"
        raise DeniedError(_PORT, "encrypt", words)
    try:
        plain = bind(name, version, body)
    except ValueError as error:
        raise DeniedError(_PORT, "encrypt", str(error)) from None
    _write(path, f"{name}.{version}", plain, nodes, tuple(others))
    return Sealed(f"{name}.{version}", tuple(nodes), len(set(others)))


def rekey(path: Path, names: Collection[str], identity: Path, *, is_all: bool, others: Sequence[str]) -> list[Sealed]:
    """Encrypt anew, for the nodes that use them now, the versions that some node cannot read, or need not any more; all
    of them with `is_all`. `others` are people's keys to add.
    """
    from edgegitops.adapters.secrets_pyrage import decrypt
    from edgegitops.core.model.secrets import unbind

    snapshot, objects = _look(path)
    written = []
    for one in standing(path):
        name = one.file.rpartition(".")[0]
        found = snapshot.secrets.get(one.file)
        is_due = is_all or one.is_due or bool(set(others) - set(_others(one)))
        people = tuple(sorted({*_others(one), *others}))
        if found is None or not is_due or (names and name not in names) or not (one.wanted or people):
            continue
        _demand_keys(one.wanted)
        raw = objects.read(found.age)
        try:
            plain = decrypt(raw.data if raw else b"", identity)
            unbind(one.file, plain)
        except ValueError as error:
            raise DeniedError(_PORT, f"rekey {one.file}", str(error)) from None
        _write(path, one.file, plain, one.wanted, people)
        written.append(Sealed(one.file, tuple(one.wanted), len(people)))
    return written


def standing(path: Path) -> "list[Readers]":
    """Every version of every secret: who uses it, and who can read it."""
    from edgegitops.core.readers import readers_of

    return readers_of(*_look(path))


def unopened(path: Path, identity: Path) -> dict[str, str]:
    """The versions that an identity does not open or that are not what their name says, and why."""
    from edgegitops.adapters.secrets_pyrage import decrypt
    from edgegitops.core.model.secrets import unbind

    snapshot, objects = _look(path)
    failed = {}
    for file, found in snapshot.secrets.items():
        raw = objects.read(found.age)
        try:
            unbind(file, decrypt(raw.data if raw else b"", identity))
        except ValueError as error:
            failed[file] = str(error)
        except DeniedError as error:
            failed[file] = error.message
    return failed


def _look(path: Path) -> "tuple[Snapshot, Objects]":
    view = workbench.view_directory(path)
    return view.snapshot, view.revision.objects


def _others(one: "Readers") -> tuple[str, ...]:
    return one.listed.others if one.listed else ()


def _demand_keys(nodes: Mapping[str, str]) -> None:
    keyless = [node for node, key in nodes.items() if not key]
    if keyless:
        words = f"{', '.join(keyless)}: no ageKey in trust/nodes; add the line that edgegitops node init printed there"
        raise DeniedError(_PORT, "encrypt", words)


def _write(path: Path, file: str, plain: bytes, nodes: Mapping[str, str], others: tuple[str, ...]) -> None:
    from edgegitops.adapters.secrets_pyrage import encrypt as seal
    from edgegitops.core.documents.recipients import write_recipients

    age = seal(plain, sorted({*nodes.values(), *others}))
    _put(path / "secrets" / f"{file}.age", age)
    _put(path / "secrets" / f"{file}.recipients", write_recipients(file, age, nodes, others).encode())


def _put(path: Path, data: bytes) -> None:
    from edgegitops.adapters.machine_linux import write_new
    from edgegitops.adapters.yaml_edit import replace_file

    if not write_new(path, data.decode("ascii"), mode=0o644):
        replace_file(path, path.read_bytes(), data)
