"""`edgegitops rollout restore-log`: shows control tags again that somebody took from the remote.

What it would push is shown first, with what that changes for who knows only what the remote shows; then it asks.
Nothing is signed: a tag goes back exactly as its maker signed it. Exit 1 where something stays missing.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgegitops.cli.options import CONFIG, REPORTS
from edgegitops.cli.plain_words import FORCES, visible
from edgegitops.cli.rollout_words import count, names, roles_for, sought_lines, sought_tree, tag_tree
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.control import ControlTag

if TYPE_CHECKING:
    from edgegitops.core.overview.lost_tags import Turn
    from edgegitops.core.rollout.wave_gate import Shut
    from edgegitops.workbench_restore import Archive

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_SHORT = 12


@click.command("restore-log", epilog="Example: edgegitops rollout restore-log vision-qa --from /media/stick/mirror.git")
@click.argument("deployment")
@click.argument("path", type=_FOLDER, default=".")
@click.option("--remote", default="origin", show_default=True, help="Where the tags are missing.")
@click.option(
    "--from",
    "others",
    multiple=True,
    type=_FOLDER,
    metavar="REPOSITORY",
    help="Another repository that may have them: a colleague's clone, a node's mirror.git; repeatable.",
)
@REPORTS
@click.option("--on-node", "is_at_node", is_flag=True, help="Push what the agent of this node keeps, as the node.")
@click.option("--yes", "is_sure", is_flag=True, help="Push without asking.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what it would push, and push nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/rollout-restore.schema.json).")
@CONFIG
@click.pass_context
def restore_log(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    deployment: str,
    path: Path,
    *,
    remote: str,
    others: tuple[Path, ...],
    reports: Path | str | None,
    file: str,
    is_at_node: bool,
    is_sure: bool,
    is_dry: bool,
    as_json: bool,
) -> None:
    """Push control tags of DEPLOYMENT again that the remote does not show any more.

    PATH is a clone of the fleet repository that still has them, also where only the objects are left. With --on-node it
    is this node that has them, and its credentials have to allow the push. Who knows the tags already does nothing
    else after this.
    """
    from edgegitops import bootstrap, workbench_restore

    if is_at_node:
        archive = workbench_restore.of_node(bootstrap.read_config(file), deployment)
    else:
        archive = workbench_restore.of_clone(path, deployment, remote, others, reports)
    if not as_json:
        click.echo("\n".join(_text(archive, deployment)))
    is_pushed = not is_dry and bool(archive.losses.lost) and _push(archive, is_sure=is_sure, as_json=as_json)
    if as_json:
        click.echo(json.dumps(_tree(archive, deployment, is_pushed=is_pushed), indent=2))
    is_whole = is_pushed or not archive.losses.lost
    ctx.exit(0 if is_dry or (is_whole and not archive.sought and not archive.losses.taken) else 1)


def _push(archive: "Archive", *, is_sure: bool, as_json: bool) -> bool:
    lost = archive.losses.lost
    if not is_sure:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here; --yes pushes without asking, --dry-run pushes nothing")
        if not click.confirm(f"Push {count(len(lost), 'tag')} to {archive.remote}?", err=as_json):
            return False
    for one in lost:
        archive.show(one)
        click.echo(f"Pushed {one.ref} to {archive.remote}.", err=as_json)
    return True


# --- for people -------------------------------------------------------------------------------------------------------


def _text(archive: "Archive", deployment: str) -> Iterator[str]:
    found = archive.losses
    if not found.lost and not found.taken and not archive.sought:
        yield f"{archive.remote} shows every control tag of {deployment} that is known here."
        return
    for one in found.lost:
        yield f"{_words(one.tag)}"
        yield f"  {archive.remote} does not show it; shown again it is {FORCES[_force(archive, one.tag)]}"
    for one in found.taken:
        yield f"{_words(one.tag)}"
        name = one.ref.removeprefix("refs/tags/")
        yield f"  at {archive.remote} another object is called {name}, so it cannot go back; who saw it keeps it"
    for tag in sorted(found.shown.tags, key=lambda tag: (tag.number, tag.payload)):
        now, then = (ask(tag, _roles(archive, tag)) for ask in (found.force_now, found.force_then))
        if now != then:
            yield f"{_words(tag)}"
            yield f"  for who knows only what {archive.remote} shows it is {FORCES[now]}; then {FORCES[then]}"
    for turn in archive.turns:
        yield f"wave {turn.wave}, {count(len(turn.nodes), 'node')}: {names(turn.nodes)}"
        yield f"  who knows only what {archive.remote} shows {_held(turn.before)}; then it {_held(turn.after)}"
    for gone in archive.sought:
        yield from sought_lines(gone, deployment)


def _words(tag: ControlTag) -> str:
    about = f" wave {tag.wave}" if tag.wave else ""
    reason = f": {tag.reason}" if tag.reason else ""
    return visible(
        f"{tag.number:06} {tag.kind}{about} by {tag.owner or tag.key[:_SHORT]} at {tag.target[:_SHORT]}{reason}"
    )


def _held(shut: "Shut | None") -> str:
    return visible(f"is held ({shut.reason}: {shut.detail})") if shut else "may start"


def _roles(archive: "Archive", tag: ControlTag) -> frozenset[str]:
    return roles_for(archive.desk, tag) if archive.desk is not None else frozenset()


def _force(archive: "Archive", tag: ControlTag) -> str:
    return archive.losses.force_then(tag, _roles(archive, tag))


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _tree(archive: "Archive", deployment: str, *, is_pushed: bool) -> dict[str, Tree]:
    found = archive.losses
    return {
        "deployment": deployment,
        "remote": archive.remote,
        "lost": [{**tag_tree(one.tag), "forceThen": str(_force(archive, one.tag))} for one in found.lost],
        "taken": [tag_tree(one.tag) for one in found.taken],
        "sought": [sought_tree(one) for one in archive.sought],
        "turns": [_turn_tree(one) for one in archive.turns],
        "isPushed": is_pushed,
    }


def _turn_tree(turn: "Turn") -> Tree:
    before, after = (str(one.reason) if one else None for one in (turn.before, turn.after))
    return {"wave": turn.wave, "nodes": list(turn.nodes), "before": before, "after": after}
