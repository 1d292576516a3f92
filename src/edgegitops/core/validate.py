"""Law: `validate` finds what a node would find, and all of it: the same readers, over the whole fleet at once.

In order: what manifest folders may hold (trust), each manifest by itself (documents), and then, over what is sound, how
they fit together on every node (desired). Emptiness is told as a warning, and only where no fault could be its cause.
"""

from collections.abc import Iterator

from edgegitops.core.desired.check import check_snapshot
from edgegitops.core.desired.plant import unknown_zones
from edgegitops.core.documents.judge import in_order, value_judge
from edgegitops.core.documents.pinning import PLACEHOLDER
from edgegitops.core.documents.snapshot import read_partly
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.plant import FixedZones, Zones
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.trust import Refused
from edgegitops.core.readers import secret_faults
from edgegitops.core.trust.keys import read_line
from edgegitops.core.trust.listing import list_manifests

_NO_ZONES = FixedZones()


def validate_tree(tree: str, objects: Objects, schemas: SchemaSet, zones: Zones = _NO_ZONES) -> tuple[Fault, ...]:
    """All faults and warnings of the fleet repository whose top tree has this id, in the order of files and lines.

    Raises what `objects` raises, and BrokenInvariantError where the schemas themselves are broken.
    """
    files = list_manifests(objects, tree)
    if isinstance(files, Refused):
        hint = "a node refuses the whole revision for it"
        return (Fault(files.subject, FaultCode.UNREADABLE, f"{files.doubt}: {files.detail}", suggestion=hint),)
    snapshot, faults = read_partly("", files, objects, schemas)
    found = list(faults)
    if snapshot is not None:
        between = (
            *check_snapshot(snapshot, objects, value_judge),
            *unknown_zones(snapshot, zones),
            *_key_faults(snapshot),
            *_placeholders(snapshot),
            *secret_faults(snapshot, objects),
        )
        found += [fault for fault in between if not (faults and fault.is_warning)]
    return tuple(sorted(dict.fromkeys(found), key=in_order))


_PINNED = (("containers", "image"), ("jobs", "image"), ("artifacts", "artifact"))


def _placeholders(snapshot: Snapshot) -> Iterator[Fault]:
    """Images whose digest is all zeros: a place kept for one."""
    for application in snapshot.applications.values():
        for group, key in _PINNED:
            members = application.spec.get(group)
            for name, member in members.items() if isinstance(members, dict) else ():
                image = member.get(key) if isinstance(member, dict) else None
                told = f"{image}".removesuffix(PLACEHOLDER)
                if isinstance(image, str) and image.endswith(PLACEHOLDER):
                    pointer = f"/spec/{group}/{name}/{key}"
                    yield Fault(
                        application.origin.file,
                        FaultCode.IMAGE_NOT_PINNED,
                        f"the digest of {told} is all zeros: a placeholder, which no image has",
                        application.origin.positions.get(pointer),
                        pointer,
                        suggestion="`edgegitops image pin` writes the digest",
                        is_warning=True,
                    )


def _key_faults(snapshot: Snapshot) -> Iterator[Fault]:
    """Report keys that no node would believe, and keys of nodes that no site names."""
    for site, keys in snapshot.keys.items():
        place = snapshot.sites.get(site)
        for node, one in keys.nodes.items():
            at = keys.origin.positions.get(f"/spec/nodes/{node}")
            read = read_line(one.report) if one.report else None
            if isinstance(read, Refused):
                pointer = f"/spec/nodes/{node}/reportKey"
                position = keys.origin.positions.get(pointer)
                message = f"the reportKey of {node} is no key that is believed: {read.detail}"
                hint = "copy the line that edgegitops node init printed"
                yield Fault(keys.origin.file, FaultCode.WRONG_VALUE, message, position, pointer, suggestion=hint)
            if place is None or node not in place.nodes:
                yield Fault(
                    keys.origin.file,
                    FaultCode.UNKNOWN_REFERENCE,
                    f"no manifest under sites/ names the node {site}/{node}",
                    at,
                    f"/spec/nodes/{node}",
                    suggestion="take the keys of a node that left out of this file",
                    is_warning=True,
                )
