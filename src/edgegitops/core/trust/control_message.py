"""Law: the message of a control tag is written here as `control_tags` reads it: a subject, a blank line, trailers.

Only what was said is written; no trailer is ever made up. Whether a kind may have a trailer, and whether its values
have the right form, is the reader's business: what is made is read again before anybody sees it.
"""

from datetime import UTC, datetime

from edgegitops.core.model.control import ControlTag

_NONE = "none"


def message_of(tag: ControlTag, repository: str) -> str:
    """The message of a tag that is to be signed; its key, owner, roles and payload are not known yet."""
    subject = f"{tag.kind} {tag.deployment}{f' wave {tag.wave}' if tag.wave else ''}"
    rows = [
        ("Kind", str(tag.kind)),
        ("Repository", repository),
        ("Deployment", tag.deployment),
        ("Wave", tag.wave),
        ("Policy", "current" if tag.is_for_current_policy else ""),
        ("To", tag.to),
        ("Resumes", tag.resumes),
        *(("Forgives", f"{one.node}@{one.sequence}") for one in tag.forgives),
        ("Ignore-Windows", "yes" if tag.ignores_windows else ""),
        ("Expires", _instant(tag.expires_at) if tag.expires_at else ""),
        *(("Previous", one) for one in tag.previous or (_NONE,)),
        ("Reason", tag.reason),
    ]
    return f"{subject}\n\n" + "".join(f"{key}: {value}\n" for key, value in rows if value)


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
