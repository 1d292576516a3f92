"""`edgegitops rollout approve|halt|resume|revoke|rollback|retry|hotfix`: shows what it will do, makes the signed tag.

The order is always the same: look, show, ask once, sign with the person's own git, read the tag as a node reads it, and
only then push, where that was asked for. A tag that a node would refuse is removed again. Exit 1 where it would change
nothing.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from edgegitops.cli.options import REPORTS
from edgegitops.core.model.control import ControlKind, ControlTag

if TYPE_CHECKING:
    from edgegitops.workbench_rollout import Desk

_HOTFIX = timedelta(hours=12)
_HEADS_NAMED = 500  # a tag may have 64 KiB
_EFFECT = {
    ControlKind.APPROVE: "opens wave {wave}, as far as it waits for approvals",
    ControlKind.HALT: "stops every node that has not started yet; what runs goes on",
    ControlKind.RESUME: "ends that halt",
    ControlKind.REVOKE: "bars what that revision brought until a retry; who runs it leaves it",
    ControlKind.ROLLBACK: "bars what that revision brought until a retry; who runs it leaves it",
    ControlKind.RETRY: "forgives {failures}, and ends rollbacks and revocations made before it",
    ControlKind.HOTFIX: "skips waves, soak and evidence once a second owner has made the same tag",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for; `more` are the kind's own options."""

    kind: ControlKind
    deployment: str
    path: Path
    reason: str
    expires: str
    revision: str
    reports: Path | str | None
    remote: str
    is_sure: bool
    is_dry: bool
    as_json: bool
    more: Mapping[str, Any]


def _common(kind: ControlKind) -> Callable[[Callable[..., None]], click.Command]:
    """The options that every kind has, and the road that every tag goes."""

    def made(words: Callable[..., None]) -> click.Command:
        @wraps(words)
        def run(**said: Any) -> None:  # noqa: ANN401 - what click hands over
            fields = {name: said.pop(name) for name in _FIELDS}
            _run(Wish(kind=kind, more=said, **fields))

        command = run
        for option in reversed(_OPTIONS):
            command = option(command)
        example = f"Example: edgegitops rollout {kind} {_EXAMPLES[kind]}"
        return click.command(str(kind), epilog=example)(command)

    return made


_FIELDS = (
    "deployment",
    "path",
    "reason",
    "expires",
    "revision",
    "reports",
    "remote",
    "is_sure",
    "is_dry",
    "as_json",
)
_OPTIONS = (
    click.argument("deployment"),
    click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default="."),
    click.option("--reason", required=True, help="Why, in one line; it stands in the tag for ever."),
    click.option("--expires", default="", metavar="WHEN", help="A span (24h, 7d) or an instant (2026-11-23T00:00Z)."),
    click.option("--revision", default="", metavar="REV", help="The commit it speaks of."),
    REPORTS,
    click.option(
        "--push",
        "remote",
        is_flag=False,
        flag_value="origin",
        default="",
        metavar="[REMOTE]",
        help="Fetch the remote's control tags first, and push the tag there.",
    ),
    click.option("--yes", "is_sure", is_flag=True, help="Sign, and push where --push is given, without asking."),
    click.option("--dry-run", "is_dry", is_flag=True, help="Show what it would do and make nothing."),
    click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/rollout-tag.schema.json)."),
)
_EXAMPLES = {
    ControlKind.APPROVE: "vision-qa --wave pilot --reason 'two nights clean' --expires 3d --push",
    ControlKind.HALT: "vision-qa --reason 'reject rate rises on line 4' --yes --push",
    ControlKind.RESUME: "vision-qa --reason 'it was the lighting' --push",
    ControlKind.REVOKE: "vision-qa --revision 1a2b3c4 --reason 'CVE-2026-1234' --push",
    ControlKind.ROLLBACK: "vision-qa --reason 'wrong threshold' --push",
    ControlKind.RETRY: "vision-qa --reason 'the switch was broken' --push",
    ControlKind.HOTFIX: "vision-qa --reason 'line 4 stands' --expires 4h --push",
}


