"""Law: the manifests of a top tree are read once, whoever asks: who wants the newest, and who reads history.

What is handed in as `known` spares reading what was read before (`Facts.files`); it changes nothing of what is said.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property

from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.manifests import Faults, Snapshot
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.listing import list_manifests


@dataclass(frozen=True)
class Page:
    """A valid tree: its snapshot, whose revision is the tree, and the blob id of each of its files."""

    snapshot: Snapshot
    files: Mapping[str, str]

    @cached_property
    def report_keys(self) -> dict[str, str]:
        """The report key (an OpenSSH line) of each node (`<site>/<node>`) that has one."""
        return {
            f"{site}/{name}": node.report
            for site, known in self.snapshot.keys.items()
            for name, node in known.nodes.items()
            if node.report
        }


def read_page(
    tree: str, objects: Objects, schemas: SchemaSet, known: MutableMapping[str, object]
) -> Page | Faults | Refused:
    """The page of a top tree, every fault of it, or what it must not hold. Raises as `read_snapshot`."""
    place = f"page:{tree}"
    kept = known.get(place)
    if isinstance(kept, Page):
        return kept
    files = list_manifests(objects, tree, known=known)
    if isinstance(files, Refused):
        return files
    read = read_snapshot(tree, files, objects, schemas, known)
    if isinstance(read, Faults):
        return read
    known[place] = page = Page(read, files)
    return page
