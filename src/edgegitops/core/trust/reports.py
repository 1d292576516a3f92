"""Law: a report is believed where its node's own report key signed exactly its canonical bytes, for this purpose.

The form is the RFC 8785 JSON of the report, one line feed, then the armored SSHSIG over the JSON (namespace
`edgegitops-report`). A payload that is not canonical, that names another fleet, or another node than the key's, is
refused; so is what does not fit the shape, and text that steers a terminal: people read it there.
Which key a node has is said by `trust/nodes/<site>.yaml`.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from edgegitops.core.model.canonical import canonical_json, sha256_hex
from edgegitops.core.model.codec import Tree, from_tree, to_tree
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, Statement
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust import sshsig
from edgegitops.core.trust.keys import id_in, read_line

NAMESPACE = "edgegitops-report"
SIZE_MOST = 256 * 1024
_ARMOR = b"\n-----BEGIN SSH SIGNATURE-----\n"
_STATES = {one.value: one for one in ReportedState}
_read_json = json.JSONDecoder().raw_decode


def payload_of(report: Report) -> bytes:
    """The bytes that are signed."""
    return canonical_json(to_tree(report))


def sealed(payload: bytes, armor: bytes) -> bytes:
    """A report as it is stored and sent."""
    return payload + b"\n" + armor


def read_report(data: bytes, *, fleet: str, name: str, key_line: str) -> Statement | Refused:
    """The statement of the node `name` (`<site>/<node>`), whose report key is `key_line` (an OpenSSH line)."""
    key = read_line(key_line)
    if isinstance(key, Refused):
        return Refused(name, key.doubt, key.detail)
    return read_signed(data, fleet=fleet, name=name, key=key.id)


def read_signed(data: bytes, *, fleet: str, name: str, key: str) -> Statement | Refused:
    """The same of the key with this id: a signature carries its key."""
    if len(data) > SIZE_MOST:
        return Refused(name, Doubt.OBJECT_TOO_LARGE, f"{len(data)} bytes, a report may have {SIZE_MOST}")
    payload, mark, rest = data.partition(_ARMOR)
    if not mark:
        return Refused(name, Doubt.UNSIGNED, "the report has no signature")
    signed = sshsig.verify(mark[1:] + rest, payload, NAMESPACE)
    if isinstance(signed, Refused):
        return Refused(name, signed.doubt, signed.detail)
    if signed.key_id != key:
        return Refused(name, Doubt.KEY_UNKNOWN, f"signed by {signed.key_id}, the node's report key is {key}")
    report = _parsed(payload)
    if isinstance(report, str):
        return Refused(name, Doubt.MALFORMED_OBJECT, report)
    if report.fleet != fleet or report.name != name:
        detail = f"it speaks for {report.name!a} of {report.fleet!a}"
        return Refused(name, Doubt.REPOSITORY_MISMATCH, detail)
    return Statement(report, sha256_hex(payload))


@lru_cache(maxsize=16 * 1024)
def key_id(key_line: str) -> str:
    """The id of the key of an OpenSSH line, which is not loaded for it; empty where it cannot be one."""
    return id_in(key_line)


def statement_in(data: bytes) -> Statement | None:
    """The statement in sealed bytes that were verified before, as a note of root's own says; None: there is none."""
    payload = data.partition(_ARMOR)[0]
    try:
        return Statement(_shaped(_tree_in(payload)), sha256_hex(payload))
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError):
        return None


def _tree_in(payload: bytes) -> Tree:
    """The tree that UTF-8 JSON begins with; ValueError. That nothing follows shows where the bytes are made again."""
    return _read_json(payload.decode())[0]


def _shaped(tree: dict[str, Any]) -> Report:
    """What `from_tree` makes of the tree of a report, in half the time, where it is known to have the shape of one."""
    heads, deployments, alarms = tree.get("heads"), tree.get("deployments"), tree.get("alarms")
    return Report(
        tree["fleet"],
        tree["site"],
        tree["node"],
        tree["installation"],
        tree["boot"],
        tree["sequence"],
        datetime.fromisoformat(tree["issuedAt"]),
        tree["rootVersion"],
        tree["floor"],
        {name: tuple(several) for name, several in heads.items()} if heads else {},
        {name: _shaped_deployment(one) for name, one in deployments.items()} if deployments else {},
        tuple(alarms) if alarms else (),
    )


def _shaped_deployment(tree: dict[str, Any]) -> ReportedDeployment:
    failures, holds = tree.get("failures"), tree.get("holds")
    return ReportedDeployment(
        tree["revision"],
        tree["digest"],
        _STATES[tree["state"]],
        timedelta(0, tree.get("soakedFor", 0)),
        tuple(from_tree(ReportedFailure, one) for one in failures) if failures else (),
        tuple(holds) if holds else (),
    )


def _parsed(payload: bytes) -> Report | str:
    """The report, or what is wrong with its bytes."""
    try:
        report = from_tree(Report, _tree_in(payload))
        is_canonical = payload_of(report) == payload
    except (ValueError, OverflowError, RecursionError) as error:  # an instant can be too far off for UTC
        return f"the report cannot be read: {error}"
    if not is_canonical:
        return "the report is not in canonical form"
    if b"\\" in payload or not payload.decode().isprintable():  # so control characters are written in canonical form
        return "the report has characters that cannot be printed"
    return report if min(_counts(report)) >= 0 else "a sequence or a soak below zero"


def _counts(report: Report) -> Iterator[float]:
    yield report.sequence
    for told in report.deployments.values():
        yield told.soaked_for.total_seconds()
        yield from (one.sequence for one in told.failures)
