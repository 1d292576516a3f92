"""Joins adapters to what people do with a rollout in a clone of the fleet repository; it decides nothing.

A clone is read as a node reads its mirror: the same walk of signatures, the same reader of control tags, the same
functions. It vouches for itself: nothing is pinned here. DeniedError: no clone, nothing believed in it, no such
deployment; UnavailableError: the reports cannot be read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgegitops.bootstrap import load_schemas
from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.trust import Floor, Pin, Refused, TrustLimits
from edgegitops.errors import DeniedError, InvalidConfigError, UnavailableError

if TYPE_CHECKING:
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.adapters.repository_pygit2 import MirrorObjects
    from edgegitops.core.history import History
    from edgegitops.core.overview.effect import Barred, Touched
    from edgegitops.core.overview.situation import Situation
    from edgegitops.core.pages import Page
    from edgegitops.core.plan.compare import Change
    from edgegitops.core.rollout.evidence import Evidence
    from edgegitops.core.trust.control_tags import Signers
    from edgegitops.core.trust.lookup import Lookup
    from edgegitops.ports import ReportTransport

_PORT = "rollout"
_PREFIX = "refs/tags/rollout/"
_BELIEVED_FOR = timedelta(minutes=10)


@dataclass(frozen=True)
class Desk:
    """One deployment as this clone and these reports show it. `refused` has what is wrong with control tags that take
    no part, by ref; `numbers` are all numbers that are taken.
    """

    situation: "Situation"
    history: "History"
    signers: "Signers"
    repository: str
    head: str
    now: datetime
    refused: Mapping[str, str] = field(default_factory=dict)
    numbers: frozenset[int] = frozenset()
    refused_head: str = ""
    unheard: str = ""

    def changes(self, groups: "tuple[Touched, ...]") -> "list[tuple[Touched, Change | None]]":
        """What becomes of the containers of each group."""
        from edgegitops.core.overview.effect import change_of

        return [(one, change_of(self.situation, self.history, one)) for one in groups]

    def shut_windows(self, group: "Touched") -> "list[Barred] | None":
        """Where windows let nothing begin now, as this machine knows the time zones; None where there is no window."""
        from edgegitops.adapters.zones_zoneinfo import InstalledZones
        from edgegitops.core.overview.effect import barred_by_windows
        from edgegitops.core.rollout.gate import Calendar

        calendar = Calendar(self.now, is_trusted=True, zones=InstalledZones())
        return barred_by_windows(self.situation, self.history, group, calendar)

    def holders(self, role: str) -> list[str]:
        """Whose keys hold a role in the root in force, and count now."""
        return list(self.signers.holders(role))


Source = Path | str | None
"""Where reports are: a folder, the address of a Git repository, or None: as fleet.yaml says."""

NOBODY = ""
"""Nobody is asked."""


@dataclass(frozen=True)
class Heard:
    """What nodes reported, why a report was refused by node, and why some could not be had. `sent` is what was shown
    of each node.
    """

    evidence: "Evidence"
    refused: Mapping[str, str]
    wrong: str = ""
    sent: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Base:
    """A clone as far as it is believed: its tip, the newest valid page, the roots, and in `doubt` what nodes do not
    believe. It was read at `read_at`.
    """

    clone: "Clone"
    tip: str
    read_at: datetime
    now: datetime
    pin: Pin
    floor: Floor
    doubt: str
    history: "History"
    signers: "Signers"
    page: "Page"


def open_base(path: Path, known: Base | None = None) -> Base:
    """Read and verify the clone at `path`; `known` is taken again for a while where its tip is still the newest."""
    from edgegitops.adapters.clock_system import SystemClock
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.adapters.repository_pygit2 import MirrorObjects
    from edgegitops.core.documents.judge import value_judge
    from edgegitops.core.history import Library, history_of
    from edgegitops.core.trust.control_tags import Signers
    from edgegitops.core.trust.lookup import Lookup
    from edgegitops.core.trust.root import roots_ever

    clone = Clone(path)
    tip, now = clone.newest().id, SystemClock().now().replace(microsecond=0)
    if known is not None and known.tip == tip and now - known.read_at < _BELIEVED_FOR:
        return replace(known, clone=clone, now=now, signers=replace(known.signers, now=max(now, known.floor.clock)))
    objects = MirrorObjects(lambda: clone.odb, str(path))
    pin, floor, doubt = _believed(objects, tip, path, now)
    library = Library(Lookup(objects, TrustLimits()), load_schemas(), value_judge)
    history = history_of(floor.commit, pin.checkpoint, library)
    roots = roots_ever(pin, library.lookup, floor.tree)
    if isinstance(history, Refused) or isinstance(roots, Refused):
        wrong = history if isinstance(history, Refused) else roots
        raise DeniedError(_PORT, f"read {path}", f"{wrong.subject}: {wrong.detail}")  # type: ignore[union-attr] # refused
    signers = Signers(pin.repository, roots, max(now, floor.clock))
    return Base(clone, tip, now, now, pin, floor, doubt, history, signers, newest_page(history))


def open_desk(
    path: Path, deployment: str, reports: Source, base: Base | None = None, *, without: Collection[str] = ()
) -> Desk:
    """Look at a deployment in the clone at `path`, with the reports of a source; `base` spares reading it again. Tags
    of the refs `without` take no part.
    """
    from edgegitops.core.overview.situation import Situation
    from edgegitops.core.rollout.control_log import ControlLog
    from edgegitops.core.rollout.count import Reading
    from edgegitops.core.rollout.evidence import Standpoint

    base = base or open_base(path)
    history, signers, now = base.history, base.signers, base.now
    tags, refused, numbers = _tags(base.clone, history.library.lookup, signers, deployment, without)
    chain = history.chain(deployment)
    if not tags and not _were_ever(history, {deployment}):
        there = ", ".join(sorted(base.page.snapshot.deployments)) or "none"
        raise DeniedError(_PORT, f"look at {deployment}", f"there is no such deployment; there are: {there}")
    heard = evidence_of(reports, base)
    log = ControlLog(frozenset(tags), now)
    known = log.rooted | _heads_of_others(heard.evidence, deployment)
    standpoint = Standpoint(now, is_clock_trusted=True, root_version=signers.roots[-1].version, payloads=known)
    situation = Situation(deployment, chain, log, Reading(deployment, heard.evidence, standpoint))
    situation = _with_bygone(situation, heard, reports, base)
    return Desk(
        situation,
        history,
        signers,
        base.pin.repository,
        base.floor.commit,
        now,
        refused,
        numbers,
        base.doubt,
        heard.wrong,
    )


def _heads_of_others(evidence: "Evidence", deployment: str) -> frozenset[str]:
    """What nodes tell of other deployments' tags, which nobody looks for here: nodes have them."""
    told = (row for said in evidence.latest.values() for row in said.heads.items())
    return frozenset(head for name, heads in told if name != deployment for head in heads)


