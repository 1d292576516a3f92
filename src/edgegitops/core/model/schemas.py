"""Law: the published schemas as values. A file of its own, for what hands them on knows nothing of manifests."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class SchemaSet:
    """The published JSON Schemas: lower-case kind -> JSON text. Compared by identity: one set a process."""

    texts: Mapping[str, str]
