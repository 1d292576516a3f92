"""Secrets in a release: by name and version only, wherever they are used."""

from dataclasses import replace

import pytest

from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.secrets import SecretRef, fill
from edgegitops.core.model.spec import CreateSpec

DB = {"db": {"version": 2}}


@pytest.fixture
def sealed(world):
    """The world with `db` at version 2."""
    return replace(world.app(secrets=DB), secrets=("db.1", "db.2"))


def test_mount_and_variables_carry_name_version_and_key(sealed):
    create = sealed.web(
        mounts={"/run/db": {"secret": "db", "key": "PASSWORD", "mode": "0440", "uid": 5}},
        env={"P": {"secret": "db", "key": "PASSWORD"}, "ALL": {"secret": "db"}, "PLAIN": "x"},
        envFrom=[{"secret": "db"}],
    ).create()
    (mount,) = create.mounts
    assert mount.secret == SecretRef("db", 2, "PASSWORD")
    assert (mount.mode, mount.uid, mount.read_only) == (0o440, 5, True)
    assert create.env == {"PLAIN": "x"}
    assert create.env_secrets == {"P": SecretRef("db", 2, "PASSWORD"), "ALL": SecretRef("db", 2)}
    assert create.env_from == (SecretRef("db", 2),)
    assert create.secrets() == {"db.2"}
    assert from_tree(CreateSpec, to_tree(create)) == create


def test_another_version_is_another_release_and_another_file_is_not(sealed):
    one = sealed.web(mounts={"/s": {"secret": "db"}})
    other = one.app(secrets={"db": {"version": 1}})
    assert one.release().digest != other.release().digest
    one.blobs.add(b"rekeyed")
    assert one.release().digest == replace(one, secrets=("db.2", "more.7")).release().digest


def test_release_without_secrets_has_no_trace_of_them(world, sealed):
    assert world.web().release().digest == sealed.web().release().digest


def test_template_has_marks_that_are_filled_on_the_node(sealed):
    text = "user=app\npass=${secrets.db.PASSWORD}\njson=${json(secrets.db.PASSWORD)}\nall=${secrets.db}\n$${secrets.db}"
    world = sealed.app(configs={"c": {"inline": text, "template": True, "secrets": ["db"]}})
    world = world.web(mounts={"/etc/c": {"config": "c"}})
    releases, contents, faults = world.resolve()
    assert faults == ()
    (mount,) = releases["line"].spec.containers["web"].create.mounts
    assert (mount.secrets, mount.secret) == ({"db": 2}, None)
    asked = []

    def find(ref):
        asked.append(ref.file)
        return b'PASSWORD=a"b\n'

    made = fill(contents[mount.file], mount.secrets, find).decode()
    assert made == 'user=app\npass=a"b\njson="a\\"b"\nall=PASSWORD=a"b\n${secrets.db}'
    assert set(asked) == {"db.2"}


def test_secret_that_a_template_lists_and_does_not_use_is_not_given(sealed):
    world = sealed.app(configs={"c": {"inline": "plain", "template": True, "secrets": ["db"]}})
    assert world.web(mounts={"/c": {"config": "c"}}).create().secrets() == frozenset()


CONFIG = {"inline": "${secrets.db}", "template": True, "secrets": ["db"]}


@pytest.mark.parametrize(
    ("app", "web", "code"),
    [
        ({"secrets": {"db": {"version": 3}}}, {}, "file-missing"),
        ({"secrets": {"db": {}}}, {}, "missing-field"),
        ({"secrets": {"db": {"version": 0}}}, {}, "wrong-value"),
        ({}, {"mounts": {"/a": {"secret": "da"}}}, "unknown-reference"),
        ({}, {"env": {"A": {"secret": "da"}}}, "unknown-reference"),
        ({}, {"env": {"A": {"secret": "db", "config": "c"}}}, "wrong-value"),
        ({}, {"env": {"A": "${secrets.db}"}}, "unknown-value"),
        ({}, {"args": ["${secrets.db}"]}, "unknown-value"),
        ({}, {"mounts": {"/a": {"secret": "db", "path": "x"}}}, "unknown-field"),
        ({}, {"mounts": {"/a": {"secret": "db", "readOnly": False}}}, "not-supported-yet"),
        ({"configs": {"c": {**CONFIG, "secrets": []}}}, {}, "unknown-value"),
        ({"configs": {"c": {**CONFIG, "secrets": ["da"]}}}, {}, "unknown-reference"),
        ({"configs": {"c": {"inline": "x", "secrets": ["db"]}}}, {}, "wrong-value"),
        ({"configs": {"c": {**CONFIG, "inline": "a\0${secrets.db}"}}}, {}, "wrong-format"),
        ({"configs": {"c": CONFIG}}, {"env": {"A": {"config": "c", "key": "x"}}}, "wrong-value"),
        (
            {"configs": {"c": CONFIG}},
            {"mounts": {"/c": {"config": "c"}}, "onConfigChange": "signal:HUP"},
            "wrong-value",
        ),
        (
            {"configs": {"c": CONFIG}, "volumes": {"v": {}}},
            {"mounts": {"/v": {"volume": "v"}, "/v/c": {"config": "c", "onlyIfAbsent": True}}},
            "wrong-value",
        ),
    ],
)
def test_wrong_use_of_a_secret_is_a_fault(sealed, app, web, code):
    _, _, faults = sealed.app(**app).web(**web).resolve()
    assert code in [str(fault.code) for fault in faults], faults


def test_value_that_smuggles_a_mark_is_found_out(sealed):
    spec = {"values": {"x": {"type": "string"}}, "configs": {"c": {**CONFIG, "inline": "${secrets.db} ${values.x}"}}}
    world = replace(sealed.app(**spec), values={"x": "\0text:db"})
    assert world.fault().code == "wrong-value"
