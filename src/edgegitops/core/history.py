"""Law: the chain of revisions as gates read it, made lazily from Git objects, each distinct content once.

1. The chain is the first-parent history from the enrolment checkpoint to a believed commit, oldest first.
2. A revision whose manifests are not valid says what the valid one before it says. For a node on which the deployment
   cannot be resolved at a revision, that node's digest is the one before: it keeps its last good revision.
3. What did not change is not read again: files by blob id, whole pages where no manifest folder changed, digests where
   nothing that a node's release is made of changed. A digest is resolved when somebody asks for it.
The same objects give the same chain; what is kept between questions is only what they say.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from edgegitops.core.desired.deployments import Means
from edgegitops.core.desired.editions import members_of, resolve_release
from edgegitops.core.desired.resolve import desired_for, target_of
from edgegitops.core.desired.values import Judge, Target
from edgegitops.core.model.canonical import digest
from edgegitops.core.model.facts import Desired, NodeIdentity
from edgegitops.core.model.manifests import DeploymentManifest
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.release import Release
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.core.model.trust import Refused
from edgegitops.core.model.waves import ABSENT, Edition, Member
from edgegitops.core.pages import Page, read_page
from edgegitops.core.trust.lookup import Lookup, about
from edgegitops.core.trust.objects import first_parent, parse_commit
from edgegitops.core.trust.rules import MANIFEST_FILES, MANIFEST_FOLDERS

WHO = frozenset({"fleet.yaml", "sites", "trust"})
"""What says who the members of a deployment are, but the deployment itself."""
KEPT_HISTORIES = 4


@dataclass
class Library:
    """What is known of a repository's content; it grows, and may be emptied at any time."""

    lookup: Lookup
    schemas: SchemaSet
    judge: Judge
    contents: dict[str, str] = field(default_factory=dict)
    files: MutableMapping[str, object] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    pages: dict[str, Page | None] = field(default_factory=dict)
    digests: dict[tuple[object, ...], str | None] = field(default_factory=dict)
    memberships: dict[tuple[str, str], dict[str, Member]] = field(default_factory=dict)
    targets: dict[tuple[str, str], Target | None] = field(default_factory=dict)
    histories: dict[tuple[str, str], "History"] = field(default_factory=dict)

    def page(self, tree: str) -> Page | None:
        """The page of a top tree; None where it is not valid."""
        content = self._content(tree)
        if content not in self.pages:
            self.pages[content] = self._page(tree)
        return self.pages[content]

    def _content(self, tree: str) -> str:
        """The ids of what manifests are in a top tree: two with the same say the same."""
        if tree not in self.contents:
            rows = self.lookup.tree(tree)
            known = MANIFEST_FILES | MANIFEST_FOLDERS
            told = [one for one in rows if one.name in known] if not isinstance(rows, Refused) else [("", tree, "")]
            self.contents[tree] = digest([list(one) for one in told])
            self.places[tree] = digest([list(one) for one in told if one[1] in WHO])
        return self.contents[tree]

    def _page(self, tree: str) -> Page | None:
        read = read_page(tree, self.lookup.objects, self.schemas, self.files)
        return read if isinstance(read, Page) else None

    def members(self, tree: str, deployment: str) -> dict[str, Member]:
        """The members of a deployment at a top tree that is valid."""
        page = self.page(tree)
        manifest = page.snapshot.deployments.get(deployment) if page else None
        if page is None or manifest is None:
            return {}
        key = (self.places[tree], page.files[manifest.origin.file])
        if key not in self.memberships:
            self.memberships[key] = members_of(page.snapshot, deployment)
        return self.memberships[key]

    def digest(self, tree: str, deployment: str, node: str) -> str | None:
        """A node's release digest at a top tree that is valid; None where the release cannot be resolved."""
        page, target = self.page(tree), self.target(tree, node)
        if page is None or target is None or deployment not in page.snapshot.deployments:
            return ABSENT
        key = _place(page, deployment, target)
        if key not in self.digests:
            found = resolve_release(page.snapshot, deployment, target, self.means)
            self.digests[key] = found.digest if found else None
        return self.digests[key]

    def note(self, tree: str, release: Release, node: str) -> None:
        """What somebody else resolved for a node at a top tree that is valid need not be resolved again."""
        page, target = self.page(tree), self.target(tree, node)
        if page is not None and target is not None:
            self.digests[_place(page, release.deployment, target)] = release.digest

    def target(self, tree: str, node: str) -> Target | None:
        """What a node is resolved for at a top tree; None where the tree is not valid, or does not have the node."""
        key = (self._content(tree), node)
        if key not in self.targets:
            page, (site, _, name) = self.page(tree), node.partition("/")
            self.targets[key] = target_of(page.snapshot, site, name) if page else None
        return self.targets[key]

    @property
    def means(self) -> Means:
        """What resolution is handed."""
        return Means(self.lookup.objects, self.judge)


def _place(page: Page, deployment: str, target: Target) -> tuple[object, ...]:
    """All that a node's release is made of."""
    file = target.site.origin.file
    return _made_of(page, page.snapshot.deployments[deployment]), file, page.files[file], target.node.name


