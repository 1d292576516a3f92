"""Law: what comes from a registry is named by registry, name and digest; the digest alone decides what it is.

The grammar is that of OCI references. A tag may stand before the digest for people; it is left out of the spec. An
artifact is named like an image.
"""

import re

from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.reasons import FaultCode

_REFERENCE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@(?P<digest>sha256:[0-9a-f]{64}))?\Z"
)
_KEYS = Keys(frozenset({"artifact"}), hints=(("image", "artifact"),))


def read_artifact(spot: Cursor) -> str | None:
    """The reference of a declared artifact; None where a fault was noted."""
    fields = spot.fields(_KEYS)
    if "artifact" not in fields:
        spot.note(FaultCode.MISSING_FIELD, "no artifact", "artifact: registry/name@sha256:…")
        return None
    return read_reference(fields["artifact"], "artifact") or None


def read_reference(field: Cursor, what: str) -> str:
    """`registry/name@sha256:…` of an image or artifact; empty where a fault was noted."""
    before = len(field.scope.faults)
    text = field.text()
    if len(field.scope.faults) > before:
        return ""
    match = _REFERENCE.match(text)
    if match is None:
        field.note(FaultCode.WRONG_FORMAT, f"{text!r} is no {what}", "registry/name:tag@sha256:<64 hex digits>")
        return ""
    if match["digest"] is None:
        field.note(
            FaultCode.IMAGE_NOT_PINNED, f"{text} has no digest", f"{text}@sha256:…", "`edgegitops image pin` writes it"
        )
        return ""
    registry, _, rest = match["name"].partition("/")
    if not rest or not ("." in registry or ":" in registry or registry == "localhost"):
        field.note(FaultCode.WRONG_FORMAT, f"{text} does not name its registry", "registry/name", f"docker.io/{text}")
    return f"{match['name']}@{match['digest']}"
