"""Control tags as they are believed: a person's signed word on one deployment's rollout.

A value here has a verified signature of a key that the root chain has ever held; a positive statement has effect by the
roles that the key holds now. Identity is the SHA-256 of the payload without its signature.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ControlKind(StrEnum):
    """What a control tag says."""

    APPROVE = "approve"
    HALT = "halt"
    RESUME = "resume"
    REVOKE = "revoke"
    ROLLBACK = "rollback"
    RETRY = "retry"
    HOTFIX = "hotfix"


NEGATIVES = frozenset({ControlKind.HALT, ControlKind.REVOKE, ControlKind.ROLLBACK})
"""These act on first sight, wherever they stand in the log; of a rollback that is the exclusion, not the move."""


@dataclass(frozen=True, slots=True)
class Forgiven:
    """A failure that a retry forgives: `<site>/<node>` and the sequence of the report that told it."""

    node: str
    sequence: int


@dataclass(frozen=True, slots=True)
class ControlTag:
    """One verified control tag `rollout/<deployment>/<number>`.

    `payload` identifies it; `previous` are the payload digests that it continues (empty: `none`). `target` is the
    commit it speaks of. `roles` are the roles that its key ever held, `roles_now` those that count now: none where the
    key is revoked or not valid, and then a positive has no effect and keeps its place.
    """

    payload: str
    number: int
    deployment: str
    kind: ControlKind
    target: str
    owner: str
    key: str = ""
    roles: frozenset[str] = frozenset()
    roles_now: frozenset[str] = frozenset()
    previous: tuple[str, ...] = ()
    wave: str = ""
    expires_at: datetime | None = None
    reason: str = ""
    to: str = ""
    is_for_current_policy: bool = False
    forgives: tuple[Forgiven, ...] = ()
    ignores_windows: bool = False
    resumes: str = ""