def with_waves(base: Base) -> list[str]:
    """The deployments of the newest valid revision that have waves."""
    return sorted(name for name, one in base.page.snapshot.deployments.items() if one.rollout.waves)


def gone_but_running(base: Base, reports: Source) -> list[str]:
    """Deployments that nobody wants any more and that some node tells to run. UnavailableError: as `evidence_of`."""
    from edgegitops.core.model.waves import ABSENT

    latest = evidence_of(reports, base).evidence.latest.values()
    told = {name for said in latest for name, one in said.deployments.items() if one.digest != ABSENT}
    return sorted(_were_ever(base.history, told - base.page.snapshot.deployments.keys()))


def _were_ever(history: "History", names: Collection[str]) -> set[str]:
    """Those that any revision has: a report can tell of anything."""
    left, found = {*names}, set[str]()
    for _, tree in reversed(history.commits):
        page = history.library.page(tree) if left else None
        here = left & page.snapshot.deployments.keys() if page is not None else set()
        found, left = found | here, left - here
    return found


def _believed(objects: "MirrorObjects", tip: str, path: Path, now: datetime) -> tuple[Pin, Floor, str]:
    from edgegitops.core.trust.pinning import first_pin
    from edgegitops.core.trust.walk import walk

    pin = first_pin(objects, tip)
    if isinstance(pin, Refused):
        raise DeniedError(_PORT, f"read {path}", f"{pin.subject}: {pin.detail}", reason=pin.doubt)
    belief = walk(pin, None, tip, objects, now=now)
    refused = belief.refused
    if belief.floor is None:
        words = f"{refused.subject}: {refused.detail}" if refused else "no commit is believed"
        raise DeniedError(_PORT, f"read {path}", f"{words}; see edgegitops trust verify")
    doubt = f"commit {refused.subject[:12]} is not believed by nodes: {refused.detail}" if refused else ""
    return pin, belief.floor, doubt


