"""`edgegitops fleet status`: what every node runs, who is in trouble, who is silent. Sums first, troubles first.

A small fleet is told node by node; of a large one only troubles and silence, unless `--all` asks for every node: the
others are in the sums. With `--check` exit 1 says that a node is in trouble or silent.
"""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from edgegitops.cli.options import REPORTS
from edgegitops.cli.plain_words import SHORT, span, terminal_width, visible
from edgegitops.cli.rollout_words import count, names
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.waves import ABSENT

if TYPE_CHECKING:
    from edgegitops.core.overview.fleet import Placed, Row, Share
    from edgegitops.workbench_fleet import Filter, Fleet

_SMALL = 20
_INDENT = 4
_HEAD = "bold"
_LOOKED_AT = frozenset({"trouble", "silent", "no-report-key"})
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_COLOURS = {
    "trouble": "red",
    "silent": "yellow",
    "under-way": "cyan",
    "as-wanted": "green",
    "failed": "red",
    "not-healthy": "red",
    "changing": "cyan",
    "waiting": "cyan",
}
_WORDS = {
    "trouble": "in trouble",
    "silent": "silent",
    "under-way": "under way",
    "as-wanted": "as wanted",
    "no-report-key": "without a report key",
}
_ALONE = {"no-report-key": "no report key"}
"""Shorter words for a row of its own: it fits on a terminal of 80 columns."""
_COURSES = {
    "failed": "failed",
    "not-healthy": "not healthy",
    "changing": "changing",
    "waiting": "waiting",
    "to-be-removed": "to be removed",
    "as-wanted": "as wanted",
}


@click.command(epilog="Example: edgegitops fleet status --reports /mnt/reports --select 'region=emea' --watch")
@click.argument("path", type=_FOLDER, default=".")
@REPORTS
@click.option("--site", default="", help="Only the nodes of this site.")
@click.option("--select", "selector", default="", metavar="SELECTOR", help="Only the nodes that it selects, by tags.")
@click.option("--deployment", default="", help="Only this deployment, and the nodes that should run it.")
@click.option("--silent-after", default="45m", show_default=True, metavar="SPAN", help="When a node counts as silent.")
@click.option("--all", "is_all", is_flag=True, help="Tell every node, also those that are as wanted.")
@click.option("--check", is_flag=True, help="Exit with 1 where a node is in trouble or silent.")
@click.option("--watch", "is_watching", is_flag=True, help="Look again every 5 s, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/fleet-status.schema.json).")
@click.pass_context
def status(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    path: Path,
    *,
    reports: Path | str | None,
    site: str,
    selector: str,
    deployment: str,
    silent_after: str,
    is_all: bool,
    check: bool,
    is_watching: bool,
    as_json: bool,
) -> None:
    """What every node of the fleet runs and how that is, as the nodes reported it.

    PATH is a clone of the fleet repository: it says what every node should run, as far as it was fetched.
    """
    from edgegitops import workbench_fleet
    from edgegitops.cli.watching import View, watch
    from edgegitops.workbench_rollout import open_base

    asked, patience = _filter(site, selector, deployment), _span(silent_after)
    base = None

    def look() -> "Fleet":
        nonlocal base
        base = open_base(path, base)
        return workbench_fleet.look(reports, asked, patience, base)

    def view() -> View:
        found = look()
        tree = _tree(found)
        if as_json:
            text = json.dumps(tree)
            return View(found.now, [Text(text)], _key(tree))
        return View(found.now, _lines(found, width=terminal_width(), is_all=is_all), _key(tree))

    if is_watching:
        watch(view, title="edgegitops fleet status", as_lines=as_json)
    found = look()
    if as_json:
        click.echo(json.dumps(_tree(found), indent=2))
    else:
        console = Console(highlight=False, width=terminal_width())
        for line in _lines(found, width=terminal_width(), is_all=is_all):
            console.print(line, soft_wrap=True)
    is_bad = any(row.standing in {"trouble", "silent"} for row in found.rows)
    ctx.exit(1 if check and is_bad else 0)


def _filter(site: str, selector: str, deployment: str) -> "Filter":
    from edgegitops.core.desired.selectors import parse_selector
    from edgegitops.core.model.faults import Fault
    from edgegitops.workbench_fleet import Filter

    parsed = parse_selector(selector) if selector else None
    if isinstance(parsed, Fault):
        raise click.UsageError(f"--select: {parsed.message}; expected {parsed.expected}")
    return Filter(site, parsed, deployment)


def _span(text: str) -> timedelta:
    from edgegitops.core.model.quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--silent-after: {error}") from error


# --- for people -------------------------------------------------------------------------------------------------------