def _made_of(page: Page, deployment: DeploymentManifest) -> tuple[str, ...]:
    """Blob ids of all that a deployment's releases are made of, but the site; of secrets, that they are there."""
    application = page.snapshot.applications.get(deployment.application)
    own = (page.files["fleet.yaml"], page.files[deployment.origin.file], *page.snapshot.secrets)
    if application is None:
        return own
    return (*own, page.files[application.origin.file], *(f"{path}:{oid}" for path, oid in application.files.items()))


@dataclass(frozen=True)
class History:
    """A fleet's chain: (commit, top tree) pairs, oldest first."""

    commits: tuple[tuple[str, str], ...]
    library: Library
    chains: dict[str, "FleetChain"] = field(default_factory=dict, compare=False)

    @cached_property
    def places(self) -> dict[str, int]:
        """Positions by commit."""
        return {commit: at for at, (commit, _) in enumerate(self.commits)}

    def chain(self, deployment: str) -> "FleetChain":
        """The chain as one deployment sees it."""
        if deployment not in self.chains:
            self.chains[deployment] = FleetChain(self, deployment)
        return self.chains[deployment]

    def page(self, position: int) -> Page | None:
        """What the revision at a position, or the valid one before it, has; None where none is valid."""
        pages = (self.library.page(self.commits[at][1]) for at in range(position, -1, -1))
        return next((page for page in pages if page is not None), None)

    def desired(self, revision: str, node: NodeIdentity, policy: NodePolicy) -> Desired | None:
        """What a revision makes of a node under the node's policy of now; None where it makes nothing valid."""
        at = self.places.get(revision)
        page = self.library.page(self.commits[at][1]) if at is not None else None
        if page is None:
            return None
        snapshot = replace(page.snapshot, revision=revision)
        found = desired_for(snapshot, node, self.library.lookup.objects, policy, self.library.judge)
        return found if isinstance(found, Desired) else None


@dataclass(frozen=True)
class FleetChain:
    """A `Chain` over Git objects."""

    history: History
    deployment: str
    editions: dict[int, Edition] = field(default_factory=dict, compare=False)

    @cached_property
    def revisions(self) -> tuple[str, ...]:
        """Commit ids, oldest first."""
        return tuple(commit for commit, _ in self.history.commits)

    def edition(self, position: int) -> Edition:
        """What the revision at that position says, or the valid one before it."""
        if position not in self.editions:
            self.editions[position] = self._edition(position)
        return self.editions[position]

    def _edition(self, position: int) -> Edition:
        library, commits = self.history.library, self.history.commits
        for at in range(position, -1, -1):
            tree = commits[at][1]
            page = library.page(tree)
            if page is not None:
                manifest = page.snapshot.deployments.get(self.deployment)
                if manifest is None:
                    return Edition(commits[at][0], is_there=False)
                members = library.members(tree, self.deployment)
                return Edition(commits[at][0], manifest.rollout, members, _Digests(self, at, members))
        return Edition("", is_there=False)

    def digest_at(self, position: int, node: str) -> str:
        """A member's digest at a valid revision, or the newest one before that could be resolved."""
        library, commits = self.history.library, self.history.commits
        for at in range(position, -1, -1):
            tree = commits[at][1]
            if library.page(tree) is not None:
                found = library.digest(tree, self.deployment, node)
                if found is not None:
                    return found
        return ABSENT

    def position(self, revision: str) -> int | None:
        """Where a commit stands; None where it does not."""
        return self.history.places.get(revision)


@dataclass(frozen=True)
class _Digests(Mapping[str, str]):
    """The digests of the members of an edition, resolved when they are asked for."""

    chain: FleetChain
    at: int
    members: Mapping[str, Member]
    known: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, node: str) -> str:
        if node not in self.known:
            if node not in self.members:
                raise KeyError(node)
            self.known[node] = self.chain.digest_at(self.at, node)
        return self.known[node]

    def get(self, node: str, default: str) -> str:  # type: ignore[override] # asked of each node of a fleet
        """The digest, or what stands for none."""
        return self.known[node] if node in self.known else super().get(node, default)

    def __contains__(self, node: object) -> bool:
        return node in self.members

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)


def history_of(head: str, checkpoint: str, library: Library) -> History | Refused:
    """The first-parent history from the checkpoint to a believed commit; Refused where objects are missing."""
    key = (head, checkpoint)
    if key not in library.histories:
        made = _history_of(head, checkpoint, library)
        if isinstance(made, Refused):
            return made
        if len(library.histories) >= KEPT_HISTORIES:
            library.histories.clear()
        library.histories[key] = made
    return library.histories[key]


def _history_of(head: str, checkpoint: str, library: Library) -> History | Refused:
    found: list[tuple[str, str]] = []
    oid: str | None = head
    while oid is not None:
        data = library.lookup.commit(oid)
        if isinstance(data, Refused):
            return data
        commit = parse_commit(data)
        if isinstance(commit, Refused):
            return about(oid, commit)
        found.append((oid, commit.tree))
        oid = None if oid == checkpoint else first_parent(data)
    return History(tuple(reversed(found)), library)
