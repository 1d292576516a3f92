"""`edgegitops plan`: what a change of the fleet repository does to the nodes, before it is merged.

Law: what changes is decided in `core/plan`; here it is only shown: for a terminal, for a pull request, for a script.
Exit 0 whether or not something changes; 1 where a node cannot be resolved at the new revision.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgegitops.cli.plan_starts import Outlook, supposed, table
from edgegitops.cli.plan_starts import lines as starts_lines
from edgegitops.cli.plan_starts import tree as starts_tree
from edgegitops.core.model.codec import Tree, to_tree

if TYPE_CHECKING:
    from edgegitops.core.plan.compare import Change, ContainerChange, Fate
    from edgegitops.core.plan.plan import Group, Plan

_MOST_NAMED = 6
_MOST_FIELDS = 6
_MOST_FAULTS = 20


@click.command(epilog="Example: edgegitops plan origin/main...HEAD --format markdown")
@click.argument("revisions", required=False, default="")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--site", default="", help="Only the nodes of this site.")
@click.option("--node", default="", help="Only this node of the site.")
@click.option("--all", "is_all", is_flag=True, help="Every node of the fleet; the same as naming no site.")
@click.option("--at", type=click.DateTime(), help="When it would be merged (UTC), for the starts.  [default: now]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="For people, for a comment on a pull request, or for scripts (schemas/output/plan.schema.json).",
)
@click.option("--markdown", "form", flag_value="markdown", help="The same as --format markdown.")
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
def plan(  # noqa: PLR0913 - one parameter an option
    revisions: str, path: Path, site: str, node: str, *, is_all: bool, at: datetime | None, form: str
) -> None:
    """What changes on the nodes between REVISIONS of the clone at PATH (default: here).

    REVISIONS is BASE..HEAD or BASE...HEAD as git writes them; one name is the base, and the new side is the working
    directory. Without REVISIONS the base is where this branch left origin's main branch, or the last commit but one
    where nothing has changed since. Nothing is fetched, checked out or written.

    When each wave can start is reckoned with the rules that nodes follow: soaks, windows in their time zones,
    approvals.
    """
    from edgegitops.workbench import plan_directory

    if is_all and site:
        raise click.UsageError("--all and --site exclude one another")
    if node and not site:
        raise click.UsageError("--node needs --site: names of nodes are known within their site only")
    if revisions and path == Path() and Path(revisions).is_dir():
        revisions, path = "", Path(revisions)
    said = at.replace(tzinfo=UTC) if at else None
    made, begin, forecasts = plan_directory(path, revisions, site=site, node=node, at=said)
    if site and not made.nodes and not made.leaving:
        raise click.UsageError(f"there is no node {site}/{node}" if node else f"there is no site {site!r} with nodes")
    _SHOW[form](made, Outlook(begin, forecasts, _owners(path)))
    if made.faults:
        sys.exit(1)


def _owners(path: Path) -> dict[str, tuple[str, ...]]:
    """Who holds which role, by the trust root of the working directory; nobody where there is none."""
    from edgegitops import workbench_trust
    from edgegitops.errors import EdgegitopsError

    try:
        root = workbench_trust.read_standing(path).in_force
    except EdgegitopsError:
        return {}
    roles = root.roles.items() if root else ()
    return {name: tuple(root.keys[key].owner or key for key in role.keys) for name, role in roles if root}


def _text(made: "Plan", outlook: Outlook) -> None:
    click.echo(f"{made.base} -> {made.head}: {_summary(made)}")
    for group in made.groups:
        click.echo(f"\n{_title(group.change)}, on {_nodes(group.nodes)}")
        for line in _waves(group):
            click.echo(f"  {line}")
        for line in _lines(group.change):
            click.echo(f"  {line}")
    starts = list(starts_lines(outlook))
    if starts:
        click.echo("\n" + "\n".join(starts))
    notes = list(_notes(made))
    for note in notes:
        click.echo(f"\n{note}" if note is notes[0] else note)


def _markdown(made: "Plan", outlook: Outlook) -> None:
    click.echo(f"### edgegitops plan: {_summary(made)}\n\n`{_code(made.base)}` → `{_code(made.head)}`")
    if made.groups:
        click.echo("\n| change | nodes | containers | expected downtime |\n| --- | --- | --- | --- |")
        for group in made.groups:
            change = group.change
            touched = _containers(change) or "none touched"
            row = (_title(change, mark="**"), str(len(group.nodes)), _escaped(touched), _away(change))
            click.echo(f"| {' | '.join(row)} |")
        click.echo("\n<details><summary>Nodes and fields</summary>\n")
        for group in made.groups:
            click.echo(f"- {_title(group.change, mark='**')}, on {_nodes(group.nodes)}")
            for line in (*_waves(group), *_lines(group.change)):
                click.echo(f"  - {_escaped(line)}")
        click.echo("\n</details>")
        _markdown_starts(outlook)
    for note in _notes(made):
        click.echo(f"\n> {_escaped(note)}")
    if any(group.change.downtime.at_most for group in made.groups):
        click.echo(f"\n{_DOWNTIME}")


def _markdown_starts(outlook: Outlook) -> None:
    if not outlook.forecasts:
        return
    if outlook.is_at_once:
        click.echo(f"\n{next(starts_lines(outlook))}.")
        return
    click.echo("\n| deployment | wave | nodes | earliest start | waits for |\n| --- | --- | --- | --- | --- |")
    for row in table(outlook):
        click.echo(f"| {' | '.join(_escaped(cell) for cell in row)} |")
    click.echo(f"\n{supposed(outlook)}")


_DOWNTIME = (
    "Downtime is of what is replaced, from its stop until it is ready. *Typical*: programs obey their stop signal and "
    "are ready at once. *At most*: every stop takes its whole timeout and readiness the whole deadline; then the node "
    "goes back by itself. Neither was measured."
)


def _json(made: "Plan", outlook: Outlook) -> None:
    click.echo(json.dumps({**_tree(made), "starts": starts_tree(outlook)}, indent=2))


def _tree(made: "Plan") -> dict[str, Tree]:
    return {
        "base": made.base,
        "head": made.head,
        "nodes": made.nodes,
        "changes": [_group_tree(group) for group in made.groups],
        "joining": list(made.joining),
        "leaving": list(made.leaving),
        "maintenance": list(made.resting),
        "faults": [{"node": node, **to_tree(fault)} for fault, node in made.faults],
    }


def _group_tree(group: "Group") -> dict[str, Tree]:
    waves: list[Tree] = [{"name": name, "nodes": list(nodes)} for name, nodes in group.waves]
    return {**_change_tree(group.change), "nodes": list(group.nodes), "waves": waves}


def _change_tree(change: "Change") -> dict[str, Tree]:
    return {
        "deployment": change.deployment,
        "kind": str(change.kind),
        "versions": {"old": change.versions[0] or None, "new": change.versions[1] or None},
        "containers": [
            {"name": one.name, "fate": str(one.fate), "fields": list(one.fields)} for one in change.containers
        ],
        "policy": list(change.policy),
        "networks": list(change.networks),
        "volumes": {
            "new": list(change.volumes_new),
            "kept": list(change.volumes_kept),
            "deleted": list(change.volumes_lost),
            "copied": list(change.volumes_copied),
        },
        "jobs": [{"name": name, "runs": runs} for name, runs in change.jobs],
        "newAttempt": change.attempt,
        "downtime": {
            "typicalSeconds": change.downtime.typical.total_seconds(),
            "atMostSeconds": change.downtime.at_most.total_seconds(),
        },
    }


def _summary(made: "Plan") -> str:
    if not made.groups and not made.joining and not made.leaving:
        return f"nothing changes on {_count(made.nodes, 'node')}"
    touched = len({node for group in made.groups for node in group.nodes})
    fates = {str(one.fate) for group in made.groups for one in group.change.containers} - {"care"}
    counts = [(made.count(fate), fate) for fate in _fates() if fate in fates]
    parts = [f"{touched} of {_count(made.nodes, 'node')} {'changes' if touched == 1 else 'change'}"]
    parts += [f"{_count(count, 'container')} {fate}" for count, fate in counts]
    return ", ".join(parts)


def _fates() -> "list[Fate]":
    from edgegitops.core.plan.compare import Fate

    return [Fate.REPLACED, Fate.CREATED, Fate.REMOVED]


def _title(change: "Change", mark: str = "") -> str:
    old, new = change.versions
    name = f"{mark}{change.deployment}{mark}"
    match change.kind:
        case "appears":
            return f"{name} {new} appears"
        case "disappears":
            return f"{name} {old} disappears"
        case "care":
            return f"{name} {_moved(old, new)} changes, nothing restarts"
        case "policy":
            return f"{name} {_moved(old, new)} changes its policy only"
        case _:
            return f"{name} {_moved(old, new)} changes"


def _moved(old: str, new: str) -> str:
    return new if old == new else f"{old} -> {new}"


def _lines(change: "Change") -> Iterator[str]:
    from edgegitops.cli.plain_words import JOBS

    for one in change.containers:
        yield _container(one)
    yield from (f"job {name}: runs {JOBS[runs]}" for name, runs in change.jobs)
    yield from (f"policy {row}" for row in change.policy)
    if change.attempt:
        yield "metadata.attempt: nodes where this release failed try it again"
    for names, word in (
        (change.networks if change.kind == "changes" else (), "network made anew"),
        (change.volumes_new, "volume made"),
        (change.volumes_kept, "volume kept, with its data"),
        (change.volumes_copied, "volume copied while everything is stopped, which adds to the downtime"),
        (change.volumes_lost, "volume DELETED, with its data (prune.volumes: delete)"),
    ):
        if names:
            yield f"{word}: {', '.join(names)}"
    if change.downtime.at_most:
        yield f"expected downtime: {_away(change)}"


def _waves(group: "Group") -> Iterator[str]:
    """Who is in which wave; each starts after the one before has shown that it is well."""
    for number, (name, nodes) in enumerate(group.waves, 1):
        yield f"wave {name} ({number} of {len(group.waves)} that change): {_nodes(nodes)}"


def _container(one: "ContainerChange") -> str:
    more = f" and {len(one.fields) - _MOST_FIELDS} more" if len(one.fields) > _MOST_FIELDS else ""
    told = f" ({', '.join(one.fields[:_MOST_FIELDS])}{more})" if one.fields else ""
    fate = "goes on running, its care changes" if one.fate == "care" else str(one.fate)
    return f"container {one.name}: {fate}{told}"


def _containers(change: "Change") -> str:
    """Names by fate, for a cell of a table."""
    fates = dict.fromkeys(str(one.fate) for one in change.containers if one.fate != "care")
    return "; ".join(f"{', '.join(one.name for one in change.containers if one.fate == fate)} {fate}" for fate in fates)


def _away(change: "Change") -> str:
    from edgegitops.core.plan.compare import shown_span

    if change.kind == "disappears":
        return "ends for good"
    if not change.downtime.at_most:
        return "none"
    return f"{shown_span(change.downtime.typical)} typical, {shown_span(change.downtime.at_most)} at most"


def _notes(made: "Plan") -> Iterator[str]:
    if made.joining:
        yield f"New in the fleet: {_nodes(made.joining)}"
    if made.leaving:
        yield f"No longer in the fleet: {_nodes(made.leaving)}; these keep what they run and raise an alarm"
    if made.resting:
        yield f"In maintenance, so nothing starts until that ends: {_nodes(made.resting)}"
    for fault, node in made.faults[:_MOST_FAULTS]:
        at = f":{fault.position.line}:{fault.position.column}" if fault.position else ""
        yield f"{fault.file}{at}: {fault.code}: {fault.message} ({node} keeps what it runs)"
    if len(made.faults) > _MOST_FAULTS:
        yield f"{len(made.faults) - _MOST_FAULTS} more faults: edgegitops validate tells all"


def _nodes(names: Sequence[str]) -> str:
    """The first few names, how many more there are, and over how many sites."""
    if len(names) <= _MOST_NAMED:
        return ", ".join(names)
    sites = len({name.partition("/")[0] for name in names})
    first = ", ".join(names[: _MOST_NAMED - 1])
    return f"{_count(len(names), 'node')} of {_count(sites, 'site')}: {first} and {len(names) - _MOST_NAMED + 1} more"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _escaped(text: str) -> str:
    """Text from a manifest as markdown shows it: it formats nothing, links nowhere and calls nobody."""
    return re.sub(r"([\\`*<>|\[\]])", r"\\\1", text).replace("@", "&#64;")


def _code(text: str) -> str:
    return text.replace("`", "'")


_SHOW: dict[str, Callable[["Plan", Outlook], None]] = {"text": _text, "markdown": _markdown, "json": _json}
