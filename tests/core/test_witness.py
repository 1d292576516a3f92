"""Reports as every node reads them from its store: under the keys of now, and once."""

from datetime import UTC, datetime

import pytest
from tests.core.trust.conftest import Forge

from edgegitops.core import witness
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, StoredReport
from edgegitops.core.rollout.evidence import Evidence
from edgegitops.core.trust.reports import NAMESPACE, key_id, payload_of, sealed
from edgegitops.core.witness import evidence_of, keys_on_road, read_sent, with_bygone

NODE = "plant/gw"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def forge():
    """A fleet's keys."""
    return Forge()


def stored(forge, *, by="node", sequence=1, failures=(), is_noted=False, name=NODE):
    """A report in the store, noted under the key of its signer."""
    told = tuple(ReportedFailure("r2", digest, sequence, "crashed") for digest in failures)
    ran = ReportedDeployment("r1", "a" * 64, ReportedState.HEALTHY, failures=told)
    site, _, node = name.partition("/")
    report = Report(forge.fleet, site, node, "i1", "b", sequence, NOW, 1, "r1", deployments={"line": ran})
    payload = payload_of(report)
    data = sealed(payload, forge.signer(by).sign(payload, NAMESPACE))
    return StoredReport(data, key_id(forge.signer(by).line), is_noted, bool(failures))


def heard(forge, *several, keys=None, memo=None):
    now = {NODE: forge.signer("node").line} if keys is None else keys
    return evidence_of({NODE: several}, now, forge.fleet, {} if memo is None else memo)


def test_report_of_the_store_counts_under_the_key_that_the_node_has(forge):
    evidence = heard(forge, stored(forge))
    assert evidence.latest[NODE].sequence == 1
    assert evidence.has_run("line", NODE)


@pytest.mark.parametrize("keys", [{}, {NODE: "another"}])
def test_failure_sticks_although_the_node_has_another_key_now_or_was_removed(forge, keys):
    """Red where core/witness.py has `said.append(found)` for `(said if one.key == key else bygone).append(found)`."""
    now = {name: forge.signer(by).line for name, by in keys.items()}
    evidence = heard(forge, stored(forge, failures=["b" * 64]), keys=now)
    assert {one.digest for one in evidence.failures("line")} == {"b" * 64}
    assert (evidence.latest, evidence.has_run("line", NODE)) == ({}, False)


def test_what_was_noted_by_this_version_is_not_verified_again_and_anything_else_is(forge, monkeypatch):
    verified = []
    real = witness.read_signed
    monkeypatch.setattr(witness, "read_signed", lambda *said, **more: verified.append(said) or real(*said, **more))
    assert heard(forge, stored(forge, is_noted=True)).latest
    assert not verified
    memo = {}
    for _ in range(2):
        assert heard(forge, stored(forge), memo=memo).latest
    assert len(verified) == 1


def test_bytes_that_nobody_verified_say_nothing_whatever_key_stands_beside_them(forge):
    """Red where core/witness.py has `if one.key:` for `if one.is_noted:`."""
    forged = stored(forge, by="mallory", failures=["b" * 64])
    mine = key_id(forge.signer("node").line)
    evidence = heard(forge, StoredReport(forged.data, mine))
    assert (evidence.latest, evidence.failures("line")) == ({}, frozenset())


def test_nodes_that_tell_no_failure_are_read_when_somebody_asks_for_them(forge):
    memo = {}
    rows = {
        f"plant/{name}": (stored(forge, failures=failures, name=f"plant/{name}"),)
        for name, failures in (("a", ()), ("b", ["b" * 64]), ("c", ()))
    }
    evidence = evidence_of(rows, dict.fromkeys(rows, forge.signer("node").line), forge.fleet, memo)
    assert len(evidence.failures("line")) == 1
    assert memo["words"].keys() == {"plant/b"}
    assert evidence.words["plant/a"].latest is not None
    assert memo["words"].keys() == {"plant/a", "plant/b"}


def test_people_read_what_is_shown_with_the_reasons_of_what_is_refused(forge):
    sent = [(NODE, stored(forge).data), ("plant/b", stored(forge, by="mallory", name="plant/b").data)]
    keys = dict.fromkeys([name for name, _ in sent], forge.signer("node").line)
    said, refused = read_sent(sent, keys, forge.fleet)
    assert ([one.report.name for one in said], list(refused)) == ([NODE], ["plant/b"])


def test_keys_on_a_road_are_those_of_all_its_revisions_the_newest_first():
    pages = ({"a/gw": "1", "b/gw": "1"}, {"a/gw": "2", "b/gw": "1"}, {"a/gw": "2"}, {"a/gw": "3", "c/gw": "1"})
    assert keys_on_road(pages) == {"a/gw": ("3", "2", "1"), "b/gw": ("1",), "c/gw": ("1",)}
    assert keys_on_road(()) == {}


def test_what_is_shown_under_a_bygone_key_counts_as_failure_and_as_nothing_else(forge):
    """Red where `with_bygone` hands what it read to `word_of` as said."""
    old, new = stored(forge, failures=["b" * 64]), stored(forge, by="other", sequence=2, name="plant/two")
    said, _ = read_sent([("plant/two", new.data)], {"plant/two": forge.signer("other").line}, forge.fleet)
    shown = [(NODE, old.data), ("plant/two", new.data)]
    evidence = with_bygone(Evidence(said), shown, {NODE: (forge.signer("node").line,)}, forge.fleet)
    assert {one.digest for one in evidence.failures("line")} == {"b" * 64}
    assert (set(evidence.latest), evidence.has_run("line", NODE)) == ({"plant/two"}, False)
    forged = with_bygone(Evidence(said), shown, {NODE: (forge.signer("other").line,)}, forge.fleet)
    assert not forged.failures("line")
