"""Law: a report is believed where its node's own report key signed exactly its canonical bytes, for this purpose.

The form is the RFC 8785 JSON of the report, one line feed, then the armored SSHSIG over the JSON (namespace
`edgegitops-report`). A payload that is not canonical, that names another fleet, or another node than the key's, is
refused; so is what does not fit the shape. Which key a node has is said by `trust/nodes/<site>.yaml`.
"""

import json
from functools import lru_cache

from edgegitops.core.model.canonical import canonical_json, sha256_hex
from edgegitops.core.model.codec import from_tree, to_tree
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.report import Report, Statement
from edgegitops.core.model.trust import Refused
from edgegitops.core.trust import sshsig
from edgegitops.core.trust.keys import read_line

NAMESPACE = "edgegitops-report"
SIZE_MOST = 256 * 1024
_ARMOR = b"\n-----BEGIN SSH SIGNATURE-----\n"


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
    """The id of the key of an OpenSSH line; empty where it is none."""
    key = read_line(key_line)
    return "" if isinstance(key, Refused) else key.id


def statement_in(data: bytes) -> Statement | None:
    """The statement in sealed bytes that were verified before, as a note of root's own says; None: there is none."""
    payload = data.partition(_ARMOR)[0]
    try:
        return Statement(from_tree(Report, json.loads(payload)), sha256_hex(payload))
    except (ValueError, OverflowError, RecursionError):
        return None


def _parsed(payload: bytes) -> Report | str:
    """The report, or what is wrong with its bytes."""
    try:
        report = from_tree(Report, json.loads(payload))
        is_canonical = payload_of(report) == payload
    except (ValueError, OverflowError, RecursionError) as error:  # an instant can be too far off for UTC
        return f"the report cannot be read: {error}"
    return report if is_canonical else "the report is not in canonical form"
