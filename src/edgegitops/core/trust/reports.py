"""Law: a report is believed where its node's own report key signed exactly its canonical bytes, for this purpose.

The form is the RFC 8785 JSON of the report, one line feed, then the armored SSHSIG over the JSON (namespace
`edgegitops-report`). A payload that is not canonical, that names another fleet, or another node than the key's, is
refused; so is what does not fit the shape. Which key a node has is said by `trust/nodes/<site>.yaml`.
"""

import json

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
    if len(data) > SIZE_MOST:
        return Refused(name, Doubt.OBJECT_TOO_LARGE, f"{len(data)} bytes, a report may have {SIZE_MOST}")
    payload, mark, rest = data.partition(_ARMOR)
    if not mark:
        return Refused(name, Doubt.UNSIGNED, "the report has no signature")
    key = read_line(key_line)
    signed = sshsig.verify(mark[1:] + rest, payload, NAMESPACE)
    if isinstance(signed, Refused) or isinstance(key, Refused):
        doubt = signed if isinstance(signed, Refused) else key
        return Refused(name, doubt.doubt, doubt.detail)  # type: ignore[union-attr] # one of the two is refused
    if signed.key_id != key.id:
        return Refused(name, Doubt.KEY_UNKNOWN, f"signed by {signed.key_id}, the node's report key is {key.id}")
    report = _parsed(payload)
    if isinstance(report, str):
        return Refused(name, Doubt.MALFORMED_OBJECT, report)
    if report.fleet != fleet or report.name != name:
        detail = f"it speaks for {report.name!a} of {report.fleet!a}"
        return Refused(name, Doubt.REPOSITORY_MISMATCH, detail)
    return Statement(report, sha256_hex(payload))


def statement_in(data: bytes) -> Statement | None:
    """The statement in sealed bytes that were verified before, and lay in a folder of root's own; None where there is
    none.
    """
    payload = data.partition(_ARMOR)[0]
    report = _parsed(payload)
    return Statement(report, sha256_hex(payload)) if isinstance(report, Report) else None


def _parsed(payload: bytes) -> Report | str:
    """The report, or what is wrong with its bytes."""
    try:
        report = from_tree(Report, json.loads(payload))
        is_canonical = payload_of(report) == payload
    except (ValueError, OverflowError, RecursionError) as error:  # an instant can be too far off for UTC
        return f"the report cannot be read: {error}"
    return report if is_canonical else "the report is not in canonical form"
