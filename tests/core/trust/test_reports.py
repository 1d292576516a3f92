"""A report is its node's own word, to the byte, or nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.reports import NAMESPACE, payload_of, read_report, sealed

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
        (lambda _: b"x" * 300_000, Doubt.OBJECT_TOO_LARGE),
    ],
)
def test_what_is_not_the_nodes_own_word_is_refused(forge, build, doubt):
    """Red where core/trust/reports.py has `if False:` for `if signed.key_id != key:`."""
    found = read(forge, build(forge))
    assert isinstance(found, Refused)
    assert found.doubt is doubt


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
