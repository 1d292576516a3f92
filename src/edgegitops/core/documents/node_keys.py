"""Law: a key belongs to one node. Two nodes with one report key could speak for each other, two with one age key read
each other's secrets; so a key that stands twice is a fault, wherever the two places are.

Keys are compared without their comments. Whether a key is sound is the schema's question, and `validate`'s.
"""

from collections.abc import Iterator, Sequence

from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import NodeKeys
from edgegitops.core.model.reasons import FaultCode


def keys_twice(found: Sequence[NodeKeys]) -> Iterator[Fault]:
    """A fault for each key that an earlier node has already, in the order of sites and nodes."""
    owners: dict[str, str] = {}
    for one in sorted(found, key=lambda keys: keys.site):
        for node, keys in sorted(one.nodes.items()):
            for field, key in (("reportKey", " ".join(keys.report.split()[:2])), ("ageKey", keys.age)):
                owner = owners.setdefault(key, f"{one.site}/{node}") if key else ""
                if owner != f"{one.site}/{node}" and key:
                    pointer = f"/spec/nodes/{node}/{field}"
                    message = f"the {field} of {node} is that of {owner} too"
                    hint = "edgegitops node init on the machine makes keys of its own"
                    at = one.origin.positions.get(pointer)
                    yield Fault(one.origin.file, FaultCode.DUPLICATE_NAME, message, at, pointer, suggestion=hint)
