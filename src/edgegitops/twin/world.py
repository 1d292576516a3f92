"""What all nodes of a twin share: the repository as everybody has it, the instant, and what was said so far."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from edgegitops.core.desired.deployments import Means
from edgegitops.core.desired.editions import seats
from edgegitops.core.desired.narrowing import narrow
from edgegitops.core.desired.plant import node_plant, policies_of
from edgegitops.core.desired.resolve import resolve_at
from edgegitops.core.history import Library
from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.facts import Desired, NodeIdentity, Refusals
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import KeysOfNode, NodeKeys, Snapshot
from edgegitops.core.model.plant import Answer, Answers, Interlock, Zones
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.release import Release
from edgegitops.core.model.trust import Floor, Pin
from edgegitops.core.model.waves import Member
from edgegitops.core.pages import Page
from edgegitops.core.rollout.assumed import Assumed
from edgegitops.twin.hands import TwinClock
from edgegitops.twin.post import Heard


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit and its top tree."""

    commit: str
    tree: str


class EnrolledLibrary(Library):
    """A library in which every node has a report key: of a fleet that has none yet, a gate could learn nothing."""

    def _page(self, tree: str) -> Page | None:
        page = super()._page(tree)
        return page and replace(page, snapshot=_with_keys(page.snapshot))


def _with_keys(snapshot: Snapshot) -> Snapshot:
    keys = {
        name: NodeKeys(site.origin, name, {node: KeysOfNode("supposed") for node in site.nodes})
        for name, site in snapshot.sites.items()
    }
    return replace(snapshot, keys=keys)


class Agreeing(Answers):
    """Interlocks that all agree, for as long as each asks for."""

    def __getitem__(self, interlock: Interlock) -> Answer:
        return Answer(agrees=True, agreed_for=interlock.for_at_least)

    def __iter__(self) -> Iterator[Interlock]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, interlock: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Setting:
    """The change that is tried out: `base` (None: nothing was there) is what all nodes run, `head` what comes. The
    chain between them hangs together in the library's objects.
    """

    base: Revision | None
    head: Revision
    library: Library
    zones: Zones
    began_at: datetime


@dataclass
class World:
    """The shared state of one run."""

    setting: Setting
    clock: TwinClock
    memo: MutableMapping[str, object] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)
    tags: frozenset[ControlTag] = frozenset()
    answers: Answers = field(default_factory=Agreeing)
    policy: NodePolicy = field(default_factory=NodePolicy)
    _releases: dict[tuple[object, ...], Release] = field(default_factory=dict)
    _means: dict[Revision, Means] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.memo["library"] = self.setting.library

    @property
    def assumed(self) -> Assumed:
        """What every node knows of the others."""
        return Assumed(self.heard, self.tags)

    @property
    def repository(self) -> str:
        """The fleet's identity."""
        return self.page(self.setting.head).snapshot.fleet.repository

    def page(self, revision: Revision) -> Page:
        """A revision's manifests, which are valid."""
        page = self.setting.library.page(revision.tree)
        if page is None:
            raise ValueError(f"{revision.commit} is not valid")
        return page

    def names(self) -> list[str]:
        """All nodes of both revisions."""
        revisions = [one for one in (self.setting.base, self.setting.head) if one is not None]
        return sorted({name for one in revisions for name, _ in seats(self.page(one).snapshot)})

    def members(self, revision: Revision | None) -> dict[str, dict[str, Member]]:
        """The members of all deployments of a revision; of none there are none."""
        if revision is None:
            return {}
        library = self.setting.library
        return {name: library.members(revision.tree, name) for name in self.page(revision).snapshot.deployments}

    def pin(self) -> Pin:
        """What nodes are enrolled with: the chain begins at the base."""
        first = self.setting.base or self.setting.head
        return Pin(self.repository, "", first.commit)

    def floor(self, revision: Revision) -> Floor:
        """The floor of a node that has fetched a revision."""
        return Floor(revision.commit, "", revision.tree, 1, self.setting.began_at)

    def desired(self, revision: Revision, node: NodeIdentity) -> Desired | tuple[Fault, ...]:
        """What a revision makes of a node whose own policy allows all of it; its faults where it cannot be resolved."""
        snapshot, library = self.page(revision).snapshot, self.setting.library
        target = library.target(revision.tree, f"{node.site}/{node.node}")
        if target is None:
            return Desired(revision.commit, is_enrolled=False)
        found, contents, faults = resolve_at(snapshot, target, self._means.setdefault(revision, library.means))
        if wrong := tuple(fault for fault in faults if not fault.is_warning):
            return wrong
        policies = policies_of(snapshot, target)
        refused = {name: faults for name, one in found.items() if (faults := narrow(one.spec, policies))}
        releases = {name: self._same(one, revision) for name, one in found.items()}
        for release in releases.values():
            library.note(revision.tree, release, f"{node.site}/{node.node}")
        files = {file for one in releases.values() for create in one.spec.creates() for file in create.secrets()}
        return Desired(
            revision.commit,
            {name: one for name, one in releases.items() if name not in refused},
            contents=contents,
            refused=Refusals(refused),
            is_in_maintenance=target.node.is_in_maintenance,
            plant=node_plant(snapshot, target),
            secrets=dict.fromkeys(files, b""),
        )

    def _same(self, release: Release, revision: Revision) -> Release:
        """One object for what is equal on many nodes: that spares memory, and the naming of parts."""
        made = replace(release, revision=revision.commit)
        key = (made.digest, made.revision, made.version, repr(made.policy))
        return self._releases.setdefault(key, made)
