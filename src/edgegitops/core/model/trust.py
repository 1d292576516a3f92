"""The nouns of trust: keys, roles, path rules, the root document, the floor, and what is believed of a tip."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edgegitops.core.model.reasons import Doubt

ROOT_ROLE = "root"


@dataclass(frozen=True, slots=True)
class TrustKey:
    """A public key of the root document. `id` is hex SHA-256 of the key blob; `line` the OpenSSH public key line."""

    id: str
    line: str
    owner: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """Which keys hold a role, and how many distinct ones must sign where a threshold is asked."""

    keys: tuple[str, ...]
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class PathRule:
    """Paths (a literal path, or a prefix ending in `/**`) that the holders of any of `roles` may change."""

    path: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revocation:
    """A key that no longer counts, from the commit that carries this document on."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class RootDocument:
    """`trust/root/<version, 6 digits>.json`. First matching path rule wins; manifest paths are denied by default."""

    repository: str
    version: int
    keys: Mapping[str, TrustKey]
    roles: Mapping[str, Role]
    paths: tuple[PathRule, ...]
    revoked: tuple[Revocation, ...] = ()
    expires_at: datetime | None = None
    issued_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """What enrolment puts on the node: the fleet's repository id, the SHA-256 of the root document's exact bytes, and
    the checkpoint commit before which nothing is judged.
    """

    repository: str
    root_sha256: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Freshness:
    """A believed freshness statement: at `issued_at` the history up to `commit` was all that there was. After
    `expires_at` it says nothing more. `key` is the id of who signed it.
    """

    commit: str
    issued_at: datetime
    expires_at: datetime
    key: str = ""


@dataclass(frozen=True, slots=True)
class Floor:
    """The newest verified commit, never moved back. `payload` is the SHA-256 of the commit without its signature,
    `tree` its tree id, `root_version` the root in force after it, `clock` the trusted clock floor, `fresh` the newest
    believed freshness statement, `era` how often an operator began anew: of two floors the one of the later era counts.
    """

    commit: str
    payload: str
    tree: str
    root_version: int
    clock: datetime
    fresh: Freshness | None = None
    era: int = 0


@dataclass(frozen=True, slots=True)
class TrustState:
    """What is believed after the floor: the root document in force and the digest of its exact bytes."""

    root: RootDocument
    root_sha256: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A verified commit: who signed it, and the payload digest that identifies it."""

    commit: str
    payload: str
    tree: str
    key: str
    owner: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A commit (or document) that is not believed, and why."""

    subject: str
    doubt: Doubt
    detail: str


@dataclass(frozen=True, slots=True)
class Belief:
    """The outcome of the walk from the floor to a tip: the new floor (None: nothing could be believed yet), the
    commits accepted on the way, oldest first, and the first refusal, which stopped the walk.
    """

    floor: Floor | None
    accepted: tuple[Accepted, ...] = ()
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class TrustLimits:
    """Bounds of one walk; sizes in bytes. `object_size` is of commits and blobs, `tree_size` of one tree object;
    `depth` counts path parts in manifest folders, `walk_depth` folders anywhere in the repository.
    """

    commits: int = 100_000
    object_size: int = 1024 * 1024
    depth: int = 12
    entries: int = 200_000
    clock_skew: timedelta = field(default=timedelta(minutes=5))
    tree_size: int = 16 * 1024 * 1024
    walk_depth: int = 64
