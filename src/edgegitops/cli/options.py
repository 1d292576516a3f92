"""The options that several commands share: where a node's configuration is, single keys of it said anew, and where
reports are.

`--set repository.url=…` is the environment's `EDGEGITOPS_REPOSITORY_URL`, said on the command line: it goes into this
process's environment, so the children of the agent read the same configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from edgegitops.core.model.node_config import variable_of

F = TypeVar("F", bound=Callable[..., object])

_FILE = click.option(
    "--config",
    "file",
    default="/etc/edgegitops/node.yaml",
    show_default=True,
    envvar="EDGEGITOPS_CONFIG",
    help="The node's configuration.",
)


def _say_anew(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> None:
    del ctx, option
    for value in values:
        key, equals, text = value.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as repository.url=ssh://git@git.example/f.git")
        os.environ[variable_of(tuple(key.split(".")))] = text


_SET = click.option(
    "--set",
    multiple=True,
    metavar="KEY=VALUE",
    expose_value=False,
    is_eager=True,
    callback=_say_anew,
    help="A key of the configuration's spec, said anew; may be given more than once.",
)


class _Source(click.ParamType[Path | str]):
    """Where reports are: a folder as a path, a Git repository as its address."""

    name = "source"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        folder = Path(value)
        if folder.is_dir():
            is_git = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
            return str(folder.resolve()) if is_git else folder
        if "://" not in value and not re.match(r"[^/@:]+@[^/:]+:", value):
            self.fail(f"{value!r} is no folder that is there, and no address of a Git repository", param, ctx)
        return value


REPORTS = click.option(
    "--reports",
    type=_Source(),
    metavar="SOURCE",
    help="The nodes' reports: a folder, or the address of a Git repository.  [default: as fleet.yaml says]",
)


def CONFIG(command: F) -> F:  # noqa: N802 - it stands where an option stands
    """`--config FILE` (as `file`) and `--set KEY=VALUE`."""
    return _FILE(_SET(command))