def newest_page(history: "History") -> "Page":
    """The newest valid revision. DeniedError: there is none."""
    found = (history.library.page(tree) for _, tree in reversed(history.commits))
    page = next((one for one in found if one is not None), None)
    if page is None:
        raise DeniedError(_PORT, "read the manifests", "no revision is valid; edgegitops validate tells why")
    return page


def _tags(
    clone: "Clone", lookup: "Lookup", signers: "Signers", deployment: str, without: Collection[str] = ()
) -> tuple[list[ControlTag], dict[str, str], frozenset[int]]:
    from edgegitops.core.trust.control_tags import SIZE_MOST, read_control_tag, taken_number

    prefix = f"{_PREFIX}{deployment}/"
    tags: list[ControlTag] = []
    refused: dict[str, str] = {}
    refs = clone.refs(prefix)
    for ref, oid in refs.items():
        if ref in without:
            continue
        data = lookup.read(oid, "tag", limit=SIZE_MOST)
        found = data if isinstance(data, Refused) else read_control_tag(ref, data, signers)
        if isinstance(found, ControlTag):
            tags.append(found)
        else:
            refused[ref] = f"{found.doubt}: {found.detail}"
    taken = (taken_number(ref.removeprefix(prefix)) for ref in refs)
    return tags, refused, frozenset(one for one in taken if one is not None)


def evidence_of(source: Source, base: Base) -> Heard:
    """What nodes of the newest valid revision reported. `source` None: as fleet.yaml says, and what cannot be had is
    told instead of raised. UnavailableError: the source cannot be read.
    """
    from edgegitops.core.rollout.evidence import Evidence
    from edgegitops.core.witness import read_sent

    keys = base.page.report_keys
    found, wrong = _collected(source, base, keys)
    sent = tuple((name, data) for (name, _), data in found.items())
    said, refused = read_sent(sent, keys, base.pin.repository)
    return Heard(Evidence(said), {name: f"{one.doubt}: {one.detail}" for name, one in refused.items()}, wrong, sent)


def _with_bygone(situation: "Situation", heard: Heard, source: Source, base: Base) -> "Situation":
    """The situation with the failures that nodes count too: of who was removed, or got another key, on the longest road
    that a node still has before it.
    """
    from edgegitops.core.witness import keys_on_road, with_bygone

    now = base.page.report_keys
    first = min((situation.road(node).base for node in situation.pending), default=situation.candidate)
    pages = [base.history.page(at) for at in range(first, situation.candidate + 1)]
    said = [page.report_keys for page in pages if page is not None]
    had = keys_on_road([keys for at, keys in enumerate(said) if at == 0 or keys != said[at - 1]])
    bygone = {name: tuple(one for one in keys if one != now.get(name)) for name, keys in had.items()}
    bygone = {name: keys for name, keys in bygone.items() if keys}
    if not bygone:
        return situation
    gone = bygone.keys() - now.keys()
    more, _ = _collected(source, base, gone) if gone else ({}, "")
    sent = (*heard.sent, *((name, data) for (name, _), data in more.items()))
    evidence = with_bygone(heard.evidence, sent, bygone, base.pin.repository)
    return replace(situation, reading=replace(situation.reading, evidence=evidence))


