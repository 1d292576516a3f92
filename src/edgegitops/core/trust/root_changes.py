"""Law: what a root document changes is said in whole before anybody signs it: who gets or loses which role, how many
must sign, which paths are whose, which keys are new, gone or revoked, and until when it counts.

Two documents that say the same, apart from version and instant, have no change. Keys are named by owner and id.
"""

from collections.abc import Iterator
from datetime import datetime

from edgegitops.core.model.trust import PathRule, Role, RootDocument

_SHORT = 12


def root_changes(old: RootDocument | None, new: RootDocument) -> tuple[str, ...]:
    """A line for each change from `old` (None: there was none) to `new`, in plain words."""
    before = old or RootDocument(new.repository, 0, {}, {}, ())
    rows = [*_roles(before, new), *_keys(before, new), *_revoked(before, new)]
    if before.paths != new.paths:
        rows += _paths(before, new)
    if before.expires_at != new.expires_at:
        rows.append(f"it counts {_until(new.expires_at)}, before {_until(before.expires_at)}")
    return tuple(rows)


def _roles(old: RootDocument, new: RootDocument) -> Iterator[str]:
    for name in sorted(old.roles.keys() | new.roles.keys()):
        was, now = old.roles.get(name, Role(())), new.roles.get(name, Role(()))
        yield from (f"{_who(new, key)} gets the role {name}" for key in now.keys if key not in was.keys)
        yield from (f"{_who(old, key)} loses the role {name}" for key in was.keys if key not in now.keys)
        if was.threshold != now.threshold and name in old.roles and name in new.roles:
            yield f"{name}: {now.threshold} must sign, before {was.threshold}"
        if name not in new.roles:
            yield f"the role {name} is gone"
        elif name not in old.roles:
            yield f"the role {name} is new" + (f"; {now.threshold} must sign" if now.threshold > 1 else "")


def _keys(old: RootDocument, new: RootDocument) -> Iterator[str]:
    for key in sorted(old.keys.keys() | new.keys.keys()):
        if key not in new.keys:
            yield f"{_who(old, key)} is no key of the fleet any more"
        elif key not in old.keys:
            told = new.keys[key]
            yield f"{_who(new, key)} is a new key, {_from(told.not_before)}{_until(told.not_after)}"
        elif old.keys[key] != new.keys[key]:
            was, now = old.keys[key], new.keys[key]
            owner = f", owner {now.owner or '?'}, before {was.owner or '?'}" if was.owner != now.owner else ""
            counts = f"{_from(now.not_before)}{_until(now.not_after)}"
            yield f"{_who(new, key)}: {counts}{owner}, before {_from(was.not_before)}{_until(was.not_after)}"


def _revoked(old: RootDocument, new: RootDocument) -> Iterator[str]:
    was = {one.key: one.reason for one in old.revoked}
    now = {one.key: one.reason for one in new.revoked}
    for key, reason in now.items():
        if key not in was:
            yield f"{_who(new if key in new.keys else old, key)} is revoked: {reason or 'no reason given'}"
    yield from (f"{_who(new, key)} is revoked no more" for key in was if key not in now)


def _paths(old: RootDocument, new: RootDocument) -> Iterator[str]:
    was, now = ({rule.path: rule.roles for rule in one.paths} for one in (old, new))
    for path, roles in now.items():
        if path not in was:
            yield f"{path} may be changed by {_names(roles)}; the rule is new"
        elif was[path] != roles:
            yield f"{path} may be changed by {_names(roles)}, before by {_names(was[path])}"
    yield from (f"the rule for {path} ({_names(roles)}) is gone" for path, roles in was.items() if path not in now)
    if _order(old.paths, now) != _order(new.paths, was):
        yield f"the first rule that matches counts, and their order changes: {', '.join(now)}"


def _order(rules: tuple[PathRule, ...], known: dict[str, tuple[str, ...]]) -> list[str]:
    return [rule.path for rule in rules if rule.path in known]


def _names(roles: tuple[str, ...]) -> str:
    return " or ".join(roles) or "nobody"


def _who(root: RootDocument, key: str) -> str:
    owner = root.keys[key].owner if key in root.keys else ""
    return f"{owner or '?'} {key[:_SHORT]}"


def _from(at: datetime | None) -> str:
    return f"counts from {at:%Y-%m-%d %H:%M} UTC " if at else "counts "


def _until(at: datetime | None) -> str:
    return f"until {at:%Y-%m-%d %H:%M} UTC" if at else "without an end"
