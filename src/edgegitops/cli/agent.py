"""`edgegitops agent`: the daemon, and the two children that it starts (hidden: nobody types them)."""

import click

from edgegitops.cli import plain
from edgegitops.cli.group import Group
from edgegitops.cli.options import CONFIG


@click.group(cls=Group, epilog="Example: edgegitops agent run --config /etc/edgegitops/node.yaml")
def agent() -> None:
    """The daemon that keeps this node as Git says."""


@agent.command(epilog="Example: edgegitops agent run --once")
@CONFIG
@click.option("--once", is_flag=True, help="Stop when everything is at rest; exit 1 where something is not as wanted.")
def run(file: str, *, once: bool) -> None:
    """Watch the repository and the engine, and converge, until told to stop (SIGTERM). Containers stay."""
    plain.run(file, once=once)


@agent.command(hidden=True)
@CONFIG
@click.option("--fetch", is_flag=True, help="Fetch first.")
@click.option("--revert-only", is_flag=True, help="Use the journal and the engine alone.")
@click.option("--notes", default="", help="The folder of what earlier workers read.")
def worker(file: str, *, fetch: bool, revert_only: bool, notes: str) -> None:
    """Run cycles until there is nothing to do; started by `run`."""
    plain.worker(file, fetch=fetch, revert_only=revert_only, notes=notes)


@agent.command("read-config", hidden=True)
@CONFIG
def read_config(file: str) -> None:
    """Print the configuration as JSON; started by `run`, which has no YAML reader in memory."""
    plain.read_config(file)
