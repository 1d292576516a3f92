"""A sound little fleet as a mapping of paths to texts, and the lookup that a snapshot reads it from."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent

import pytest

from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Faults, Snapshot
from edgegitops.core.model.objects import Header, RawObject
from edgegitops.core.model.schemas import SchemaSet

MARK = "¦"
SCHEMAS = Path(__file__).parents[3] / "schemas"
IMAGE = "registry.example/web:1.0@sha256:" + "ab" * 32

FLEET = "apiVersion: edgegitops/v1\nkind: Fleet\nmetadata: {name: press}\nspec:\n"
SITE = "apiVersion: edgegitops/v1\nkind: Site\nmetadata: {name: goteborg-1}\nspec:\n"
APPLICATION = "apiVersion: edgegitops/v1\nkind: Application\nmetadata: {name: web}\nspec:\n"
DEPLOYMENT = "apiVersion: edgegitops/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n"

SOUND = {
    "fleet.yaml": FLEET + "  repository: urn:uuid:1\n  resolver: 1\n",
    "sites/emea/goteborg-1.yaml": SITE + "  tags: {region: emea}\n  nodes: {gw-a: {tags: {role: line}}}\n",
    "apps/web/app.yaml": APPLICATION + f"  version: '1'\n  containers:\n    web:\n      image: {IMAGE}\n",
    "deployments/shop.yaml": DEPLOYMENT + "  application: web\n  selector: {all: true}\n",
}


class Blobs:
    """Objects of texts, by Git's ids."""

    def __init__(self, texts: Mapping[str, str | bytes]) -> None:
        self.files: dict[str, str] = {}
        self.reads: list[str] = []
        self._data: dict[str, bytes] = {}
        for path, text in texts.items():
            data = text if isinstance(text, bytes) else text.encode()
            oid = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            self.files[path] = oid
            self._data[oid] = data

    def header(self, oid: str) -> Header | None:
        return Header("blob", len(self._data[oid])) if oid in self._data else None

    def read(self, oid: str) -> RawObject | None:
        self.reads.append(oid)
        return RawObject("blob", self._data[oid]) if oid in self._data else None


class FleetTexts:
    """What tests write down, and what becomes of it."""

    sound_texts = SOUND
    blobs = Blobs
    image = IMAGE

    def __init__(self) -> None:
        self.schemas = SchemaSet({path.name.split(".")[0]: path.read_text() for path in SCHEMAS.glob("*.schema.json")})

    def read(self, texts: Mapping[str, str | bytes]) -> Snapshot | Faults:
        """The sound fleet with these files put in its place or added."""
        blobs = Blobs({**SOUND, **texts})
        return read_snapshot("r1", blobs.files, blobs, self.schemas)

    def sound(self, texts: Mapping[str, str | bytes]) -> Snapshot:
        found = self.read(texts)
        assert isinstance(found, Snapshot), found
        return found

    def faults(self, texts: Mapping[str, str | bytes]) -> tuple[Fault, ...]:
        found = self.read(texts)
        assert isinstance(found, Faults), "no faults were found"
        return found.faults

    def with_container(self, fields: str) -> dict[str, str]:
        """The application with these further lines in its container."""
        return {"apps/web/app.yaml": SOUND["apps/web/app.yaml"] + indent(fields, " " * 6) + "\n"}

    def with_spec(self, kind: str, fields: str) -> dict[str, str]:
        """A document with these further lines in its spec; a field that is written again replaces its line."""
        path = {
            "application": "apps/web/app.yaml",
            "deployment": "deployments/shop.yaml",
            "site": "sites/emea/goteborg-1.yaml",
            "fleet": "fleet.yaml",
        }[kind]
        names = {line.replace(MARK, "").partition(":")[0] for line in fields.splitlines()}
        kept = [line for line in SOUND[path].splitlines() if line.strip().partition(":")[0] not in names]
        return {path: "\n".join([*kept, indent(fields, "  "), ""])}


@pytest.fixture(scope="session")
def fleet() -> FleetTexts:
    return FleetTexts()