@_common(ControlKind.APPROVE)
@click.option("--wave", required=True, help="The wave to approve; `rest` is the last one.")
@click.option(
    "--policy-current", "is_for_current_policy", is_flag=True, help="Let the new policy alone decide (Policy: current)."
)
def approve() -> None:
    """Approve a wave of DEPLOYMENT at a revision (default: the newest). PATH is a clone of the fleet repository.

    It lapses when a later commit changes what the wave's nodes would run.
    """


@_common(ControlKind.HALT)
def halt() -> None:
    """Halt the rollout of DEPLOYMENT: no node starts it until a resume. Any key of the trust root may."""


@_common(ControlKind.RESUME)
@click.option("--halt", "number", type=int, help="The number of the halt.  [default: the only one]")
def resume() -> None:
    """End a halt of DEPLOYMENT."""


@_common(ControlKind.REVOKE)
@click.option("--to", default="", metavar="REV", help="Where nodes that run it go, if they kept that release.")
def revoke() -> None:
    """Bar what a revision brought to DEPLOYMENT (default: the newest that changed it), for security's sake."""


@_common(ControlKind.ROLLBACK)
@click.option("--to", default="", metavar="REV", help="Where nodes that run it go, if they kept that release.")
def rollback() -> None:
    """Undo what a revision brought to DEPLOYMENT (default: the newest that changed it), on every node that runs it."""


@_common(ControlKind.RETRY)
@click.option(
    "--node",
    "only",
    multiple=True,
    metavar="SITE/NODE[@REPORT]",
    help="Forgive only this node's; with the number of a report that one, told here or not; repeatable.",
)
def retry() -> None:
    """Forgive failures of DEPLOYMENT, taken from the reports, and end its rollbacks and revocations.

    `explain` on a node that is held tells the numbers of the reports.
    """


@_common(ControlKind.HOTFIX)
@click.option("--ignore-windows", "ignores_windows", is_flag=True, help="Outside of windows too, where nodes allow it.")
def hotfix() -> None:
    """Let the newest release of DEPLOYMENT go everywhere at once. Two owners have to make this tag, 24 h at most."""


TAGGING: tuple[click.Command, ...] = (approve, halt, resume, revoke, rollback, retry, hotfix)


# --- the road of every tag --------------------------------------------------------------------------------------------


def _run(wish: Wish) -> None:
    from edgegitops import workbench_rollout as desk_of
    from edgegitops.cli import rollout_words as words
    from edgegitops.core.overview.effect import touched_by
    from edgegitops.workbench_tags import require_room

    require_room(wish.path, wish.deployment)
    notes, other = _fetched(wish)
    desk = desk_of.open_desk(wish.path, wish.deployment, wish.reports, without=other)
    draft = _draft(wish, desk)
    groups = touched_by(desk.situation, draft)
    notes += words.notes(desk, draft, groups)
    forgiven = words.count(len(draft.forgives), "failure") if draft.forgives else "no failure"
    effect = _EFFECT[wish.kind].format(wave=draft.wave, failures=forgiven)
    told = words.Told(desk, draft, tuple(desk.changes(groups)), effect, tuple(notes))
    if not wish.as_json:
        click.echo("\n".join(words.before(told)))
    if wish.is_dry:
        if wish.as_json:
            click.echo(words.json_of(told))
        return
    _ask(wish, f"Sign {desk_of.name_of(draft)}{f' and push it to {wish.remote}' if wish.remote else ''}?")
    made = desk_of.make_tag(wish.path, desk, draft)
    after = words.after(desk, made)
    for line in after:
        click.echo(line, err=wish.as_json)
    is_pushed = _push(wish, made)
    if wish.as_json:
        click.echo(words.json_of(told, made, warnings=after[1:], is_pushed=is_pushed))


