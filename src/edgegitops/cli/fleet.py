"""`edgegitops fleet`: the whole fleet, from what its nodes reported."""

import click

from edgegitops.cli.fleet_status import status


@click.group(epilog="Example: edgegitops fleet status")
def fleet() -> None:
    """The whole fleet, from the signed reports of its nodes."""


fleet.add_command(status)
