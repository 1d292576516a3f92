"""The codec's laws, over every event and the whole ledger: what was written is read back, and the form never drifts."""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgegitops.core.model.canonical import canonical_json, digest
from edgegitops.core.model.chain import GENESIS, forge, is_whole, read_entry
from edgegitops.core.model.codec import camel, from_tree, to_tree
from edgegitops.core.model.events import (
    KINDS,
    DaemonStopped,
    Event,
    IntentRecorded,
    SoakMarked,
    read_event,
    write_event,
)
from edgegitops.core.model.ledger import ContainerRecord, Health, Ledger, Start
from edgegitops.core.model.plant import Interlock
from edgegitops.core.model.spec import CreateSpec, Device, Mount, Port, Probe, Resources

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INSTANTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zones come apart
SPANS = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=36_500))
SCALARS = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**53) + 1, 2**53 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: INSTANTS,
    timedelta: SPANS,
}


def values_of(kind: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Values of a type form that the codec knows, deep enough to meet every field."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in SCALARS:
        return SCALARS[kind]
    if origin in (types.UnionType, typing.Union):
        return st.none() | values_of(next(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        return st.lists(values_of(args[0]), max_size=2).map(tuple)
    if origin is frozenset:
        return st.frozensets(values_of(args[0]), max_size=2)
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(TEXT, values_of(args[1]), max_size=2)
    if issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    return st.deferred(lambda: made_of(kind))


def made_of(kind: type) -> st.SearchStrategy[typing.Any]:
    """A dataclass with each field drawn or left at its default; invariants of several fields are kept by hand."""
    if kind is Mount:
        return st.builds(Mount, TEXT, volume=TEXT.map(lambda name: f"v{name}"), read_only=st.booleans())
    if kind is Probe:
        return st.builds(Probe, tcp_port=st.integers(1, 65535), interval=SPANS)
    if kind is Device:
        return st.builds(Device, host=TEXT.map(lambda name: f"/dev/{name}"), permissions=TEXT)
    if kind is Interlock:
        return st.builds(Interlock, TEXT, TEXT, exec=st.tuples(TEXT), for_at_least=SPANS, max_defer=st.none() | SPANS)
    hints = typing.get_type_hints(kind)
    required, optional = {}, {}
    for field in dataclasses.fields(kind):
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        (required if is_required else optional)[field.name] = values_of(hints[field.name])
    return st.fixed_dictionaries(required, optional=optional).map(lambda drawn: kind(**drawn))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_event_is_read_back_from_its_json(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(made_of(kind))
    name, tree = write_event(event)
    assert read_event(name, json.loads(canonical_json(tree))) == event


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(ledger=made_of(Ledger))
def test_ledger_is_read_back_from_its_json_and_has_one_form(ledger: Ledger) -> None:
    written = canonical_json(to_tree(ledger))
    read = from_tree(Ledger, json.loads(written))
    assert read == ledger
    assert canonical_json(to_tree(read)) == written


@pytest.mark.parametrize("value", [Ledger(), Resources(), CreateSpec("image"), Port(80), DaemonStopped()], ids=repr)
def test_fields_at_their_default_are_not_written(value: object) -> None:
    required = {
        camel(field.name)
        for field in dataclasses.fields(value)  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    assert set(to_tree(value)) == required


@pytest.mark.parametrize(
    ("name", "key"),
    [("seq", "seq"), ("stop_timeout", "stopTimeout"), ("from_", "from"), ("http_body_contains", "httpBodyContains")],
)
def test_field_names_become_camel_case(name: str, key: str) -> None:
    assert camel(name) == key


@pytest.mark.parametrize(
    ("value", "tree"),
    [
        (datetime(2026, 3, 1, 12, 30, tzinfo=UTC), "2026-03-01T12:30:00Z"),
        (timedelta(minutes=5), 300),
        (timedelta(milliseconds=1500), 1.5),
        (Health.READY, "ready"),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({"k": (1, None)}, {"k": [1, None]}),
    ],
)
def test_shapes_have_the_form_that_the_law_says(value: object, tree: object) -> None:
    assert to_tree(value) == tree
    assert type(to_tree(value)) is type(tree)


@pytest.mark.parametrize(
    ("kind", "tree", "path"),
    [
        (Port, {"container": "80"}, r"\$\.container"),
        (Port, {"container": True}, r"\$\.container"),
        (Port, {}, r"\$"),
        (Port, {"container": 80, "colour": "red"}, r"\$.*colour"),
        (Port, [], r"\$"),
        (CreateSpec, {"image": "i", "ports": [{"container": 80}, {"container": None}]}, r"\$\.ports\[1\]\.container"),
        (CreateSpec, {"image": "i", "env": {"A": 1}}, r"\$\.env\.A"),
        (CreateSpec, {"image": "i", "args": "sh"}, r"\$\.args"),
        (Probe, {"tcpPort": 1, "interval": "10s"}, r"\$\.interval"),
        (Probe, {"tcpPort": 1, "interval": True}, r"\$\.interval"),
        (Probe, {"tcpPort": 1, "interval": 1e300}, r"\$\.interval"),
        (Probe, {"tcpPort": 1, "interval": float("nan")}, r"\$\.interval"),
        (Probe, {}, r"\$: probe: 0 ways"),
        (CreateSpec, {"image": "i", "mounts": [{"target": "/a"}]}, r"\$\.mounts\[0\]: mount /a: 0 sources"),
        (
            Ledger,
            {"alarms": {"a": {"code": "c", "subject": "s", "detail": "d", "since": "now"}}},
            r"\$\.alarms\.a\.since",
        ),
        (Start, {"at": "2026-03-01T12:30:00", "bootId": "b"}, r"\$\.at: .*time zone"),
        (ContainerRecord, {"health": "great"}, r"\$\.health: 'great'"),
    ],
)
def test_tree_that_does_not_fit_is_refused_with_its_path(kind: type, tree: object, path: str) -> None:
    with pytest.raises(ValueError, match=path):
        from_tree(kind, tree)


def test_unknown_kind_of_event_is_refused() -> None:
    with pytest.raises(ValueError, match="no event kind 'coffee-made'"):
        read_event("coffee-made", {})


AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@given(text=st.text(max_size=20), seq=st.integers(1, 2**53 - 1), at=INSTANTS, span=SPANS)
def test_hash_is_that_of_the_canonical_json_of_its_five_members(
    text: str, seq: int, at: datetime, span: timedelta
) -> None:
    for event in (IntentRecorded(text, "line", "start-container", text), SoakMarked(text, "d", span)):
        link = forge(event, at, seq=seq, previous=GENESIS)
        body = json.loads(link.body)
        members = {"seq": seq, "at": link.at, "kind": link.kind, "body": body, "previous": GENESIS}
        assert link.hash == digest(members)
        assert is_whole(link, GENESIS)
        assert read_entry(link).at == at


def test_half_a_surrogate_pair_is_kept_as_its_escape() -> None:
    event = IntentRecorded("1", "line", "pull-image", "bad \ud800 name")
    assert read_entry(forge(event, AT, seq=1, previous=GENESIS)).event == dataclasses.replace(
        event, subject="bad \\ud800 name"
    )


@given(data=st.data())
def test_changing_any_member_breaks_the_chain(data: st.DataObject) -> None:
    link = forge(IntentRecorded("1", "line", "pull-image", "image"), AT, seq=7, previous=GENESIS)
    name = data.draw(st.sampled_from(["seq", "at", "kind", "body", "previous", "hash"]))
    old = getattr(link, name)
    new = data.draw(st.integers() if name == "seq" else st.text())
    changed = dataclasses.replace(link, **{name: new})
    assert is_whole(changed, GENESIS) == (new == old)


def test_no_two_members_run_into_one_another() -> None:
    link = forge(DaemonStopped(), AT, seq=1, previous=GENESIS)
    shifted = dataclasses.replace(link, body='{},"kind":"x"', kind="daemon-stopped")
    assert not is_whole(shifted, GENESIS)
