"""`edgegitops node`: make this machine a node, check that it can be one, and take it out of the fleet again.

`init` writes what only this machine knows, never over something, and prints what the fleet must learn of it. `check`
looks and changes nothing. `retire` takes away what the fleet owns here, told apart by labels, and nothing else.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgegitops.cli.group import Group
from edgegitops.cli.options import CONFIG
from edgegitops.cli.plain_words import terminal_width, visible
from edgegitops.errors import DeniedError, InvalidConfigError

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
FLAGS = {
    "site": ("site",),
    "node": ("node",),
    "url": ("repository", "url"),
    "branch": ("repository", "branch"),
    "key_file": ("repository", "keyFile"),
    "token_file": ("repository", "tokenFile"),
    "known_hosts": ("repository", "knownHostsFile"),
    "ca_file": ("repository", "caFile"),
    "reports": ("reports", "git"),
    "fleet": ("pin", "repository"),
    "checkpoint": ("pin", "checkpoint"),
    "engine": ("engine", "socket"),
    "state": ("stateDirectory",),
    "policy": ("policyFile",),
}
PODMAN_POLICY = "/etc/containers/policy.json"
IMAGE_POLICY_EXAMPLE = f"Example: edgegitops node image-policy > new.json && cp new.json {PODMAN_POLICY}"
INIT_EXAMPLE = (
    "Example: edgegitops node init --site goteborg-1 --node gw-line --repository https://git.example/fleet.git"
    " --root 000001.json --checkpoint 1a2b3c4d5e6f708192a3b4c5d6e7f80912345678"
)


@click.group(cls=Group, epilog="Example: edgegitops node check")
def node() -> None:
    """Make this machine a node, check it, and take it out of the fleet."""


@node.command(epilog=INIT_EXAMPLE)
@CONFIG
@click.option("--seed", type=click.Path(path_type=Path), help="A node.yaml to begin with; the options below win.")
@click.option("--site", help="The site, as under sites/ of the fleet repository.")
@click.option("--node", help="This node's name in its site.")
@click.option("--repository", "url", metavar="URL", help="The fleet repository.")
@click.option("--branch", help="Its branch; main where it is not given.")
@click.option("--root", metavar="FILE|SHA256", help="The trust root document that is pinned, or its SHA-256.")
@click.option(
    "--fleet", metavar="URN", help="The repository id of the trust root; read from --root where that is a file."
)
@click.option("--checkpoint", metavar="COMMIT", help="The commit before which nothing is judged.")
@click.option("--key-file", metavar="FILE", help="SSH key for the repository.")
@click.option("--token-file", metavar="FILE", help="File with a token for the repository.")
@click.option("--known-hosts", metavar="FILE", help="SSH known hosts of the repository.")
@click.option("--ca-file", metavar="FILE", help="Certificate authorities of the repository.")
@click.option("--reports", metavar="URL", help="The repository of reports, where fleet.yaml is not to say it.")
@click.option("--engine", metavar="SOCKET", help="Podman's API socket.")
@click.option("--state", metavar="DIR", help="The state directory.")
@click.option("--policy", metavar="FILE", help="The node's own policy.")
def init(file: str, *, seed: Path | None, root: str | None, **flags: str | None) -> None:
    """Write node.yaml, a closed policy.yaml and keys; print what the fleet must learn. Nothing is replaced."""
    from edgegitops import bootstrap_node

    keys: dict[tuple[str, ...], str] = {}
    if seed is not None:
        said = [one for one in bootstrap_node.read_settings(str(seed)) if one.origin != "default"]
        keys |= {tuple(one.key.split(".")): one.value for one in said}
    keys |= _root(root)
    keys |= {FLAGS[name]: value for name, value in flags.items() if value}
    keys.setdefault(("policyFile",), str(Path(file).absolute().parent / "policy.yaml"))
    keys.setdefault(("ageKeyFile",), str(Path(file).absolute().parent / "age.key"))
    public, recipient = bootstrap_node.enrol(file, keys)
    site, name = keys["site",], keys["node",]
    click.echo(f"This machine is the node {site}/{name}: {file}, {keys['policyFile',]}.", err=True)
    click.echo(f"Merge this into trust/nodes/{site}.yaml, and {name} under spec.nodes of the site {site}:", err=True)
    click.echo(stanza(site, name, public, recipient))
    offered = bootstrap_node.offer_image_policy(keys["policyFile",])
    if offered:
        click.echo(f"To let Podman reject all other images, too: cp {offered} {PODMAN_POLICY}", err=True)
    click.echo("Then: edgegitops node check, and systemctl enable --now edgegitops", err=True)


def stanza(site: str, name: str, public: str, recipient: str) -> str:
    """The document of `trust/nodes/<site>.yaml` with this node in it."""
    head = f"apiVersion: edgegitops/v1\nkind: NodeKeys\nmetadata:\n  name: {site}\nspec:\n  nodes:\n"
    return f"{head}    {name}:\n      reportKey: {json.dumps(public)}\n      ageKey: {recipient}"


def _root(given: str | None) -> dict[tuple[str, ...], str]:
    """The pin that a root document makes, given as a file or by its SHA-256."""
    if given is None:
        return {}
    if len(given) == 64 and not Path(given).exists():  # noqa: PLR2004 - hex SHA-256
        return {("pin", "rootSha256"): given.lower()}
    try:
        data = Path(given).read_bytes()
        tree = json.loads(data)
        repository = str(tree["repository"])
    except OSError as error:
        raise InvalidConfigError(f"cannot be read: {error.strerror}", file=given) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidConfigError("is no trust root document (trust/root/000001.json)", file=given) from error
    return {("pin", "rootSha256"): hashlib.sha256(data).hexdigest(), ("pin", "repository"): repository}


@node.command("image-policy", epilog=IMAGE_POLICY_EXAMPLE)
@CONFIG
def image_policy(file: str) -> None:
    """Print a policy for Podman that rejects every image from elsewhere than the registries of policy.yaml.

    Nothing is changed: whether Podman obeys it is decided by who writes it to /etc/containers/policy.json. Mirrors have
    to be named in policy.yaml, too.
    """
    from edgegitops import bootstrap, bootstrap_node

    click.echo(bootstrap_node.image_policy(bootstrap.read_config(file).policy_file), nl=False)


@node.command(epilog="Example: edgegitops node check --json")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/node-check.schema.json).")
@click.pass_context
def check(ctx: click.Context, file: str, *, as_json: bool) -> None:
    """Check Podman, clock, disk, files and repository, and show the configuration; exit 1 where something fails."""
    from edgegitops import bootstrap, bootstrap_node
    from edgegitops.daemon.checkup import Verdict, findings

    config = bootstrap.read_config(file)
    settings = bootstrap_node.read_settings(file)
    found = findings(bootstrap_node.examine(config))
    is_fit = all(one.verdict is not Verdict.FAIL for one in found)
    told: dict[str, Any] = {
        "site": config.site,
        "node": config.node,
        "isFit": is_fit,
        "findings": [asdict(one) for one in found],
        "settings": [asdict(one) for one in settings],
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        _print(told)
    ctx.exit(0 if is_fit else 1)


def _print(told: dict[str, Any]) -> None:
    console = Console(highlight=False, width=terminal_width())
    console.print(f"[bold]{told['site']}/{told['node']}[/]")
    looks = Table(box=None, pad_edge=False, show_header=False)
    for one in told["findings"]:
        advice = f"\nto do: {one['advice']}" if one["advice"] else ""
        verdict = Text(one["verdict"], COLOURS[one["verdict"]])
        looks.add_row(verdict, one["name"], Text(f"{visible(one['detail'])}{advice}"))
    console.print(looks)
    console.print()
    table = Table("configuration", "value", "from", box=None, pad_edge=False, header_style="bold")
    for one in told["settings"]:
        table.add_row(one["key"], Text(visible(one["value"]), overflow="fold"), one["origin"])
    console.print(table)


@node.command(epilog="Example: edgegitops node retire --yes")
@CONFIG
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@click.option("--volumes", is_flag=True, help="Remove the volumes of the fleet's deployments too, and their data.")
@click.pass_context
def retire(ctx: click.Context, file: str, *, yes: bool, volumes: bool) -> None:
    """Take this machine out of the fleet: remove what the fleet owns on the engine, and the state directory.

    Containers, networks and volumes of others are not touched. The agent must be stopped first.
    """
    from edgegitops import bootstrap, bootstrap_node

    config = bootstrap.read_config(file)
    if yes and bootstrap_node.is_agent_running(config):
        words = "the agent runs, and nothing was removed; stop it first: systemctl disable --now edgegitops"
        raise DeniedError("node", "retire", words)
    steps = bootstrap_node.possessions(config, volumes=volumes)
    verb = "Removing" if yes else "Would remove"
    for step in steps:
        if step.kind.startswith("remove-"):
            click.echo(f"{verb} {step.kind.removeprefix('remove-')} {step.subject}")
    click.echo(f"{verb} state {config.state}")
    if not yes:
        click.echo("Nothing was done; say --yes to do it.")
        ctx.exit(1)
    bootstrap_node.retire(config, steps)
    if not volumes:
        click.echo("Volumes and their data stay; --volumes removes them.")
    click.echo(f"{file} and its keys stay; remove them, and this node from the fleet's sites/ and trust/nodes/.")