def _fetched(wish: Wish) -> tuple[list[str], frozenset[str]]:
    """Fetch the tags that the remote has, so that the log and its numbers are whole. What a halt cannot have, it does
    without, and it continues no tag that nobody else will ever have: that would leave a hole which nobody can fill. The
    refs of such tags are the second answer.
    """
    from edgegitops.core.model.control import NEGATIVES
    from edgegitops.errors import DeniedError
    from edgegitops.workbench_tags import fetch_tags

    if not wish.remote:
        return [], frozenset()
    is_negative = wish.kind in NEGATIVES
    try:
        other = fetch_tags(wish.path, wish.remote, wish.deployment)
    except DeniedError as error:
        if not is_negative:
            raise
        return [f"the control tags of {wish.remote} could not be fetched: {error.message}"], frozenset()
    if not other:
        return [], other
    named = " ".join(sorted(ref.removeprefix("refs/tags/") for ref in other))
    words = f"{wish.remote} has another {named} than this clone; where yours was never pushed: git tag -d {named}"
    if not is_negative:
        raise DeniedError("git", "fetch tags", f"{words}, then say it again")
    return [f"{words}; until then nothing continues it"], other


def _ask(wish: Wish, question: str) -> None:
    if wish.is_sure:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; --yes does not ask, --dry-run makes nothing")
    click.confirm(question, abort=True, err=wish.as_json)


def _push(wish: Wish, made: ControlTag) -> bool:
    from edgegitops.errors import DeniedError
    from edgegitops.workbench_rollout import name_of
    from edgegitops.workbench_tags import push_tag

    name = name_of(made)
    if not wish.remote:
        click.echo(f"To publish it: git push origin refs/tags/{name}", err=wish.as_json)
        return False
    try:
        push_tag(wish.path, wish.remote, made)
    except (DeniedError, KeyboardInterrupt):
        click.echo(f"{name} stays in this clone. To publish it: git push {wish.remote} refs/tags/{name}", err=True)
        raise
    click.echo(f"Pushed to {wish.remote}.", err=wish.as_json)
    return True


# --- what the tag says ------------------------------------------------------------------------------------------------


def _draft(wish: Wish, desk: "Desk") -> ControlTag:
    """The tag as it will be signed."""
    reason = " ".join(wish.reason.split())
    if not reason or not reason.isprintable():
        raise click.UsageError("--reason needs some words that can be printed")
    return ControlTag(
        payload="",
        number=_number(desk),
        deployment=wish.deployment,
        kind=wish.kind,
        target=_target(wish, desk),
        owner="",
        previous=desk.situation.log.heads[:_HEADS_NAMED],
        expires_at=_expiry(wish, desk.now),
        reason=reason[:900],
        **_own(wish, desk),
    )


def _number(desk: "Desk") -> int:
    from edgegitops.core.trust.control_tags import next_number

    number = next_number(desk.numbers)
    if number is None:
        _end("numbers-used-up: every number up to 999999 is taken; remove tags that nobody signed from the repository")
    return number


def _target(wish: Wish, desk: "Desk") -> str:
    from edgegitops.core.overview.effect import EXCLUDING, excluded, newest_change
    from edgegitops.workbench_rollout import commit_named

    is_excluding = wish.kind in EXCLUDING
    target = commit_named(wish.path, wish.revision) if wish.revision else ""
    target = target or (newest_change(desk.situation) if is_excluding else desk.head)
    if desk.situation.chain.position(target) is None:
        _end(f"target-unknown: commit {target[:12]} is not on the chain that nodes believe up to {desk.head[:12]}")
    if is_excluding and not excluded(desk.situation, target):
        _end(
            f"changes-nothing: commit {target[:12]} changed {wish.deployment} on no node, so there is nothing to bar; "
            "give the commit that brought it with --revision"
        )
    return target