def _lines(fleet: "Fleet", *, width: int, is_all: bool) -> list[Text]:
    """The sums, what runs where, and the nodes that somebody should look at."""
    head = [_sums(fleet), *(Text(visible(one), "yellow") for one in (fleet.behind, fleet.unheard) if one)]
    found = [*(row for one in head for row in one.wrap(Console(), width)), Text()]
    if not fleet.rows:
        return [Text("no node is asked for")]
    is_whole = is_all or len(fleet.rows) <= _SMALL
    told = [row for row in fleet.rows if is_whole or row.standing in _LOOKED_AT]
    for rows in (_releases(fleet), _nodes(fleet, told)):
        found += [*_aligned(rows, width), Text()] if len(rows) > 1 else []
    left = len(fleet.rows) - len(told)
    if left:
        found.append(Text(f"{count(left, 'more node')}: --all tells each of them", "dim"))
    while found and not found[-1].plain:
        found.pop()
    return found


def _sums(fleet: "Fleet") -> Text:
    standings = Counter(str(row.standing) for row in fleet.rows)
    sites = len({row.post.name.partition("/")[0] for row in fleet.rows})
    told = Text(f"{count(len(fleet.rows), 'node')} of {count(sites, 'site')} at {fleet.revision[:SHORT]}: ", "bold")
    parts = [
        (f"{standings[name]} {words}", _COLOURS.get(name, "")) for name, words in _WORDS.items() if standings[name]
    ]
    told.append_text(Text(", ").join(Text(words, style) for words, style in parts))
    resting = sum(1 for row in fleet.rows if row.post.is_resting)
    return told.append(f", {resting} in maintenance") if resting else told


@dataclass(frozen=True, slots=True)
class _Cells:
    """A row of a table; `below` are lines that stand below it."""

    cells: tuple[str, ...]
    style: str = ""
    below: tuple[tuple[str, str], ...] = ()


def _aligned(rows: Sequence[_Cells], width: int) -> Iterator[Text]:
    """The rows in columns; the last column takes its style, and what does not fit goes on below, indented."""
    widths = [max(map(len, column)) for column in zip(*(row.cells for row in rows), strict=True)]
    for row in rows:
        *first, last = row.cells
        head = "".join(f"{cell:<{size}}  " for cell, size in zip(first, widths, strict=False))
        yield from _hanging(head, last, row.style, width)
        for text, style in row.below:
            yield from _hanging(" " * _INDENT, text, style, width)