def _collected(source: Source, base: Base, names: Collection[str]) -> tuple[dict[tuple[str, int], bytes], str]:
    """Reports by node and way, and what went wrong on the ways that fleet.yaml names."""
    if source == NOBODY:
        return {}, ""
    if source is not None:
        return {(name, 0): data for name, data in _way(source, base).collect(names).items() if data}, ""
    reporting = base.page.snapshot.fleet.reporting
    ways: list[Path | str] = [reporting.git] if reporting.git else []
    ways += [Path(reporting.directory)] if reporting.directory else []
    if not ways:
        return {}, "no place of reports is known: fleet.yaml names none (spec.reports), and --reports is not given"
    found: dict[tuple[str, int], bytes] = {}
    wrong = []
    for at, way in enumerate(ways):
        try:
            found |= {(name, at): data for name, data in _way(way, base).collect(names).items() if data}
        except (UnavailableError, InvalidConfigError) as error:
            wrong.append(str(error))
    return found, "; ".join(wrong)


def _way(source: Path | str, base: Base) -> "ReportTransport":
    """A folder, or a Git repository whose mirror lies in the clone's own `.git`; a person's ssh shows who asks."""
    if isinstance(source, Path):
        from edgegitops.adapters.reports_directory import ReportsDirectory

        return ReportsDirectory(source)
    from edgegitops.adapters.repository_reports import GitReports
    from edgegitops.core.model.canonical import sha256_hex

    return GitReports(base.clone.store / "edgegitops" / f"reports-{sha256_hex(source.encode())[:12]}.git", source)


# --- tags -------------------------------------------------------------------------------------------------------------


def make_tag(path: Path, desk: Desk, draft: ControlTag) -> ControlTag:
    """Sign the tag with the person's own git, and read it as a node does. DeniedError: a node would refuse it; then no
    tag is left behind.
    """
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.adapters.repository_pygit2 import MirrorObjects
    from edgegitops.adapters.tags_git import Tags
    from edgegitops.core.trust.control_message import message_of
    from edgegitops.core.trust.lookup import Lookup

    name = name_of(draft)
    git = Tags(path)
    git.sign(name, draft.target, message_of(draft, desk.repository))
    clone = Clone(path)
    lookup = Lookup(MirrorObjects(lambda: clone.odb, str(path)), TrustLimits())
    tags, refused, _ = _tags(clone, lookup, desk.signers, draft.deployment)
    made = next((one for one in tags if one.number == draft.number), None)
    if made is None or replace(draft, payload=made.payload, **_signed(made)) != made:
        git.remove(name)
        words = refused.get(f"refs/tags/{name}", "it does not say what it should")
        hint = "tags are signed with git's own settings: gpg.format=ssh and user.signingkey"
        raise DeniedError(_PORT, f"sign {name}", f"nodes would refuse it, so it was removed: {words}; {hint}")
    return made


def _signed(made: ControlTag) -> dict[str, Any]:
    return {"owner": made.owner, "key": made.key, "roles": made.roles, "roles_now": made.roles_now}


def name_of(tag: ControlTag) -> str:
    """`rollout/<deployment>/<number, 6 digits>`."""
    return f"rollout/{tag.deployment}/{tag.number:06}"


def commit_named(path: Path, name: str) -> str:
    """The commit that a name or id means."""
    from edgegitops.adapters.repository_clone import Clone

    return Clone(path).commit(name).id
