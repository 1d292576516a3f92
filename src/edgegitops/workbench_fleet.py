"""Joins adapters to a look at the whole fleet: a clone says what should be, reports say what is. It decides nothing.

A clone is read as for `rollout status`: verified, as far as it was fetched. DeniedError: no clone, or nothing believed
in it; UnavailableError: the reports cannot be read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edgegitops import workbench_rollout
from edgegitops.core.model.waves import ABSENT

if TYPE_CHECKING:
    from edgegitops.core.history import History
    from edgegitops.core.model.report import Statement
    from edgegitops.core.model.selector import Selector
    from edgegitops.core.overview.fleet import Post, Row
    from edgegitops.core.rollout.evidence import Evidence

_ROAD = 20
"""So many revisions back older report keys are looked for."""
_OLDER_KEY = "it is signed with the key that this node had before; it has not fetched, or not got, the one that it has"


@dataclass(frozen=True)
class Filter:
    """Of whom is asked: all nodes, those of a site, those that a selector selects; and of which deployment."""

    site: str = ""
    selector: "Selector | None" = None
    deployment: str = ""


@dataclass(frozen=True)
class Fleet:
    """The fleet at one look; `versions` maps (deployment, digest) to the application's version where that is known,
    `unheard` is why reports could not be had.
    """

    now: datetime
    revision: str
    behind: str
    rows: "tuple[Row, ...]"
    versions: dict[tuple[str, str], str]
    places: dict[str, int]
    unheard: str = ""

    def distance(self, commit: str) -> int | None:
        """How many commits a believed commit is behind the newest that this clone believes; None where unknown."""
        at = self.places.get(commit)
        return None if at is None else len(self.places) - 1 - at


def look(
    reports: workbench_rollout.Source, asked: Filter, silent_after: timedelta, base: workbench_rollout.Base
) -> Fleet:
    """One look at what was read of a clone."""
    from edgegitops.core.overview.fleet import Question, rows_of

    heard = workbench_rollout.evidence_of(reports, base)
    evidence, refused = _with_older_keys(heard, base)
    posts = list(_posts(base.history, asked))
    rows = rows_of(posts, evidence, Question(base.now, silent_after, refused, asked.deployment))
    versions = _versions(base.history, rows)
    return Fleet(base.now, base.floor.commit, base.doubt, rows, versions, base.history.places, heard.wrong)


def _with_older_keys(heard: workbench_rollout.Heard, base: workbench_rollout.Base) -> "tuple[Evidence, dict[str, str]]":
    """What is known, with the reports of nodes that sign with a key that they had a while ago: such a node is not
    silent. Why its good news does not count stays told.
    """
    from edgegitops.core.witness import read_sent

    refused = dict(heard.refused)
    left = [(name, data) for name, data in heard.sent if name in refused and name not in heard.evidence.latest]
    found: set[Statement] = set()
    newest = len(base.history.commits) - 1
    for at in range(newest - 1, max(newest - _ROAD, 0) - 1, -1):
        page = base.history.page(at) if left else None
        keys = page.report_keys if page is not None else {}
        said, _ = read_sent([(name, data) for name, data in left if name in keys], keys, base.pin.repository)
        known = {one.report.name for one in said}
        left = [(name, data) for name, data in left if name not in known]
        refused |= dict.fromkeys(known, _OLDER_KEY)
        found |= said
    return heard.evidence.with_more(found), refused


def _posts(history: "History", asked: Filter) -> "Iterator[Post]":
    from edgegitops.core.desired.editions import seats
    from edgegitops.core.desired.selectors import matches
    from edgegitops.core.overview.fleet import Post

    snapshot = workbench_rollout.newest_page(history).snapshot
    newest = len(history.commits) - 1
    names = [name for name in snapshot.deployments if asked.deployment in {"", name}]
    editions = {name: history.chain(name).edition(newest) for name in names}
    for seat, target in seats(snapshot):
        site, _, node = seat.partition("/")
        if asked.site not in {"", site} or (asked.selector is not None and not matches(asked.selector, target.tags)):
            continue
        keys = snapshot.keys.get(site)
        own = keys.nodes.get(node) if keys else None
        wanted = {name: edition.digest(seat) for name, edition in editions.items()}
        wanted = {name: digest for name, digest in wanted.items() if digest != ABSENT}
        if asked.deployment and not wanted:
            continue
        yield Post(seat, target.tags, bool(own and own.report), target.node.is_in_maintenance, wanted)


def _versions(history: "History", rows: "tuple[Row, ...]") -> dict[tuple[str, str], str]:
    """The versions of what runs and of what should, each release asked for once, at the revision that is told of it."""
    asked: dict[tuple[str, str], str] = {}
    newest = history.commits[-1][0]
    for row in rows:
        for one in row.placed:
            asked[one.name, one.wanted] = newest
            if one.told is not None and one.told.revision:
                asked.setdefault((one.name, one.told.digest), one.told.revision)
    found = ((key, _version(history, key[0], revision)) for key, revision in asked.items())
    return {key: version for key, version in found if version}


def _version(history: "History", deployment: str, revision: str) -> str:
    at = history.places.get(revision)
    page = history.library.page(history.commits[at][1]) if at is not None else None
    manifest = page.snapshot.deployments.get(deployment) if page else None
    application = page.snapshot.applications.get(manifest.application) if page and manifest else None
    return application.version if application else ""
