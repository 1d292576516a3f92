"""What a change is to do: which deployments become something else on which nodes, wave by wave, and how it fails."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from edgegitops.core.model.facts import Desired
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.release import Release
from edgegitops.core.model.spec import ContainerSpec
from edgegitops.core.model.waves import REST, Member, RolloutPolicy, Wave
from edgegitops.core.reconcile.parts import Part, parts_of
from edgegitops.core.rollout.count import wave_at
from edgegitops.twin.story import Change
from edgegitops.twin.weather import Fate, Weather
from edgegitops.twin.world import World

GONE = -1


@dataclass(frozen=True)
class Plan:
    """The changes of all deployments. `old` and `new` are snapshots (None: nothing was there)."""

    changes: tuple[Change, ...]
    members: Mapping[str, Mapping[str, Member]]
    before: Mapping[str, Mapping[str, Member]]
    ran: Mapping[str, Mapping[str, Release]]
    new: Snapshot
    old: Snapshot | None

    def digests(self) -> dict[tuple[str, str], str]:
        """The new release digests by deployment and node."""
        return {(one.deployment, node): digest for one in self.changes for node, digest in one.digests.items()}

    def wave(self, deployment: str, node: str) -> int:
        """The index of the node's wave at the new revision."""
        member = self.members.get(deployment, {}).get(node)
        return member.wave if member is not None else GONE

    def is_witness(self, node: str, ledger: Ledger) -> bool:
        """Whether later waves wait for the word of a node, and it runs what is new."""
        for change in self.changes:
            record = ledger.deployments.get(change.deployment)
            digest = change.digests.get(node)
            is_new = record is not None and record.serving is not None and record.serving.digest == digest
            last = len(self.new.deployments[change.deployment].rollout.waves)
            if is_new and self.wave(change.deployment, node) < last:
                return True
        return False

    def approvals(self, deployment: str, wave: int) -> Iterator[tuple[str, tuple[str, ...], int]]:
        """Name, roles and number of owners of every approval that a wave may be asked for, under both policies."""
        found: dict[str, Wave] = {}
        for snapshot, members in ((self.new, self.members), (self.old, self.before)):
            manifest = snapshot.deployments.get(deployment) if snapshot is not None else None
            if manifest is None:
                continue
            nodes = [name for name in self.members.get(deployment, {}) if self.wave(deployment, name) == wave]
            at = next((members[deployment][one].wave for one in nodes if one in members.get(deployment, {})), wave)
            asked = wave_at(manifest.rollout, at)
            known = found.get(asked.name, asked).approvals
            count = max(1, known.count, asked.approvals.count)
            roles = tuple(dict.fromkeys((*known.roles, *asked.approvals.roles)))
            found[asked.name] = replace(asked, approvals=replace(known, roles=roles, count=count))
        yield from ((name, one.approvals.roles, one.approvals.count) for name, one in found.items())

    def fates(
        self, node: str, found: Desired | tuple[Fault, ...], weather: Weather
    ) -> Iterator[tuple[tuple[str, str], Fate]]:
        """How new containers of a node fail, by node and container digest."""
        releases = found.releases if isinstance(found, Desired) else {}
        for change in self.changes:
            release = releases.get(change.deployment)
            if release is None or node not in change.digests:
                continue
            fate = weather.fate(node, release.digest, release.policy.soak)
            old = self.ran.get(node, {}).get(change.deployment)
            fresh = _new_parts(release, old) if fate is not None else []
            if fate is not None and fresh:
                part, how = _failing(fresh, fate, release.policy.soak)
                yield (node, part.digest), how


def _new_parts(release: Release, old: Release | None) -> list[Part]:
    """The containers that the release does not share with the one before."""
    known = {part.digest for part in parts_of("", old).containers} if old is not None else set()
    return [part for part in parts_of("", release).containers if part.digest not in known]


def _failing(parts: Sequence[Part], fate: Fate, soak: timedelta) -> tuple[Part, Fate]:
    """Which container fails, and how: who is never asked cannot fail by its answers, so it ends."""
    asked = [one for one in parts if _is_asked(one.spec)]
    if fate.ends_after is not None or asked:
        return (asked if fate.ends_after is None else parts)[0], fate
    return parts[0], Fate(soak / 2)


def _is_asked(spec: ContainerSpec) -> bool:
    return spec.care.ready is not None or spec.care.live is not None or spec.care.startup is not None


def planned(
    world: World, ran: Mapping[str, Mapping[str, Release]], found: Mapping[str, Desired | tuple[Fault, ...]]
) -> Plan:
    """What changes from base to head, where `ran` is what each node runs, and `found` what the head makes of it."""
    new = world.page(world.setting.head).snapshot
    old = world.page(world.setting.base).snapshot if world.setting.base is not None else None
    members, before = world.members(world.setting.head), world.members(world.setting.base)
    wanted = {node: one.releases if isinstance(one, Desired) else {} for node, one in found.items()}
    changes = (_change(new.deployments[name].rollout, name, members[name], (ran, wanted)) for name in sorted(members))
    return Plan(tuple(one for one in changes if one.digests), members, before, ran, new, old)


def _change(
    policy: RolloutPolicy,
    name: str,
    members: Mapping[str, Member],
    ways: tuple[Mapping[str, Mapping[str, Release]], Mapping[str, Mapping[str, Release]]],
) -> Change:
    ran, wanted = ways
    olds = {node: releases[name] for node, releases in ran.items() if name in releases}
    news = {node: releases[name] for node, releases in wanted.items() if name in releases}
    changed = [node for node, one in news.items() if node not in olds or olds[node].digest != one.digest]
    names = [*(wave.name for wave in policy.waves), REST]
    waves = ((wave, tuple(node for node in changed if members[node].wave == at)) for at, wave in enumerate(names))
    versions = tuple(next((some[node].version for node in changed if node in some), "") for some in (olds, news))
    return Change(
        name,
        (versions[0], versions[1]),
        tuple(one for one in waves if one[1]),
        {node: news[node].digest for node in changed},
    )
