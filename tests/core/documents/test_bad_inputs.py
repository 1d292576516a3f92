"""Every class of bad input is told with its code, its place and what to write instead."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgegitops.core.model.faults import Position

VECTORS = Path(__file__).parents[2] / "vectors" / "bad_inputs.yaml"
MARK = "¦"
KINDS = ("application", "deployment", "site", "fleet")


def vectors() -> list[dict[str, Any]]:
    return yaml.safe_load(VECTORS.read_text(encoding="utf-8"))


def texts_of(fleet, vector: Mapping[str, Any]) -> dict[str, str]:
    if "text" in vector:
        return {vector["file"]: vector["text"]}
    if "image" in vector:
        path = "apps/web/app.yaml"
        return {path: fleet.sound_texts[path].replace(f"image: {fleet.image}", f"image: {vector['image']}")}
    if "container" in vector:
        return fleet.with_container(vector["container"])
    kind = next(kind for kind in KINDS if kind in vector)
    return fleet.with_spec(kind, vector[kind])


def marked_place(text: str) -> Position:
    before = text[: text.index(MARK)]
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_bad_input_is_told_with_code_place_and_remedy(fleet, vector):
    ((file, text),) = texts_of(fleet, vector).items()
    faults = [fault for fault in fleet.faults({file: text.replace(MARK, "")}) if fault.file == file]
    assert len(faults) == vector.get("faults", 1), faults
    told = [fault for fault in faults if fault.code == vector["code"]]
    assert told, faults
    fault = told[0]
    if vector.get("place", True):
        place = Position(vector["line"], vector["column"]) if "line" in vector else marked_place(text)
        assert place in {fault.position for fault in told}, faults
        fault = next(fault for fault in told if fault.position == place)
    assert str(vector.get("suggestion", "")) in fault.suggestion, fault
    assert str(vector.get("expected", "")) in fault.expected, fault


def test_no_two_vectors_have_one_name():
    names = [vector["name"] for vector in vectors()]
    assert len(names) == len(set(names))


def test_all_faults_of_all_files_come_at_once_in_the_order_of_files_and_lines(fleet):
    faults = fleet.faults(
        {
            **fleet.with_container("tty: no\nrestart: allways\ncommand: []"),
            **fleet.with_spec("deployment", "drift: no\nselector: {}"),
            **fleet.with_spec("site", "nodes: []"),
            "fleet.yaml": "a: &x 1",
        }
    )
    assert [(fault.file, fault.code) for fault in faults] == [
        ("apps/web/app.yaml", "wrong-type"),
        ("apps/web/app.yaml", "wrong-value"),
        ("apps/web/app.yaml", "unknown-field"),
        ("deployments/shop.yaml", "wrong-value"),
        ("deployments/shop.yaml", "empty-selector"),
        ("fleet.yaml", "yaml-alias"),
        ("sites/emea/goteborg-1.yaml", "wrong-type"),
    ]


def test_endless_faults_are_cut_and_counted(fleet):
    faults = fleet.faults(
        fleet.with_spec("application", "volumes: {" + ", ".join(f"V{n}: {{}}" for n in range(300)) + "}")
    )
    assert len(faults) == 101
    assert faults[-1].message == "… and 200 more faults that are not shown"


def test_same_name_in_two_folders_is_told_at_the_second(fleet):
    site = fleet.sound_texts["sites/emea/goteborg-1.yaml"]
    (fault,) = fleet.faults({"sites/other/goteborg-1.yaml": site})
    assert (fault.file, fault.code) == ("sites/other/goteborg-1.yaml", "duplicate-name")
    assert "sites/emea/goteborg-1.yaml" in fault.message


def test_policy_that_would_overrule_an_interlock_says_after_what_time(fleet):
    rule = "{file: {path: /a}, onMaxDefer: force-in-window}"
    spec = f"spec: {{selector: {{all: true}}, interlocks: {{a: {rule}}}}}\n"
    text = f"apiVersion: edgegitops/v1\nkind: Policy\nmetadata: {{name: p}}\n{spec}"
    (fault,) = fleet.faults({"policies/p.yaml": text})
    assert (fault.code, fault.position.line) == ("missing-field", 4)


def test_missing_fleet_is_told(fleet):
    blobs = fleet.blobs({"README.md": "hello"})
    from edgegitops.core.documents.snapshot import read_snapshot

    (fault,) = read_snapshot("r1", blobs.files, blobs, fleet.schemas).faults
    assert (fault.file, fault.code) == ("fleet.yaml", "file-missing")


def test_file_that_is_not_utf8_is_told_with_the_first_bad_byte(fleet):
    (fault,) = fleet.faults({"fleet.yaml": b"a: 1\nb: \xff\n"})
    assert (fault.code, fault.position) == ("not-utf8", Position(2, 4))


def test_too_large_file_is_refused_before_it_is_loaded(fleet):
    from edgegitops.core.documents.snapshot import read_snapshot

    blobs = fleet.blobs({**fleet.sound_texts, "sites/big.yaml": b"a" * (1024 * 1024 + 1)})
    (fault,) = read_snapshot("r1", blobs.files, blobs, fleet.schemas).faults
    assert (fault.file, fault.code) == ("sites/big.yaml", "too-large")
    assert blobs.files["sites/big.yaml"] not in blobs.reads
