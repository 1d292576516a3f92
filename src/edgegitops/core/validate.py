"""Law: `validate` finds what a node would find, and all of it: the same readers, over the whole fleet at once.

In order: what manifest folders may hold (trust), each manifest by itself (documents), and then, over what is sound, how
they fit together on every node (desired). Emptiness is told as a warning, and only where no fault could be its cause.
"""

from edgegitops.core.desired.check import check_snapshot
from edgegitops.core.desired.plant import unknown_zones
from edgegitops.core.documents.judge import in_order, value_judge
from edgegitops.core.documents.snapshot import read_partly
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import SchemaSet
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.plant import FixedZones, Zones
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.trust import Refused
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
        between = (*check_snapshot(snapshot, objects, value_judge), *unknown_zones(snapshot, zones))
        found += [fault for fault in between if not (faults and fault.is_warning)]
    return tuple(sorted(dict.fromkeys(found), key=in_order))
