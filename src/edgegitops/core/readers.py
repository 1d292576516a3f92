"""Law: every node that uses a secret can read it, and that is known before anything is merged.

A secret is encrypted for the nodes that use it at any version, so that they can go forward and back. For each version:
the nodes that use it (desired), the list of recipients beside its age file (documents),
and the age keys of nodes under trust/nodes. A node that uses it and has no key, or whose key is not on the list, is a
fault. One that is on the list and uses it no more is told to who asks (`secret check`), and never bars a merge: who
takes a node out of the inventory need not be who may touch secrets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgegitops.core.desired.secrets import Use, uses_of
from edgegitops.core.documents.recipients import Recipients, count_stanzas, read_recipients
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import FaultCode

REKEY = "edgegitops secret rekey"


@dataclass(frozen=True, slots=True)
class Readers:
    """One version of a secret (`file`: `db.2`). `wanted` are the keys of the nodes that use the secret at any version
    (empty: a node has none); `listed` is what stands beside the age file, None with a `problem` that says why.
    """

    file: str
    wanted: Mapping[str, str]
    listed: Recipients | None = None
    problem: str = ""
    uses: tuple[Use, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes that use this version."""
        return tuple(sorted({use.node for use in self.uses}))

    @property
    def is_due(self) -> bool:
        """True where encrypting it anew would change who can read it."""
        known = self.listed.keys() if self.listed else ()
        return bool(self.problem or self.stale or set(self.wanted.values()) - set(known))

    @property
    def keyless(self) -> tuple[str, ...]:
        """Nodes that use it and have no age key."""
        return tuple(node for node in self.nodes if not self.wanted[node])

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Nodes that use it, and for whose key it was not encrypted."""
        known = self.listed.keys() if self.listed else ()
        return tuple(node for node in self.nodes if self.wanted[node] and self.wanted[node] not in known)

    @property
    def stale(self) -> tuple[str, ...]:
        """Nodes that it was encrypted for, and that use the secret no more, or have another key now."""
        nodes = self.listed.nodes if self.listed else {}
        return tuple(node for node, key in nodes.items() if self.wanted.get(node) != key)


def readers_of(snapshot: Snapshot, objects: Objects) -> list[Readers]:
    """Every version that has a file, or that is used, by name and version."""
    uses: dict[str, list[Use]] = {}
    for use in uses_of(snapshot):
        uses.setdefault(use.file, []).append(use)
    found = []
    for file in sorted({*snapshot.secrets, *uses}, key=_in_order):
        name = file.rpartition(".")[0]
        nodes = {use.node for other, some in uses.items() if other.rpartition(".")[0] == name for use in some}
        wanted = {node: _key(snapshot, node) for node in sorted(nodes)}
        found.append(_readers(snapshot, objects, Readers(file, wanted, uses=tuple(uses.get(file, ())))))
    return found


def users_of(snapshot: Snapshot, name: str) -> dict[str, str]:
    """The age keys of all nodes that use any version of a secret; empty: a node has none."""
    nodes = sorted({use.node for use in uses_of(snapshot) if use.file.rpartition(".")[0] == name})
    return {node: _key(snapshot, node) for node in nodes}


def secret_faults(snapshot: Snapshot, objects: Objects) -> Iterator[Fault]:
    """What keeps nodes from reading what they use. A version without a file is a fault of resolution."""
    for one in readers_of(snapshot, objects):
        path = f"secrets/{one.file}.recipients"
        if one.file not in snapshot.secrets:
            continue
        if one.problem:
            hint = f"{REKEY} {one.file.rpartition('.')[0]} writes it"
            yield Fault(path, FaultCode.SECRET_UNREADABLE, one.problem, Position(1, 1), suggestion=hint)
        yield from _node_faults(one)


def _node_faults(one: Readers) -> Iterator[Fault]:
    first: dict[str, Use] = {}
    for use in one.uses:
        first.setdefault(use.node, use)
    for nodes, words, hint in (
        (one.keyless, "has no ageKey in trust/nodes", "add the line that edgegitops node init printed"),
        (() if one.problem else one.forgotten, f"is not among the recipients of {one.file}", REKEY),
    ):
        if nodes:
            use = first[nodes[0]]
            message = f"{use.deployment} uses the secret {one.file}, and {_listed(nodes)} {words}"
            yield Fault(use.says, FaultCode.SECRET_UNREADABLE, message, use.position, use.pointer, suggestion=hint)


def _listed(nodes: tuple[str, ...]) -> str:
    return f"{nodes[0]} and {len(nodes) - 1} more" if len(nodes) > 1 else nodes[0]


def _readers(snapshot: Snapshot, objects: Objects, one: Readers) -> Readers:
    """What stands beside its age file."""
    file = one.file
    found = snapshot.secrets.get(file)
    age = objects.read(found.age) if found else None
    listed = objects.read(found.recipients) if found and found.recipients else None
    if age is None or listed is None:
        problem = f"there is no secrets/{file}.{'age' if age is None else 'recipients'}"
        return replace(one, problem=problem)
    try:
        read = read_recipients(file, listed.data)
        count = count_stanzas(age.data)
    except ValueError as error:
        return replace(one, problem=str(error))
    problem = ""
    if read.sha256 != sha256_hex(age.data):
        problem = f"this list was not written with the secrets/{file}.age that is there"
    elif count != len(read.keys()):
        problem = f"this list has {len(read.keys())} keys, and secrets/{file}.age is encrypted for {count}"
    return replace(one, listed=read, problem=problem)


def _key(snapshot: Snapshot, node: str) -> str:
    site, _, name = node.partition("/")
    keys = snapshot.keys.get(site)
    return keys.nodes[name].age if keys and name in keys.nodes else ""


def _in_order(file: str) -> tuple[str, int]:
    name, _, version = file.rpartition(".")
    return name, int(version)
