"""`edgegitops reconcile`: look now instead of later.

The agent fetches, judges, and tries at once what it would have tried again after its back-off. It decides nothing
anew: a refused commit, a release that failed here and a hold stay what they are, because their cause is still there.
"""

import click

from edgegitops.cli.options import CONFIG
from edgegitops.core.model.events import RetryAsked
from edgegitops.errors import UnavailableError


@click.command(epilog="Example: edgegitops reconcile && edgegitops status")
@CONFIG
def reconcile(file: str) -> None:
    """Ask the running agent to fetch and look now, and to try again what did not work.

    Holds, latches and refusals stay; `edgegitops explain DEPLOYMENT` says what would end them.
    """
    from edgegitops import bootstrap, bootstrap_node

    config = bootstrap.read_config(file)
    if not bootstrap_node.is_agent_running(config):
        words = "the agent does not run; start it (systemctl start edgegitops), or once: edgegitops agent run --once"
        raise UnavailableError("agent", "reconcile", words)
    bootstrap_node.note(config, [RetryAsked()])
    bootstrap_node.wake(config, "reconcile")
    click.echo("The agent fetches and looks now: edgegitops status shows what comes of it.")
