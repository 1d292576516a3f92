"""A small fleet in memory, built by hand: the documents helper is not needed to test resolution."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from edgegitops.core.desired.resolve import resolve
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.manifests import (
    Application,
    DeploymentManifest,
    Fleet,
    NodeEntry,
    Origin,
    Override,
    SecretFile,
    Site,
    Snapshot,
)
from edgegitops.core.model.objects import Header, RawObject
from edgegitops.core.model.release import Release
from edgegitops.core.model.selector import Requirement, Selector
from edgegitops.core.model.spec import CreateSpec

DIGEST = "sha256:" + "ab" * 32
IMAGE = f"registry.example/line/app:1.0@{DIGEST}"
ALL = Selector(is_all=True)


def positions_of(tree: Any, pointer: str = "") -> dict[str, Position]:
    """Every pointer on a line of its own, in the order of the tree."""
    found = {}

    def walk(node: Any, at: str) -> None:
        found[at] = Position(len(found) + 1, 1)
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in pairs:
            walk(value, f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}")

    walk(tree, pointer)
    return found


@dataclass
class Blobs:
    """Git blobs by id."""

    data: dict[str, bytes] = field(default_factory=dict)

    def add(self, data: bytes) -> str:
        oid = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        self.data[oid] = data
        return oid

    def header(self, oid: str) -> Header | None:
        return Header("blob", len(self.data[oid])) if oid in self.data else None

    def read(self, oid: str) -> RawObject | None:
        return RawObject("blob", self.data[oid]) if oid in self.data else None


def judge(schema: Any, value: Any) -> tuple[str, ...]:
    """Enough of JSON Schema for these tests: `type` and `enum`."""
    types = {"string": str, "number": (int, float), "array": list, "object": dict, "boolean": bool, "integer": int}
    if not isinstance(schema, dict):
        return ()
    messages = []
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        messages.append(f"{value!r} is not of type {schema['type']!r}")
    if "enum" in schema and value not in schema["enum"]:
        messages.append(f"{value!r} is not one of {schema['enum']!r}")
    return tuple(messages)


@dataclass
class World:
    """One site with one node `gw-a`, one application `app`, one deployment `line` that is everywhere."""

    spec: dict[str, Any] = field(default_factory=lambda: {"version": "1.0", "containers": {"web": {"image": IMAGE}}})
    deployment_spec: dict[str, Any] = field(default_factory=dict)
    overrides: list[tuple[Selector, dict[str, Any]]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    fleet_values: dict[str, Any] = field(default_factory=dict)
    site_values: dict[str, Any] = field(default_factory=dict)
    node_values: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=lambda: {"country": "SE", "tier": "production"})
    node_tags: dict[str, str] = field(default_factory=lambda: {"role": "line"})
    address: str = "10.1.2.10"
    network_pool: str = ""
    time_zone: str = "Europe/Stockholm"
    minimum_profile: str = "baseline"
    resolver: int = 1
    attempt: int = 1
    selector: Selector = ALL
    files: dict[str, bytes] = field(default_factory=dict)
    blobs: Blobs = field(default_factory=Blobs)
    secrets: tuple[str, ...] = ()
    more: dict[str, DeploymentManifest] = field(default_factory=dict)

    def web(self, **fields: Any) -> "World":
        """The same world, container `web` with these fields."""
        containers = {**self.spec["containers"], "web": {"image": IMAGE, **fields}}
        return replace(self, spec={**self.spec, "containers": containers})

    def app(self, **fields: Any) -> "World":
        """The same world, the application with these fields."""
        return replace(self, spec={**self.spec, **fields})

    def snapshot(self) -> Snapshot:
        node = NodeEntry("gw-a", tags=self.node_tags, values=self.node_values, address=self.address)
        site_tree = {"spec": {"values": self.site_values, "nodes": {"gw-a": {"values": self.node_values}}}}
        site = Site(
            origin=Origin("sites/plant.yaml", positions_of(site_tree)),
            name="plant",
            tags=self.tags,
            nodes={"gw-a": node},
            values=self.site_values,
            time_zone=self.time_zone,
            network_pool=self.network_pool,
        )
        fleet = Fleet(
            origin=Origin("fleet.yaml", positions_of({"spec": {"resolver": 1, "values": self.fleet_values}})),
            repository="urn:test:fleet",
            resolver=self.resolver,
            values=self.fleet_values,
            minimum_profile=self.minimum_profile,
        )
        application = Application(
            origin=Origin("apps/app/app.yaml", positions_of({"spec": self.spec})),
            name="app",
            version=str(self.spec.get("version", "")),
            spec=self.spec,
            files={path: self.blobs.add(data) for path, data in self.files.items()},
        )
        return Snapshot(
            "c0ffee",
            fleet,
            {"plant": site},
            {"app": application},
            {"line": self.deployment("line"), **self.more},
            secrets={file: SecretFile(self.blobs.add(file.encode())) for file in self.secrets},
        )

    def deployment(self, name: str) -> DeploymentManifest:
        patches = [{"selector": {}, "patch": patch} for _, patch in self.overrides]
        tree = {"application": "app", "selector": {"all": True}, "values": self.values, "overrides": patches}
        spec = {**tree, **self.deployment_spec}
        return DeploymentManifest(
            origin=Origin(f"deployments/{name}.yaml", positions_of({"spec": spec})),
            name=name,
            attempt=self.attempt,
            application="app",
            selector=self.selector,
            values=self.values,
            overrides=tuple(Override(selector, patch) for selector, patch in self.overrides),
            spec=spec,
        )

    def resolve(self) -> tuple[Mapping[str, Release], Mapping[str, bytes], tuple[Fault, ...]]:
        snapshot = self.snapshot()
        return resolve(snapshot, "plant", "gw-a", self.blobs, judge)

    @staticmethod
    def only(key: str, *values: str) -> Selector:
        """A selector of one tag."""
        return Selector((Requirement(key, "In", values),))

    def judge(self, schema: Any, value: Any) -> tuple[str, ...]:
        """The stand-in for the judge of JSON Schema."""
        return judge(schema, value)

    def release(self) -> Release:
        releases, _, faults = self.resolve()
        assert faults == ()
        return releases["line"]

    def create(self, container: str = "web") -> CreateSpec:
        return self.release().spec.containers[container].create

    def fault(self) -> Fault:
        """The only fault."""
        releases, _, faults = self.resolve()
        assert len(faults) == 1, faults
        assert "line" not in releases
        return faults[0]


@pytest.fixture(scope="session")
def world() -> World:
    """Never changed; every test takes what it needs with `replace`, `web` or `app`."""
    return World()
