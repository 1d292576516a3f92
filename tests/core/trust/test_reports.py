"""A report is its node's own word, to the byte, or nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.codec import from_tree
from edgegitops.core.model.control import Forgiven
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.control_tags import forgiven_of
from edgegitops.core.trust.reports import NAMESPACE, key_id, payload_of, read_report, sealed, statement_in

NAME = "goteborg-1/gw-line"
REPORT = Report(
    "urn:edgegitops:acme",
    "goteborg-1",
    "gw-line",
    "i1",
    "b1",
    7,
    datetime(2026, 5, 4, 12, tzinfo=UTC),
    1,
    "ab" * 20,
    heads={"vision-qa": ("1" * 64,)},
    deployments={
        "vision-qa": ReportedDeployment(
            "ab" * 20,
            "2" * 64,
            ReportedState.HEALTHY,
            timedelta(minutes=11),
            (ReportedFailure("cd" * 20, "3" * 64, 5, "crashed"),),
        )
    },
)


def made(forge, report=REPORT, *, by="node", namespace=NAMESPACE):
    payload = report if isinstance(report, bytes) else payload_of(report)
    return sealed(payload, forge.signer(by).sign(payload, namespace))


def read(forge, data, **odd):
    told = {"fleet": REPORT.fleet, "name": NAME, "key_line": forge.signer("node").line} | odd
    return read_report(data, **told)


def test_report_is_read_as_it_was_written(forge):
    found = read(forge, made(forge))
    assert isinstance(found, Statement)
    assert found.report == REPORT


def failing_in(sequence):
    """A report that tells a failure under a sequence."""
    failure = ReportedFailure("cd" * 20, "3" * 64, sequence, "crashed")
    told = replace(REPORT.deployments["vision-qa"], failures=(failure,))
    return replace(REPORT, deployments={"vision-qa": told})


def soaked(span):
    """A report of a node that is healthy for so long."""
    told = replace(REPORT.deployments["vision-qa"], soaked_for=span)
    return replace(REPORT, deployments={"vision-qa": told})


def test_failure_that_is_believed_has_a_sequence_that_a_retry_can_name(forge):
    """Whoever stole the key of a node could else tell one that nobody can ever forgive."""
    assert isinstance(read(forge, made(forge, failing_in(2**53 - 1))), Statement)
    assert forgiven_of(f"{NAME}@{2**53 - 1}") == Forgiven(NAME, 2**53 - 1)


def test_ssh_keygen_could_have_signed_it_and_every_hash_is_one_statement(forge):
    payload = payload_of(REPORT)
    one = read(forge, sealed(payload, forge.signer("node").sign(payload, NAMESPACE, hash_=b"sha256")))
    assert one == read(forge, made(forge))


@pytest.mark.parametrize(
    ("build", "doubt"),
    [
        (lambda forge: made(forge, by="other"), Doubt.KEY_UNKNOWN),
        (lambda forge: made(forge, namespace="git"), Doubt.WRONG_NAMESPACE),
        (lambda _: payload_of(REPORT), Doubt.UNSIGNED),
        (lambda forge: made(forge).replace(b"healthy", b"stucked"), Doubt.SIGNATURE_MISMATCH),
        (lambda forge: made(forge) + b"\n", Doubt.MALFORMED_SIGNATURE),
        (lambda forge: made(forge, replace(REPORT, node="gw-vision")), Doubt.REPOSITORY_MISMATCH),
        (lambda forge: made(forge, replace(REPORT, fleet="urn:edgegitops:other")), Doubt.REPOSITORY_MISMATCH),
        (lambda forge: made(forge, json.dumps(json.loads(payload_of(REPORT))).encode()), Doubt.MALFORMED_OBJECT),
        (lambda forge: made(forge, b"{}"), Doubt.MALFORMED_OBJECT),
        (lambda forge: made(forge, b"[" * 100_000), Doubt.MALFORMED_OBJECT),
        (lambda forge: made(forge, replace(REPORT, sequence=-1)), Doubt.MALFORMED_OBJECT),
        (lambda forge: made(forge, failing_in(-5)), Doubt.MALFORMED_OBJECT),
        (lambda forge: made(forge, soaked(-timedelta(microseconds=1))), Doubt.MALFORMED_OBJECT),
        (lambda forge: made(forge, replace(REPORT, boot="\x1b[2J")), Doubt.MALFORMED_OBJECT),
        (lambda forge: made(forge, replace(REPORT, alarms=("all\u202ewell",))), Doubt.MALFORMED_OBJECT),
        (lambda _: b"x" * 300_000, Doubt.OBJECT_TOO_LARGE),
    ],
)
def test_what_is_not_the_nodes_own_word_is_refused(forge, build, doubt):
    """Red where core/trust/reports.py has `if False:` for `if signed.key_id != key:`."""
    found = read(forge, build(forge))
    assert isinstance(found, Refused)
    assert found.doubt is doubt


TEXTS = st.text(max_size=8)
SPANS = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=4000))
INSTANTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds UTC
FAILURES = st.builds(
    ReportedFailure, TEXTS, TEXTS, sequence=st.integers(0, 2**53 - 1), reason=TEXTS, at=st.none() | INSTANTS
)
DEPLOYMENTS = st.builds(
    ReportedDeployment,
    TEXTS,
    TEXTS,
    st.sampled_from(ReportedState),
    SPANS,
    failures=st.lists(FAILURES, max_size=2).map(tuple),
    holds=st.lists(TEXTS, max_size=2).map(tuple),
)
REPORTS = st.builds(
    Report,
    *[TEXTS] * 5,
    sequence=st.integers(0, 2**53 - 1),
    issued_at=INSTANTS,
    root_version=st.integers(0, 9),
    floor=TEXTS,
    heads=st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2).map(tuple), max_size=2),
    deployments=st.dictionaries(TEXTS, DEPLOYMENTS, max_size=2),
    alarms=st.lists(TEXTS, max_size=2).map(tuple),
)


@given(REPORTS)
def test_what_was_verified_before_is_read_as_it_was_then(report):
    """Red where core/trust/reports.py leaves out a field in `_shaped`."""
    payload = payload_of(report)
    found = statement_in(sealed(payload, b"-----BEGIN SSH SIGNATURE-----\n"))
    assert found is not None
    assert (found.report, found.payload) == (from_tree(Report, json.loads(payload)), sha256_hex(payload))


@given(st.binary(max_size=400))
def test_what_is_no_report_says_nothing_although_it_is_noted(data):
    assert statement_in(data) is None


@pytest.mark.parametrize("spoil", [{"state": "good"}, {"state": []}, {"digest": ...}, {"soakedFor": "long"}])
def test_report_whose_shape_is_wrong_says_nothing_although_it_is_noted(spoil):
    tree = json.loads(payload_of(REPORT))
    told = tree["deployments"]["vision-qa"]
    tree["deployments"]["vision-qa"] = {key: item for key, item in (told | spoil).items() if item is not ...}
    assert statement_in(sealed(json.dumps(tree).encode(), b"-----BEGIN SSH SIGNATURE-----\n")) is None


def test_id_of_a_key_is_known_without_loading_it(forge):
    line = forge.signer("node").line
    assert key_id(line) == forge.signer("node").id
    assert key_id(f"{line} gw@goteborg") == forge.signer("node").id


def test_line_that_has_not_the_form_of_a_key_has_no_id(forge):
    line = forge.signer("node").line
    odd = (
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 \ud800",
        f"\ud800 {line}",
        f" {line}",
        f"{line}\n",
        line[:50],
    )
    assert {key_id(one) for one in (*odd, line.replace("ed25519", "rsa", 1))} == {""}


@given(st.binary(max_size=400))
def test_any_bytes_are_a_statement_or_a_refusal(data):
    assert isinstance(read_report(data, fleet="f", name=NAME, key_line="ssh-ed25519 AAAA"), Refused)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
        max_leaves=20,
    )
)
def test_any_signed_json_is_a_statement_or_a_refusal(tree):
    from tests.core.trust.conftest import Forge  # the forge is no fixture of Hypothesis

    forge = Forge()
    assert isinstance(read(forge, made(forge, json.dumps(tree).encode())), Refused)
