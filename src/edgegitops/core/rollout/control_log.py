"""Law: bad news acts at first sight; good news counts only in an unbroken log that nobody has split.

The log of a deployment is the graph of `previous` over payload digests. A positive statement counts where
1. its key holds a role for it now, and it has not expired by a trusted clock;
2. every tag before it, back to `none`, is known;
3. every other tag of which that holds stands before or after it: inside a fork nothing positive counts, also once
   healed.
What hangs in the air, because a tag before it is not known, takes no place: else any key, a revoked one too, could
silence the log for ever with a tag that continues one that never was.
Halts, revocations and the exclusion of a rollback act wherever they stand. A halt ends by a counting resume that
names it; an exclusion by a counting retry that stands after it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from edgegitops.core.model.control import ControlKind, ControlTag, Forgiven

MAY: Mapping[ControlKind, frozenset[str]] = {
    ControlKind.APPROVE: frozenset(),  # the wave says which roles
    ControlKind.RESUME: frozenset({"release-manager"}),
    ControlKind.RETRY: frozenset({"release-manager"}),
    ControlKind.ROLLBACK: frozenset({"release-manager"}),
    ControlKind.REVOKE: frozenset({"release-manager", "security"}),
    ControlKind.HOTFIX: frozenset({"release-manager"}),
    ControlKind.HALT: frozenset(),  # any known key
}
HOTFIX_LASTS_AT_MOST = timedelta(hours=24)
HOTFIX_OWNERS = 2


@dataclass(frozen=True)
class ControlLog:
    """The verified control tags of one deployment, as known here; `now` is None where the clock is not trusted."""

    tags: frozenset[ControlTag] = frozenset()
    now: datetime | None = None

    @cached_property
    def by_payload(self) -> Mapping[str, ControlTag]:
        """Tags by what identifies them."""
        return {tag.payload: tag for tag in self.tags}

    @cached_property
    def missing(self) -> frozenset[str]:
        """Payload digests that a known tag continues and nobody here has."""
        return frozenset(before for tag in self.tags for before in tag.previous) - self.by_payload.keys()

    @cached_property
    def rooted(self) -> frozenset[str]:
        """The tags of rule 2."""
        found: set[str] = set()
        for tag in self._ordered:
            if found.issuperset(tag.previous):
                found.add(tag.payload)
        return frozenset(found)

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """Tags with a place that no other such continues, for the next one's `Previous`."""
        continued = {before for tag in self._ordered if tag.payload in self.rooted for before in tag.previous}
        return tuple(sorted(self.rooted - continued))

    @cached_property
    def _ordered(self) -> tuple[ControlTag, ...]:
        """Every tag behind those that it continues."""
        found: dict[str, ControlTag] = {}
        waiting = sorted(self.by_payload)
        while waiting:
            tag = self.by_payload[waiting[-1]]
            open_ = [one for one in tag.previous if one in self.by_payload and one not in found]
            if open_:
                waiting += open_
                continue
            waiting.pop()
            found[tag.payload] = tag
        return tuple(found.values())

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {tag.payload: at for at, tag in enumerate(self._ordered)}

    @cached_property
    def _placed(self) -> frozenset[str]:
        """The tags of rules 2 and 3, in one pass each way: all that is known before a tag is before it in the log where
        each head of that is continued by the tag itself, and likewise behind it. A log of many years, or one that a
        stolen key wrote full, costs no more than its length.
        """
        rooted = [tag for tag in self._ordered if tag.payload in self.rooted]
        first: set[str] = set()
        heads: set[str] = set()
        followers: dict[str, set[str]] = {tag.payload: set() for tag in rooted}
        for tag in rooted:
            if heads.issubset(tag.previous):
                first.add(tag.payload)
            for one in tag.previous:
                followers[one].add(tag.payload)
            heads.difference_update(tag.previous)
            heads.add(tag.payload)
        return frozenset(first & self._leading(rooted, followers))

    def _leading(self, rooted: Sequence[ControlTag], followers: Mapping[str, set[str]]) -> set[str]:
        """The tags that all behind them stand behind."""
        found: set[str] = set()
        roots: set[str] = set()
        for tag in reversed(rooted):
            behind = followers[tag.payload]
            if roots <= behind:
                found.add(tag.payload)
            roots -= behind
            roots.add(tag.payload)
        return found

    def stands_after(self, tag: ControlTag, other: ControlTag) -> bool:
        """Whether the chain of a tag contains another; both are known."""
        if tag.payload in self._placed:
            return other.payload in self.rooted and self._places[other.payload] < self._places[tag.payload]
        seen, waiting = set(), list(tag.previous)
        while waiting:
            one = waiting.pop()
            if one not in seen and one in self.by_payload:
                seen.add(one)
                waiting += self.by_payload[one].previous
        return other.payload in seen

    def _has_place(self, tag: ControlTag) -> bool:
        return tag.payload in self._placed

    def counts(self, tag: ControlTag) -> bool:
        """Whether a positive statement has effect now."""
        asked = MAY[tag.kind] or tag.roles_now  # who may approve is said by the wave
        return bool(asked & tag.roles_now) and self._is_in_time(tag) and self._has_place(tag)

    def _is_in_time(self, tag: ControlTag) -> bool:
        if tag.expires_at is None:
            return tag.kind is not ControlKind.HOTFIX
        if self.now is None:
            return False
        lasts = HOTFIX_LASTS_AT_MOST if tag.kind is ControlKind.HOTFIX else None
        return self.now < tag.expires_at and (lasts is None or self.now >= tag.expires_at - lasts)

    def _of(self, kind: ControlKind) -> Iterator[ControlTag]:
        found = (tag for tag in self.tags if tag.kind is kind)
        return iter(sorted(found, key=lambda one: (one.number, one.payload, one.key)))

    @cached_property
    def halts(self) -> tuple[ControlTag, ...]:
        """Halts that nobody resumed."""
        resumed = {tag.resumes for tag in self._of(ControlKind.RESUME) if self.counts(tag)}
        said = {tag.payload: tag for tag in self._of(ControlKind.HALT)}
        return tuple(tag for payload, tag in said.items() if payload not in resumed)

    @cached_property
    def approvals(self) -> tuple[ControlTag, ...]:
        """Approvals that have effect; for which wave and revision is asked elsewhere."""
        return tuple(tag for tag in self._of(ControlKind.APPROVE) if self.counts(tag))

    @cached_property
    def retries(self) -> tuple[ControlTag, ...]:
        """Retries that have effect."""
        return tuple(tag for tag in self._of(ControlKind.RETRY) if self.counts(tag))

    @cached_property
    def pardons(self) -> Mapping[Forgiven, tuple[ControlTag, ...]]:
        """The failures that retries name, with these; which failure that is (core.rollout.blame) asks the chain."""
        found: dict[Forgiven, tuple[ControlTag, ...]] = {}
        for tag in self.retries:
            found |= {one: (*found.get(one, ()), tag) for one in tag.forgives}
        return found

    @cached_property
    def exclusions(self) -> tuple[ControlTag, ...]:
        """Revocations and rollbacks that no retry has ended."""
        found = (*self._of(ControlKind.REVOKE), *self._of(ControlKind.ROLLBACK))
        told = (tag for tag in found if MAY[tag.kind] & tag.roles)
        return tuple(tag for tag in told if not any(self.stands_after(retry, tag) for retry in self.retries))

    def hotfix(self, targets: Iterable[str]) -> tuple[ControlTag, ...]:
        """The hotfixes of one of these commits, where enough owners asked for it; else nothing."""
        wanted = set(targets)
        found = [tag for tag in self._of(ControlKind.HOTFIX) if tag.target in wanted and self.counts(tag)]
        return tuple(found) if len({tag.owner for tag in found}) >= HOTFIX_OWNERS else ()
