"""Law: the fleet is what its nodes reported; who says nothing is silent, never well.

1. Each node's word is its newest report that its own key signed. What it should run is worked out from the newest
   valid revision, never from a report.
2. A node is, in this order: in trouble (something failed or is not healthy, an alarm stands, or it told two things
   under one number), silent (no report, or none for too long), under way (a change goes on, or waits), or as wanted.
3. A node without a report key cannot speak: it is counted apart.
4. An age is told by the clock of who asks. A report from the future is trouble: that node's clock is wrong.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from edgegitops.core.model.report import Report, ReportedDeployment, ReportedState
from edgegitops.core.model.waves import ABSENT
from edgegitops.core.rollout.evidence import AHEAD, Evidence

SILENT_AFTER = timedelta(minutes=45)


class Standing(StrEnum):
    """How a node is, the worst first."""

    TROUBLE = "trouble"
    SILENT = "silent"
    UNDER_WAY = "under-way"
    AS_WANTED = "as-wanted"
    VOICELESS = "no-report-key"


class Course(StrEnum):
    """How one deployment is on a node that reported."""

    FAILED = "failed"
    UNHEALTHY = "not-healthy"
    CHANGING = "changing"
    WAITING = "waiting"
    LEAVING = "to-be-removed"
    AS_WANTED = "as-wanted"


_BAD = frozenset({ReportedState.UNHEALTHY, ReportedState.STUCK, ReportedState.REVERTED})


@dataclass(frozen=True, slots=True)
class Post:
    """A node of the newest valid revision: its tags, whether it has a report key, whether it is in maintenance, and the
    release digest that each deployment should have there.
    """

    name: str
    tags: Mapping[str, str]
    has_key: bool
    is_resting: bool
    wanted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Placed:
    """One deployment on one node: what is told of it (None: nothing), what it should be, and how it goes."""

    name: str
    told: ReportedDeployment | None
    wanted: str
    course: Course


@dataclass(frozen=True, slots=True)
class Row:
    """One node, with its newest report. `doubts` are words on why its good news does not count."""

    post: Post
    standing: Standing
    report: Report | None = None
    placed: tuple[Placed, ...] = ()
    doubts: tuple[str, ...] = ()
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the instant, after how long without a report a node counts as silent, and why the report of a node
    was refused, by node.
    """

    now: datetime
    silent_after: timedelta = SILENT_AFTER
    refused: Mapping[str, str] = field(default_factory=dict)
    deployment: str = ""


def rows_of(posts: Iterable[Post], evidence: Evidence, asked: Question) -> tuple[Row, ...]:
    """Every node, troubles first, then by name."""
    liars = {name for name, _ in evidence.liars}
    found = [_row(post, evidence.latest.get(post.name), asked, is_liar=post.name in liars) for post in posts]
    order = list(Standing)
    return tuple(sorted(found, key=lambda row: (order.index(row.standing), row.post.name)))


def _row(post: Post, report: Report | None, asked: Question, *, is_liar: bool) -> Row:
    doubts = [f"a report was refused: {asked.refused[post.name]}"] if post.name in asked.refused else []
    if report is None:
        standing = Standing.SILENT if post.has_key else Standing.VOICELESS
        return Row(post, standing, doubts=tuple(doubts))
    age = asked.now - report.issued_at
    if is_liar:
        doubts.append("it told two things under one number, so nothing good of it counts")
    if age < -AHEAD:
        doubts.append("its report is from the future: is its clock right?")
    placed = tuple(_placed(post, report, asked.deployment))
    return Row(post, _standing(report, placed, doubts, age > asked.silent_after), report, placed, tuple(doubts), age)


def _standing(report: Report, placed: Iterable[Placed], doubts: Iterable[str], is_old: bool) -> Standing:  # noqa: FBT001 - private
    courses = {one.course for one in placed}
    if courses & {Course.FAILED, Course.UNHEALTHY} or report.alarms or any(True for _ in doubts):
        return Standing.TROUBLE
    if is_old:
        return Standing.SILENT
    is_moving = bool(courses - {Course.AS_WANTED})
    is_held = any(one.told is not None and one.told.holds for one in placed)
    return Standing.UNDER_WAY if is_moving or is_held else Standing.AS_WANTED


def _placed(post: Post, report: Report, only: str) -> Iterator[Placed]:
    for name in sorted(post.wanted.keys() | report.deployments.keys()):
        told, wanted = report.deployments.get(name), post.wanted.get(name, ABSENT)
        is_here = told is not None and (told.digest != ABSENT or told.failures or told.holds)
        if only in {"", name} and (wanted != ABSENT or is_here):
            yield Placed(name, told, wanted, _course(told, wanted))


def _course(told: ReportedDeployment | None, wanted: str) -> Course:
    running = told.digest if told is not None else ABSENT
    if told is not None and any(one.digest == wanted for one in told.failures):
        return Course.FAILED
    if told is not None and told.state in _BAD:
        return Course.FAILED if told.state is ReportedState.STUCK else Course.UNHEALTHY
    if told is not None and told.state is ReportedState.CHANGING:
        return Course.CHANGING
    if running == wanted:
        return Course.AS_WANTED
    return Course.LEAVING if wanted == ABSENT else Course.WAITING


@dataclass(frozen=True, slots=True)
class Share:
    """How many nodes run one release of a deployment the same way; `digest` ABSENT: they run none of it."""

    deployment: str
    digest: str
    course: Course
    hold: str
    nodes: tuple[str, ...]


def shares(rows: Iterable[Row]) -> tuple[Share, ...]:
    """What runs where, by deployment: the release that most have as wanted first, then the rest by their number."""
    found: dict[tuple[str, str, Course, str], list[str]] = {}
    for row in rows:
        for one in row.placed:
            told = one.told
            hold = ", ".join(told.holds) if told else ""
            key = (one.name, told.digest if told else ABSENT, one.course, hold)
            found.setdefault(key, []).append(row.post.name)
    made = [Share(*key, tuple(names)) for key, names in found.items()]
    return tuple(sorted(made, key=_rank))


def _rank(share: Share) -> tuple[str, bool, int, str, str]:
    is_off = share.course is not Course.AS_WANTED
    return share.deployment, is_off, -len(share.nodes), share.course, share.digest


def selected(rows: Iterable[Row], is_asked: Callable[[Post], bool]) -> tuple[Row, ...]:
    """Those of whom somebody asks."""
    return tuple(row for row in rows if is_asked(row.post))
