"""Law: a secret is used at the version that the application says on a node, and its file is in the same revision.

Who uses a secret: every node that a deployment of an application selects in which, as patched for that node, the secret
is declared. Those nodes' age keys are its recipients. What declares it and uses it nowhere still counts: the file is
then ready before the field that uses it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgegitops.core.desired.patching import patched
from edgegitops.core.desired.places import did_you_mean, pointer, trace
from edgegitops.core.desired.reading import Cursor, Keys, unknown
from edgegitops.core.desired.selectors import matches, node_tags
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Position
from edgegitops.core.model.manifests import SecretFile, Snapshot
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.secrets import SecretRef

_KEYS = Keys(frozenset({"version"}), hints=(("name", "the secret is called as its key here"),))
_HIGHEST = 10**9 - 1


@dataclass(frozen=True, slots=True)
class Use:
    """A deployment that uses a secret on a node (`site/node`), and where an application or override says so."""

    file: str
    node: str
    deployment: str
    says: str
    position: Position | None
    pointer: str


def read_secret(spot: Cursor, files: Mapping[str, SecretFile]) -> SecretRef | None:
    """A declared secret; None where a fault was noted."""
    fields = spot.fields(_KEYS)
    if "version" not in fields:
        spot.note(FaultCode.MISSING_FIELD, "no version", "version: 1")
        return None
    before = len(spot.scope.faults)
    ref = SecretRef(spot.key, fields["version"].whole(1, _HIGHEST))
    if len(spot.scope.faults) > before:
        return None
    if ref.file not in files:
        near = did_you_mean(ref.file, files)
        expected = "edgegitops secret encrypt writes it"
        fields["version"].note(FaultCode.FILE_MISSING, f"there is no secrets/{ref.file}.age", expected, near)
        return None
    return ref


def read_ref(fields: Mapping[str, Cursor], secrets: Mapping[str, SecretRef | None]) -> SecretRef | None:
    """What `secret` and `key` of an entry refer to; None where a fault was noted, here or where the secret stands."""
    name = fields["secret"].text()
    if name not in secrets:
        unknown(fields["secret"], "secret", name, secrets)
        return None
    found = secrets[name]
    key = fields["key"].text() if "key" in fields else ""
    return None if found is None else SecretRef(found.name, found.version, key)


def uses_of(snapshot: Snapshot) -> list[Use]:
    """Every use of every secret, by file (`db.2`), node and deployment."""
    found = []
    seats = [(site, node) for site in snapshot.sites.values() for node in site.nodes.values()]
    for deployment in snapshot.deployments.values():
        application = snapshot.applications.get(deployment.application)
        patches = [override.patch for override in deployment.overrides]
        if application is None or not any("secrets" in one for one in (application.spec, *patches)):
            continue
        for site, node in seats:
            tags = node_tags(site, node)
            if not matches(deployment.selector, tags):
                continue
            tree, layers, _ = patched(application, deployment, tags)
            for name, version in _declared(tree.get("secrets")):
                place = trace(layers, ("secrets", name))
                where = (place.origin.file, place.position, pointer(place.path))
                found.append(Use(f"{name}.{version}", f"{site.name}/{node.name}", deployment.name, *where))
    return sorted(found, key=lambda use: (use.file, use.node, use.deployment))


def _declared(tree: Tree) -> Iterable[tuple[str, int]]:
    for name, entry in tree.items() if isinstance(tree, dict) else ():
        version = entry.get("version") if isinstance(entry, dict) else None
        if isinstance(version, int) and not isinstance(version, bool):
            yield str(name), version
