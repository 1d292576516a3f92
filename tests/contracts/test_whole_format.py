"""The whole format that this version obeys: valid to `validate`; each field of it is obeyed or refused by name."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edgegitops.adapters.objects_directory import DirectoryObjects
from edgegitops.bootstrap import load_schemas, validate_directory
from edgegitops.core.desired.resolve import resolve
from edgegitops.core.documents import unsupported
from edgegitops.core.documents.judge import value_judge
from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.documents.validators import written_out
from edgegitops.core.documents.yaml_reader import read_yaml
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.report import Reporting
from edgegitops.core.model.spec import Concurrency, Condition, Missed, Restart, Runs
from edgegitops.core.trust.listing import list_manifests
from edgegitops.core.trust.rules import MANIFEST_FILES, MANIFEST_FOLDERS

FLEET = Path(__file__).parents[1] / "vectors" / "whole_format"
FILES = {
    "Fleet": FLEET / "fleet.yaml",
    "Site": FLEET / "sites/goteborg-1.yaml",
    "Application": FLEET / "apps/all/app.yaml",
    "Deployment": FLEET / "deployments/all.yaml",
    "Policy": FLEET / "policies/lines.yaml",
}
# `all: true` cannot stand beside requirements; jobs and defaults have the fields of containers
ELSEWHERE = {("selector", "all"), ("for", "all"), ("containerDefaults",)}


def fields(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all fields of a schema; `*` for what has a name or a number of its own."""
    for name, below in schema.get("properties", {}).items():
        yield (*path, name)
        yield from fields(below, (*path, name))
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            yield from fields(schema[key], (*path, "*"))
    for branch in schema.get("oneOf", ()):
        yield from fields(branch, path)


def is_written(tree: Any, path: tuple[str, ...]) -> bool:
    """True where the field stands somewhere; all probes are alike, and so are all selectors."""
    if "probes" in path[:-2]:
        at = path.index("probes")
        path = (*path[: at + 1], "*", *path[at + 2 :])
    if path[:4] == ("spec", "overrides", "*", "selector"):
        path = ("spec", *path[3:])
    return bool(unsupported._matches(tree, path))


def is_written_alike(tree: Any, path: tuple[str, ...]) -> bool:
    """True also for a field of a job that a container shows: both are read by the same code."""
    is_of_job = path[:3] == ("spec", "jobs", "*")
    return is_written(tree, path) or (is_of_job and is_written(tree, ("spec", "containers", *path[2:])))


def is_refused(kind: str, path: tuple[str, ...]) -> bool:
    """True for a field with a row, and for all that can only stand below or beside one."""
    rows = unsupported._BY_KIND[kind]
    if path[-3:-1] == ("mounts", "*") and path[-1] == "key":  # of a secret
        path = (*path[:-1], "secret")
    return any(path[: len(row.path)] == row.path and (row.applies is None or path != row.path) for row in rows)


@pytest.mark.parametrize("kind", FILES)
def test_every_field_is_obeyed_somewhere_or_refused_by_name(kind):
    schema = written_out(json.loads(load_schemas().texts[kind.lower()]))
    tree = read_yaml(FILES[kind].read_bytes(), kind).tree
    forgotten = [
        "/".join(path)
        for path in fields(schema)
        if not is_refused(kind, path) and path[-2:] not in ELSEWHERE and not is_written_alike(tree, path)
    ]
    assert [path for path in forgotten if not path.startswith("spec/containerDefaults/")] == []


def test_all_that_is_supported_is_valid():
    told = validate_directory(FLEET, load_schemas())
    assert [one for one in told if not one.is_warning] == []
    assert {one.pointer for one in told} == {"/spec/rollout/waves/0", "/spec/rollout/waves/1"}, "they take no node here"


def test_all_that_is_supported_reaches_the_spec_as_written():
    objects = DirectoryObjects(FLEET, MANIFEST_FILES | MANIFEST_FOLDERS, largest=1024 * 1024)
    snapshot = read_snapshot("r1", list_manifests(objects, objects.tree), objects, load_schemas())
    assert isinstance(snapshot, Snapshot)
    assert snapshot.fleet.reporting == Reporting(
        "ssh://git@git.example/reports.git", "/mnt/reports", timedelta(minutes=10)
    )
    releases, contents, faults = resolve(snapshot, "goteborg-1", "gw-a", objects, value_judge)
    assert faults == ()
    release = releases["all"]
    first = release.spec.containers["a"]
    assert first.create.env == {
        "B": "true",
        "C": "1.10",
        "D": "x",
        "E": "gw-a",
        "F": "Europe/Stockholm",
        "G": "emea",
        "H": "3",
        "LEVEL": "3",
        "Z": "2.10",
    }
    assert first.create.args == ("run", "5")
    assert not first.create.tty, "a written null of the patch deletes"
    assert first.care.restart is Restart.ALWAYS
    assert release.spec.containers["c"].create.env == {"D": "1.10"}
    told = release.spec.containers["c"].care
    assert (told.config_signal, set(told.configs)) == ("SIGHUP", {"/etc/d", "/etc/i"})
    assert (told.ready.grpc_port, told.ready.grpc_service) == (9000, "qa.Inspector")
    assert told.live.http_tls_verify
    nightly, migrate = release.spec.jobs["nightly"], release.spec.jobs["migrate"]
    assert (nightly.schedule, nightly.zone) == ("30 2 * * MON-FRI", "Europe/Oslo")
    assert (nightly.concurrency, nightly.missed) == (Concurrency.REPLACE, Missed.RUN_ONCE)
    assert (nightly.timeout, nightly.retries) == (timedelta(minutes=10), 2)
    assert (migrate.runs, migrate.care.depends_on) == (
        Runs.BEFORE_SWITCH,
        {"c": Condition.STARTED, "first": Condition.COMPLETED},
    )
    assert migrate.create.env == {"D": "1.10", "N": "5"}, "jobs have the container defaults"
    assert migrate.create.logging.driver == "journald"
    assert first.create.secrets() == {"db.1"}
    assert {data for data in contents.values() if b"\0" not in data} == {b"x = 5\n", b"a\n", b"hello\n"}
    assert release.spec.attempt == 2
    assert release.policy.after == "regression"
    assert release.policy.depends_on == {"broker": "ready"}
    assert [mount.artifact for mount in first.create.mounts if mount.artifact] == [
        f"registry.example/models/m@sha256:{'cd' * 32}"
    ]
    assert release.policy.mirrors == (
        ("registry.example", "10.1.0.5:5000"),
        ("registry.example", "mirror.example/all"),
    )
