"""Law: what a root document says of a key and of a path.

A key counts where the document lists it, does not revoke it, and the instant lies within its validity. The instant is
the trusted one (never a committer date: a thief of an expired key would write an old one), and a clock may be off by
the allowed skew. Expiry is told apart from the rest, because a commit by an expired key may be covered by a later one.

A path needs any of the roles of the first rule that matches it. Without a match, manifest paths (`fleet.yaml` and
everything under trust, sites, apps, deployments, secrets, policies) may be changed by nobody, other paths by any key
that counts.
"""

from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeAlias

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import PathRule, Refused, RootDocument

MANIFEST_FILES = frozenset({"fleet.yaml"})
MANIFEST_FOLDERS = frozenset({"trust", "sites", "apps", "deployments", "secrets", "policies"})

Need: TypeAlias = frozenset[str] | None
"""Any one of these roles; None: any known key will do."""


def is_manifest_path(path: str) -> bool:
    """Whether `path` is denied to all whom no rule allows it."""
    return path in MANIFEST_FILES or path.partition("/")[0] in MANIFEST_FOLDERS


def matches(rule: PathRule, path: str) -> bool:
    """Whether the rule is about `path`: its literal path, everything below `<folder>/**`, or `**` for all."""
    if rule.path.endswith("**"):
        return path.startswith(rule.path[:-2])
    return path == rule.path


class Authority:
    """One root document, made ready for many questions."""

    def __init__(self, root: RootDocument) -> None:
        self.root = root

    @cached_property
    def _roles(self) -> dict[str, frozenset[str]]:
        roles: dict[str, set[str]] = {}
        for name, role in self.root.roles.items():
            for key in role.keys:
                roles.setdefault(key, set()).add(name)
        return {key: frozenset(names) for key, names in roles.items()}

    @cached_property
    def _revoked(self) -> dict[str, str]:
        return {revocation.key: revocation.reason for revocation in self.root.revoked}

    def roles_of(self, key: str) -> frozenset[str]:
        """The roles that the key holds."""
        return self._roles.get(key, frozenset())

    def owner_of(self, key: str) -> str:
        """Whose key it is, in the root's words."""
        return self.root.keys[key].owner if key in self.root.keys else ""

    def judge_key(self, key: str, at: datetime, skew: timedelta) -> Refused | None:
        """Why this key does not count at this instant; None where it does."""
        version = self.root.version
        if key in self._revoked:
            return Refused(key, Doubt.KEY_REVOKED, f"root {version} revokes key {key}: {self._revoked[key]}")
        known = self.root.keys.get(key)
        if known is None:
            return Refused(key, Doubt.KEY_UNKNOWN, f"root {version} does not know key {key}")
        whose = f"key {key} of {known.owner or 'nobody named'}"
        if known.not_before and at + skew < known.not_before:
            return Refused(key, Doubt.KEY_NOT_YET_VALID, f"{whose} is valid from {known.not_before}, it is {at}")
        if known.not_after and at - skew >= known.not_after:
            return Refused(key, Doubt.KEY_EXPIRED, f"{whose} was valid until {known.not_after}, it is {at}")
        if self.root.expires_at and at - skew >= self.root.expires_at:
            return Refused(
                key, Doubt.ROOT_EXPIRED, f"root {version} was valid until {self.root.expires_at}, it is {at}"
            )
        return None

    def need(self, path: str) -> Need | Refused:
        """Who may change the path."""
        for rule in self.root.paths:
            if matches(rule, path):
                return frozenset(rule.roles)
        if is_manifest_path(path):
            detail = f"no path rule of root {self.root.version} is about {path!r}, so nobody may change it"
            return Refused(path, Doubt.PATH_DENIED, detail)
        return None
