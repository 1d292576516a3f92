"""What a remote shows of the fleet repository at one instant: the branch's tip and the control tags."""

import hashlib
from collections.abc import Mapping

CONTROL_TAGS = "refs/tags/rollout/"
"""Where control tags lie."""

MOST_CONTROL_TAGS = 10_000
"""More than so many are not taken: who may push tags must not fill a node. Large fleets make some thousands a year."""

_SHOWN = 16


def view_of(tip: str, tags: Mapping[str, str]) -> str:
    """One word for a tip and control tags (ref to object id): equal where nothing is new."""
    if not tags:
        return tip
    lines = "\n".join(f"{ref} {oid}" for ref, oid in sorted(tags.items()))
    return f"{tip}+{hashlib.sha256(lines.encode()).hexdigest()[:_SHOWN]}"