def _hanging(head: str, text: str, style: str, width: int) -> Iterator[Text]:
    indent = " " * (len(head) if len(head) < width // 2 else _INDENT)
    parts = textwrap.wrap(head + text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
    for at, part in enumerate(parts):
        line = Text(part.rstrip())
        line.stylize(style, 0 if at or style == _HEAD else len(head))
        yield line


def _releases(fleet: "Fleet") -> list[_Cells]:
    from edgegitops.core.overview.fleet import shares

    rows = [_Cells(("deployment", "release", "nodes", "how"), _HEAD)]
    last = ""
    for one in shares(fleet.rows):
        who = () if one.course == "as-wanted" else ((names(one.nodes), ""),)
        name = one.deployment if one.deployment != last else ""
        release = _release(fleet, one.deployment, one.digest, is_whole=True)
        cells = (name, release, f"{len(one.nodes):>5}", _course(one.course, one.hold))
        rows.append(_Cells(cells, _COLOURS.get(str(one.course), ""), who))
        last = one.deployment
    return rows


def _nodes(fleet: "Fleet", told: "Sequence[Row]") -> list[_Cells]:
    rows = [_Cells(("node", "report", "deployment", "release", "how"), _HEAD)]
    for row in told:
        report = f"{span(row.age)} ago" if row.age is not None else "none"
        notes = tuple((visible(note), style) for note, style in _notes(fleet, row))
        alone = (("", "", _ALONE.get(row.standing, _WORDS[row.standing]), _COLOURS.get(str(row.standing), "")),)
        cells = [_placed_cells(fleet, one) for one in row.placed] or alone
        for at, (name, release, how, style) in enumerate(cells):
            seat = (row.post.name, report) if not at else ("", "")
            below = notes if at == len(cells) - 1 else ()
            rows.append(_Cells((*seat, name, release, how), style, below))
    return rows


def _placed_cells(fleet: "Fleet", one: "Placed") -> tuple[str, str, str, str]:
    digest = one.told.digest if one.told else ABSENT
    return one.name, _release(fleet, one.name, digest), _how(fleet, one), _COLOURS.get(str(one.course), "")


def _release(fleet: "Fleet", deployment: str, digest: str, *, is_whole: bool = False) -> str:
    """The version, with its digest where that is asked for, or where no version is known."""
    if digest == ABSENT:
        return "-"
    version = fleet.versions.get((deployment, digest), "")
    short = f"@{digest[:SHORT]}"
    return f"{version} {short}" if version and is_whole else version or short


def _course(course: str, hold: str) -> str:
    return visible(f"{_COURSES[course]} ({hold})" if hold else _COURSES[course])


def _how(fleet: "Fleet", one: "Placed") -> str:
    told = one.told
    text = _course(one.course, ", ".join(told.holds) if told else "")
    if one.course in {"waiting", "changing"} and one.wanted != ABSENT:
        wanted = _release(fleet, one.name, one.wanted)
        is_same_name = told is not None and wanted == _release(fleet, one.name, told.digest)
        text += f", wanted {_release(fleet, one.name, one.wanted, is_whole=is_same_name)}"
    if told is not None and one.course == "as-wanted":
        text += f" for {span(told.soaked_for)}"
    return text


def _notes(fleet: "Fleet", row: "Row") -> Iterator[tuple[str, str]]:
    """What stands beside the deployments of a node."""
    yield from ((doubt, "red") for doubt in row.doubts)
    if row.report is not None:
        yield from ((f"alarm {alarm}", "red") for alarm in row.report.alarms)
        for one in row.placed:
            for failure in one.told.failures if one.told else ():
                release = _release(fleet, one.name, failure.digest)
                yield f"{one.name} {release} failed: {failure.reason}", "red"
        behind = fleet.distance(row.report.floor)
        if behind:
            yield f"believes a commit {behind} before the newest", ""
    if row.standing == "silent" and row.report is not None:
        yield "silent: nothing newer is known", "yellow"
    if row.post.is_resting:
        yield "in maintenance", ""


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _tree(fleet: "Fleet") -> dict[str, Tree]:
    from edgegitops.core.overview.fleet import Standing, shares

    standings = Counter(str(row.standing) for row in fleet.rows)
    return {
        "at": to_tree(fleet.now),
        "revision": fleet.revision,
        "notBelieved": fleet.behind or None,
        "unheard": fleet.unheard or None,
        "sums": {str(one): standings[one] for one in Standing},
        "releases": [_share_tree(fleet, one) for one in shares(fleet.rows)],
        "nodes": [_row_tree(fleet, row) for row in fleet.rows],
    }


def _key(tree: dict[str, Tree]) -> str:
    """What a look says apart from the time that passes."""
    nodes: Any = tree["nodes"]
    still = [{key: value for key, value in one.items() if key not in _PASSING} for one in nodes]
    for one in still:
        one["deployments"] = [{**each, "soakedSeconds": 0} for each in one["deployments"]]
    return json.dumps([tree["sums"], tree["revision"], still])


_PASSING = frozenset({"reportedAt", "ageSeconds", "sequence"})


def _share_tree(fleet: "Fleet", one: "Share") -> Tree:
    return {
        "deployment": one.deployment,
        "digest": None if one.digest == ABSENT else one.digest,
        "version": fleet.versions.get((one.deployment, one.digest)),
        "course": str(one.course),
        "holds": one.hold.split(", ") if one.hold else [],
        "nodes": list(one.nodes),
    }


def _row_tree(fleet: "Fleet", row: "Row") -> Tree:
    report = row.report
    return {
        "node": row.post.name,
        "tags": dict(sorted(row.post.tags.items())),
        "standing": str(row.standing),
        "isInMaintenance": row.post.is_resting,
        "reportedAt": to_tree(report.issued_at) if report else None,
        "ageSeconds": row.age.total_seconds() if row.age is not None else None,
        "sequence": report.sequence if report else None,
        "believes": report.floor if report else None,
        "commitsBehind": fleet.distance(report.floor) if report else None,
        "alarms": list(report.alarms) if report else [],
        "doubts": list(row.doubts),
        "deployments": [_placed_tree(fleet, one) for one in row.placed],
    }


def _placed_tree(fleet: "Fleet", one: "Placed") -> Tree:
    told = one.told
    return {
        "name": one.name,
        "course": str(one.course),
        "state": str(told.state) if told else None,
        "digest": told.digest if told and told.digest != ABSENT else None,
        "version": fleet.versions.get((one.name, told.digest)) if told else None,
        "wanted": None if one.wanted == ABSENT else one.wanted,
        "wantedVersion": fleet.versions.get((one.name, one.wanted)),
        "soakedSeconds": told.soaked_for.total_seconds() if told else 0.0,
        "holds": list(told.holds) if told else [],
        "failures": [
            {"revision": each.revision, "digest": each.digest, "sequence": each.sequence, "reason": each.reason}
            for each in (told.failures if told else ())
        ],
    }
