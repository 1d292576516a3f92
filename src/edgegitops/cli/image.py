"""`edgegitops image pin`: behind each tag, the digest that it means now; comments and layout stay as they are.

Law: nothing is written before every tag has been resolved. Exit 0: all images are pinned; 1 with `--check`: some are
not.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgegitops.cli.group import Group
from edgegitops.errors import OutsideError

if TYPE_CHECKING:
    from edgegitops.core.documents.pinning import Unpinned


@click.group(cls=Group, epilog="Example: edgegitops image pin fleet")
def image() -> None:
    """Images of applications."""


@image.command(epilog="Example: edgegitops image pin --insecure 10.1.0.5:5000 fleet")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--check", is_flag=True, help="Write and ask nothing; exit 1 where an image is not pinned.")
@click.option(
    "--insecure",
    multiple=True,
    metavar="REGISTRY",
    help="This registry (host or host:port) speaks plain HTTP; may be given more than once.",
)
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/image-pin.schema.json).")
def pin(path: Path, insecure: tuple[str, ...], *, check: bool, as_json: bool) -> None:
    """Write the digest behind every tag in the fleet repository at PATH (default: here).

    A digest that stands there already is never changed: take it away to have the tag resolved again. Registries that
    ask for a login get the one that podman login or docker login keeps.
    """
    from edgegitops import workbench

    found = workbench.find_unpinned(path)
    digests: dict[str, str] = {}
    if not check:
        images = dict.fromkeys(one.image for one in found)
        try:
            digests = workbench.resolve_images(images, insecure, _progress)
        except OutsideError as error:
            _say_where(found, error.action, path)
            raise
        workbench.write_pins(path, found, digests)
    if as_json:
        click.echo(json.dumps({"images": [_row(one, digests) for one in found], "ok": not (check and found)}, indent=2))
    else:
        _text(found, digests, path)
    if check and found:
        sys.exit(1)


def _say_where(found: Iterable["Unpinned"], action: str, path: Path) -> None:
    """Name the places of the image that could not be asked for, before the error does."""
    for one in found:
        if action.endswith(one.image):
            click.echo(f"{path / one.file}:{one.position.line}:{one.position.column}: {one.image}", err=True)
            click.echo("  try: write an image that this machine can reach; nothing was changed", err=True)


def _progress(name: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"asking for {name}", err=True)


def _row(one: "Unpinned", digests: Mapping[str, str]) -> dict[str, object]:
    where = {"file": one.file, "line": one.position.line, "column": one.position.column}
    return {**where, "image": one.image, "digest": digests.get(one.image)}


def _text(found: Iterable["Unpinned"], digests: Mapping[str, str], path: Path) -> None:
    count = 0
    for count, one in enumerate(found, 1):  # noqa: B007 - counted for the last line
        at = f"{path / one.file}:{one.position.line}:{one.position.column}"
        click.echo(f"{at}: {one.image} {'-> ' + digests[one.image] if digests else 'is not pinned'}")
    words = "1 image" if count == 1 else f"{count} images"
    click.echo(f"{words} {'pinned' if digests else 'not pinned'}" if count else "all images are pinned")
