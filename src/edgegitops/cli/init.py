"""`edgegitops init`: a fleet repository in a minute: manifests, trust root, editor mapping, pipelines, first commit.

Law: what it says is decided in `core/founding`. An existing folder is never written over. Private keys never lie inside
the repository.
"""

import json
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgegitops.workbench import Founded

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_DEFAULT_NAME = "fleet"


@click.command(epilog="Example: edgegitops init fleet --key security=~/.ssh/id_ed25519 --key root=~/.ssh/root_a")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="ROLE=PATH",
    help="An SSH key of a role: root, security, inventory, engineer or release-manager; may be given more than once. "
    "PATH is the private key, or a .pub whose private part is in your agent. Roles without a key go to security's.",
)
@click.option("--name", default="", help="The fleet's name.  [default: the folder's]")
@click.option("--site", default="site-1", show_default=True, help="The first site.")
@click.option("--node", default="gw-1", show_default=True, help="The first node of that site.")
@click.option("--editor", is_flag=True, help="Only write the editor mapping and the schemas anew, into a fleet.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/init.schema.json).")
def init(  # noqa: PLR0913 - one parameter an option
    directory: Path, keys: tuple[str, ...], name: str, site: str, node: str, *, editor: bool, as_json: bool
) -> None:
    """Make a new fleet repository in DIRECTORY, with a signed trust root and a signed first commit.

    Without --key, keys are made in DIRECTORY-keys, beside the repository and never inside it: two for the root, one
    for daily work. They have no passphrase: add one with ssh-keygen -p, and take the root keys offline.
    """
    from edgegitops import workbench

    if editor:
        written = workbench.write_editor_files(directory)
        click.echo(f"wrote {written} files for editors in {directory}")
        return
    held = held_keys(keys)
    name = name or _from_folder(directory)
    for what, value in (("--name", name), ("--site", site), ("--node", node)):
        if not _NAME.match(value):
            raise click.UsageError(f"{what} {value!r} is no name: lower-case letters, digits and '-', at most 63")
    names = workbench.names_of(name, f"urn:uuid:{uuid.uuid4()}", site, node)
    founded = workbench.found_fleet(directory, names, held)
    if as_json:
        click.echo(json.dumps(_tree(founded, directory), indent=2))
    else:
        _text(founded, directory)


def held_keys(keys: tuple[str, ...]) -> dict[str, list[Path]]:
    """The keys of each role."""
    from edgegitops.core.founding import ROLES, SECURITY

    held: dict[str, list[Path]] = {}
    for entry in keys:
        role, mark, path = entry.partition("=")
        if role not in ROLES or not mark or not path:
            raise click.UsageError(f"--key {entry!r} is not ROLE=PATH with a role of {', '.join(ROLES)}")
        held.setdefault(role, []).append(Path(path).expanduser().absolute())
    if held and SECURITY not in held:
        raise click.UsageError("name a key of security: --key security=PATH; it signs the first commit")
    return held


def _from_folder(directory: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", directory.absolute().name.lower()).strip("-")[:63].strip("-")
    return name or _DEFAULT_NAME


def _tree(founded: "Founded", directory: Path) -> dict[str, object]:
    return {
        "directory": str(directory),
        "files": founded.files,
        "commits": founded.commits,
        "keysDirectory": str(founded.keys) if founded.keys else None,
        "pin": {
            "repository": founded.repository,
            "rootSha256": founded.root_sha256,
            "checkpoint": founded.commits[0],
        },
    }


def _text(founded: "Founded", directory: Path) -> None:
    commits = "1 signed commit" if len(founded.commits) == 1 else f"{len(founded.commits)} signed commits"
    click.echo(f"{directory}: {founded.files} files, {commits}")
    if founded.keys:
        click.echo(f"{founded.keys}: new private keys WITHOUT passphrase: root-1, root-2 (take them offline), work")
    if founded.quorum == 1:
        click.echo("warning: the root is one key alone: who loses it loses the fleet; give two with --key root=PATH")
    site, _, node = founded.seat.partition("/")
    click.echo(f"""
Next:
1. Put your image into apps/hello/app.yaml, then:
     cd {directory} && edgegitops image pin && edgegitops validate --strict && git commit -a -m 'hello: our image'
2. Push it to a Git server that your nodes can reach:
     git remote add origin <url> && git push -u origin main
3. Enrol {founded.seat}. Carry trust/root/000001.json to its machine, by a way that is not the Git server:
     edgegitops node init --site {site} --node {node} --repository <url> \\
       --root 000001.json --checkpoint {founded.commits[0]}
   It prints the node's keys, for trust/nodes/{site}.yaml. In its node.yaml there is then, under spec:
     pin:
       repository: {founded.repository}
       rootSha256: {founded.root_sha256}
       checkpoint: {founded.commits[0]}""")
