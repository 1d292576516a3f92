"""`edgegitops rollout status` and `history`: where a rollout stands, and what people said about it.

Asked of a clone and of reports, with the functions that nodes ask. What a node keeps in its own journal is not known
here: windows, interlocks, holds of operators. Exit 1 where the rollout is halted, has too many failures, or was taken
back.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from edgegitops.cli import rollout_text
from edgegitops.cli.options import REPORTS
from edgegitops.cli.plain_words import FORCES, UNBROKEN, clock, folded, terminal_width, visible
from edgegitops.cli.rollout_words import roles_for, sought_tree, tag_tree, tally_tree
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.control import ControlKind, ControlTag

if TYPE_CHECKING:
    from edgegitops.cli.watching import View
    from edgegitops.core.overview.waves import RolloutView, Waiting, WaveView
    from edgegitops.workbench_rollout import Base, Desk

_COLOURS = {
    "held": "yellow",
    "halt": "yellow",
    "failed": "red",
    "may start": "green",
    "to do": "cyan",
    "wave": "bold",
    "reports": "red",
    "goes back": "green",
    "silent": "yellow",
}
_PATH = click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")


@click.command(epilog="Example: edgegitops rollout status vision-qa --reports /mnt/reports --watch")
@click.argument("deployment", default="")
@_PATH
@REPORTS
@click.option("--watch", "is_watching", is_flag=True, help="Look again every 5 s, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/rollout-status.schema.json).")
@click.pass_context
def status(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context, deployment: str, path: Path, *, reports: Path | str | None, is_watching: bool, as_json: bool
) -> None:
    """Where the rollout of DEPLOYMENT stands, wave by wave; of every deployment that has waves, or is being removed,
    where none is named.

    PATH is a clone of the fleet repository; it is read as far as it was fetched (origin's main branch, else HEAD).
    """
    if deployment and path == Path() and Path(deployment).is_dir():
        deployment, path = "", Path(deployment)
    look = _Look(deployment, path, reports, as_json=as_json)
    if is_watching:
        from edgegitops.cli.watching import watch

        watch(look.view, title=f"edgegitops rollout status {deployment}".strip(), as_lines=as_json)
    seen = look.seen()
    click.echo(look.text(seen))
    ctx.exit(1 if any(rollout_text.stopped(desk, view) for desk, view in seen) else 0)


@dataclass
class _Look:
    """What is asked, and what an earlier look read of the clone."""

    deployment: str
    path: Path
    reports: Path | str | None
    as_json: bool
    base: "Base | None" = None

    def seen(self) -> "list[tuple[Desk, RolloutView]]":
        """Look now."""
        from edgegitops import workbench_rollout
        from edgegitops.core.overview.waves import view_of

        self.base = workbench_rollout.open_base(self.path, self.base)
        asked = [self.deployment] if self.deployment else workbench_rollout.with_waves(self.base)
        asked += [] if self.deployment else workbench_rollout.gone_but_running(self.base, self.reports)
        desks = [workbench_rollout.open_desk(self.path, name, self.reports, self.base) for name in asked]
        return [(desk, view_of(desk.situation)) for desk in desks]

    def text(self, seen: "list[tuple[Desk, RolloutView]]") -> str:
        """For people, or as JSON."""
        if self.as_json:
            return json.dumps(self._trees(seen), indent=2)
        return "\n".join(part for line in self._lines(seen) for part in folded(line, terminal_width()))

    def _lines(self, seen: "list[tuple[Desk, RolloutView]]") -> list[str]:
        """A rollout after the other, with an empty line between them."""
        told = [line for one in seen for line in ("", *rollout_text.lines(*one))]
        return told[1:] or ["no deployment has waves"]

    def view(self) -> "View":
        """One look for who watches."""
        from edgegitops.cli.watching import View

        seen = self.seen()
        key = json.dumps(self._trees(seen))
        lines = [key] if self.as_json else self._lines(seen)
        at = self.base.now if self.base else seen[0][0].now
        width = UNBROKEN if self.as_json else terminal_width()
        return View(at, [Text(part, style=_style(line)) for line in lines for part in folded(line, width)], key)

    def _trees(self, seen: "list[tuple[Desk, RolloutView]]") -> Tree:
        trees: list[Tree] = [_tree(*one) for one in seen]
        return trees[0] if self.deployment else trees


def _style(line: str) -> str:
    return next((style for word, style in _COLOURS.items() if line.lstrip().startswith(word)), "")


def view_lines(deployment: str, path: Path, reports: Path | str | None) -> list[str]:
    """The rollout as `status` shows it to people, line by line."""
    from edgegitops import workbench_rollout
    from edgegitops.core.overview.waves import view_of

    desk = workbench_rollout.open_desk(path, deployment, reports)
    return list(rollout_text.lines(desk, view_of(desk.situation)))


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _tree(desk: "Desk", view: "RolloutView") -> dict[str, Tree]:
    log, sought = desk.situation.log, rollout_text.sought_of(desk)
    return {
        "deployment": desk.situation.deployment,
        "revision": view.revision,
        "isThrough": view.is_through,
        "unheard": desk.unheard or None,
        "waves": [_wave_tree(desk, wave) for wave in view.waves],
        "leaving": [_waiting_tree(desk, one) for one in view.leaving],
        "log": {
            "heads": list(log.heads),
            "isForked": len(log.heads) > 1,
            "missing": [one.payload for one in sought],
            "sought": [sought_tree(one) for one in sought],
            "refused": [{"ref": ref, "why": why} for ref, why in desk.refused.items()],
        },
    }


def _wave_tree(desk: "Desk", wave: "WaveView") -> Tree:
    return {
        **tally_tree(wave.tally),
        "missing": [{"node": node, "why": str(lack)} for node, lack in wave.missing],
        "waiting": [_waiting_tree(desk, waiting) for waiting in wave.waiting],
    }


def _waiting_tree(desk: "Desk", waiting: "Waiting") -> Tree:
    shut = waiting.shut
    needs: Tree = None
    if shut is not None and shut.approvals:
        owners = sorted({name for role in shut.roles for name in desk.holders(role)})
        needs = {
            "wave": shut.wave,
            "count": shut.approvals,
            "roles": list(shut.roles),
            "owners": list(owners),
            "isAboutPolicy": shut.is_about_policy,
        }
    return {
        "nodes": list(waiting.nodes),
        "mayStart": shut is None,
        "cause": waiting.cause or None,
        "reason": str(shut.reason) if shut else None,
        "detail": shut.detail if shut else None,
        "approval": needs,
        "opensAt": to_tree(waiting.opens_at) if waiting.opens_at else None,
    }


# --- history ----------------------------------------------------------------------------------------------------------


@click.command(epilog="Example: edgegitops rollout history vision-qa")
@click.argument("deployment")
@_PATH
@click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/rollout-history.schema.json).")
def history(deployment: str, path: Path, *, as_json: bool) -> None:
    """All control tags of DEPLOYMENT that the clone at PATH has, and what each does now."""
    from edgegitops import workbench_rollout

    desk = workbench_rollout.open_desk(path, deployment, workbench_rollout.NOBODY)
    tags = sorted(desk.situation.log.tags, key=lambda tag: (tag.number, tag.payload))
    if as_json:
        click.echo(json.dumps({"deployment": deployment, "tags": [_tag_tree(desk, tag) for tag in tags]}, indent=2))
        return
    for tag in tags:
        click.echo("\n".join(_tag_lines(desk, tag)))
    for line in list(rollout_text.log_lines(desk)) or ["nobody has tagged this deployment"]:
        click.echo(line)


def _force(desk: "Desk", tag: ControlTag) -> str:
    from edgegitops.core.overview.waves import Force, force_of, is_lapsed

    force = force_of(desk.situation.log, tag, roles_for(desk, tag))
    return Force.LAPSED if force is Force.IN_FORCE and is_lapsed(desk.situation, tag) else force


def _tag_lines(desk: "Desk", tag: ControlTag) -> Iterator[str]:
    about = f" wave {tag.wave}" if tag.wave else ""
    owner = tag.owner or tag.key[:12]
    yield visible(f"{tag.number:06} {tag.kind}{about} by {owner} at {tag.target[:12]}: {FORCES[_force(desk, tag)]}")
    if tag.reason:
        yield visible(f"       {tag.reason}")
    if tag.kind is ControlKind.RETRY and tag.forgives:
        yield f"       forgives {', '.join(f'{one.node}@{one.sequence}' for one in tag.forgives)}"
    if tag.expires_at:
        yield f"       expires {clock(tag.expires_at)}"


def _tag_tree(desk: "Desk", tag: ControlTag) -> Tree:
    return {
        **tag_tree(tag),
        "expiresAt": to_tree(tag.expires_at) if tag.expires_at else None,
        "previous": list(tag.previous),
        "forgives": [f"{one.node}@{one.sequence}" for one in tag.forgives],
        "resumes": tag.resumes or None,
        "to": tag.to or None,
        "force": _force(desk, tag),
    }