def _expiry(wish: Wish, now: datetime) -> datetime | None:
    from edgegitops.core.model.quantities import parse_duration
    from edgegitops.core.rollout.control_log import HOTFIX_LASTS_AT_MOST

    is_hotfix = wish.kind is ControlKind.HOTFIX
    if not wish.expires:
        return now + _HOTFIX if is_hotfix else None
    if wish.kind is ControlKind.HALT:
        raise click.UsageError("--expires: a halt does not end by itself; edgegitops rollout resume ends it")
    try:
        at = datetime.fromisoformat(wish.expires) if "T" in wish.expires else now + parse_duration(wish.expires)
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from error
    if at.tzinfo is None:
        raise click.UsageError("--expires: an instant needs its offset, such as 2026-11-23T00:00:00Z")
    at = at.astimezone(UTC).replace(microsecond=0)
    if at <= now:
        raise click.UsageError(f"--expires: {at:%Y-%m-%dT%H:%M:%SZ} is over already")
    if is_hotfix and at > now + HOTFIX_LASTS_AT_MOST:
        raise click.UsageError("--expires: a hotfix lasts 24 h at most")
    return at


def _own(wish: Wish, desk: "Desk") -> dict[str, Any]:
    """The trailers that only this kind has."""
    more = wish.more
    match wish.kind:
        case ControlKind.APPROVE:
            _check_wave(more["wave"], desk)
            return {"wave": more["wave"], "is_for_current_policy": more["is_for_current_policy"]}
        case ControlKind.RESUME:
            return {"resumes": _halt(more["number"], desk)}
        case ControlKind.REVOKE | ControlKind.ROLLBACK:
            return {"to": _refuge(wish, desk)}
        case ControlKind.RETRY:
            return {"forgives": _forgiven(more["only"], _target(wish, desk), desk)}
        case ControlKind.HOTFIX:
            return {"ignores_windows": more["ignores_windows"]}
        case ControlKind.HALT:
            return {}


def _check_wave(wave: str, desk: "Desk") -> None:
    waves = desk.situation.waves
    if wave not in waves:
        raise click.UsageError(f"there is no wave {wave!r}; there are: {', '.join(waves)}")


def _halt(number: int | None, desk: "Desk") -> str:
    halts = [one for one in desk.situation.log.halts if number in {None, one.number}]
    if not halts:
        _end("not-halted: there is no such halt that nobody has resumed; edgegitops rollout history tells all tags")
    if len(halts) > 1:
        told = ", ".join(f"--halt {one.number} ({one.owner}: {one.reason})" for one in halts)
        raise click.UsageError(f"there are several halts, and a resume ends one: {told}")
    return halts[0].payload


def _refuge(wish: Wish, desk: "Desk") -> str:
    from edgegitops.workbench_rollout import commit_named

    to = commit_named(wish.path, wish.more["to"]) if wish.more["to"] else ""
    if to and desk.situation.chain.position(to) is None:
        _end(f"target-unknown: commit {to[:12]} (--to) is not on the chain that nodes believe")
    return to


def _forgiven(only: tuple[str, ...], target: str, desk: "Desk") -> tuple[Any, ...]:
    from edgegitops.core.overview.effect import unforgiven
    from edgegitops.core.trust.control_tags import forgiven_of

    exact = {one: forgiven_of(one) for one in only if "@" in one}
    wrong = next((text for text, one in exact.items() if one is None), "")
    if wrong:
        raise click.UsageError(f"--node: {wrong!r} is not SITE/NODE@REPORT, such as ludvika/gw-1@12")
    named = tuple(dict.fromkeys(one for one in exact.values() if one is not None))
    told = tuple(one for one in unforgiven(desk.situation, target) if not only or one.node in only)
    found = (*told, *(one for one in named if one not in told))
    if not found and (only or not desk.situation.log.exclusions):
        _end(
            "nothing-to-forgive: no failure that stands in the way is told by the reports (--reports), and no rollback "
            "or revocation is in force"
        )
    return found


def _end(words: str) -> NoReturn:
    """Asked, and the answer is no."""
    click.echo(words, err=True)
    sys.exit(1)
