"""`edgegitops match`: which nodes a selector selects, with their tags. Exit 1 where it selects none."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgegitops.core.plan.look import Seat


@click.command(epilog="Example: edgegitops match 'region=emea,line-type in (assembly),!legacy' fleet")
@click.argument("selector")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/match.schema.json).")
def match(selector: str, path: Path, *, as_json: bool) -> None:
    """The nodes of the fleet repository at PATH that SELECTOR selects.

    Requirements stand between commas and must all hold: key=value, key!=value, key in (a,b), key notin (a,b), key,
    !key, key>1, key<9. '*' selects every node. site and node are tags of every node.
    """
    from edgegitops.core.desired.selectors import parse_selector
    from edgegitops.core.model.faults import Fault
    from edgegitops.core.plan.look import matching
    from edgegitops.workbench import view_directory

    parsed = parse_selector(selector)
    if isinstance(parsed, Fault):
        raise click.UsageError(f"{parsed.code}: {parsed.message}; expected {parsed.expected}")
    view = view_directory(path)
    seats = matching(view, parsed)
    if as_json:
        click.echo(json.dumps(_tree(selector, seats, sum(1 for _ in view.seats())), indent=2))
    else:
        _text(seats, sum(1 for _ in view.seats()))
    if not seats:
        sys.exit(1)


def _tree(selector: str, seats: Sequence["Seat"], known: int) -> dict[str, object]:
    nodes = [
        {"site": seat.site.name, "node": seat.node.name, "tags": dict(sorted(seat.tags.items()))} for seat in seats
    ]
    return {"selector": selector, "known": known, "nodes": nodes}


def _text(seats: Sequence["Seat"], known: int) -> None:
    width = max((len(seat.name) for seat in seats), default=0)
    for seat in seats:
        tags = ", ".join(f"{key}={value}" for key, value in sorted(seat.tags.items()) if key not in {"site", "node"})
        click.echo(f"{seat.name:{width}}  {tags}".rstrip())
    click.echo(f"{len(seats)} of {known} nodes")
