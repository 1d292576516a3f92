"""`edgegitops secret`: secrets of the fleet, as age files in its repository that only their nodes can read.

Law: a secret is never an argument and never printed. It comes from a file, from standard input, or from a prompt that
does not echo. `check` exits 1 where a node that uses a secret cannot read it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgegitops.cli.group import Group
from edgegitops.core.model.secrets import LARGEST

if TYPE_CHECKING:
    from edgegitops.core.readers import Readers
    from edgegitops.workbench_secrets import Sealed

PATH = click.option(
    "-C", "path", type=click.Path(path_type=Path), default=".", show_default=True, help="The clone's top folder."
)
RECIPIENT = click.option(
    "--recipient",
    "others",
    multiple=True,
    metavar="KEY",
    help="An age key of a person who may read it; repeatable.",
)
NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


@click.group(cls=Group, epilog="Example: edgegitops secret encrypt db --from password.txt")
def secret() -> None:
    """Secrets: encrypt them for the nodes that use them, and see who can read what."""


@secret.command(epilog="Example: pass show line/db | edgegitops secret encrypt db")
@click.argument("name")
@PATH
@click.option("--version", "version", type=click.IntRange(1), help="Its version.  [default: the next one]")
@click.option("--from", "source", metavar="FILE", default="", help="Where it stands; - is standard input.")
@RECIPIENT
def encrypt(name: str, path: Path, *, version: int | None, source: str, others: tuple[str, ...]) -> None:
    """Write the next version of the secret NAME, readable for the nodes whose deployments use it, and for nobody else.

    The secret is read from standard input, or asked for at a terminal. A line KEY=value in it can be used by its key.
    Then set the version in the application and commit both: that is the rotation.
    """
    import re

    from edgegitops import workbench_secrets

    if not re.match(NAME, name):
        raise click.UsageError(f"{name!r} is no name: lower-case letters, digits and '-', at most 63")
    done = workbench_secrets.encrypt(path, name, _read(source), version=version, others=others)
    _tell(done)
    click.echo(f"Next: version: {done.file.rpartition('.')[2]} under spec.secrets.{name}, and commit both.")


@secret.command(epilog="Example: edgegitops secret rekey --identity ~/.config/age/key.txt")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@PATH
@click.option(
    "--identity", required=True, type=click.Path(path_type=Path), metavar="FILE", help="An age key that can read them."
)
@click.option("--all", "is_all", is_flag=True, help="Also those whose nodes have not changed.")
@RECIPIENT
def rekey(names: tuple[str, ...], path: Path, *, identity: Path, is_all: bool, others: tuple[str, ...]) -> None:
    """Encrypt secrets anew for the nodes that use them now, after nodes came, went or got another key.

    Versions stay as they are, so no container is replaced. A node that went may have kept what it could read: give the
    secret a new value, and a new version, where that matters.
    """
    from edgegitops import workbench_secrets

    done = workbench_secrets.rekey(path, names, identity.expanduser(), is_all=is_all, others=others)
    for one in done:
        _tell(one)
    click.echo("Next: commit secrets/." if done else "nothing to do: every node can read what it uses")


@secret.command(epilog="Example: edgegitops secret check --json")
@PATH
@click.option("--identity", type=click.Path(path_type=Path), metavar="FILE", help="Also open each with this age key.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/secret-check.schema.json).")
def check(path: Path, *, identity: Path | None, as_json: bool) -> None:
    """Who uses which version of which secret, and who cannot read it; exit 1 where a node cannot."""
    from edgegitops import workbench_secrets

    found = workbench_secrets.standing(path)
    unopened = workbench_secrets.unopened(path, identity.expanduser()) if identity else {}
    rows = [_row(one, unopened.get(one.file, "")) for one in found]
    is_sound = not any(row["problems"] for row in rows)
    if as_json:
        click.echo(json.dumps({"secrets": rows, "isSound": is_sound}, indent=2))
    else:
        _print(rows)
    if not is_sound:
        sys.exit(1)


def _read(source: str) -> bytes:
    if source not in {"", "-"}:
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise click.UsageError(f"{source}: {error.strerror}") from None
    if not source and sys.stdin.isatty():
        text: str = click.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True)
        return text.encode()
    data = sys.stdin.buffer.read(LARGEST + 1)
    if not data:
        raise click.UsageError("standard input is empty; pipe the secret in, or name a file with --from")
    return data


def _tell(one: "Sealed") -> None:
    people = f", {one.others} others" if one.others else ""
    nodes = "1 node" if len(one.nodes) == 1 else f"{len(one.nodes)} nodes"
    click.echo(f"wrote secrets/{one.file}.age for {nodes}{people}")


def _row(one: "Readers", unopened: str) -> dict[str, object]:
    name, _, version = one.file.rpartition(".")
    problems = [one.problem] if one.problem else []
    problems += [f"{node} has no ageKey in trust/nodes" for node in one.keyless]
    problems += [f"{node} uses it and cannot read it" for node in one.forgotten] if not one.problem else []
    problems += [unopened] if unopened else []
    return {
        "name": name,
        "version": int(version),
        "nodes": list(one.nodes),
        "others": len(one.listed.others) if one.listed else 0,
        "stale": list(one.stale),
        "problems": problems,
    }


def _print(rows: Sequence[dict[str, object]]) -> None:
    for row in rows:
        nodes, problems, stale = row["nodes"], row["problems"], row["stale"]
        used = f"used by {', '.join(map(str, nodes))}" if isinstance(nodes, list) and nodes else "used by nobody"
        click.echo(f"{row['name']} version {row['version']}: {used}")
        for problem in problems if isinstance(problems, list) else ():
            click.echo(f"  {problem}")
        for node in stale if isinstance(stale, list) else ():
            click.echo(f"  warning: {node} can read it and need not; edgegitops secret rekey, and a new version")
    is_bad = any(row["problems"] for row in rows)
    click.echo("edgegitops secret rekey mends what was not encrypted for a node" if is_bad else f"{len(rows)} sound")
