"""`edgegitops agent`: the daemon, and the two children that it starts (hidden: nobody types them)."""

import json
import signal
import sys

import click

from edgegitops.cli.options import CONFIG
from edgegitops.core.model.codec import to_tree


@click.group(epilog="Example: edgegitops agent run --config /etc/edgegitops/node.yaml")
def agent() -> None:
    """The daemon that keeps this node as Git says."""


@agent.command(epilog="Example: edgegitops agent run --once")
@CONFIG
@click.option("--once", is_flag=True, help="Stop when everything is at rest; exit 1 where something is not as wanted.")
def run(file: str, *, once: bool) -> None:
    """Watch the repository and the engine, and converge, until told to stop (SIGTERM). Containers stay."""
    from edgegitops import bootstrap

    handover = bootstrap.reside(bootstrap.config_by_child(file), file, once=once)
    if once and not handover.is_as_wanted:
        sys.exit(1)


@agent.command(hidden=True)
@CONFIG
@click.option("--fetch", is_flag=True, help="Fetch first.")
@click.option("--revert-only", is_flag=True, help="Use the journal and the engine alone.")
def worker(file: str, *, fetch: bool, revert_only: bool) -> None:
    """Run cycles until there is nothing to do; started by `run`."""
    from edgegitops import bootstrap
    from edgegitops.daemon.cycle import Order

    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the resident says when to stop
    bootstrap.work_for_parent(file, Order(fetch, revert_only), lambda: bool(stopping))


@agent.command("read-config", hidden=True)
@CONFIG
def read_config(file: str) -> None:
    """Print the configuration as JSON; started by `run`, which has no YAML reader in memory."""
    from edgegitops import bootstrap

    click.echo(json.dumps(to_tree(bootstrap.read_config(file))))
