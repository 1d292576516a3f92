"""`edgegitops render`: what the nodes of a site are told by the fleet repository as it stands here, and why.

Law: what is told is decided by the same resolution that a node runs; here it is only shown. Defaults are not written,
as they are no part of the digest. Exit 1 where something cannot be resolved for one of the nodes.
"""

import json
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgegitops.core.model.codec import Tree, to_tree

if TYPE_CHECKING:
    from edgegitops.core.desired.why import Reason, Reasons
    from edgegitops.core.model.faults import Fault
    from edgegitops.core.model.release import Release
    from edgegitops.core.plan.look import Seat, View

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*(?::[A-Za-z0-9_./@-]+)*\Z")
_NOT_PLAIN = re.compile(r"(?:true|false|null|yes|no|on|off|y|n)\Z", re.IGNORECASE)
_LONGEST_VALUE = 60
_MOST_NAMED = 12


@click.command(epilog="Example: edgegitops render --site goteborg-1 --node gw-line --why fleet")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--site", required=True, help="The site.")
@click.option("--node", default="", help="Only this node of the site.")
@click.option("--deployment", default="", help="Only this deployment.")
@click.option("--why", is_flag=True, help="Where each value and field came from: level, file, line, column.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json", "canonical"]),
    default="yaml",
    show_default=True,
    help="For people, for scripts (schemas/output/render.schema.json), or the exact bytes whose SHA-256 is the "
    "release digest, where --node and --deployment name one release.",
)
def render(path: Path, site: str, node: str, deployment: str, *, why: bool, form: str) -> None:  # noqa: PLR0913 - options
    """What the nodes of a site are told by the fleet repository at PATH (default: here), with digests.

    A container is replaced when its own digest changes; the release is known by its digest.
    """
    from edgegitops.workbench import view_directory

    view = view_directory(path)
    seats = list(view.seats(site, node))
    if not seats:
        raise click.UsageError(_unknown(view, site, node))
    rendered = [_Rendered(view, seat, deployment) for seat in seats]
    if deployment and not any(one.releases or one.faults for one in rendered):
        raise click.UsageError(f"no deployment {deployment!r} selects {'this node' if node else 'a node of the site'}")
    match form:
        case "canonical":
            _canonical(rendered)
        case "json":
            click.echo(json.dumps({"nodes": [one.tree(why=why) for one in rendered]}, indent=2))
        case _:
            _text(rendered, path, why=why)
    if any(one.faults for one in rendered):
        sys.exit(1)


def _unknown(view: "View", site: str, node: str) -> str:
    """That there is no such place, and which there are."""
    nodes = sorted({seat.node.name for seat in view.seats(site)})
    known = nodes or sorted({seat.site.name for seat in view.seats()})
    near = get_close_matches(node if nodes else site, known, n=1)
    words = f"there is no node {site}/{node}" if nodes else f"there is no site {site!r} with nodes"
    told = f"did you mean {near[0]}?" if near else f"known are {', '.join(known[:_MOST_NAMED]) or 'none'}"
    return f"{words}; {told}{' …' if not near and len(known) > _MOST_NAMED else ''}"


class _Rendered:
    """One node's answer."""

    def __init__(self, view: "View", seat: "Seat", deployment: str) -> None:
        releases, self.faults = view.releases(seat)
        self.seat = seat
        self.releases: list[Release] = [one for name, one in releases.items() if deployment in {"", name}]
        self.reasons: dict[str, Reasons] = view.reasons(seat)

    def tree(self, *, why: bool) -> dict[str, Tree]:
        """The answer as JSON."""
        rows = [self._release(release, why=why) for release in self.releases]
        return {
            "site": self.seat.site.name,
            "node": self.seat.node.name,
            "deployments": rows,
            "faults": [to_tree(fault) for fault in self.faults],
        }

    def _release(self, release: "Release", *, why: bool) -> dict[str, Tree]:
        spec = release.spec
        row: dict[str, Tree] = {
            "deployment": release.deployment,
            "version": release.version,
            "digest": release.digest,
            "containers": {name: spec.container_digest(name) for name in sorted(spec.containers)},
            "spec": to_tree(spec),
            "policy": to_tree(release.policy),
        }
        if why:
            reasons = self.reasons[release.deployment]
            row["why"] = {
                "values": [_reason(one) for one in reasons.values],
                "fields": [_reason(one) for one in reasons.fields],
            }
        return row


def _reason(one: "Reason") -> dict[str, Tree]:
    written = {} if one.written == one.value else {"written": one.written}
    place = {"line": one.position.line, "column": one.position.column} if one.position else {}
    return {"path": one.path, "value": one.value, **written, "level": one.level, "file": one.file, **place}


def _canonical(rendered: list[_Rendered]) -> None:
    from edgegitops.core.model.canonical import canonical_json

    releases = [release for one in rendered for release in one.releases]
    if len(releases) != 1:
        raise click.UsageError("--format canonical shows one release: name it with --node and --deployment")
    click.echo(canonical_json(to_tree(releases[0].spec)), nl=False)


def _text(rendered: list[_Rendered], path: Path, *, why: bool) -> None:
    for number, one in enumerate(rendered):
        if number:
            click.echo()
        click.echo(f"# {one.seat.name}")
        for release in one.releases:
            click.echo(f"\n# {release.short}, version {release.version}")
            if why:
                _table(one.reasons[release.deployment], path)
            else:
                for line in _yaml({"digest": release.digest, "spec": to_tree(release.spec)}):
                    click.echo(line)
        for fault in one.faults:
            click.echo(f"\n{_fault(fault, path)}", err=True)


def _fault(fault: "Fault", path: Path) -> str:
    at = f":{fault.position.line}:{fault.position.column}" if fault.position else ""
    return f"{path / fault.file}{at}: {fault.code}: {fault.message}"


def _table(reasons: "Reasons", path: Path) -> None:
    rows = [*reasons.values, *reasons.fields]
    width = max((len(one.path) for one in rows), default=0)
    for one in rows:
        at = f":{one.position.line}:{one.position.column}" if one.position else ""
        written = f" (written {_short(one.written)})" if one.written != one.value else ""
        click.echo(f"{one.path:{width}} = {_short(one.value)}{written}  <- {one.level}, {path / one.file}{at}")


def _short(value: Tree) -> str:
    text = _scalar(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _yaml(tree: Tree, indent: str = "") -> Iterator[str]:
    """A JSON tree as YAML: block maps and lists, scalars plain only where no reader could take them for another."""
    pairs = tree.items() if isinstance(tree, dict) else (("-", item) for item in tree)
    for key, value in pairs:
        head = "-" if isinstance(tree, list) else f"{_scalar(key)}:"
        if isinstance(value, dict | list) and value:
            yield f"{indent}{head}"
            yield from _yaml(value, f"{indent}  ")
        else:
            yield f"{indent}{head} {_scalar(value)}"


def _scalar(value: Tree) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and not _NOT_PLAIN.match(value):
        return value
    return json.dumps(value, ensure_ascii=False)
